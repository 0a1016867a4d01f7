/** What the engine leaves alone at a guest, and what is said of a guest that was there before. */

import { ignoredOf } from "../../components/adopted";
import { containerInputs } from "../../components/container-inputs";
import { virtualMachineInputs } from "../../components/virtual-machine-inputs";
import type { ContainerSpec, GuestPart, GuestSpecInput, SiteSpecInput, VirtualMachineSpec } from "../../planning";
import { planSite } from "../../planning";

const machine = {
  kind: "vm",
  os: "linux",
  on: "srv1",
  id: 100,
  cores: 4,
  sockets: 2,
  memoryGiB: 3,
  adopted: true,
  hostname: "Web.Server",
  boot: { atHostBoot: false },
  disks: [
    { interface: "virtio1", sizeGiB: 3, storage: "tank" },
    { interface: "scsi10", sizeGiB: 1.5, storage: "tank" },
    { interface: "scsi2", sizeGiB: 5, storage: "fast" },
  ],
  networks: [
    { network: "office", interface: "net1", mac: "BC:24:11:00:00:02", firewall: false },
    { network: "office", interface: "net0", mac: "BC:24:11:00:00:01" },
  ],
} satisfies GuestSpecInput;
const container = {
  kind: "container",
  os: "debian",
  on: "srv1",
  id: 200,
  cores: 2,
  memoryGiB: 0.5,
  adopted: true,
  hostname: "Web.Lab",
  disks: [
    { interface: "rootfs", sizeGiB: 4, storage: "tank" },
    { interface: "mp0", sizeGiB: 2, storage: "tank" },
  ],
  networks: [{ network: "office", mac: "BC:24:11:00:00:03" }],
} satisfies GuestSpecInput;

function plan(guest: GuestSpecInput) {
  const storage = { type: "zfspool" as const, sizeGiB: 900, content: ["images" as const, "rootdir" as const] };
  const server = {
    roles: ["hypervisor" as const],
    cores: 8,
    memoryGiB: 64,
    storages: { tank: storage, fast: storage },
  };
  const site: SiteSpecInput = {
    site: { name: "found", asFound: true },
    servers: { srv1: { ...server, bridges: { vmbr0: {} } } },
    networks: { office: { vlan: 20 } },
    guests: { web: guest },
  };
  const whole = planSite(site);
  const errors = whole.findings.filter(({ severity }) => severity === "error");
  expect(errors).toEqual([]);
  return { site: whole, guest: whole.guests.web! };
}
function vmInputs(changes: Partial<typeof machine> & { keep?: GuestPart[]; started?: boolean } = {}) {
  const { site, guest } = plan({ ...machine, ...changes });
  return virtualMachineInputs(guest, guest.spec as VirtualMachineSpec, site, {});
}
function ctInputs(changes: { keep?: GuestPart[] } = {}) {
  const { site, guest } = plan({ ...container, ...changes });
  return containerInputs(guest, guest.spec as ContainerSpec, site, {});
}
const ignored = (guest: GuestSpecInput) => ignoredOf(plan(guest).guest.spec);

describe("a machine that was there before", () => {
  it("is said by what is watched of it and nothing else", () => {
    expect(vmInputs()).toEqual({
      vmId: 100,
      name: "Web.Server",
      nodeName: "srv1",
      migrate: true,
      protection: false,
      onBoot: false,
      rebootAfterUpdate: false,
      purgeOnDestroy: true,
      deleteUnreferencedDisksOnDestroy: false,
      cpu: { cores: 2, sockets: 2 },
      memory: { dedicated: 3072 },
      disks: [
        { interface: "scsi2", datastoreId: "fast", size: 5 },
        { interface: "scsi10", datastoreId: "tank", size: 2 },
        { interface: "virtio1", datastoreId: "tank", size: 3 },
      ],
      networkDevices: [
        { bridge: "vmbr0", macAddress: "BC:24:11:00:00:01", firewall: true, vlanId: 20 },
        { bridge: "vmbr0", macAddress: "BC:24:11:00:00:02", firewall: false, vlanId: 20 },
      ],
    });
  });

  it("starts with its server although it is off now, when that is how it was", () => {
    expect(vmInputs({ started: false, boot: { atHostBoot: true } as never })).toMatchObject({ onBoot: true });
  });

  it("compares no size that is no whole number, and every other", () => {
    const paths = ignored(machine);
    expect(paths.filter((path) => path.endsWith(".size"))).toEqual(["disks[1].size"]);
  });

  it.each([
    ["cpu", ["cpu.cores", "cpu.sockets"]],
    ["memory", ["memory.dedicated"]],
    ["disks", ["disks"]],
    ["networks", ["networkDevices"]],
  ] as const)("leaves its %s alone where they are kept", (part, paths) => {
    const free = ignored(machine);
    const kept = ignored({ ...machine, keep: [part] });
    for (const path of paths) {
      expect(free).not.toContain(path);
      expect(kept).toContain(path);
    }
  });
});

describe("a container that was there before", () => {
  it("needs no image, and is said by what is watched of it", () => {
    expect(ctInputs()).toEqual({
      vmId: 200,
      nodeName: "srv1",
      protection: false,
      startOnBoot: true,
      cpu: { cores: 2 },
      memory: { dedicated: 512 },
      disk: { datastoreId: "tank", size: 4 },
      networkInterfaces: [
        { name: "eth0", bridge: "vmbr0", macAddress: "BC:24:11:00:00:03", firewall: true, vlanId: 20 },
      ],
      initialization: { hostname: "Web.Lab" },
    });
  });

  it("never ignores its share of the processor, which the provider reads as 0 and refuses to be given", () => {
    expect(ignored({ ...container, keep: ["cpu"] })).toEqual(expect.arrayContaining(["cpu.cores", "cpu.limit"]));
    expect(ignored({ ...container, keep: ["cpu"] })).not.toContain("cpu");
    expect(ignored({ ...container, keep: ["cpu"] })).not.toContain("cpu.units");
  });

  it("is never replaced", () => {
    const paths = ignored(container);
    for (const path of ["nodeName", "mountPoints", "operatingSystem", "poolId", "unprivileged", "disk.datastoreId"])
      expect(paths).toContain(path);
  });
});

describe.each([
  ["machine", machine, vmInputs],
  ["container", container, ctInputs],
] as const)("of an adopted %s", (_, guest, inputs) => {
  it("everything that is not ignored is said by the program", () => {
    const paths = ignored(guest);
    const given = leaves(inputs());
    // What is given and ignored would be a word without effect; names of cards are needed to be given at all.
    const without = given.filter((path) => paths.some((each) => path === each || path.startsWith(`${each}.`)));
    expect(without.filter((path) => !/nodeName|datastoreId|\.name$|\.size$/.test(path))).toEqual([]);
  });

  it("no path is there twice", () => {
    const paths = ignored(guest);
    expect(new Set(paths).size).toBe(paths.length);
  });
});

describe("a guest of our own", () => {
  const { adopted: _, hostname: __, ...own } = machine;
  const guest = {
    ...own,
    disks: [
      { sizeGiB: 10, storage: "tank" },
      { sizeGiB: 20, storage: "tank" },
    ],
  } satisfies GuestSpecInput;

  it("has only what the provider shows for ever, and the guard's hook script, left alone", () => {
    expect(ignored(guest)).toEqual(["disks[0].speed", "disks[1].speed", "hookScriptFileId"]);
  });

  it("has its name, all its settings, and the cores of each socket", () => {
    const { site, guest: planned } = plan(guest);
    const inputs = virtualMachineInputs(planned, planned.spec as VirtualMachineSpec, site, {});
    expect(inputs).toMatchObject({ name: "web", cpu: { cores: 2, sockets: 2 }, started: true });
    expect(inputs.disks).toMatchObject([{ interface: "scsi0" }, { interface: "scsi1" }]);
  });

  it("is off, and does not start with its server, where the site says that it is normally off", () => {
    const { site, guest: planned } = plan({ ...guest, started: false, boot: {} });
    const inputs = virtualMachineInputs(planned, planned.spec as VirtualMachineSpec, site, {});
    expect(inputs).toMatchObject({ started: false, onBoot: false });
  });
});

/** Paths of all plain values, as `ignoreChanges` writes them. */
function leaves(value: unknown, path = ""): string[] {
  if (Array.isArray(value)) return value.flatMap((each, index) => leaves(each, `${path}[${index}]`));
  if (typeof value !== "object" || value === null) return [path];
  return Object.entries(value).flatMap(([key, each]) => leaves(each, path === "" ? key : `${path}.${key}`));
}
