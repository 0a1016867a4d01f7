import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";
import { PlanError, Site, type SiteArgs } from "../../components";
import { manifestHash, type SiteSpecInput } from "../../planning";
import { record, value } from "./recorder";

const site = (): SiteSpecInput =>
  parse(readFileSync(join(__dirname, "../../stacks/smb-site/site.yaml"), "utf8")) as SiteSpecInput;
const secrets = { "docker-1-password": pulumi.secret("hunter2") };
const build = (spec: SiteSpecInput, preview = false) =>
  record(() => new Site("smb", { site: spec, secrets }, {}), preview);

/** Builds a site, and keeps the options of everything in it. */
async function buildWithOptions(args: SiteArgs) {
  const options = new Map<string, pulumi.CustomResourceOptions>();
  const transformations: pulumi.ResourceTransformation[] = [({ name, opts }) => void options.set(name, opts)];
  return { ...(await record(() => new Site("smb", args, { transformations }))), options };
}

/** URNs of everything the site holds, as the engine would name it. */
function urns({ nodes }: Site): Promise<string[]> {
  const guests = Object.values(nodes.guests).flatMap((guest) => [guest, guest.nodes.guest, guest.nodes.replica]);
  const servers = Object.values(nodes.servers).flatMap((server) => [server, ...Object.values(server.nodes.images)]);
  const others = [...Object.values(nodes.storages), ...Object.values(nodes.backups)];
  const all = [...guests, ...servers, ...others].filter((resource) => resource !== undefined);
  return Promise.all(all.map((resource) => value(resource.urn)));
}

/** The same site with the servers of every guest exchanged: what was primary is spare. */
function swapped(): SiteSpecInput {
  const spec = site();
  for (const guest of Object.values(spec.guests ?? {})) {
    if (!guest.coldReplica) continue;
    [guest.on, guest.coldReplica.on] = [guest.coldReplica.on, guest.on];
  }
  return spec;
}

describe("Site", () => {
  let built: Awaited<ReturnType<typeof build>>;
  beforeAll(async () => {
    built = await build(site());
  });

  it("registers the SMB site's resources, each guest with its replica", async () => {
    const { recorder } = built;
    expect(recorder.identities()).toEqual([
      "coldspare:index:BackupPolicy::containers",
      "coldspare:index:BackupPolicy::machines",
      "coldspare:index:BackupPolicy::machines-away",
      "coldspare:index:BackupPolicy::nightly",
      "coldspare:index:BackupTarget::archive",
      "coldspare:index:BackupTarget::cloud",
      "coldspare:index:BackupTarget::offline-disks",
      "coldspare:index:PhysicalServer::backup-1",
      "coldspare:index:PhysicalServer::srv1",
      "coldspare:index:PhysicalServer::srv2",
      "coldspare:index:Site::smb",
      "coldspare:index:VirtualMachine::dc-1",
      "coldspare:index:VirtualMachine::docker-1",
      "coldspare:index:VirtualMachine::files-1",
      "coldspare:index:VirtualMachine::remote-app",
      "coldspare:index:VirtualMachine::sql-erp",
      "proxmoxve:backup/job:Job::smb-backup-nightly",
      "proxmoxve:download/file:File::srv1-image-debian-13",
      "proxmoxve:download/file:File::srv2-image-debian-13",
      "proxmoxve:index/dnsLegacy:DnsLegacy::srv1-dns",
      "proxmoxve:index/dnsLegacy:DnsLegacy::srv2-dns",
      "proxmoxve:index/timeLegacy:TimeLegacy::srv1-time",
      "proxmoxve:index/timeLegacy:TimeLegacy::srv2-time",
      "proxmoxve:index/vmLegacy:VmLegacy::dc-1-vm",
      "proxmoxve:index/vmLegacy:VmLegacy::docker-1-vm",
      "proxmoxve:index/vmLegacy:VmLegacy::files-1-vm",
      "proxmoxve:index/vmLegacy:VmLegacy::remote-app-vm",
      "proxmoxve:index/vmLegacy:VmLegacy::sql-erp-vm",
      "proxmoxve:storage/nfs:Nfs::smb-storage-backup-nfs",
      "pulumi-nodejs:dynamic/coldspare:ReplicationPair::dc-1-replication",
      "pulumi-nodejs:dynamic/coldspare:ReplicationPair::docker-1-replication",
      "pulumi-nodejs:dynamic/coldspare:ReplicationPair::files-1-replication",
      "pulumi-nodejs:dynamic/coldspare:ReplicationPair::sql-erp-replication",
      "pulumi-nodejs:dynamic/coldspare:StandbyGuest::remote-app-standby",
    ]);
  });

  it("leaves every URN as it was when primary and spare are swapped", async () => {
    const before = built;
    const after = await build(swapped());
    expect(after.recorder.identities()).toEqual(before.recorder.identities());
    const names = await urns(before.result);
    expect(await urns(after.result)).toEqual(names);
    expect(names).toContain(
      // Mocks name the nearest parent only.
      "urn:pulumi:test::coldspare::coldspare:index:VirtualMachine$proxmoxve:index/vmLegacy:VmLegacy::dc-1-vm",
    );
    expect(names.join("\n")).not.toMatch(/::(dc-1|sql-erp)-.*srv/);
    expect(after.recorder.one("dc-1-vm").inputs.nodeName).toBe("srv2");
    expect(before.recorder.one("dc-1-vm").inputs.nodeName).toBe("srv1");
  });

  it("registers the same resources in a preview, where values are unknown", async () => {
    const up = built;
    const preview = await build(site(), true);
    expect(preview.recorder.identities()).toEqual(up.recorder.identities());
  });

  it("installs from an ISO image: the first disk first, the medium while that disk is empty", async () => {
    const spec = site();
    spec.images = {
      ...spec.images,
      windows: { kind: "iso", url: "https://images.example/w.iso", fileName: "w.iso", sizeGiB: 6 },
    };
    spec.guests!["dc-1"]!.image = "windows";
    const { recorder } = await build(spec);
    expect(recorder.one("dc-1-vm").inputs).toMatchObject({
      bootOrders: ["scsi0", "ide3"],
      cdrom: { fileId: "local:iso/w.iso", interface: "ide3" },
    });
    for (const server of ["srv1", "srv2"])
      expect(recorder.one(`${server}-image-windows`).inputs).toMatchObject({
        contentType: "iso",
        datastoreId: "local",
      });
  });

  it("gives the provider a machine's exact inputs", async () => {
    const { recorder } = built;
    const { description, networkDevices, ...inputs } = recorder.one("sql-erp-vm").inputs;
    expect(inputs).toEqual({
      vmId: 113,
      name: "sql-erp",
      nodeName: "srv2",
      migrate: true,
      tags: ["availability", "coldspare", "coldspare-primary", "windows"],
      protection: false,
      started: true,
      onBoot: true,
      startup: { order: 30, upDelay: 30 },
      rebootAfterUpdate: false,
      purgeOnDestroy: true,
      deleteUnreferencedDisksOnDestroy: false,
      operatingSystem: { type: "win11" },
      bios: "seabios",
      bootOrders: ["scsi0"],
      cdrom: { fileId: "none", interface: "ide3" },
      cpu: { cores: 4, sockets: 1, type: "x86-64-v2-AES" },
      memory: { dedicated: 8192 },
      scsiHardware: "virtio-scsi-single",
      disks: [
        {
          interface: "scsi0",
          datastoreId: "tank",
          size: 100,
          fileFormat: "raw",
          ssd: false,
          discard: "on",
          iothread: true,
        },
        {
          interface: "scsi1",
          datastoreId: "tank",
          size: 200,
          fileFormat: "raw",
          ssd: false,
          discard: "on",
          iothread: true,
        },
      ],
      agent: { enabled: false },
    });
    expect(description).toContain("- Primary: srv2\n- Spare: srv1, powered off\n");
    expect(networkDevices).toEqual([
      {
        bridge: "vmbr0",
        model: "virtio",
        firewall: true,
        vlanId: 20,
        macAddress: expect.stringMatching(/^([0-9A-F]{2}:){5}[0-9A-F]{2}$/),
      },
    ]);
  });

  it("makes a Linux machine from its image, with cloud-init, and a Windows machine with UEFI and TPM", async () => {
    const { recorder } = built;
    const linux = recorder.one("docker-1-vm").inputs as {
      disks: { importFrom?: string }[];
      initialization: { value: unknown };
    };
    expect(linux.disks.map((disk) => disk.importFrom)).toEqual([
      "local:import/debian-13-genericcloud-amd64.qcow2",
      undefined,
    ]);
    // The password makes the whole block a secret.
    expect(linux.initialization.value).toMatchObject({
      datastoreId: "tank",
      interface: "ide2",
      dns: { domain: "smb.internal", servers: ["192.168.20.10"] },
      ipConfigs: [
        {
          ipv4: { address: "192.168.20.14/24", gateway: "192.168.20.1" },
          ipv6: { address: "fd00:20::14/64", gateway: "fd00:20::1" },
        },
      ],
      userAccount: { username: "admin", password: "hunter2" },
    });
    // Started with room to grow: two of four cores are plugged in.
    expect(linux).toMatchObject({
      hotplug: "network,disk,usb,memory,cpu",
      cpu: { cores: 4, hotplugged: 2, numa: true, sockets: 1 },
    });
    expect(recorder.one("dc-1-vm").inputs).toMatchObject({
      bios: "ovmf",
      machine: "q35",
      efiDisk: { datastoreId: "tank", type: "4m", preEnrolledKeys: true },
      tpmState: { datastoreId: "tank", version: "v2.0" },
    });
  });

  it("hands each replica its pair of servers", async () => {
    const { recorder } = built;
    expect(recorder.one("files-1-replication").inputs).toEqual({
      guest: "files-1",
      vmid: 111,
      kind: "qemu",
      source: "srv1",
      target: "srv2",
      schedule: "*/15",
      rateMBps: 80,
    });
    expect(recorder.one("remote-app-standby").inputs).toMatchObject({
      guest: "remote-app",
      vmid: 112,
      kind: "qemu",
      source: "srv2",
      node: "srv1",
      standbyIds: [9112, 9212],
      storage: "tank",
      backupStorage: "backup-nfs",
      tags: ["availability", "coldspare", "coldspare-spare", "windows"],
    });
  });

  it("backs up guests by id, never 'all', which would take the standby copies along", async () => {
    const { recorder } = built;
    expect(recorder.one("smb-backup-nightly").inputs).toEqual({
      resourceId: "smb-nightly",
      repeatMissed: true,
      notesTemplate: "{{guestname}}, {{node}}, policy nightly",
      storage: "backup-nfs",
      schedule: "22:30",
      mode: "snapshot",
      compress: "zstd",
      vmids: ["110", "111", "112", "113", "114"],
      pruneBackups: { "keep-daily": "5", "keep-weekly": "3" },
      enabled: true,
    });
    expect(recorder.one("smb-storage-backup-nfs").inputs).toEqual({
      resourceId: "backup-nfs",
      server: "192.168.10.13",
      export: "/srv/vzdump",
      contents: ["backup"],
      nodes: ["srv1", "srv2"],
    });
  });

  it("follows a recorded failover: the machine is where its spare was, and no URN changes", async () => {
    const before = built;
    const { recorder } = await record(() => new Site("smb", { site: site(), secrets, active: { "sql-erp": "spare" } }));
    expect(recorder.identities()).toEqual(before.recorder.identities());
    expect(recorder.one("sql-erp-vm").inputs.nodeName).toBe("srv1");
    expect(recorder.one("sql-erp-replication").inputs).toEqual(before.recorder.one("sql-erp-replication").inputs);
  });

  it("never starts the primary of a guest whose restored standby is active", async () => {
    const { recorder } = await record(
      () => new Site("smb", { site: site(), secrets, active: { "remote-app": "spare" } }),
    );
    expect(recorder.one("remote-app-vm").inputs).toMatchObject({ nodeName: "srv2", started: false, onBoot: false });
    expect(recorder.one("remote-app-standby").inputs).toMatchObject({ active: true, source: "srv2", node: "srv1" });
    expect(recorder.warnings).toEqual([
      expect.stringMatching(/^ACTIVE-STANDBY-NO-BACKUP guests\.remote-app\.coldReplica: .* 112, which is off/),
    ]);
    expect(built.recorder.one("remote-app-standby").inputs).not.toHaveProperty("active");
  });

  it("keeps the mark of an old side whose restored standby is active, and takes it away at home", async () => {
    const { recorder } = await record(
      () => new Site("smb", { site: site(), secrets, active: { "remote-app": "spare", "sql-erp": "spare" } }),
    );
    expect(recorder.one("remote-app-vm").inputs.tags).toContain("coldspare-diverged");
    expect(recorder.one("remote-app-standby").inputs.tags).not.toContain("coldspare-diverged");
    // There is one configuration only: it went over to the spare, and leaves nothing behind.
    expect(recorder.one("sql-erp-vm").inputs.tags).not.toContain("coldspare-diverged");
    expect(built.recorder.one("remote-app-vm").inputs.tags).not.toContain("coldspare-diverged");
  });

  it("has the networks of the spare while the spare is active, as the failover has set them", async () => {
    const elsewhere = site();
    elsewhere.networks!.branch = { vlan: 77, subnet: "10.77.0.0/24", gateway: "10.77.0.1", dnsServers: ["10.77.0.2"] };
    for (const name of ["docker-1", "remote-app"]) {
      const replica = elsewhere.guests![name]!.coldReplica!;
      replica.networks = { servers: "branch" };
      replica.reIp = [{ from: "192.168.20.0/24", to: "10.77.0.0/24" }];
    }
    const docker = elsewhere.guests!["docker-1"]!;
    docker.networks = [{ network: "servers", address: "192.168.20.14" }];
    const cards = async (active: Record<string, "primary" | "spare">) => {
      const { recorder } = await record(() => new Site("smb", { site: elsewhere, secrets, active }));
      return ["docker-1-vm", "remote-app-vm"].map((name) => recorder.one(name).inputs);
    };
    const [home, restoredHome] = await cards({});
    expect(home).toMatchObject({ networkDevices: [{ vlanId: 20 }] });
    const [away, restored] = await cards({ "docker-1": "spare", "remote-app": "spare" });
    expect(away).toMatchObject({ networkDevices: [{ vlanId: 77 }] });
    expect((away!.initialization as { value: unknown }).value).toMatchObject({
      dns: { servers: ["10.77.0.2"] },
      ipConfigs: [{ ipv4: { address: "10.77.0.14/24", gateway: "10.77.0.1" } }],
    });
    // The standby is another guest: the one that it was made from stays as it was.
    expect(restored!.networkDevices).toEqual(restoredHome!.networkDevices);
  });

  describe("with SSH host keys", () => {
    const key = ["ssh-ed25519 AAAA"];
    const access = { endpoints: { srv1: "https://srv1:8006" }, ssh: { hostKeys: { srv1: key, "backup-1": key } } };
    let guarded: Awaited<ReturnType<typeof buildWithOptions>>;
    beforeAll(async () => {
      guarded = await buildWithOptions({ site: site(), secrets, access });
    });

    it("leaves the guard's hook script at guests alone, which no token may set", () => {
      for (const name of ["sql-erp-vm", "docker-1-vm"])
        expect(guarded.options.get(name)?.ignoreChanges).toEqual([
          "disks[0].speed",
          "disks[1].speed",
          "hookScriptFileId",
        ]);
    });

    it("gives each server that has one a guard, and no other server", () => {
      const added = guarded.recorder.identities().filter((name) => !built.recorder.identities().includes(name));
      expect(added).toEqual([
        // Its medium is attached there, and both have folders to copy.
        "pulumi-nodejs:dynamic/coldspare:BackupAgent::backup-1-backups",
        "pulumi-nodejs:dynamic/coldspare:BackupAgent::srv1-backups",
        "pulumi-nodejs:dynamic/coldspare:ServerGuard::backup-1-guard",
        "pulumi-nodejs:dynamic/coldspare:ServerGuard::srv1-guard",
      ]);
      expect(Object.keys(guarded.result.nodes.guards)).toEqual(["backup-1", "srv1"]);
    });

    it("names guards by their server alone", async () => {
      const urns = await Promise.all(Object.values(guarded.result.nodes.guards).map(({ urn }) => value(urn)));
      expect(urns).toEqual([
        "urn:pulumi:test::coldspare::coldspare:index:Site$pulumi-nodejs:dynamic/coldspare:ServerGuard::backup-1-guard",
        "urn:pulumi:test::coldspare::coldspare:index:Site$pulumi-nodejs:dynamic/coldspare:ServerGuard::srv1-guard",
      ]);
    });

    it("hands them the way to the server, and hashes", () => {
      const hash = expect.stringMatching(/^[0-9a-f]{20}/);
      expect(guarded.recorder.one("srv1-guard").inputs).toEqual({
        server: "srv1",
        host: "192.168.10.11",
        port: 22,
        user: "root",
        hypervisor: true,
        manifest: manifestHash(guarded.result.manifest),
        conf: hash,
        hosts: hash,
        programs: hash,
      });
      expect(guarded.recorder.one("backup-1-guard").inputs).toMatchObject({ hypervisor: false });
    });

    it("installs them after the machine of every guest that the server may run, and names nothing else in the state", () => {
      const { guests } = guarded.result.nodes;
      const waits = (name: string) => guarded.options.get(name)?.dependsOn;
      expect(waits("srv1-guard")).toEqual(Object.values(guests).map(({ nodes }) => nodes.guest));
      expect(waits("backup-1-guard")).toEqual([]);
    });

    it("has the manifest of the plan, which does not change with the active side", async () => {
      expect(guarded.result.manifest.servers.srv1?.ssh?.hostKeys).toEqual(key);
      expect(guarded.result.manifest.servers.srv2).not.toHaveProperty("ssh");
      const active = { "sql-erp": "spare" as const };
      const away = await record(() => new Site("smb", { site: site(), secrets, access, active }));
      expect(manifestHash(away.result.manifest)).toBe(manifestHash(guarded.result.manifest));
      expect(away.recorder.one("srv1-guard").inputs).toEqual(guarded.recorder.one("srv1-guard").inputs);
    });
  });

  it("refuses a site with mistakes before anything is registered, and shows all of them", async () => {
    const spec = site();
    const sql = spec.guests?.["sql-erp"];
    const dc = spec.guests?.["dc-1"];
    if (!sql || !dc?.coldReplica) throw new Error("the layout has changed");
    sql.memoryGiB = 24;
    dc.coldReplica.on = "srv1";
    let refusal: unknown;
    const { recorder } = await record(() => {
      try {
        return new Site("smb", { site: spec, secrets });
      } catch (error) {
        refusal = error;
        return undefined;
      }
    });
    expect(recorder.resources).toEqual([]);
    expect(refusal).toBeInstanceOf(PlanError);
    const message = (refusal as Error).message;
    expect(message).toMatch(/Site smb cannot be built as it is specified \(\d errors\):/);
    expect(message).toMatch(/guests\.dc-1\.coldReplica\.on/);
    expect(message).toMatch(/srv1/);
    expect(message.match(/^ {4}fix: /gm)?.length).toBeGreaterThanOrEqual(2);
  });

  it("names the secret that has no value, and the command that sets it", async () => {
    let refusal: unknown;
    await record(() => {
      try {
        return new Site("smb", { site: site() });
      } catch (error) {
        refusal = error;
        return undefined;
      }
    });
    expect((refusal as Error).message).toBe(
      "Guest docker-1 names the secret docker-1-password, which has no value. Set it: pulumi config set --secret coldspare:docker-1-password",
    );
  });
});
