/**
 * What the engine leaves alone at a guest. Of every guest: what the provider shows as a difference for ever, or what only the server
 * itself sets. Of a guest that was taken over (`adopted`) beside that everything that the specification has no word for. Pure.
 *
 * What is watched of an adopted guest: name, server, cores and sockets, memory, start with the server, protection, size and storage
 * of each disk, bridge, VLAN, MAC address and firewall flag of each card; less the parts that `keep` names.
 */
import type { ContainerSpec, GuestSpec, VirtualMachineSpec } from "../planning";
import { machineDisks } from "./guest-inputs";

/**
 * What the provider can change only by destroying the container and making it anew. A change of it is recorded by nobody
 * and made by hand: `pct migrate`, `pct resize 220 mp0 40G`, `pct set 220 -mp1 tank:8,mp=/srv/data2`.
 */
const NEVER_REPLACED = [
  "nodeName",
  "disk.datastoreId",
  "initialization.userAccount",
  "mountPoints",
  "operatingSystem.templateFileId",
  "poolId",
  "unprivileged",
];

/** Settings of a machine as a whole that an adopted one keeps. */
const MACHINE = [
  "acpi",
  "agent",
  "amdSev",
  "audioDevice",
  "bios",
  "bootOrders",
  "cdrom",
  "clone",
  "description",
  "efiDisk",
  "hostpcis",
  "hotplug",
  "initialization",
  "keyboardLayout",
  "kvmArguments",
  "machine",
  "numas",
  "operatingSystem",
  "poolId",
  "rngs",
  "scsiHardware",
  "serialDevices",
  "smbios",
  "started",
  "startup",
  "tabletDevice",
  "tags",
  "template",
  "tpmState",
  "usbs",
  "vga",
  "virtiofs",
  "watchdog",
];
const MACHINE_CPU = ["affinity", "architecture", "flags", "hotplugged", "limit", "numa", "type", "units"];
const MACHINE_CORES = ["cores", "sockets"];
const MACHINE_MEMORY = ["floating", "hugepages", "keepHugepages", "shared"];
const MACHINE_DISK = [
  "aio",
  "backup",
  "cache",
  "discard",
  "fileFormat",
  "fileId",
  "importFrom",
  "iothread",
  "pathInDatastore",
  "queues",
  "replicate",
  "serial",
  "speed",
  "ssd",
];
const MACHINE_CARD = ["disconnected", "enabled", "model", "mtu", "queues", "rateLimit", "trunks"];

/** The same of a container. */
const CONTAINER = [
  "clone",
  "console",
  "description",
  "devicePassthroughs",
  "environmentVariables",
  "features",
  "idmaps",
  "mountPoints",
  "operatingSystem",
  "poolId",
  "started",
  "startup",
  "tags",
  "template",
  "unprivileged",
  "waitForIp",
];
const CONTAINER_INITIALIZATION = ["dns", "entrypoint", "ipConfigs", "userAccount"];
/** Not `units`: the provider reads 0 where there is none, and refuses to be given it. */
const CONTAINER_CPU = ["architecture", "limit"];
const CONTAINER_MEMORY = ["swap"];
const CONTAINER_DISK = ["acl", "mountOptions", "pathInDatastore", "quota", "replicate"];
const CONTAINER_CARD = ["enabled", "hostManaged", "mtu", "name", "rateLimit"];

/** Proxmox VE lets root alone set a hook script, and no token: the guard is set on the server itself. */
const ON_THE_SERVER = "hookScriptFileId";

/** Paths of properties for `ignoreChanges`, of the bridged provider's resource for this guest. */
export function ignoredOf(spec: GuestSpec): string[] {
  if (!spec.adopted) return [...ownIgnored(spec), ON_THE_SERVER];
  return [...(spec.kind === "vm" ? adoptedMachine(spec) : adoptedContainer(spec)), ON_THE_SERVER];
}

function ownIgnored(spec: GuestSpec): string[] {
  // The provider shows a disk's absent limits as a difference for ever; one entry for each disk that exists.
  return spec.kind === "vm" ? spec.disks.map((_, index) => `disks[${index}].speed`) : NEVER_REPLACED;
}

function adoptedMachine(spec: VirtualMachineSpec): string[] {
  const { keep } = spec;
  return [
    ...MACHINE,
    // Leaf by leaf even where all is kept: a block of defaults alone is not in the state, and cannot be ignored as a whole.
    ...below("cpu", [...MACHINE_CPU, ...(keep.includes("cpu") ? MACHINE_CORES : [])]),
    ...below("memory", [...MACHINE_MEMORY, ...(keep.includes("memory") ? ["dedicated"] : [])]),
    ...(keep.includes("disks") ? ["disks"] : adoptedDisks(spec)),
    ...(keep.includes("networks") ? ["networkDevices"] : eachBelow("networkDevices", spec.networks, MACHINE_CARD)),
  ];
}

function adoptedDisks(spec: VirtualMachineSpec): string[] {
  const disks = machineDisks(spec);
  // The provider counts whole GiB: what is no whole number could only be changed by mistake.
  const sizes = disks.flatMap(({ sizeGiB }, index) => (Number.isInteger(sizeGiB) ? [] : [`disks[${index}].size`]));
  return [...eachBelow("disks", disks, MACHINE_DISK), ...sizes];
}

function adoptedContainer(spec: ContainerSpec): string[] {
  const { keep, disks } = spec;
  const keepsSize = keep.includes("disks") || !Number.isInteger(disks[0]?.sizeGiB);
  return [
    "nodeName",
    ...CONTAINER,
    ...below("initialization", CONTAINER_INITIALIZATION),
    ...below("cpu", [...CONTAINER_CPU, ...(keep.includes("cpu") ? ["cores"] : [])]),
    ...below("memory", [...CONTAINER_MEMORY, ...(keep.includes("memory") ? ["dedicated"] : [])]),
    ...below("disk", ["datastoreId", ...CONTAINER_DISK, ...(keepsSize ? ["size"] : [])]),
    ...(keep.includes("networks")
      ? ["networkInterfaces"]
      : eachBelow("networkInterfaces", spec.networks, CONTAINER_CARD)),
  ];
}

function below(block: string, leaves: readonly string[]): string[] {
  return leaves.map((leaf) => `${block}.${leaf}`);
}

function eachBelow(list: string, entries: readonly unknown[], leaves: readonly string[]): string[] {
  return entries.flatMap((_, index) => below(`${list}[${index}]`, leaves));
}
