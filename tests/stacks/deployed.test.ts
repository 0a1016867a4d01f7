/** What is read of a cluster before a preview: against servers that answer as they are told. */
import * as pulumi from "@pulumi/pulumi";
import { type GuestSpecInput, planSite, type Side, type SiteSpecInput } from "../../planning";
import type { ReadRecords } from "../../stacks/active-sides";
import { readDeployed, sizeGiB } from "../../stacks/deployed";
import type { StackSettings } from "../../stacks/settings";
import { cleanSite } from "../planning/sites";
import { type Fake, type FakeAnswer, type FakeRequest, makeCertificate, startFake } from "../providers/fake-server";

const secret = "8f1a-never-shown";
const token = `coldspare@pve!pulumi=${secret}`;

const server = {
  roles: ["hypervisor" as const],
  cores: 8,
  memoryGiB: 32,
  bridges: { vmbr0: {} },
  storages: {
    tank: { type: "zfspool" as const, sizeGiB: 1800, content: ["images" as const, "rootdir" as const] },
    local: { type: "dir" as const, sizeGiB: 90, path: "/var/lib/vz", content: ["vztmpl" as const] },
  },
};
const coldReplica = { on: "srv2", method: "storage-replication" as const, schedule: "*/15" };
const size = { on: "srv1", cores: 1, memoryGiB: 1, coldReplica };
const guests = {
  sql: {
    ...size,
    kind: "vm",
    os: "linux",
    id: 110,
    disks: [
      { sizeGiB: 40, storage: "tank" },
      { sizeGiB: 100, storage: "tank" },
    ],
  },
  web: {
    ...size,
    kind: "container",
    os: "debian",
    id: 120,
    image: "debian-13",
    disks: [{ sizeGiB: 8, storage: "tank" }],
  },
} satisfies Record<string, GuestSpecInput>;
const site = {
  site: { name: "office", cluster: "office" },
  servers: { srv1: server, srv2: server, vote: { roles: ["witness"], cores: 1, memoryGiB: 4 } },
  images: { "debian-13": { kind: "container-template", url: "https://images.example.org/d.zst", fileName: "d.zst" } },
  guests,
} satisfies SiteSpecInput;
const plan = (active: Record<string, Side> = {}) => planSite(site, { active });

const sqlConfig = {
  name: "sql",
  scsi0: "tank:vm-110-disk-0,iothread=1,size=40G",
  scsi1: "tank:vm-110-disk-1,size=100G",
};
const webConfig = { hostname: "web", rootfs: "tank:subvol-120-disk-0,size=8G" };
const sql = { vmid: 110, node: "srv1", type: "qemu", name: "sql", tags: "coldspare;coldspare-primary" };
const web = { vmid: 120, node: "srv1", type: "lxc", name: "web", tags: "coldspare;coldspare-primary" };
const nodes = [
  { type: "cluster", name: "office" },
  { type: "node", name: "srv1", online: 1 },
  { type: "node", name: "srv2", online: 1 },
];

/** Answers by path; what is not named is what an existing, healthy site says. */
function cluster(changes: Record<string, FakeAnswer> = {}): (request: FakeRequest) => FakeAnswer {
  const answers: Record<string, FakeAnswer> = {
    "/version": { data: { version: "9.0.3" } },
    "/cluster/resources": { data: [sql, web] },
    "/cluster/status": { data: nodes },
    "/nodes/srv1/qemu/110/config": { data: sqlConfig },
    "/nodes/srv1/lxc/120/config": { data: webConfig },
    ...changes,
  };
  return ({ path }) => answers[path] ?? { status: 501, reason: `Method 'GET ${path}' not implemented` };
}

let fakes: Fake[] = [];
async function start(...options: Parameters<typeof startFake>): Promise<Fake> {
  const fake = await startFake(...options);
  fakes.push(fake);
  return fake;
}
afterEach(async () => {
  await Promise.all(fakes.map((fake) => fake.close()));
  fakes = [];
});

function settings(first: Fake, more: Partial<StackSettings> = {}): StackSettings {
  return {
    layout: "smb-site",
    endpoints: { srv1: first.url },
    apiToken: pulumi.secret(token),
    ca: first.pem,
    fingerprints: {},
    active: {},
    protect: true,
    ...more,
  };
}

const read = async (changes: Record<string, FakeAnswer>, active: Record<string, Side> = {}) =>
  readDeployed(plan(active), settings(await start(cluster(changes))));

async function refusal(result: Promise<unknown>): Promise<Error> {
  const error = await result.then(
    () => new Error("it was read"),
    (thrown: Error) => thrown,
  );
  expect(pulumi.RunError.isInstance(error)).toBe(true);
  expect(error.message).not.toContain(secret);
  return error;
}

const told = (findings: readonly { code: string; subject: string }[]) =>
  findings.map(({ code, subject }) => `${code} ${subject}`);

test("the plan of these tests has no errors", () => {
  expect(plan().findings.filter(({ severity }) => severity === "error")).toEqual([]);
});

test("disks are read by their place, with the token of the stack", async () => {
  const fake = await start(cluster());
  const deployed = await readDeployed(plan(), settings(fake));
  expect(deployed).toEqual({ endpoint: fake.url, disks: { sql: [40, 100], web: [8] }, findings: [] });
  expect(new Set(fake.requests.map(({ authorization }) => authorization))).toEqual(new Set([`PVEAPIToken=${token}`]));
  expect(new Set(fake.requests.map(({ method }) => method))).toEqual(new Set(["GET"]));
});

describe("disks", () => {
  const sizesOf = async (config: Record<string, unknown>) =>
    (await read({ "/nodes/srv1/qemu/110/config": { data: { name: "sql", ...config } } })).disks.sql;

  test("beyond the specification are read too, and CD drives are none", async () => {
    const third = {
      ...sqlConfig,
      scsi2: "tank:vm-110-disk-2,size=1T",
      scsi5: "local:iso/setup.iso,media=cdrom,size=5G",
    };
    expect(await sizesOf(third)).toEqual([40, 100, 1024]);
  });

  test("that are not there yet count as nothing", async () => {
    expect(await sizesOf({ scsi0: sqlConfig.scsi0 })).toEqual([40, 0]);
    expect(await sizesOf({ scsi3: "tank:vm-110-disk-3,size=512M" })).toEqual([0, 0, 0, 0.5]);
  });

  test("of a container are its root file system and its mount points", async () => {
    const config = { ...webConfig, mp1: "tank:subvol-120-disk-2,mp=/srv/data2,size=20G", net0: "name=eth0,size=3G" };
    const { disks } = await read({ "/nodes/srv1/lxc/120/config": { data: config } });
    expect(disks.web).toEqual([8, 0, 20]);
  });

  test("that would shrink, or vanish, are findings of the plan", async () => {
    const config = { ...sqlConfig, scsi1: "tank:vm-110-disk-1,size=200G" };
    const { disks } = await read({ "/nodes/srv1/qemu/110/config": { data: config } });
    expect(told(planSite(site, { deployedDisks: disks }).findings)).toContain(
      "DISK-SHRINKS guests.sql.disks[1].sizeGiB",
    );
    const more = { ...sqlConfig, scsi2: "tank:vm-110-disk-2,size=7G" };
    const deployed = await read({ "/nodes/srv1/qemu/110/config": { data: more } });
    const { findings } = planSite(site, { deployedDisks: deployed.disks });
    expect(told(findings)).toContain("DISK-REMOVED guests.sql.disks");
  });

  test.each([
    ["tank:vm-1-disk-0,size=40G", 40],
    ["size=1.5T,tank:vm-1-disk-0", 1536],
    ["tank:vm-1-disk-0,size=512M", 0.5],
    ["tank:vm-1-disk-0,size=4194304K", 4],
    ["tank:vm-1-disk-0,size=1073741824", 1],
    ["tank:vm-1-disk-0,maxsize=4G", 0],
    ["none", 0],
  ])("%s has %d GiB", (volume, gib) => {
    expect(sizeGiB(volume)).toBe(gib);
  });
});

describe("whose guest it is", () => {
  test.each([
    ["another name", { ...sql, name: "old-pc", tags: "" }],
    ["another kind", { ...sql, type: "lxc" }],
    ["another kind, without a name yet", { ...sql, type: "lxc", name: undefined }],
    ["a standby that coldspare made", { ...sql, name: "old-pc", tags: "coldspare;coldspare-spare" }],
    ["another guest of this site", { ...sql, name: "web" }],
  ])("%s: refused, and its disks are not compared", async (_case, found) => {
    const { disks, findings } = await read({ "/cluster/resources": { data: [found, web] } });
    expect(told(findings)).toEqual(["GUEST-ID-TAKEN guests.sql.id"]);
    expect(findings[0]?.severity).toBe("error");
    expect(disks).toEqual({ web: [8] });
  });

  test.each([
    ["renamed, with coldspare's tag", { ...sql, name: "sql-old" }],
    ["of the right name, without the tag", { ...sql, tags: "" }],
    ["without a name, as after its server came back", { ...sql, name: undefined }],
  ])("%s: taken for the guest", async (_case, found) => {
    const { disks, findings } = await read({ "/cluster/resources": { data: [found, web] } });
    expect(findings).toEqual([]);
    expect(disks.sql).toEqual([40, 100]);
  });
});

describe("a guest that was there before", () => {
  const adopted = (sqlGuest: Partial<(typeof guests)["sql"]> & Record<string, unknown>) =>
    planSite({ ...site, guests: { ...guests, sql: { ...guests.sql, adopted: true, ...sqlGuest } } } as SiteSpecInput);
  const readAs = async (sqlGuest: Parameters<typeof adopted>[0], changes: Record<string, FakeAnswer>) =>
    readDeployed(adopted(sqlGuest), settings(await start(cluster(changes))));

  test.each([
    ["its name there is what the specification says", { hostname: "SQL.office" }, { name: "SQL.office" }],
    ["it has no name there", {}, { name: "VM 110" }],
  ])("%s: it is the guest", async (_case, said, found) => {
    const { findings } = await readAs(said, { "/cluster/resources": { data: [{ ...sql, ...found, tags: "" }, web] } });
    expect(findings).toEqual([]);
  });

  test("under the name that it has in the specification alone it is somebody else's", async () => {
    const { findings } = await readAs(
      { hostname: "SQL.office" },
      { "/cluster/resources": { data: [{ ...sql, tags: "" }, web] } },
    );
    expect(told(findings)).toEqual(["GUEST-ID-TAKEN guests.sql.id"]);
  });

  test("is never made anew out of what is watched of it", async () => {
    const { findings } = await readAs({}, { "/cluster/resources": { data: [web] } });
    expect(told(findings)).toEqual(["ADOPTED-GUEST-GONE guests.sql"]);
  });

  test("its disks are found at the interfaces that the specification names, gaps and all", async () => {
    const disks = [
      { sizeGiB: 40, storage: "tank", interface: "virtio0" },
      { sizeGiB: 100, storage: "tank", interface: "sata3" },
    ];
    const config = { name: "sql", sata3: "tank:b,size=100G", scsi0: "tank:c,size=7G", virtio0: "tank:a,size=40G" };
    const deployed = await readAs({ disks }, { "/nodes/srv1/qemu/110/config": { data: config } });
    expect(deployed.disks.sql).toEqual([40, 100]);
  });
});

describe("a container on another server", () => {
  const moved = {
    "/cluster/resources": { data: [sql, { ...web, node: "srv2" }] },
    "/nodes/srv2/lxc/120/config": { data: webConfig },
  };

  test("is refused: its replica would be made where it is", async () => {
    const { disks, findings } = await read(moved);
    expect(told(findings)).toEqual(["CONTAINER-ELSEWHERE guests.web"]);
    expect(findings[0]).toMatchObject({
      severity: "error",
      message: expect.stringContaining("on srv2, and is to be on srv1"),
      fix: expect.stringMatching(/config set --path 'coldspare:active\.web' spare.*pct migrate 120 srv1/),
    });
    expect(disks.web).toEqual([8]);
  });

  test("is where it belongs once its failover is recorded", async () => {
    expect((await read(moved, { web: "spare" })).findings).toEqual([]);
  });

  test("is refused as well where it stays behind the record", async () => {
    const { findings } = await read({}, { web: "spare" });
    expect(findings[0]?.fix).toMatch(/coldspare:active\.web' primary.*pct migrate 120 srv2/);
  });

  test("a machine is not: on a third server the engine moves it", async () => {
    const { findings } = await read({
      "/cluster/resources": { data: [{ ...sql, node: "srv3" }, web] },
      "/nodes/srv3/qemu/110/config": { data: sqlConfig },
    });
    expect(findings).toEqual([]);
  });
});

describe("the active side", () => {
  const onSpare = {
    "/cluster/resources": { data: [{ ...sql, node: "srv2" }, web] },
    "/nodes/srv2/qemu/110/config": { data: sqlConfig },
  };

  test("a machine on its spare is moved by no update: its record is refused, with what to type", async () => {
    const { disks, findings } = await read(onSpare);
    expect(told(findings)).toEqual(["ACTIVE-MISMATCH guests.sql"]);
    expect(findings[0]).toMatchObject({
      severity: "error",
      message: "sql is active on its spare (srv2), and coldspare:active.sql says primary: guest 110 is on srv2.",
      fix: "Record it: `pulumi config set --path 'coldspare:active.sql' spare`, then `pulumi up --refresh`. Or bring it home: `coldspare failback sql`.",
    });
    expect(disks.sql).toEqual([40, 100]);
    expect((await read(onSpare, { sql: "spare" })).findings).toEqual([]);
  });

  test("neither does a reverted record move it back", async () => {
    const { findings } = await read({}, { sql: "spare" });
    expect(told(findings)).toEqual(["ACTIVE-MISMATCH guests.sql"]);
    expect(findings[0]?.fix).toContain("coldspare:active.sql' primary`");
  });

  test("a guest that is not there yet is on neither side", async () => {
    expect((await read({ "/cluster/resources": { data: [] } }, { sql: "spare", web: "spare" })).findings).toEqual([]);
  });

  test("somebody else's guest says nothing about it", async () => {
    const { findings } = await read({ "/cluster/resources": { data: [{ ...sql, node: "srv2", name: "web" }, web] } });
    expect(told(findings)).toEqual(["GUEST-ID-TAKEN guests.sql.id"]);
  });

  test("voters are asked for every guest with a spare, and what they say counts as well", async () => {
    const asked: string[][] = [];
    const records: ReadRecords = async (guests) => {
      asked.push(guests.map(({ name }) => name));
      return { sql: ["srv1", "vote"].map((voter) => ({ voter, epoch: 4, server: "srv2" })) };
    };
    const fake = await start(cluster());
    const { findings } = await readDeployed(plan(), settings(fake), records);
    expect(asked).toEqual([["sql", "web"]]);
    expect(findings.map(({ code, message }) => `${code}: ${message}`)).toEqual([
      "ACTIVE-MISMATCH: sql is active on its spare (srv2), and coldspare:active.sql says primary: so say srv1 and vote.",
    ]);
  });
});

describe("a list that lags behind", () => {
  const id = planSite(cleanSite()).guests.wiki!.replica!.standbyIds![0]!;
  const wiki = { vmid: 102, node: "two", type: "qemu", name: "wiki", status: "running", tags: "coldspare" };
  const standby = { vmid: id, node: "one", type: "qemu", name: "wiki-spare", status: "stopped", tags: "coldspare" };
  const answers = (changes: Record<string, FakeAnswer>) =>
    cluster({
      "/cluster/resources": { data: [wiki, standby] },
      "/nodes/two/qemu/102/config": { status: 595, reason: "No route to host" },
      "/nodes/two/qemu/102/status/current": { status: 595, reason: "No route to host" },
      ...changes,
    });
  const codes = async (changes: Record<string, FakeAnswer>) => {
    const { findings } = await readDeployed(
      planSite(cleanSite(), { active: { wiki: "spare" } }),
      settings(await start(answers(changes))),
    );
    return told(findings).filter((text) => text.startsWith("ACTIVE-MISMATCH"));
  };

  test("right after a failover it shows the dead server's guest as running: the servers are asked before that is believed", async () => {
    const running = { data: { status: "running" } };
    expect(await codes({ [`/nodes/one/qemu/${id}/status/current`]: running })).toEqual([]);
    expect(await codes({})).toEqual([]);
  });

  test("what its own server says is believed", async () => {
    const running = { data: { status: "running" } };
    expect(await codes({ "/nodes/two/qemu/102/status/current": running })).toEqual(["ACTIVE-MISMATCH guests.wiki"]);
  });
});

describe("what cannot be read costs only itself", () => {
  test("a server that is down: one finding for all that is on it", async () => {
    const dead = { status: 595, reason: "No route to host" };
    const { disks, findings } = await read({
      "/cluster/resources": { data: [sql, { ...web, node: "srv2" }] },
      "/cluster/status": { data: [...nodes.slice(0, 2), { type: "node", name: "srv2", online: 0 }] },
      "/nodes/srv2/lxc/120/config": dead,
    });
    expect(told(findings)).toContain("SITE-UNREACHABLE servers.srv2");
    expect(findings.find(({ subject }) => subject === "servers.srv2")?.message).toContain("web could not be compared");
    expect(disks).toEqual({ sql: [40, 100] });
  });

  test("a guest in the middle of a move", async () => {
    const reason = "Configuration file 'nodes/srv1/qemu-server/110.conf' does not exist";
    const { disks, findings } = await read({ "/nodes/srv1/qemu/110/config": { status: 500, reason } });
    expect(told(findings)).toEqual(["SITE-UNREACHABLE guests.sql"]);
    expect(findings[0]).toMatchObject({ severity: "warning", message: expect.stringContaining(reason) });
    expect(disks).toEqual({ web: [8] });
  });

  test("a guest that the token may not see", async () => {
    const answer = { status: 403, reason: "Permission check failed (/vms/110, VM.Audit)" };
    const { disks, findings } = await read({ "/nodes/srv1/qemu/110/config": answer });
    expect(findings[0]?.message).toContain("VM.Audit");
    expect(disks).toEqual({ web: [8] });
  });

  test("the list of servers, which only some tokens may ask for", async () => {
    const answer = { status: 403, reason: "Permission check failed (/, Sys.Audit)" };
    const { disks, findings } = await read({ "/cluster/status": answer });
    expect(findings).toEqual([]);
    expect(disks).toEqual({ sql: [40, 100], web: [8] });
  });

  test("the list of guests: everything is planned without the comparison", async () => {
    const { disks, findings } = await read({ "/cluster/resources": { status: 500, reason: "cluster not ready" } });
    expect(told(findings)).toEqual(["SITE-UNREACHABLE servers"]);
    expect(findings[0]?.message).toContain("cluster not ready");
    expect(disks).toEqual({});
  });
});

describe("endpoints", () => {
  test("the first is dead: the second is asked, and is what the provider gets", async () => {
    const dead = await start(cluster());
    await dead.close();
    const live = await start(cluster());
    const deployed = await readDeployed(plan(), settings(live, { endpoints: { srv1: dead.url, srv2: live.url } }));
    expect(deployed).toEqual({ endpoint: live.url, disks: { sql: [40, 100], web: [8] }, findings: [] });
  });

  test("all are dead: a preview is still possible, with a warning that says why", async () => {
    const dead = await start(cluster());
    await dead.close();
    const deployed = await readDeployed(plan(), settings(dead, { endpoints: { srv1: dead.url, srv2: dead.url } }));
    expect(deployed).toMatchObject({ endpoint: dead.url, disks: {} });
    expect(told(deployed.findings)).toEqual(["SITE-UNREACHABLE servers"]);
    expect(deployed.findings[0]).toMatchObject({
      severity: "warning",
      message: expect.stringMatching(/srv1: .*ECONNREFUSED.*srv2: .*ECONNREFUSED/),
    });
  });

  test("a wrong token is no dead server", async () => {
    const fake = await start(() => ({ status: 401, reason: "invalid token value!" }));
    const second = await start(cluster());
    const both = settings(fake, { endpoints: { srv1: fake.url, srv2: second.url } });
    const error = await refusal(readDeployed(plan(), both));
    expect(error.message).toMatch(/srv1: could not ask for the version .*invalid token value!.*Fix: /s);
    expect(second.requests).toEqual([]);
  });

  test("neither is a certificate that nobody vouches for", async () => {
    const fake = await start(cluster());
    const { cert } = await makeCertificate();
    const error = await refusal(readDeployed(plan(), settings(fake, { ca: cert })));
    expect(error.message).toMatch(/certificate/);
    expect(fake.requests).toEqual([]);
  });

  test("a fingerprint vouches for one server without a CA", async () => {
    const fake = await start(cluster());
    const { ca: _, ...without } = settings(fake, { fingerprints: { srv1: fake.fingerprint } });
    expect((await readDeployed(plan(), without)).disks.sql).toEqual([40, 100]);
  });

  test("http is refused before the token travels", async () => {
    const fake = await start(cluster());
    const plain = settings(fake, { endpoints: { srv1: fake.url.replace("https", "http") } });
    expect((await refusal(readDeployed(plan(), plain))).message).toMatch(/no https:\/\/ address/);
    expect(fake.requests).toEqual([]);
  });

  test("a token of the wrong form is refused without showing it", async () => {
    const fake = await start(cluster());
    const wrong = settings(fake, { apiToken: pulumi.secret(secret) });
    expect((await refusal(readDeployed(plan(), wrong))).message).toMatch(/user@realm!name=secret/);
  });
});
