/** The configuration of a machine (qemu-server) in the words of a specification. */
import type { VirtualMachineSpecInput } from "../schema";
import { readCards } from "./cards";
import { readMachineDrives } from "./drives";
import { bootOf, memoryGiB, tellCommon, tellOthers } from "./guest-common";
import type { GuestDraft } from "./guest-draft";
import type { GuestSnapshot } from "./snapshot";
import { counted, flag, parseOptions, wholeNumber } from "./words";

/** Of a machine everything but its place, its networks and its replica. */
export type MachineWords = Omit<VirtualMachineSpecInput, "on" | "disks" | "networks" | "id" | "hostname" | "keep">;

const MOST_SOCKETS = 4;
/** What Proxmox VE gives a machine whose configuration names no processor. */
const DEFAULT_CPU = "kvm64";
/** What a specification takes. */
const WORDS_CPU = "x86-64-v2-AES";

const SAID =
  /^(name|sockets|vcpus|cpu|balloon|bios|efidisk0|tpmstate0|agent|boot|bootdisk|scsihw|smbios1|vmgenid|meta|machine|numa|acpi|tablet|localtime|ci\w+|sshkeys|nameserver|searchdomain|runningmachine|runningcpu|((ide|sata|scsi|virtio|hostpci|ipconfig)\d+))$/;

/** Reads a machine. Disks and cards are in the draft afterwards. */
export function readMachine(draft: GuestDraft, guest: GuestSnapshot): MachineWords {
  const { config } = draft;
  readMachineDrives(draft);
  readCards(draft, "vm");
  const boot = bootOf(draft);
  const words: MachineWords = {
    kind: "vm",
    ...processor(draft),
    memoryGiB: memory(draft),
    os: system(draft),
    ...(config.bios === "ovmf" && { bios: "ovmf" as const }),
    ...(config.tpmstate0 !== undefined && { tpm: true }),
    ...(hasAgent(config.agent) && { agent: true }),
    ...(boot && { boot }),
    ...(flag(config.protection) && { protection: true }),
  };
  if (config.bios === "ovmf" && config.efidisk0 === undefined)
    draft.left.push("it starts by UEFI without a volume for its variables");
  tellCommon(draft, guest);
  tellCloudInit(draft);
  tellOthers(draft, SAID);
  return words;
}

function processor(draft: GuestDraft): Pick<MachineWords, "cores" | "sockets" | "cpuType"> {
  const { config } = draft;
  const perSocket = Math.max(1, wholeNumber(config.cores) ?? 1);
  const sockets = Math.max(1, wholeNumber(config.sockets) ?? 1);
  const cores = perSocket * sockets;
  const vcpus = wholeNumber(config.vcpus);
  if (sockets > MOST_SOCKETS)
    draft.keep("cpu", `it has ${sockets} sockets, more than the ${MOST_SOCKETS} of a specification`);
  if (vcpus !== undefined && vcpus !== cores)
    draft.keep("cpu", `it starts with ${vcpus} of its ${cores} cores (vcpus)`);
  const cpu = parseOptions(config.cpu ?? "", "cputype");
  const type = cpu.get("cputype") ?? DEFAULT_CPU;
  const others = [...cpu.keys()].filter((key) => key !== "cputype");
  if (others.length > 0) draft.left.push(`its processor has options without a word: ${others.join(", ")}`);
  return {
    cores,
    ...(sockets > 1 && sockets <= MOST_SOCKETS && { sockets }),
    ...(type !== WORDS_CPU && { cpuType: type }),
  };
}

function memory(draft: GuestDraft): number {
  const gib = memoryGiB(draft);
  const least = wholeNumber(draft.config.balloon);
  if (least === 0) draft.left.push("its memory has no balloon: it never gives any back");
  else if (least !== undefined && least / 1024 < gib)
    draft.left.push(`its memory may shrink to ${least} MiB (balloon); it is planned with all of it`);
  return gib;
}

function system(draft: GuestDraft): VirtualMachineSpecInput["os"] {
  const { ostype } = draft.config;
  if (ostype === "l26" || ostype === "l24") return "linux";
  if (ostype === "win11") return "windows-11";
  if (ostype === "win10") return "windows-10";
  if (ostype !== undefined && ostype !== "other") draft.left.push(`its system is ${ostype}, which has no word`);
  return "other";
}

function hasAgent(text: string | undefined): boolean {
  return flag(parseOptions(text ?? "", "enabled").get("enabled"));
}

/** Cloud-init keeps what it was told; values, which may be secrets, are not repeated. */
function tellCloudInit({ config, left }: GuestDraft): void {
  const keys = Object.keys(config).filter((key) => /^(ci\w+|sshkeys)$/.test(key));
  if (keys.length > 0) left.push(`${counted(keys.length, "cloud-init setting")} (${keys.sort().join(", ")})`);
}
