import { failoverFacts } from "../../operations/failover-facts";
import { readLive } from "../../operations/live";
import { type FailoverRequest, planFailover } from "../../operations/plan-failover";
import { openOperations } from "../../operations/run-operation";
import { manifestHash, type SiteManifest } from "../../planning";
import { FakeSite } from "./fake-site";

const dead: FailoverRequest = {
  server: "srv2",
  guests: [],
  planned: false,
  acceptStale: false,
  confirmOff: "srv2",
  forceFence: false,
};
const planned: FailoverRequest = { server: "srv2", guests: [], planned: true, acceptStale: false, forceFence: false };

async function refusalsOf(site: FakeSite, request: FailoverRequest, secrets: Record<string, string> = {}) {
  const operator = site.operator("ben@desk", secrets);
  const live = await readLive(operator);
  const { others } = await openOperations(operator, "failover", request.server, false);
  return planFailover(operator.manifest, live, await failoverFacts(operator, live, request, others), request);
}

type Row = [
  what: string,
  code: string,
  message: RegExp,
  options: {
    manifest?: (manifest: SiteManifest) => SiteManifest;
    prepare?: (site: FakeSite) => void;
    request?: FailoverRequest;
  },
];

const kill = (site: FakeSite) => site.kill("srv2");

const rows: Row[] = [
  ["a server that is alive", "OPERATION-ALIVE", /srv2 is alive \(its API answers.*--planned/, { prepare: () => {} }],
  [
    "a server that only this machine does not reach",
    "OPERATION-ALIVE",
    /the rest of the cluster sees it/,
    { prepare: (site) => site.cutOff.add("srv2") },
  ],
  [
    "a server that carries nothing",
    "OPERATION-NOTHING-THERE",
    /backup-1 holds no active guest/,
    { prepare: () => {}, request: { ...planned, server: "backup-1" } },
  ],
  [
    "a guest that is elsewhere",
    "OPERATION-NOT-THERE",
    /dc-1 is not active on srv2, but on srv1/,
    { prepare: kill, request: { ...dead, guests: ["dc-1"] } },
  ],
  [
    "a domain controller among several",
    "OPERATION-CONTROLLER-GENERATION",
    /docker-1 is one of several domain controllers.*leave it off while dc-1 answers.*--fresh-generation/,
    {
      prepare: (site) => {
        site.manifest.guests["docker-1"]!.role = "domain-controller";
        site.generation.hash = manifestHash(site.manifest);
        kill(site);
      },
    },
  ],
  [
    "no confirmation",
    "OPERATION-NOT-CONFIRMED",
    /nobody has confirmed that srv2 is off.*--confirm-off srv2/,
    { prepare: kill, request: { server: "srv2", guests: [], planned: false, acceptStale: false, forceFence: false } },
  ],
  [
    "the confirmation of another server",
    "OPERATION-NOT-CONFIRMED",
    /--confirm-off srv1 names another server/,
    { prepare: kill, request: { ...dead, confirmOff: "srv1" } },
  ],
  [
    "a spare older than promised",
    "OPERATION-STALE",
    /the spare of sql-erp is as of 2026-11-2\dT.*everything newer is lost.*--accept-stale/,
    {
      prepare: (site) => {
        kill(site);
        site.time += 7200_000;
      },
    },
  ],
  [
    "an older point of a replicated guest",
    "OPERATION-POINT",
    /only the last run is there/,
    { prepare: kill, request: { ...dead, guests: ["sql-erp"], toPoint: "2026-11-01T00:00:00Z" } },
  ],
  [
    "a point before the first backup",
    "OPERATION-POINT",
    /no recovery point that is not after 2020-01-01.*there are: 2026/,
    { prepare: kill, request: { ...dead, guests: ["remote-app"], toPoint: "2020-01-01" } },
  ],
  [
    "no good standby",
    "OPERATION-NO-STANDBY",
    /no standby of remote-app that can be started \(ids 9112, 9212\)/,
    {
      prepare: (site) => {
        kill(site);
        for (const id of [9112, 9212]) site.guests.get(id)!.config.lock = "create";
      },
    },
  ],
  [
    "too little memory",
    "OPERATION-NO-MEMORY",
    /srv1 lacks [\d.]+ GiB/,
    {
      prepare: kill,
      manifest: (manifest) => {
        manifest.servers.srv1!.memoryLimitGiB = 10;
        return { ...manifest, allowShedding: false };
      },
    },
  ],
  [
    "a privilege that is missing",
    "OPERATION-PRIVILEGE",
    /lacks VM\.PowerMgmt on \/vms\/113/,
    {
      prepare: (site) => {
        kill(site);
        site.privileges = ["VM.Audit"];
      },
    },
  ],
  [
    "an old manifest",
    "OPERATION-MANIFEST-OLD",
    /is older than the one on .*generation 4.*--from backup-1/,
    {
      prepare: (site) => {
        kill(site);
        site.generation = { generation: 4, hash: "f".repeat(64), history: ["a", "b", site.generation.hash] };
      },
    },
  ],
  [
    "too few voters",
    "OPERATION-NO-MAJORITY",
    /1 of the 3 voters of sql-erp answer, 2 are needed .*backup-1: nobody answers/,
    {
      prepare: (site) => {
        kill(site);
        site.kill("backup-1");
      },
    },
  ],
  [
    "power without a switch",
    "OPERATION-NO-POWER",
    /how srv2 is switched off is not in its manifest/,
    {
      prepare: kill,
      manifest: (manifest) => ({ ...manifest, fencing: "power" }),
      request: { ...dead, confirmOff: "" },
    },
  ],
  [
    "a planned switch of a dead server",
    "OPERATION-SERVER-DOWN",
    /a planned switch needs srv2 alive/,
    { prepare: kill, request: planned },
  ],
  [
    "a spare that is off, too",
    "OPERATION-SERVER-DOWN",
    /the API of srv1, which is to take over/,
    {
      prepare: (site) => site.cutOff.add("srv1"),
      request: planned,
    },
  ],
];

test.each(rows)("refused: %s", async (_what, code, message, { manifest, prepare = kill, request = dead }) => {
  const site = new FakeSite(manifest);
  prepare(site);
  const asked = request.confirmOff === "" ? (({ confirmOff: _, ...rest }) => rest)(request) : request;
  const { refusals } = await refusalsOf(site, asked);
  const found = refusals.filter((each) => each.code === code).map((each) => `${each.message}. ${each.fix}`);
  expect(found.join("\n") || refusals.map((each) => `${each.code} ${each.message}`)).toMatch(message);
  // Nothing is changed by asking.
  expect(site.changes).toEqual([]);
  site.remove();
});

test("refusals are shown all at once", async () => {
  const site = new FakeSite();
  site.kill("srv2");
  site.time += 7200_000;
  site.privileges = [];
  const { refusals } = await refusalsOf(site, { ...dead, confirmOff: "srv1" });
  const codes = new Set(refusals.map(({ code }) => code));
  expect([...codes].sort()).toEqual(["OPERATION-NOT-CONFIRMED", "OPERATION-PRIVILEGE", "OPERATION-STALE"]);
  site.remove();
});

describe("what is chosen", () => {
  const off = (manifest: SiteManifest): SiteManifest => {
    manifest.guests["sql-erp"]!.started = false;
    return manifest;
  };

  test.each<[string, FailoverRequest, boolean]>([
    ["is not started by the loss of its server", dead, false],
    ["is when it is named", { ...dead, guests: ["sql-erp"] }, true],
    ["moves with a planned switch of its server", planned, true],
  ])("a guest that is normally off %s", async (_what, request, moves) => {
    const site = new FakeSite(off);
    if (!request.planned) site.kill("srv2");
    const { plan } = await refusalsOf(site, request);
    const names = plan.moves.map(({ guest }) => guest);
    expect(names.includes("sql-erp")).toBe(moves);
    expect(plan.lost).not.toContain("sql-erp");
    if (request.guests.length === 0) expect(names.length).toBeGreaterThan(0);
    site.remove();
  });

  test("the other standby when the newest one is broken, with a word about it", async () => {
    const site = new FakeSite();
    site.kill("srv2");
    site.guests.get(9112)!.config.lock = "create";
    const { plan, warnings } = await refusalsOf(site, { ...dead, guests: ["remote-app"], acceptStale: true });
    expect(plan.moves).toMatchObject([{ guest: "remote-app", toId: 9212 }]);
    expect(warnings.map(({ code }) => code)).toContain("OPERATION-STANDBY-BROKEN");
    site.remove();
  });

  test("an older backup goes into the id whose turn it is", async () => {
    const site = new FakeSite();
    site.kill("srv2");
    site.backups.push({
      vmid: 112,
      volid: "backup-nfs:backup/old.vma.zst",
      ctime: Date.parse("2026-11-10T03:00:00Z") / 1000,
    });
    const { plan, refusals } = await refusalsOf(site, {
      ...dead,
      guests: ["remote-app"],
      toPoint: "2026-11-12T00:00:00Z",
    });
    expect(refusals).toEqual([]);
    expect(plan.moves[0]!.point).toEqual({
      kind: "backup",
      into: 9212,
      at: "2026-11-10T03:00:00Z",
      volid: "backup-nfs:backup/old.vma.zst",
    });
    site.remove();
  });

  test("the least important guests stay off where the site allows it, and those that are asked for by name never", async () => {
    const small = (manifest: SiteManifest): SiteManifest => {
      manifest.servers.srv1!.memoryLimitGiB =
        manifest.guests["dc-1"]!.memoryGiB +
        manifest.guests["files-1"]!.memoryGiB +
        manifest.guests["sql-erp"]!.memoryGiB +
        3;
      manifest.guests["docker-1"]!.sheddable = true;
      manifest.guests["remote-app"]!.sheddable = true;
      return { ...manifest, allowShedding: true };
    };
    const site = new FakeSite(small);
    site.kill("srv2");
    const { plan, refusals, warnings } = await refusalsOf(site, dead);
    expect(refusals).toEqual([]);
    expect(plan.moves.map(({ guest }) => guest)).toEqual(["sql-erp"]);
    expect([...plan.left].sort()).toEqual(["docker-1", "remote-app"]);
    expect(warnings.filter(({ code }) => code === "OPERATION-SHED")).toHaveLength(2);
    const named = await refusalsOf(site, { ...dead, guests: ["sql-erp", "remote-app", "docker-1"] });
    expect(named.refusals.map(({ code }) => code)).toEqual(["OPERATION-NO-MEMORY"]);
    site.remove();
  });
});
