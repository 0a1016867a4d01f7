/**
 * Properties of the bridged provider's resources that exist in the state alone: switches of the provider's own (`migrate`), times it
 * waits, and blocks that it does not report where all of it has the value that Proxmox VE takes by itself. After an import the state
 * lacks them; the update that would bring them in sends a call that changes nothing. Found out with the provider itself (8.6.0).
 */

/** Inputs of a resource, as the program gives them or as the engine shows them. */
export type ResourceInputs = Readonly<Record<string, unknown>>;

const MACHINE = "proxmoxve:index/vmLegacy:VmLegacy";
const CONTAINER = "proxmoxve:index/containerLegacy:ContainerLegacy";

const MACHINE_SWITCHES = [
  "deleteUnreferencedDisksOnDestroy",
  "migrate",
  "purgeOnDestroy",
  "reboot",
  "rebootAfterUpdate",
  "stopOnDestroy",
  "timeoutClone",
  "timeoutCreate",
  "timeoutMigrate",
  "timeoutMoveDisk",
  "timeoutReboot",
  "timeoutShutdownVm",
  "timeoutStartVm",
  "timeoutStopVm",
];
const CONTAINER_SWITCHES = [
  "timeoutClone",
  "timeoutCreate",
  "timeoutDelete",
  "timeoutStart",
  "timeoutUpdate",
  // Its id is what it was imported by.
  "vmId",
];

/**
 * Paths of the properties of a resource that an import cannot bring into the state and that stand for nothing on the hypervisor.
 *
 * @param type Type token of the resource.
 * @param inputs As the program gives them.
 */
export function providerFlags(type: string, inputs: ResourceInputs): string[] {
  if (type === CONTAINER) return [...CONTAINER_SWITCHES, ...unreportedOfContainer(inputs)];
  if (type !== MACHINE) return [];
  return [...MACHINE_SWITCHES, ...unreportedBlocks(inputs), ...sourcesOfDisks(inputs)];
}

/**
 * What the provider reads only where the hypervisor has it, and takes for its own default otherwise: without it in the state, the next
 * update of anything would write that default.
 */
export function unreadDefaults(type: string): ResourceInputs {
  return type === MACHINE ? { scsiHardware: "virtio-scsi-pci" } : {};
}

/** A block with the values that Proxmox VE takes without one is not read back; any other value is a real difference. */
function unreportedBlocks(inputs: ResourceInputs): string[] {
  const agent = blockOf(inputs.agent);
  return [
    ...(agent.enabled === true ? ["agent.timeout"] : ["agent"]),
    ...(blockOf(inputs.watchdog).enabled === true ? [] : ["watchdog"]),
    ...(isDefaultProcessor(blockOf(inputs.cpu)) ? ["cpu"] : []),
    ...(isDefaultMemory(blockOf(inputs.memory)) ? ["memory"] : []),
  ];
}

function unreportedOfContainer(inputs: ResourceInputs): string[] {
  const { architecture, ...cpu } = blockOf(inputs.cpu);
  const isUsual = architecture === undefined || architecture === "amd64";
  return [
    ...(isUsual && isDefaultProcessor(cpu) ? ["cpu"] : []),
    ...(isDefaultMemory(blockOf(inputs.memory)) ? ["memory"] : []),
    // A root disk on the provider's default storage is not read back, whatever its size is.
    ...(blockOf(inputs.disk).datastoreId === "local" ? ["disk"] : []),
  ];
}

/** MiB. */
const DEFAULT_MEMORY = 512;

function isDefaultMemory({ dedicated, ...others }: ResourceInputs): boolean {
  return (dedicated === undefined || dedicated === DEFAULT_MEMORY) && areUnset(others);
}

function isDefaultProcessor({ cores, sockets, type, ...others }: ResourceInputs): boolean {
  const isOne = (count: unknown) => count === undefined || count === 1;
  return isOne(cores) && isOne(sockets) && (isUnset(type) || type === "qemu64") && areUnset(others);
}

function areUnset(values: ResourceInputs): boolean {
  return Object.entries(values).every(([key, value]) => key === "__defaults" || isUnset(value));
}

function isUnset(value: unknown): boolean {
  return [undefined, null, false, 0, ""].includes(value as null) || isEmptyList(value);
}

/** What a disk was made from: Proxmox VE does not keep it. */
function sourcesOfDisks({ disks }: ResourceInputs): string[] {
  return Array.isArray(disks) ? disks.map((_, index) => `disks[${index}].importFrom`) : [];
}

function blockOf(value: unknown): ResourceInputs {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as ResourceInputs) : {};
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}
