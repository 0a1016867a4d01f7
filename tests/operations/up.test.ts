import type { LiveSite } from "../../operations/live-types";
import { forbiddenSteps, nameOf, planUp, runUp, type StateResource, type UpFacts, upFacts } from "../../operations/up";
import { pulumi } from "../../operations/up-engine";
import { planSite, type SiteSpec, siteManifest } from "../../planning";
import { loadLayout } from "../../stacks/layouts";
import { FakePulumi } from "./fake-pulumi";

const smb = siteManifest(planSite(loadLayout("smb-site") as SiteSpec), { endpoints: {} });
const vm = "proxmoxve:index/vmLegacy:VmLegacy";
const pair = "pulumi-nodejs:dynamic/coldspare:ReplicationPair";
const standby = "pulumi-nodejs:dynamic/coldspare:StandbyGuest";
const site = "urn:pulumi:prod::coldspare::coldspare:index:Site";

function resource(type: string, name: string, inputs: Record<string, unknown> = {}, above = ""): StateResource {
  return { urn: `${site}${above}$${type}::${name}`, type, custom: true, inputs, outputs: inputs };
}

function ofServer(server: string, type: string, name: string): StateResource {
  const above = "$coldspare:index:PhysicalServer";
  return { ...resource(type, name, {}, above), parent: `${site}${above}::${server}` };
}

/** What a first update of the layout leaves in the state, in short. */
const state: StateResource[] = [
  {
    urn: "urn:pulumi:prod::coldspare::pulumi:pulumi:Stack::coldspare-prod",
    type: "pulumi:pulumi:Stack",
    custom: false,
  },
  {
    urn: "urn:pulumi:prod::coldspare::pulumi:providers:proxmoxve::pve",
    type: "pulumi:providers:proxmoxve",
    custom: true,
  },
  ofServer("srv1", "proxmoxve:index/dnsLegacy:DnsLegacy", "srv1-dns"),
  ofServer("srv2", "proxmoxve:index/dnsLegacy:DnsLegacy", "srv2-dns"),
  ofServer("srv2", "proxmoxve:download/file:File", "srv2-image-debian-13"),
  resource("proxmoxve:storage/nfs:Nfs", "smb-storage-backup-nfs", { nodes: ["srv1", "srv2"], server: "192.168.10.13" }),
  resource("proxmoxve:storage/zfspool:Zfspool", "smb-storage-scratch", { nodes: ["srv2"] }),
  resource("proxmoxve:backup/job:Job", "smb-backup-nightly"),
  resource("pulumi-nodejs:dynamic/coldspare:NodeGuard", "srv1-guard"),
  resource("pulumi-nodejs:dynamic/coldspare:NodeGuard", "srv2-guard"),
  ...Object.values(smb.guests).flatMap(({ name, primary, spare, method }) => [
    resource(vm, `${name}-vm`, { nodeName: primary }),
    method === "restore"
      ? resource(standby, `${name}-standby`, { node: spare })
      : resource(pair, `${name}-replication`),
  ]),
];

const facts = (dead: string[], seats: UpFacts["seats"] = {}): UpFacts => ({ dead, seats, endpoint: "srv1" });
const names = (plan: ReturnType<typeof planUp>) =>
  plan.leftOut.filter(({ urn }) => !urn.startsWith("**")).map(({ name }) => name);

describe("what is left out", () => {
  test("everything that lives on the dead server, nothing else, and each says why", () => {
    const plan = planUp(smb, state, facts(["srv2"]));
    expect(names(plan).sort()).toEqual(
      [
        ...["dc-1", "files-1", "sql-erp", "docker-1"].map((name) => `${name}-replication`),
        ...["sql-erp", "docker-1", "remote-app"].map((name) => `${name}-vm`),
        "smb-storage-scratch",
        "srv2-dns",
        "srv2-guard",
        "srv2-image-debian-13",
      ].sort(),
    );
    const known = plan.leftOut.filter(({ urn }) => !urn.startsWith("**"));
    const why = Object.fromEntries(known.map((each) => [each.name, each.why]));
    expect(why).toMatchObject({
      "dc-1-replication": "the pair needs both srv1 and srv2",
      "sql-erp-vm": "sql-erp is on srv2",
      "srv2-dns": "it is a setting of srv2",
      "srv2-guard": "it is installed on srv2",
      "smb-storage-scratch": "only srv2 has it",
    });
    expect(plan.args.filter((arg) => arg.endsWith("::sql-erp-vm"))).toEqual([`${site}$${vm}::sql-erp-vm`]);
    expect(plan.refusals).toEqual([]);
  });

  test("a guest that has failed over is kept, and its new server is read before anything else", () => {
    const plan = planUp(smb, state, facts(["srv2"], { "sql-erp": "srv1", "docker-1": "srv1" }));
    expect(names(plan)).not.toContain("sql-erp-vm");
    expect(names(plan)).toEqual(expect.arrayContaining(["sql-erp-replication", "remote-app-vm"]));
    expect(plan.moved).toEqual(["docker-1", "sql-erp"]);
    expect(plan.args.slice(0, 2)).toEqual(["--refresh", "--run-program"]);
  });

  test("the standby of a guest is left out with the server that keeps it, not with the guest's own", () => {
    expect(names(planUp(smb, state, facts(["srv1"])))).toContain("remote-app-standby");
    expect(names(planUp(smb, state, facts(["srv2"])))).not.toContain("remote-app-standby");
  });

  test("what was never made there is left out by its name", () => {
    const young = state.filter(({ urn }) => !/::(docker-1|srv2)-/.test(urn));
    const patterns = planUp(smb, young, facts(["srv2"])).leftOut.filter(({ urn }) => urn.startsWith("**"));
    expect(patterns.map(({ urn }) => urn)).toEqual([
      "**::docker-1-vm",
      "**::docker-1-replication",
      ...["bridge-*", "vlan-*", "storage-*", "image-*", "dns", "time", "guard"].map(
        (what) => `**coldspare:index:PhysicalServer$**::srv2-${what}`,
      ),
    ]);
  });

  test("with everything alive nothing is left out and nothing is added", () => {
    expect(planUp(smb, state, facts([]), ["--refresh", "--yes"])).toEqual({
      leftOut: [],
      moved: [],
      refusals: [],
      args: ["--refresh", "--yes"],
    });
  });

  test.each([
    [["--refresh"], ["--run-program"]],
    [["-r"], ["--run-program"]],
    [["--refresh", "--run-program"], []],
    [["--refresh=false"], []],
    [[], []],
  ])("a refresh asked for with %j gets %j in front: the endpoint in the state may be the dead one", (extra, front) => {
    const { args } = planUp(smb, state, facts(["srv2"]), extra);
    expect(args.slice(0, args.indexOf("--exclude"))).toEqual(front);
    expect(args.slice(args.length - extra.length)).toEqual(extra);
  });

  test("without any hypervisor nothing can be changed", () => {
    const plan = planUp(smb, state, { dead: ["srv1", "srv2"], seats: {} });
    expect(plan.refusals.map(({ code }) => code)).toEqual(["OPERATION-UP-NO-SERVER"]);
  });
});

test("facts: by each server's own word, and by where a guest's own id is", () => {
  const server = (name: string, hypervisor: boolean, api: string, ssh: string) => ({ name, hypervisor, api, ssh });
  const seat = (where: string, vmid: number, config: boolean) => ({ server: where, vmid, config });
  const live = {
    servers: {
      srv1: server("srv1", true, "up", "down"),
      srv2: server("srv2", true, "down", "down"),
      srv3: server("srv3", true, "refused", "up"),
      "backup-1": server("backup-1", false, "none", "down"),
    },
    guests: {
      "sql-erp": { seats: [seat("srv2", 113, false), seat("srv1", 113, true)] },
      "remote-app": { seats: [seat("srv2", 112, true), seat("srv1", 9112, true)] },
    },
  } as unknown as LiveSite;
  expect(upFacts(smb, live)).toMatchObject({
    dead: ["srv2", "backup-1"],
    endpoint: "srv1",
    seats: { "sql-erp": "srv1", "remote-app": "srv2" },
  });
});

describe("a preview is read before anything is run", () => {
  let fake: FakePulumi;
  beforeAll(() => {
    fake = new FakePulumi();
  });
  afterEach(() => fake.calls());
  afterAll(() => fake.remove());

  const steps = (...list: [string, string][]) => JSON.stringify({ steps: list.map(([op, urn]) => ({ op, urn })) });
  const run = (extra: string[] = []) => {
    const plan = planUp(smb, state, facts(["srv2"]), extra);
    return runUp({ plan, project: fake.project, stack: "prod", env: fake.env, engine: pulumi });
  };

  test("changes and creations pass; the update gets the same arguments, and its exit code is ours", async () => {
    fake.answers({
      "preview ": { stdout: steps(["same", "a::b"], ["update", "a::c"], ["create", "a::d"], ["refresh", "a::e"]) },
      "up ": { code: 4 },
    });
    expect(await run(["--yes", "--parallel", "2"])).toEqual({ code: 4, refusals: [] });
    const [preview, up] = fake.calls();
    expect(preview?.slice(0, 3)).toEqual(["preview", "--json", "--non-interactive"]);
    expect(up?.[0]).toBe("up");
    expect(up?.slice(1).filter((arg) => arg !== "--yes")).toEqual(preview?.slice(3));
    expect(up?.slice(-5)).toEqual(["--yes", "--parallel", "2", "--stack", "prod"]);
  });

  test.each([
    "delete",
    "replace",
    "create-replacement",
    "delete-replaced",
    "discard-replaced",
    "remove-pending-replace",
  ])("'%s' of anything is refused, by name, and the update is not run", async (op) => {
    fake.answers({ "preview ": { stdout: steps(["same", "a::x"], [op, `${site}$${vm}::dc-1-vm`]) } });
    const { code, refusals } = await run();
    expect(code).toBe(1);
    expect(refusals).toMatchObject([{ code: "OPERATION-UP-DESTROYS", subject: "dc-1-vm" }]);
    expect(refusals[0]?.message).toContain(`would ${op} dc-1-vm`);
    expect(fake.calls().map(([command]) => command)).toEqual(["preview"]);
  });

  test("a provider may be replaced: it is no thing of the site", () => {
    const urn = "urn:pulumi:prod::coldspare::pulumi:providers:proxmoxve::pve";
    expect(forbiddenSteps(steps(["replace", urn], ["delete", "a::gone"]))).toEqual([{ op: "delete", urn: "a::gone" }]);
    expect(nameOf(urn)).toBe("pve");
  });

  test.each([
    ["fails", { code: 255, stderr: "error: no such stack" }, /error: no such stack/],
    [
      "fails within its document",
      {
        code: 255,
        stdout: `${JSON.stringify({ diagnostics: [{ severity: "error", message: "\u001b[31merror:\u001b[0m ACTIVE-MISMATCH\n" }] }, null, 1)}\n`,
      },
      /^.*not run: error: ACTIVE-MISMATCH$/,
    ],
    ["prints no JSON", { stdout: "Previewing update" }, /JSON/],
    ["lists no steps", { stdout: "{}" }, /lists no steps/],
  ])("a preview that %s proves nothing, so nothing is run", async (_, answer, message) => {
    fake.answers({ "preview ": answer });
    const { code, refusals } = await run();
    expect({ code, codes: refusals.map((each) => each.code) }).toEqual({ code: 1, codes: ["OPERATION-UP-UNREADABLE"] });
    expect(refusals[0]?.message).toMatch(message);
    expect(fake.calls()).toHaveLength(1);
  });

  test("without pulumi there is a word about it", async () => {
    const plan = planUp(smb, state, facts(["srv2"]));
    const { code, refusals } = await runUp({ plan, project: fake.project, env: { PATH: "/none" }, engine: pulumi });
    expect({ code, message: refusals[0]?.message }).toMatchObject({
      code: 1,
      message: expect.stringMatching(/ENOENT/),
    });
  });
});
