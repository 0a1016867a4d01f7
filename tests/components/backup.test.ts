import * as proxmoxve from "@pulumi/proxmoxve";
import * as pulumi from "@pulumi/pulumi";
import { BackupPolicy, BackupTarget, PlanError, Site } from "../../components";
import { jobName } from "../../components/backup-names";
import { planSite, type SitePlan, type SiteSpecInput } from "../../planning";
import { record, value } from "./recorder";

const FINGERPRINT = Array.from({ length: 32 }, () => "ab").join(":");

type Targets = NonNullable<SiteSpecInput["targets"]>;

/** Two hypervisors and a backup server with a datastore of its own. */
function spec(targets: Targets, backups: SiteSpecInput["backups"] = {}): SiteSpecInput {
  const hypervisor = (address: string) => ({
    roles: ["hypervisor" as const],
    cores: 16,
    memoryGiB: 64,
    address,
    storages: { tank: { type: "zfspool" as const, sizeGiB: 900, content: ["images" as const], managed: false } },
  });
  const guest = (id: number, more = {}) => ({
    kind: "vm" as const,
    os: "linux" as const,
    id,
    on: "srv1",
    cores: 2,
    memoryGiB: 4,
    disks: [{ name: "system", sizeGiB: 40, usedGiB: 10, storage: "tank" }],
    ...more,
  });
  return {
    site: { name: "office", cluster: "office" },
    servers: {
      srv1: hypervisor("192.168.10.11"),
      srv2: hypervisor("192.168.10.12"),
      "backup-1": { roles: ["backup-server", "witness"], cores: 4, memoryGiB: 16, address: "192.168.10.13" },
    },
    guests: { web: guest(101, { tags: ["daily"] }), sql: guest(100, { pool: "erp" }) },
    targets,
    backups,
  };
}

const plan = (targets: Targets, backups?: SiteSpecInput["backups"]): SitePlan => planSite(spec(targets, backups));

const main = {
  kind: "pbs" as const,
  on: "backup-1",
  datastore: "main",
  path: "/srv/backup",
  namespace: "office",
  fingerprint: FINGERPRINT,
  sizeGiB: 4000,
};
const nightly = { target: "main", schedule: "22:30", guests: "all" as const, keep: { daily: 7, monthly: 6, last: 0 } };
const weekly = { target: "main", schedule: "sat 12:00", guests: ["sql"], keep: { daily: 3, weekly: 8 } };

/** A target by itself, with everything it registered, and the options of each. */
async function target(name: string, site: SitePlan, more = {}, preview = false) {
  const options = new Map<string, pulumi.CustomResourceOptions>();
  const transformations: pulumi.ResourceTransformation[] = [({ name, opts }) => void options.set(name, opts)];
  const built = await record(() => new BackupTarget(name, { site, ...more }, { transformations }), preview);
  return { ...built, options };
}

const dynamic = (kind: string) => `pulumi-nodejs:dynamic/coldspare:${kind}`;

describe("a backup target on Proxmox Backup Server", () => {
  it("makes the place, the jobs, the way in, and the storage entry", async () => {
    const { recorder } = await target("main", plan({ main }, { nightly }));
    expect(recorder.identities()).toEqual([
      "coldspare:index:BackupTarget::main",
      "proxmoxve:storage/pbs:Pbs::main-storage",
      `${dynamic("PbsAcl")}::main-token-audit`,
      `${dynamic("PbsAcl")}::main-token-backup`,
      `${dynamic("PbsAcl")}::main-user-audit`,
      `${dynamic("PbsAcl")}::main-user-backup`,
      `${dynamic("PbsDatastore")}::main-datastore`,
      `${dynamic("PbsNamespace")}::main-namespace`,
      `${dynamic("PbsPruneJob")}::main-prune`,
      `${dynamic("PbsToken")}::main-token`,
      `${dynamic("PbsUser")}::main-user`,
      `${dynamic("PbsVerifyJob")}::main-verify`,
    ]);
  });

  it("says exactly what the specification says", async () => {
    const { recorder } = await target("main", plan({ main }, { nightly, weekly }));
    const inputs = (name: string) => recorder.one(`main-${name}`).inputs;
    const comment = "Made for office";
    expect(inputs("datastore")).toEqual({
      server: "main",
      comment,
      name: "main",
      path: "/srv/backup",
      gcSchedule: "daily",
    });
    expect(inputs("namespace")).toEqual({ server: "main", store: "main", ns: "office" });
    const job = { server: "main", comment, store: "main", ns: "office" };
    // The most of each period that a policy keeps; a period of none is left out.
    const kept = { keepDaily: 7, keepWeekly: 8, keepMonthly: 6 };
    expect(inputs("prune")).toEqual({ ...job, jobId: "office-main-prune", schedule: "daily", ...kept });
    expect(inputs("verify")).toEqual({
      ...job,
      jobId: "office-main-verify",
      schedule: "weekly",
      ignoreVerified: true,
      outdatedAfter: 30,
    });
    expect(inputs("user")).toEqual({ server: "main", userId: "coldspare@pbs", comment: "Hypervisors of office" });
    expect(inputs("token")).toMatchObject({ server: "main", userId: "coldspare@pbs", tokenName: "office-main" });
    expect(inputs("user-backup")).toEqual({
      server: "main",
      path: "/datastore/main/office",
      authId: "coldspare@pbs",
      role: "DatastoreBackup",
      propagate: true,
    });
    expect(inputs("user-audit")).toMatchObject({ path: "/datastore/main", role: "DatastoreAudit", propagate: false });
    expect(inputs("storage")).toMatchObject({
      resourceId: "main",
      server: "192.168.10.13",
      datastore: "main",
      namespace: "office",
      fingerprint: FINGERPRINT,
      contents: ["backup"],
      nodes: ["srv1", "srv2"],
      backups: { keepAll: true },
    });
    expect(inputs("storage")).not.toHaveProperty("generateEncryptionKey");
  });

  it("protects what holds copies, and makes each thing after what it needs", async () => {
    const { options, result } = await target("main", plan({ main }, { nightly }));
    expect(options.get("main-datastore")!.protect).toBe(true);
    expect(options.get("main-namespace")!.protect).toBe(true);
    expect(options.get("main-prune")!.protect).toBeUndefined();
    expect(options.get("main-token")!.additionalSecretOutputs).toEqual(["secret"]);
    const { datastore, namespace, rights } = result.nodes;
    expect(options.get("main-prune")!.dependsOn).toEqual([datastore, namespace]);
    expect(options.get("main-storage")!.dependsOn).toEqual([datastore, namespace, ...Object.values(rights)]);
    const open = await target("main", plan({ main }, { nightly }), { protect: false });
    expect(open.options.get("main-datastore")!.protect).toBe(false);
  });

  it("hands the token's secret on as a secret", async () => {
    const { options } = await target("main", plan({ main }, { nightly }));
    expect(options.has("main-storage")).toBe(true);
    const { result } = await target("main", plan({ main }, { nightly }));
    expect(await pulumi.isSecret(result.nodes.storage!.password)).toBe(true);
  });

  it("registers the same in a preview, where the token is unknown", async () => {
    const site = plan({ main }, { nightly });
    const before = await target("main", site, {}, true);
    expect(before.recorder.identities()).toEqual((await target("main", site)).recorder.identities());
  });

  it("leaves a datastore alone that the specification gives no folder of", async () => {
    const { path: _, namespace: __, ...there } = main;
    const { recorder, result } = await target("main", plan({ main: { ...there, encryption: "client" } }, { nightly }));
    expect(recorder.ofType(dynamic("PbsDatastore"))).toEqual([]);
    expect(recorder.ofType(dynamic("PbsAcl"))).toHaveLength(2);
    expect(recorder.one("main-user-backup").inputs.path).toBe("/datastore/main");
    expect(recorder.one("main-storage").inputs).toMatchObject({ generateEncryptionKey: true });
    expect(result.encryptionKey).toBe(result.nodes.storage!.generatedEncryptionKey);
    expect(recorder.one("main-prune").inputs).not.toHaveProperty("ns");
  });

  it("puts a removable datastore on its medium", async () => {
    const removableDevice = "8f2f7a1e-5b1d-4a39-9d7b-3a1c6f0d2b11";
    const { recorder } = await target(
      "main",
      plan({ main: { ...main, path: "/store", removableDevice } }, { nightly }),
    );
    expect(recorder.one("main-datastore").inputs).toMatchObject({
      path: "store",
      backingDevice: removableDevice,
      gcOnUnmount: true,
    });
  });

  it("reads again what a policy wants read again", async () => {
    const reread = { ...nightly, verify: { reread: "sun 04:00" } };
    const { recorder } = await target("main", plan({ main }, { nightly: reread }));
    expect(recorder.one("main-reread-nightly").inputs).toMatchObject({
      jobId: "office-main-reread-nightly",
      schedule: "sun 04:00",
      ignoreVerified: false,
    });
  });

  it("prunes nothing of a target without a policy", async () => {
    const { recorder } = await target("main", plan({ main }));
    expect(recorder.ofType(dynamic("PbsPruneJob"))).toEqual([]);
  });

  it("takes what is not managed as it is, with the token of the specification", async () => {
    const site = plan({ main: { ...main, managed: false, tokenSecret: "office-pbs" } }, { nightly });
    const secrets = { "office-pbs": pulumi.secret("coldspare@pbs!office:5d3f1c9e") };
    const { recorder, result } = await target("main", site, { secrets });
    expect(recorder.identities()).toEqual([
      "coldspare:index:BackupTarget::main",
      "proxmoxve:storage/pbs:Pbs::main-storage",
    ]);
    expect(await value(result.nodes.storage!.username)).toBe("coldspare@pbs!office");
    expect(await value(result.nodes.storage!.password)).toBe("5d3f1c9e");
    expect(await pulumi.isSecret(result.nodes.storage!.password)).toBe(true);
    await expect(target("main", site)).rejects.toThrow(/office-pbs, which has no value.*config set --secret/);
  });

  it("makes nothing where the hypervisors have the entry already", async () => {
    const { recorder, result } = await target("main", plan({ main: { ...main, managed: false, storage: "pbs-old" } }));
    expect(recorder.identities()).toEqual(["coldspare:index:BackupTarget::main"]);
    expect(result.storageId).toBe("pbs-old");
    const unnamed = target("main", plan({ main: { ...main, managed: false } }));
    await expect(unnamed).rejects.toThrow(/no token for it\. Fix: targets\.main\.tokenSecret.*targets\.main\.storage/);
  });

  it("refuses a port that the provider cannot name, and a target that is none", async () => {
    await expect(target("main", plan({ main: { ...main, port: 8443 } }))).rejects.toThrow(PlanError);
    await expect(target("mian", plan({ main }))).rejects.toThrow(/no backup target mian \(it has main\)/);
  });

  it("lets the program change a child", async () => {
    const transform = { datastore: (inputs: pulumi.Inputs) => void Object.assign(inputs, { verifyNew: true }) };
    const { recorder } = await target("main", plan({ main }, { nightly }), { transform });
    expect(recorder.one("main-datastore").inputs).toMatchObject({ verifyNew: true });
  });
});

describe("a copy of another datastore", () => {
  const attic = {
    kind: "pbs" as const,
    host: "attic.example.org",
    datastore: "attic",
    path: "/srv/attic",
    sizeGiB: 4000,
    syncFrom: { target: "main", schedule: "02:30", rateMBps: 20, transferLast: 14 },
  };

  it("on another server: reads with a token of its own there, and belongs to the token of the hypervisors here", async () => {
    const { recorder } = await target("attic", plan({ main, attic }, { nightly }));
    const inputs = (name: string) => recorder.one(`attic-${name}`).inputs;
    expect(inputs("remote-user")).toMatchObject({ server: "main", userId: "attic-sync@pbs" });
    expect(inputs("remote-token")).toMatchObject({ server: "main", userId: "attic-sync@pbs", tokenName: "sync" });
    expect(inputs("remote-user-read")).toMatchObject({
      server: "main",
      path: "/datastore/main/office",
      role: "DatastoreReader",
    });
    expect(inputs("remote")).toMatchObject({
      server: "attic",
      name: "main",
      host: "192.168.10.13",
      port: 8007,
      fingerprint: FINGERPRINT,
    });
    expect(inputs("sync")).toEqual({
      server: "attic",
      comment: "Made for office",
      jobId: "office-attic-sync",
      store: "attic",
      remote: "main",
      remoteStore: "main",
      remoteNs: "office",
      schedule: "02:30",
      rateIn: "20MB",
      transferLast: 14,
      removeVanished: false,
      resyncCorrupt: true,
    });
    // What is kept there is kept here, as nothing vanishes by itself.
    expect(inputs("prune")).toMatchObject({ keepDaily: 7, keepMonthly: 6 });
  });

  it("on the same server: no remote; what vanishes there vanishes here, and so nothing is pruned", async () => {
    const syncFrom = { ...attic.syncFrom, removeVanished: true };
    const { host: _, ...local } = { ...attic, syncFrom };
    const { recorder } = await target("attic", plan({ main, attic: { ...local, on: "backup-1" } }, { nightly }));
    expect(recorder.ofType(dynamic("PbsRemote"))).toEqual([]);
    expect(recorder.one("attic-sync").inputs).not.toHaveProperty("remote");
    expect(recorder.ofType(dynamic("PbsPruneJob"))).toEqual([]);
  });
});

describe("other kinds of targets", () => {
  it("have no resources here; a vzdump target names its storage", async () => {
    const targets: Targets = { disk: { kind: "vzdump", storage: "backup-nfs", sizeGiB: 100 } };
    const { recorder, result } = await target("disk", plan(targets));
    expect(recorder.identities()).toEqual(["coldspare:index:BackupTarget::disk"]);
    expect(result.storageId).toBe("backup-nfs");
  });
});

describe("a backup policy", () => {
  const policy = async (name: string, site: SitePlan) => {
    const { recorder } = await record(() => new BackupPolicy(name, { site }));
    return recorder;
  };

  it("of a datastore: the guests by id, and no retention, which is the backup server's", async () => {
    const recorder = await policy("nightly", plan({ main }, { nightly }));
    expect(recorder.one("office-backup-nightly").inputs).toEqual({
      resourceId: "office-nightly",
      storage: "main",
      schedule: "22:30",
      mode: "snapshot",
      compress: "zstd",
      vmids: ["100", "101"],
      enabled: true,
      repeatMissed: true,
      notesTemplate: "{{guestname}}, {{node}}, policy nightly",
      remove: false,
    });
  });

  it("whose job is there already: none is made, and the plan counts it", async () => {
    const site = plan({ main }, { nightly: { ...nightly, managed: false } });
    expect((await policy("nightly", site)).resources.filter(({ type }) => type.includes("Job"))).toEqual([]);
    expect(site.backups.policies.nightly?.subjects).toHaveLength(2);
  });

  it.each([
    ["a pool", { pool: "erp" }, ["100"]],
    ["a tag", { tag: "daily" }, ["101"]],
    ["names", ["web"], ["101"]],
  ])("of %s", async (_, guests, vmids) => {
    const recorder = await policy("nightly", plan({ main }, { nightly: { ...nightly, guests } }));
    expect(recorder.one("office-backup-nightly").inputs.vmids).toEqual(vmids);
  });

  it("with all that may be said: limit in KiB/s, fleecing, compression, mail, retention of a vzdump storage", async () => {
    const input = spec(
      { disk: { kind: "vzdump", storage: "backup-nfs", sizeGiB: 100 } },
      {
        nightly: {
          ...nightly,
          target: "disk",
          mode: "stop",
          bandwidthMBps: 80,
          compression: "none",
          fleecing: { storage: "tank" },
          notify: "always",
        },
      },
    );
    input.policies = { mail: { server: "mail.office", from: "pve@office", to: ["admin@office"] } };
    const recorder = await policy("nightly", planSite(input));
    expect(recorder.one("office-backup-nightly").inputs).toMatchObject({
      storage: "backup-nfs",
      mode: "stop",
      bwlimit: 78125,
      compress: "0",
      fleecing: { enabled: true, storage: "tank" },
      mailnotification: "always",
      mailtos: ["admin@office"],
      pruneBackups: { "keep-daily": "7", "keep-monthly": "6" },
    });
  });

  it("of folders alone has no job on the hypervisors", async () => {
    const bucket = { type: "local" as const, on: "backup-1", path: "/srv/restic" };
    const folders = [{ server: "backup-1", paths: ["/etc"], usedGiB: 1 }];
    const site = plan(
      { files: { kind: "restic", backend: bucket, passwordSecret: "restic", sizeGiB: 10 } },
      { etc: { target: "files", schedule: "daily", folders } },
    );
    expect((await policy("etc", site)).identities()).toEqual(["coldspare:index:BackupPolicy::etc"]);
    await expect(policy("none", site)).rejects.toThrow(/no backup policy none \(it has etc\)/);
  });
});

describe("in a site", () => {
  it("a job keeps its identity: it was the site's own before there were policies", async () => {
    const jobs: { name: string; opts: pulumi.CustomResourceOptions }[] = [];
    const watch: pulumi.ResourceTransformation = ({ type, name, opts }) => {
      if (type === "proxmoxve:backup/job:Job") jobs.push({ name, opts });
      return undefined;
    };
    const { result } = await record(
      () => new Site("office", { site: plan({ main }, { nightly }) }, { transformations: [watch] }),
    );
    expect(jobs.map(({ name }) => name)).toEqual(["office-backup-nightly"]);
    expect(jobs[0]!.opts.aliases).toEqual([{ parent: result }]);
    expect(Object.keys(result.nodes.backups)).toEqual(["nightly"]);
    expect(result.nodes.policies.nightly!.plan.recoveryPointSeconds).toBeGreaterThan(0);
  });

  it("a policy waits for its own target's storage entry, and not for another's", async () => {
    const other = { ...main, datastore: "other", path: "/srv/other" };
    const waits = new Map<string, unknown>();
    const watch: pulumi.ResourceTransformation = ({ name, opts }) => void waits.set(name, opts.dependsOn);
    const { result } = await record(
      () => new Site("office", { site: plan({ main, other }, { nightly }) }, { transformations: [watch] }),
    );
    const { targets } = result.nodes;
    expect(waits.get("office-backup-nightly")).toContain(targets.main!.nodes.storage);
    expect(waits.get("office-backup-nightly")).not.toContain(targets.other!.nodes.storage);
  });

  it("hypervisors without a cluster get an entry and a job each, with one token and one key, for what runs there", async () => {
    const input = spec({ main: { ...main, encryption: "client" } }, { nightly });
    delete input.site.cluster;
    input.guests!.sql!.on = "srv2";
    delete input.guests!.sql!.pool;
    const { recorder, result } = await record(() => {
      const provider = (name: string) =>
        new proxmoxve.Provider(name, { endpoint: `https://${name}:8006`, apiToken: "t" });
      const serverProviders = { srv1: provider("srv1"), srv2: provider("srv2") };
      return new Site("office", { site: planSite(input), serverProviders });
    });
    expect(Object.keys(result.nodes.backups)).toEqual(["nightly-srv1", "nightly-srv2"]);
    const jobs = recorder.ofType("proxmoxve:backup/job:Job");
    expect(jobs.map(({ name, inputs }) => [name, inputs.vmids])).toEqual([
      ["office-backup-nightly-srv1", ["101"]],
      ["office-backup-nightly-srv2", ["100"]],
    ]);
    const entries = recorder.ofType("proxmoxve:storage/pbs:Pbs").map(({ inputs }) => inputs);
    expect(entries.map(({ nodes, generateEncryptionKey }) => [nodes, generateEncryptionKey])).toEqual([
      [["srv1"], true],
      [["srv2"], undefined],
    ]);
    expect(recorder.ofType(dynamic("PbsToken"))).toHaveLength(1);
  });

  it("a share is made with its user; without one it is there already", async () => {
    const share = {
      type: "cifs" as const,
      server: "nas",
      export: "backup",
      sizeGiB: 900,
      content: ["backup" as const],
    };
    const input = spec({});
    input.storages = {
      nas: { ...share, username: "backup", passwordSecret: "nas" },
      there: { ...share, managed: false },
    };
    const { recorder, result } = await record(
      () => new Site("office", { site: planSite(input), secrets: { nas: "hunter2" } }),
    );
    expect(recorder.ofType("proxmoxve:storage/cifs:Cifs").map(({ inputs }) => inputs)).toEqual([
      expect.objectContaining({
        resourceId: "nas",
        server: "nas",
        share: "backup",
        username: "backup",
        nodes: ["srv1", "srv2"],
      }),
    ]);
    expect(result.nodes.storages).not.toHaveProperty("there");
    await expect(record(() => new Site("office", { site: planSite(input) }))).rejects.toThrow(/storage nas.*no value/);
  });
});

it("names of jobs stay within 32 characters, and apart", () => {
  expect(jobName("office", "main", "prune")).toBe("office-main-prune");
  const long = (end: string) => jobName("a-very-long-name-of-a-site", "and-of-a-target", end);
  expect(long("prune")).toHaveLength(32);
  expect(long("prune")).not.toBe(long("verify"));
});
