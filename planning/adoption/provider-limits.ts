/**
 * Machines that the bridged provider (proxmoxve 8.6) cannot read without wanting to change them afterwards. Each was tried with the
 * real provider; what is tried and fine is not listed: gaps between disks, several controllers, IDE, EFI, TPM, CD drives, unused disks,
 * devices of the server, NUMA, trunks, limits.
 */
import { list } from "../units";
import type { GuestSnapshot } from "./snapshot";
import { parseGiB, parseOptions } from "./words";

type Config = Readonly<Record<string, string>>;

const LIMITS: readonly ((config: Config, vmid: number) => string | undefined)[] = [
  ({ name }, vmid) =>
    name === undefined
      ? `it has no name of its own, which the provider would give it: 'qm set ${vmid} --name ...', and import again`
      : undefined,
  ({ ostype }, vmid) =>
    ostype === undefined
      ? `it names no type of system, which the provider refuses: 'qm set ${vmid} --ostype other' changes nothing for it; import again`
      : undefined,
  ({ memory }, vmid) =>
    memory === undefined
      ? `its configuration names no memory, which the provider takes for none: 'qm set ${vmid} --memory 512', which is what it runs with; import again`
      : undefined,
  cardsWithGaps,
  smallDisk,
  soundWithoutSpice,
];

/** Why a machine cannot be taken over although it could be said; undefined where nothing is in the way. */
export function providerLimit({ type, vmid, config = {} }: GuestSnapshot): string | undefined {
  if (type !== "qemu") return undefined;
  for (const limit of LIMITS) {
    const reason = limit(config, vmid);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/** The provider reads an empty card into a gap, and makes it with the next update. */
function cardsWithGaps(config: Config, vmid: number): string | undefined {
  const numbers = Object.keys(config)
    .flatMap((key) => /^net(\d+)$/.exec(key)?.[1] ?? [])
    .map(Number)
    .sort((one, other) => one - other);
  if (numbers.every((number, index) => number === index)) return undefined;
  const cards = list(numbers.map((number) => `net${number}`));
  return `its network cards (${cards}) are not numbered from net0 without a gap, and the provider would fill the gap: number them so ('qm set ${vmid}', the MAC address stays), and import again`;
}

/** The provider counts whole GiB, and refuses 0. */
function smallDisk(config: Config): string | undefined {
  for (const [key, value] of Object.entries(config)) {
    if (!/^(ide|sata|scsi|virtio)\d+$/.test(key)) continue;
    const options = parseOptions(value, "file");
    const size = parseGiB(options.get("size"));
    if (options.get("media") === "cdrom" || size === undefined || size >= 1) continue;
    return `its disk ${key} is smaller than 1 GiB (${options.get("size")}), which the provider cannot count: make it 1 GiB or more, or leave this machine out`;
  }
  return undefined;
}

function soundWithoutSpice({ audio0 }: Config, vmid: number): string | undefined {
  if (audio0 === undefined || parseOptions(audio0, "device").get("driver") === "spice") return undefined;
  return `its sound card has another driver than spice, which the provider refuses: 'qm set ${vmid} --audio0 device=...,driver=spice' or 'qm set ${vmid} --delete audio0', and import again`;
}
