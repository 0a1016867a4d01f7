import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { Container, type ContainerArgs, PlanError, VirtualMachine, type VirtualMachineArgs } from "../../components";
import { planSite, type SiteSpecInput, type VirtualMachineSpec, type VirtualMachineSpecInput } from "../../planning";
import { record, value } from "./recorder";

const site = (): SiteSpecInput =>
  parse(readFileSync(join(__dirname, "../../stacks/smb-site/site.yaml"), "utf8")) as SiteSpecInput;

describe("VirtualMachine on its own", () => {
  const args = {
    os: "linux" as const,
    on: "srv1",
    cores: 2,
    memoryGiB: 4,
    disks: [{ sizeGiB: 40, storage: "tank" }],
    coldReplica: { on: "srv2", method: "storage-replication" as const, schedule: "*/15" },
  };

  it("is built with its spare, and says that nothing proves the site", async () => {
    const { recorder, result } = await record(() => new VirtualMachine("sql", args));
    expect(recorder.identities()).toEqual([
      "coldspare:index:VirtualMachine::sql",
      "proxmoxve:index/vmLegacy:VmLegacy::sql-vm",
      "pulumi-nodejs:dynamic/coldspare:ReplicationPair::sql-replication",
    ]);
    expect(await value(result.findings)).toEqual([
      expect.objectContaining({ code: "SITE-PARTIAL", severity: "warning" }),
    ]);
    expect(recorder.warnings).toEqual([expect.stringMatching(/^SITE-PARTIAL guests\.sql: .*nothing proves/)]);
  });

  it("checks itself without a site", () => {
    const wrong = { ...args, coldReplica: { ...args.coldReplica, on: "srv1", schedule: "every now and then" } };
    expect(() => new VirtualMachine("sql", wrong)).toThrow(
      /guests\.sql\.coldReplica\.on[\s\S]*guests\.sql\.coldReplica\.schedule/,
    );
  });

  it("is proved against a site's plan when it has one", () => {
    const plan = planSite(site());
    expect(() => new VirtualMachine("extra", { ...args, memoryGiB: 20, site: plan })).toThrow(PlanError);
  });

  it("takes no part of a plan that has errors, whichever guest they are about", () => {
    const spec = site();
    const guests = spec.guests ?? {};
    const plan = planSite({ ...spec, guests: { ...guests, "sql-erp": { ...guests["sql-erp"]!, memoryGiB: 24 } } });
    expect(() => new VirtualMachine("files-1", { ...args, site: plan })).toThrow(/CAPACITY-MEMORY servers\.srv1/);
  });

  it("says nothing about another guest whose name only begins alike", async () => {
    const { coldReplica: _, ...unprotected } = args;
    const { groups: __, drills: ___, ...spec } = site();
    const plan = planSite({
      ...spec,
      policies: { memoryOverheadGiB: 0 },
      // Without the policy of what a guest of the layout writes, which is not here.
      backups: { nightly: spec.backups!.nightly! },
      guests: {
        sql: {
          kind: "vm",
          ...args,
          memoryGiB: 0.5,
          disks: [{ sizeGiB: 4, storage: "tank" }],
          probes: [{ kind: "command", run: ["true"] }],
        },
        "sql-erp": { kind: "vm", ...unprotected },
      },
    });
    expect(plan.findings.map(({ subject }) => subject)).toContain("guests.sql-erp");
    const { kind: _kind, ...planned } = plan.spec.guests.sql as VirtualMachineSpec;
    const { result, recorder } = await record(() => new VirtualMachine("sql", { ...planned, site: plan }));
    expect(await value(result.findings)).toEqual([]);
    expect(recorder.warnings).toEqual([]);
  });

  describe("in a site's plan that knows it", () => {
    const plan = planSite(site());
    // As people write it: without what is a default.
    const known = () => {
      const { kind: _kind, ...spec } = site().guests!["files-1"] as VirtualMachineSpecInput;
      return { ...spec, site: plan };
    };

    it("is taken as planned when the arguments say the same, defaults or not", async () => {
      const { recorder } = await record(() => new VirtualMachine("files-1", known()));
      expect(recorder.one("files-1-vm").inputs.vmId).toBe(plan.guests["files-1"]?.id);
      const { kind: _kind, ...spec } = plan.guests["files-1"]!.spec as VirtualMachineSpec;
      const again = await record(() => new VirtualMachine("files-1", { ...spec, site: plan }));
      expect(again.recorder.one("files-1-vm").inputs).toEqual(recorder.one("files-1-vm").inputs);
    });

    it("is refused with the names of the arguments that differ", () => {
      const { disks, coldReplica, ...rest } = known();
      const other = {
        ...rest,
        memoryGiB: 64,
        priority: 1,
        disks: disks.map((disk, index) => (index === 1 ? { ...disk, sizeGiB: 7 } : disk)),
      };
      expect(() => new VirtualMachine("files-1", other)).toThrow(
        /SPEC-INVALID guests\.files-1: .* differ from the plan of the site at coldReplica, disks\[1\]\.sizeGiB, memoryGiB, priority\n/,
      );
      expect(() => new VirtualMachine("files-1", { ...known(), disks: disks.slice(0, 1) })).toThrow(/ at disks\n/);
    });

    it("is refused with the schema's words when an argument is none", () => {
      expect(() => new VirtualMachine("files-1", { ...known(), cores: 0 })).toThrow(/guests\.files-1\.cores is 0/);
    });

    it("is refused as a guest of another kind", () => {
      const { os: _os, ...rest } = known();
      const given = {
        os: "debian" as const,
        on: rest.on,
        cores: rest.cores,
        memoryGiB: 4,
        disks: rest.disks,
        site: plan,
      };
      expect(() => new Container("files-1", given)).toThrow(/differ from the plan of the site at .*\bkind\b/);
    });
  });

  it("registers a guest by zfs-sync on its spare, and leaves the primary's where it is", async () => {
    const zfs = { ...args, coldReplica: { ...args.coldReplica, method: "zfs-sync" as const } };
    const { result, recorder } = await record(() => new VirtualMachine("sql", zfs));
    const { id: vmid } = result.plan;
    const found = recorder.identities().filter((each) => each.includes("RegisteredGuest"));
    expect(found).toEqual(["pulumi-nodejs:dynamic/coldspare:RegisteredGuest::sql-registered"]);
    expect(recorder.one("sql-registered").inputs).toMatchObject({
      guest: "sql",
      vmid,
      source: args.on,
      node: args.coldReplica.on,
    });
  });

  it("lets a transform change what the arguments do not foresee", async () => {
    const { recorder } = await record(
      () =>
        new VirtualMachine("sql", {
          ...args,
          transform: {
            guest: (inputs) => {
              inputs.keyboardLayout = "fr";
            },
          },
        }),
    );
    expect(recorder.one("sql-vm").inputs.keyboardLayout).toBe("fr");
  });

  it("is made from an image of its own", async () => {
    const debian = {
      kind: "disk-image" as const,
      url: "https://images.example.org/debian.qcow2",
      fileName: "debian.qcow2",
    };
    const withImage = { ...args, image: "debian", siteImages: { debian } };
    const { recorder } = await record(() => new VirtualMachine("sql", withImage));
    expect(recorder.one("sql-vm").inputs).toMatchObject({ disks: [{ importFrom: "local:import/debian.qcow2" }] });
    // On the storage of its disk, too.
    const onTank = { ...withImage, siteImages: { debian: { ...debian, storage: "tank" } } };
    const tank = await record(() => new VirtualMachine("sql", onTank));
    expect(tank.recorder.one("sql-vm").inputs).toMatchObject({ disks: [{ importFrom: "tank:import/debian.qcow2" }] });
  });

  it("is refused with an image that it is not given, or that is none", () => {
    expect(() => new VirtualMachine("sql", { ...args, image: "debian" })).toThrow(/IMAGE-UNKNOWN guests\.sql\.image/);
    const broken = { debian: { kind: "disk-image" as const, url: "https://images.example.org/d.img" } };
    const siteImages = broken as unknown as NonNullable<VirtualMachineArgs["siteImages"]>;
    expect(() => new VirtualMachine("sql", { ...args, image: "debian", siteImages })).toThrow(
      /SPEC-MISSING images\.debian\.fileName/,
    );
  });
});

describe("Container on its own", () => {
  const template = {
    kind: "container-template" as const,
    url: "https://images.example.org/debian-13.tar.zst",
    fileName: "debian-13.tar.zst",
  };
  const args = {
    os: "debian" as const,
    on: "srv1",
    cores: 1,
    memoryGiB: 1,
    image: "debian-13",
    siteImages: { "debian-13": template },
    disks: [{ sizeGiB: 8, storage: "tank" }],
    coldReplica: { on: "srv2", method: "storage-replication" as const, schedule: "*/15" },
  };

  it("is built from its template, with its spare", async () => {
    let ignored: string[] | undefined;
    const transform: ContainerArgs["transform"] = {
      guest: (_, options) => {
        ignored = options.ignoreChanges;
      },
    };
    const { recorder } = await record(() => new Container("web", { ...args, transform }));
    // Proxmox VE lets no token set a hook script: the guard is set on the server.
    expect(ignored).toContain("hookScriptFileId");
    expect(recorder.identities()).toEqual([
      "coldspare:index:Container::web",
      "proxmoxve:index/containerLegacy:ContainerLegacy::web-container",
      "pulumi-nodejs:dynamic/coldspare:ReplicationPair::web-replication",
    ]);
    expect(recorder.one("web-container").inputs).toMatchObject({
      nodeName: "srv1",
      operatingSystem: { templateFileId: "local:vztmpl/debian-13.tar.zst", type: "debian" },
      disk: { datastoreId: "tank", size: 8 },
    });
    expect(recorder.warnings).toEqual([expect.stringMatching(/^SITE-PARTIAL guests\.web: /)]);
  });

  it("is refused with an image of another kind", () => {
    const siteImages = { "debian-13": { ...template, kind: "iso" as const } };
    expect(() => new Container("web", { ...args, siteImages })).toThrow(/IMAGE-KIND guests\.web\.image/);
  });
});
