/** The configuration of a container (pct) in the words of a specification. */
import { type ContainerSpecInput, container as containerSchema } from "../schema";
import { list } from "../units";
import { readCards } from "./cards";
import { readContainerVolumes } from "./drives";
import { bootOf, memoryGiB, tellCommon, tellOthers } from "./guest-common";
import type { GuestDraft } from "./guest-draft";
import type { GuestSnapshot } from "./snapshot";
import { flag, parseOptions, wholeNumber } from "./words";

/** Of a container everything but its place, its networks and its replica. */
export type ContainerWords = Omit<ContainerSpecInput, "on" | "disks" | "networks" | "id" | "hostname" | "keep">;

const SYSTEMS = containerSchema.shape.os.options as readonly string[];
/** MiB that Proxmox VE takes where the configuration names none. */
const DEFAULT_SWAP = 512;

const SAID = /^(hostname|swap|unprivileged|features|rootfs|mp\d+|dev\d+|console|tty|cmode)$/;

/** Reads a container. @param serverCores Logical cores of its server: a container without a limit has them all. */
export function readContainer(draft: GuestDraft, guest: GuestSnapshot, serverCores: number): ContainerWords {
  const { config } = draft;
  readContainerVolumes(draft);
  readCards(draft, "container");
  const boot = bootOf(draft);
  const swap = wholeNumber(config.swap) ?? DEFAULT_SWAP;
  const words: ContainerWords = {
    kind: "container",
    cores: coresOf(draft, guest, serverCores),
    memoryGiB: memoryGiB(draft),
    os: system(draft),
    unprivileged: flag(config.unprivileged),
    ...features(draft),
    ...(swap !== DEFAULT_SWAP && { swapGiB: swap / 1024 }),
    ...(boot && { boot }),
    ...(flag(config.protection) && { protection: true }),
  };
  tellCommon(draft, guest);
  tellOthers(draft, SAID);
  return words;
}

function coresOf(draft: GuestDraft, { node }: GuestSnapshot, serverCores: number): number {
  const cores = wholeNumber(draft.config.cores);
  if (cores !== undefined && cores >= 1) return cores;
  draft.keep("cpu", `it may use every core of ${node} (no limit is set)`);
  return serverCores;
}

function system(draft: GuestDraft): ContainerSpecInput["os"] {
  const ostype = draft.config.ostype ?? "unmanaged";
  if (SYSTEMS.includes(ostype)) return ostype as ContainerSpecInput["os"];
  draft.left.push(`its system is ${ostype}, which has no word`);
  return "unmanaged";
}

function features(draft: GuestDraft): Pick<ContainerSpecInput, "nesting"> {
  const options = parseOptions(draft.config.features ?? "", "nesting");
  const others = [...options].filter(([key, value]) => key !== "nesting" && value !== "0").map(([key]) => key);
  if (others.length > 0) draft.left.push(`features without a word: ${list(others)}`);
  return flag(options.get("nesting")) ? { nesting: true } : {};
}
