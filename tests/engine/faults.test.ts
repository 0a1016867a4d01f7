/**
 * What goes wrong while a site is built, with the real engine and the real bridged provider: what a person reads, and that
 * the next run brings the site to where it should be. Each test goes on where the one before it ended.
 */
import type { SiteSpecInput } from "../../planning";
import { SiteLab } from "./site-lab";
import { Cluster, changed, fine, type Guests, refusal, smallSite } from "./small-site";

jest.setTimeout(300_000);

const onSrv2 = (id: number): Guests[string] => ({
  kind: "vm",
  id,
  os: "other",
  duty: "availability",
  on: "srv2",
  cores: 1,
  memoryGiB: 1,
  disks: [{ sizeGiB: 4, storage: "tank" }],
  networks: [{ network: "servers", address: `192.168.20.${id - 180}` }],
  coldReplica: { on: "srv1", method: "storage-replication", schedule: "03:00" },
});

const restored = (id: number): Guests[string] => ({
  ...onSrv2(id),
  coldReplica: {
    on: "srv1",
    method: "restore",
    schedule: "06:00",
    backupStorage: "backup-nfs",
    standbyIds: [9000 + id, 9100 + id],
    recoveryPoint: "2d",
  },
});

const WRONG = "11111111-2222-3333-4444-555555555555";
/** The rest of a site goes on when one resource fails. */
const GO_ON = "--continue-on-error";

let site: SiteLab;
let spec: SiteSpecInput;
let cluster: Cluster;
let limitedToken = "";

beforeAll(async () => {
  spec = smallSite({
    db: onSrv2(210),
    files: { ...onSrv2(211), on: "srv1", coldReplica: undefined } as Guests[string],
  });
  site = await SiteLab.start(spec);
  cluster = new Cluster(site);
});

afterAll(() => site?.end());

const failNext = (type: string, message: string) => site.control("POST", "/faults/task", { type, message });

function specify(guests: Guests): void {
  spec = { ...spec, guests: { ...spec.guests, ...guests } };
  site.writeSite(spec);
}

async function nothingToDo(): Promise<void> {
  expect(changed(fine(await site.stack.up()))).toEqual([]);
}

it("a wrong token: which server, which token, and the two commands that mend it", async () => {
  await site.stack.setSecret("coldspare:apiToken", `root@pam!lab=${WRONG}`);
  const run = await site.stack.preview();
  await site.stack.setSecret("coldspare:apiToken", site.lab.tokens.root);
  const text = refusal(run);
  expect(text).toContain("srv1: could not ask for the version (GET /version): Authentication failed!");
  expect(text).toContain("srv1 does not know the API token root@pam!lab, or its secret is wrong or expired.");
  expect(text).toContain(
    "Make a new one (`pveum user token add root@pam lab`) and store it: " +
      "`pulumi config set --secret coldspare:apiToken 'root@pam!lab=<secret>'`",
  );
  expect(changed(run)).toEqual(["create coldspare-test"]);
});

it("an untrusted certificate: which server, which fingerprint, and what to type", async () => {
  const { "coldspare:caFile": _, ...config } = site.config();
  site.stack.writeConfig(config);
  const text = refusal(await site.stack.preview());
  expect(text).toMatch(
    /srv1: could not ask for the version \(GET \/version\): the certificate of https:\S+ is not trusted \(UNABLE_TO_VERIFY_LEAF_SIGNATURE\); its SHA-256 fingerprint is (..:){31}../,
  );
  expect(text).toContain("copy /etc/pve/pve-root-ca.pem from srv1 and `pulumi config set coldspare:caFile <path>`");
  expect(text).toMatch(/`pulumi config set --path 'coldspare:fingerprints\.srv1' (..:){31}..`/);
});

it("both hypervisors off at preview: a warning that says so, and the plan all the same", async () => {
  const fingerprint = /fingerprint is ((?:..:){31}..)/.exec(site.stack.printed())?.[1];
  const { "coldspare:caFile": _, ...config } = site.config();
  site.stack.writeConfig({ ...config, "coldspare:fingerprints": { srv1: fingerprint, srv2: fingerprint } });
  await site.control("POST", "/nodes/srv1/kill");
  await site.control("POST", "/nodes/srv2/kill");
  const run = fine(await site.stack.preview());
  await site.control("POST", "/nodes/srv2/revive");
  expect(changed(run)).toEqual(expect.arrayContaining(["create db-vm", "create files-vm", "create db-replication"]));
  expect(run.log).toMatch(
    /SITE-UNREACHABLE servers: the hypervisors could not be read, .*srv1: .*ECONNREFUSED.*srv2: .*ECONNREFUSED/,
  );
});

it("the first server is off during the update: it is named, the second is asked instead, and the rest is built", async () => {
  const run = await site.stack.up(GO_ON);
  refusal(run);
  expect(run.log).toMatch(/SITE-UNREACHABLE servers\.srv1: srv1 does not answer/);
  expect(run.errors.join("\n")).toMatch(/srv1-dns: .*received an HTTP 595 response - Reason: Network is unreachable/);
  expect(run.errors.filter((error) => !error.startsWith("srv1-"))).toEqual([]);
  expect(await cluster.where()).toEqual(["210 db qemu running on srv2"]);
});

it("when the server is back a re-run brings the rest; a pinned fingerprint serves in place of a CA", async () => {
  await site.control("POST", "/nodes/srv1/revive");
  const run = fine(await site.stack.up());
  expect(changed(run)).toEqual([
    "create db-replication",
    "create files",
    "create files-vm",
    "create smb-backup-nightly",
    "create srv1-dns",
    "create srv1-time",
    // The provider's endpoint is the first server again.
    "update pve",
  ]);
  expect(await cluster.where()).toEqual(["210 db qemu running on srv2", "211 files qemu running on srv1"]);
  expect(await cluster.jobs()).toEqual(["210-0 srv2 to srv1"]);
  site.stack.writeConfig(site.config());
  await nothingToDo();
});

it("a guest id that belongs to somebody else's guest is refused before it is touched", async () => {
  const theirs = { vmid: 212, name: "somebody-elses", memory: 128 };
  await site.pve.task("srv1", "POST", "/nodes/srv1/qemu", theirs, { doing: "create guest 212" });
  specify({ crm: onSrv2(212) });
  const text = refusal(await site.stack.preview());
  await site.pve.task("srv1", "DELETE", "/nodes/srv1/qemu/212", {}, { doing: "destroy guest 212" });
  expect(text).toContain(
    "GUEST-ID-TAKEN guests.crm.id: guest id 212 is taken by 'somebody-elses' (vm on srv1), which is not crm",
  );
});

it("a token without a privilege: which one, on which path, and the command that grants it", async () => {
  limitedToken = await tokenWithout("VM.Replicate");
  await site.stack.setSecret("coldspare:apiToken", limitedToken);
  const run = await site.stack.up(GO_ON);
  await site.stack.setSecret("coldspare:apiToken", site.lab.tokens.root);
  refusal(run);
  expect(run.errors.join("\n")).toContain(
    "crm-replication: srv1: could not set up replication to srv1 of guest 212 'crm' (POST /cluster/replication): " +
      "Permission check failed (/vms/212, VM.Replicate)",
  );
  expect(run.errors.join("\n")).toContain(
    "`pveum acl modify /vms/212 --tokens 'limited@pve!pulumi' --roles coldspare-extra`",
  );
});

it("the first replication fails: server, guest, job, PVE's words and the log; the job is recorded and the re-run mends it", async () => {
  // Twice: the scheduler may begin a run of its own before the one that is asked for.
  for (let count = 0; count < 2; count++)
    await failNext("replication", "command 'zfs recv -F -- tank/vm-212-disk-0' failed: exit code 1");
  const run = await site.stack.up();
  await site.control("POST", "/faults/clear");
  refusal(run);
  const text = run.errors.join("\n");
  expect(text).toContain(
    "srv2: the first replication of guest 212 'crm' to srv1 (job 212-0) is not done: " +
      "command 'zfs recv -F -- tank/vm-212-disk-0' failed: exit code 1. Fix: ",
  );
  expect(text).toMatch(/last lines of the job's log:\n.*212-0: end replication job with error: command 'zfs recv/);
  expect(await recorded("crm-replication")).toBe("212-0");
  const again = fine(await site.stack.up());
  expect(changed(again)).toContain("update crm-replication");
  expect(await cluster.jobs()).toEqual(["210-0 srv2 to srv1", "212-0 srv2 to srv1"]);
  await nothingToDo();
});

it("a full storage: the guest, the server, the call and PVE's words; with room again the re-run converges", async () => {
  specify({ chat: restored(213) });
  await site.control("POST", "/storage/fill", { node: "srv2", storage: "tank", leaveBytes: 2 ** 30 });
  const run = await site.stack.up();
  await site.control("POST", "/storage/empty", { node: "srv2", storage: "tank" });
  refusal(run);
  expect(run.errors.join("\n")).toMatch(
    /chat-vm: .*VM create: task "UPID:srv2:\S+:qmcreate:213:\S+" failed .*unable to create VM 213 - zfs error: cannot create 'tank\/vm-213-disk-0': out of space/,
  );
  expect(await recorded("chat-vm")).toBeUndefined();
  expect(await cluster.volumes()).not.toContain("srv2 tank:vm-213-disk-0");
});

it("a creation that fails in the middle leaves nothing; a start that fails leaves a recorded guest", async () => {
  await failNext("qmcreate", "unable to create VM 213 - zfs error: pool is suspended");
  const created = await site.stack.up();
  refusal(created);
  expect(created.errors.join("\n")).toMatch(
    /chat-vm: .*task "UPID:srv2:\S+:qmcreate:213:.*failed to complete with exit code: unable to create VM 213 - zfs error: pool is suspended\ntask log:\n {2}TASK ERROR: unable to create VM 213/,
  );
  expect(await recorded("chat-vm")).toBeUndefined();
  expect((await cluster.guests()).map(({ vmid }) => vmid)).not.toContain(213);

  await failNext("qmstart", "start failed: QEMU exited with code 1");
  const started = await site.stack.up();
  refusal(started);
  expect(started.errors.join("\n")).toMatch(
    /chat-vm: .*VM start: task "UPID:srv2:\S+:qmstart:213:.*start failed: QEMU exited with code 1/s,
  );
  expect(await recorded("chat-vm")).toBe("213");
});

it("a first backup that fails, then a restore that fails: both are told, and the guest runs meanwhile", async () => {
  await failNext("vzdump", "could not create snapshot: out of space");
  const backup = await site.stack.up();
  refusal(backup);
  expect(changed(backup)).toContain("update chat-vm");
  expect(backup.errors.join("\n")).toContain(
    "chat-standby: srv2: could not make the first backup of guest 213 'chat' (POST /nodes/srv2/vzdump): " +
      "could not create snapshot: out of space. Fix: ",
  );
  expect(backup.errors.join("\n")).toContain("TASK ERROR: could not create snapshot: out of space");

  await failNext("qmrestore", "command 'zstd -d' failed: exit code 1");
  const restore = await site.stack.up();
  refusal(restore);
  expect(restore.errors.join("\n")).toMatch(
    /chat-standby: srv1: could not restore backup-nfs:backup\/vzdump-qemu-213-\S+ into 9213 for guest 213 'chat' \(POST \/nodes\/srv1\/qemu\): command 'zstd -d' failed: exit code 1\. Fix: .*\n {2}last lines of the task's log:\n {4}TASK ERROR: command 'zstd -d' failed/,
  );
  expect(await cluster.where()).toContain("213 chat qemu running on srv2");
  // The broken restore left nothing that holds the id.
  expect((await cluster.guests()).map(({ vmid }) => vmid)).not.toContain(9213);

  fine(await site.stack.up());
  expect(await cluster.where()).toContain("9213 chat-spare qemu stopped on srv1");
  await nothingToDo();
});

it("an update that is killed in the middle: unlock, run again, and there is one of each", async () => {
  specify({ wiki: onSrv2(214) });
  await site.control("POST", "/faults", { slowdown: 200 });
  await site.stack.upKilled(async () => {
    const { guests } = await site.control<{ guests: { vmid: number }[] }>("GET", "/");
    return guests.some(({ vmid }) => vmid === 214);
  });
  await site.control("POST", "/faults/clear");
  const locked = await site.stack.up();
  expect(refusal(locked)).toMatch(/the stack is currently locked by 1 lock\(s\).*pulumi cancel/s);
  await site.stack.pulumi(["cancel", "--yes"]);
  const run = fine(await site.stack.up());
  expect(changed(run)).toEqual(expect.arrayContaining(["create wiki-vm", "create wiki-replication"]));
  // The engine remembers the interrupted creation, and says so, until it is told that it is settled.
  expect(run.log).toMatch(/wiki-vm, interrupted while creating/);
  await site.stack.pulumi(["refresh", "--yes", "--clear-pending-creates", "--config-file", site.stack.configFile]);
  const last = fine(await site.stack.up());
  expect(changed(last)).toEqual([]);
  expect(last.log).not.toMatch(/interrupted while creating/);
});

it("after all of it: one guest for each id, one job for each pair, no volume that nobody names", async () => {
  expect(await cluster.where()).toEqual([
    "210 db qemu running on srv2",
    "211 files qemu running on srv1",
    "212 crm qemu running on srv2",
    "213 chat qemu running on srv2",
    "214 wiki qemu running on srv2",
    "9213 chat-spare qemu stopped on srv1",
  ]);
  expect(await cluster.jobs()).toEqual(["210-0 srv2 to srv1", "212-0 srv2 to srv1", "214-0 srv2 to srv1"]);
  expect(await cluster.volumes()).toEqual([
    "srv1 tank:vm-210-disk-0",
    "srv1 tank:vm-211-disk-0",
    "srv1 tank:vm-212-disk-0",
    "srv1 tank:vm-214-disk-0",
    "srv1 tank:vm-9213-disk-0",
    "srv2 tank:vm-210-disk-0",
    "srv2 tank:vm-212-disk-0",
    "srv2 tank:vm-213-disk-0",
    "srv2 tank:vm-214-disk-0",
  ]);
});

it("no token was printed by any of it", () => {
  const secrets = [site.lab.tokens.root, limitedToken].map((token) => token.split("=")[1]);
  for (const secret of [...secrets, WRONG]) {
    expect(secret).toMatch(/.{30}/);
    expect(site.stack.printed()).not.toContain(secret);
  }
});

/** Id of a resource as the state has it; undefined when it is not in the state. */
async function recorded(name: string): Promise<string | undefined> {
  const { resources } = await site.stack.state();
  return resources.find(({ urn }) => urn.endsWith(`::${name}`))?.id;
}

/** A token that may do everything but one thing. */
async function tokenWithout(privilege: string): Promise<string> {
  const all = await site.pve.get<Record<string, number>>("/access/roles/Administrator");
  const privs = Object.keys(all).filter((name) => name !== privilege);
  await site.pve.post("/access/roles", { roleid: "limited", privs: privs.join(",") });
  await site.pve.post("/access/users", { userid: "limited@pve" });
  const made = await site.pve.post<{ value: string }>("/access/users/limited@pve/token/pulumi", { privsep: false });
  await site.pve.put("/access/acl", { path: "/", roles: "limited", users: "limited@pve" });
  return `limited@pve!pulumi=${made.value}`;
}
