/** A backup target's whole life with the real engine and the real bridged provider, against the lab's backup server. */
import { PbsClient } from "../../providers/pbs/client";
import { listPoints } from "../../providers/pbs/points";
import { SiteLab } from "./site-lab";
import { changed, fine, refusal, smallSite } from "./small-site";

jest.setTimeout(300_000);

const DATASTORE = "/srv/pbs";
/** What the engine writes in place of a secret. */
const SECRET_MARK = "4dabf18193072939515e22adb298388d";

function siteWithTarget() {
  const site = smallSite({
    web: {
      kind: "vm",
      id: 210,
      os: "linux",
      on: "srv1",
      cores: 1,
      memoryGiB: 1,
      disks: [{ name: "system", sizeGiB: 4, storage: "tank" }],
      networks: [{ network: "servers", address: "192.168.20.60" }],
    },
  });
  site.targets = {
    ...site.targets,
    vault: {
      kind: "pbs",
      on: "backup-1",
      datastore: "vault",
      path: DATASTORE,
      namespace: "sites/smb",
      sizeGiB: 500,
      encryption: "client",
    },
  };
  site.backups = {
    ...site.backups,
    hourly: { target: "vault", schedule: "*:30", guests: ["web"], keep: { last: 24, daily: 7 } },
  };
  return site;
}

/** The job runs by the lab's clock, too: there are more with every minute. */
const points = () => listPoints(pbs, "vault", { ns: "sites/smb" });

let site: SiteLab;
let pbs: PbsClient;
let config: Record<string, unknown>;

beforeAll(async () => {
  const spec = siteWithTarget();
  const address = spec.servers["backup-1"]!.address!;
  const disks = [{ path: DATASTORE, sizeGiB: 500 }];
  site = await SiteLab.start(spec, { backupServers: [{ name: "backup-1", address, datastores: [], disks }] });
  const { url, fingerprint, token } = site.lab.backupServers["backup-1"]!;
  const target = spec.targets!.vault!;
  site.writeSite({ ...spec, targets: { ...spec.targets, vault: { ...target, fingerprint } as typeof target } });
  config = site.config({ "coldspare:pbs": { vault: { endpoint: url, fingerprint } } });
  pbs = new PbsClient({ server: "vault", endpoint: url, fingerprint, token, pollSeconds: 0.1 });
});

afterAll(async () => {
  pbs?.close();
  await site?.end();
});

it("says how to reach the backup server when the stack does not", async () => {
  expect(refusal(await site.stack.up())).toContain("coldspare:pbs.vault.endpoint");
});

it("brings the target up, and a backup job with it", async () => {
  site.stack.writeConfig(config);
  await site.stack.setSecret("coldspare:pbsToken", site.lab.backupServers["backup-1"]!.token);
  fine(await site.stack.up());
  expect(await pbs.get("/config/datastore/vault")).toMatchObject({ path: DATASTORE, "gc-schedule": "daily" });
  expect(await pbs.get("/config/prune/smb-vault-prune")).toMatchObject({
    ns: "sites/smb",
    "keep-last": 24,
    "keep-daily": 7,
  });
  expect(await site.pve.get("/storage/vault")).toMatchObject({
    type: "pbs",
    datastore: "vault",
    namespace: "sites/smb",
  });
  const jobs = await site.pve.get<Record<string, unknown>[]>("/cluster/backup");
  expect(jobs.find(({ id }) => id === "smb-hourly")).toMatchObject({ storage: "vault", vmid: "210" });
});

it("lets the hypervisors back up, encrypted, and remove nothing", async () => {
  const byHand = { vmid: 210, storage: "vault", mode: "snapshot", remove: false };
  await site.pve.task("srv1", "POST", "/nodes/srv1/vzdump", byHand, {});
  const [point] = await points();
  expect(point).toMatchObject({ type: "vm", id: "210", owner: "coldspare@pbs!smb-vault", encrypted: true });
});

it("keeps every secret encrypted in a small state", async () => {
  const { text, resources } = await site.stack.state();
  const ours = resources.filter(({ type }) => type.startsWith("pulumi-nodejs:dynamic/coldspare:Pbs"));
  expect(ours).toHaveLength(10);
  for (const resource of ours)
    expect([resource.urn, JSON.stringify(resource).length < 2560]).toEqual([resource.urn, true]);
  const token = ours.find(({ type }) => type.endsWith(":PbsToken"))!;
  expect(token.outputs!.secret).toMatchObject({ [SECRET_MARK]: expect.any(String), ciphertext: expect.any(String) });
  const storage = resources.find(({ type }) => type === "proxmoxve:storage/pbs:Pbs")!;
  for (const key of ["password", "generatedEncryptionKey"]) expect(storage.outputs![key]).toHaveProperty("ciphertext");
  expect(text).not.toContain(site.lab.backupServers["backup-1"]!.token.split(":")[1]);
});

it("changes nothing when it is run again, and nothing with --refresh", async () => {
  expect(changed(fine(await site.stack.up()))).toEqual([]);
  expect(changed(fine(await site.stack.up("--refresh")))).toEqual([]);
});

it("takes over a job of the time before there were policies, which was the site's own", async () => {
  const { text } = await site.stack.state();
  const exported = JSON.parse(text) as { deployment: { resources: { urn: string; type: string; parent?: string }[] } };
  const policies = exported.deployment.resources.filter(({ type }) => type === "coldspare:index:BackupPolicy");
  const owner = policies[0]!.parent!;
  exported.deployment.resources = exported.deployment.resources.filter((resource) => !policies.includes(resource));
  for (const resource of exported.deployment.resources) {
    if (!policies.some(({ urn }) => urn === resource.parent)) continue;
    resource.parent = owner;
    resource.urn = resource.urn.replace("$coldspare:index:BackupPolicy$", "$");
  }
  await site.stack.pulumi(["stack", "import"], JSON.stringify(exported));
  const run = fine(await site.stack.up());
  expect(changed(run).filter((step) => !/^create (hourly|nightly)$/.test(step))).toEqual([]);
  expect(changed(run)).toContain("create hourly");
});

it("repairs what somebody changed, after a refresh", async () => {
  await pbs.put("/config/prune/smb-vault-prune", { "keep-last": 2 });
  await pbs.put("/config/datastore/vault", { delete: ["gc-schedule"] });
  expect(changed(fine(await site.stack.up("--refresh")))).toEqual(["update vault-datastore", "update vault-prune"]);
  expect(await pbs.get("/config/prune/smb-vault-prune")).toMatchObject({ "keep-last": 24 });
});

it("goes without a single backup: the datastore is taken out, its folder stays", async () => {
  const before = await points();
  fine(await site.stack.destroy());
  const stores = await pbs.get<{ name: string }[]>("/config/datastore");
  expect(stores).toEqual([]);
  await pbs.task("POST", "/config/datastore", { name: "vault", path: DATASTORE, "reuse-datastore": true }, {});
  expect(await points()).toEqual(expect.arrayContaining(before));
  expect(before).not.toEqual([]);
});
