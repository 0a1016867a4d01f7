/** Which guests of a cluster can be said, and in which words; of the others the reason. */
import { type GuestSpecInput, guest as guestSchema } from "../schema";
import { list } from "../units";
import { type ContainerWords, readContainer } from "./container-config";
import { GuestDraft } from "./guest-draft";
import { providerLimit } from "./provider-limits";
import type { ServerInput } from "./servers";
import type { GuestSnapshot } from "./snapshot";
import type { SaidStorage } from "./storages";
import { type MachineWords, readMachine } from "./vm-config";
import { oneLine } from "./words";

/** A guest whose configuration could be read; its networks and its replica come later. */
export interface ReadGuest {
  title: string;
  words: MachineWords | ContainerWords;
  draft: GuestDraft;
}

/** What a guest is judged by. */
export interface GuestSurroundings {
  servers: Readonly<Record<string, ServerInput>>;
  /** Servers that are off. */
  off: ReadonlySet<string>;
  storages: ReadonlyMap<string, SaidStorage>;
}

/** The name on the hypervisor; Proxmox VE shows a guest without one as `VM 100` or `CT100`. */
export function titleOf({ type, vmid, name, config }: GuestSnapshot): string {
  const own = name ?? (type === "qemu" ? config?.name : config?.hostname);
  if (own !== undefined && own !== "") return own;
  return type === "qemu" ? `VM ${vmid}` : `CT${vmid}`;
}

/** Reads a guest, or says why it is not taken over and what to do. */
export function readGuest(guest: GuestSnapshot, around: GuestSurroundings): ReadGuest | { reason: string } {
  const reason = notTakenOver(guest, around);
  if (reason !== undefined) return { reason };
  const draft = new GuestDraft(guest.config ?? {}, storagesOf(guest.node, around.storages));
  const words =
    guest.type === "qemu"
      ? readMachine(draft, guest)
      : readContainer(draft, guest, around.servers[guest.node]?.cores ?? 1);
  keepPending(draft, guest);
  const [first] = draft.disks;
  if (first === undefined || (guest.type === "lxc" && first.interface !== "rootfs"))
    return { reason: withoutDisk(draft, first === undefined ? "disk" : "root file system") };
  const limit = providerLimit(guest);
  if (limit !== undefined) return { reason: limit };
  return { title: titleOf(guest), words, draft };
}

/** Disks lie on local storages of the guest's server or on shared ones that it mounts. */
function storagesOf(server: string, storages: ReadonlyMap<string, SaidStorage>): Set<string> {
  const seen = [...storages].filter(([, said]) => said.kind !== "pbs" && said.servers.has(server));
  return new Set(seen.map(([id]) => id));
}

function withoutDisk({ left }: GuestDraft, what: string): string {
  const why = left.filter((line) => line.includes("its disks stay"));
  const details = why.length === 0 ? "" : ` (${why.map((line) => line.split(": its disks stay")[0]).join("; ")})`;
  return `it has no ${what} that a specification can say${details}: give it one on a storage of the plan, or leave it to its server`;
}

function notTakenOver(guest: GuestSnapshot, { servers, off }: GuestSurroundings): string | undefined {
  const { vmid, type, node, template, lock, config, unreadable, tags } = guest;
  const tool = type === "qemu" ? "qm" : "pct";
  if (vmid < 100) return `its id ${vmid} is below 100, which Proxmox VE keeps for itself: give it another one`;
  if (off.has(node))
    return `its server ${node} is off, so its configuration cannot be read: import again when ${node} is back`;
  if (!Object.hasOwn(servers, node))
    return `its server ${node} is not in the specification: what it lacks stands beside its name`;
  if (template)
    return "it is a template, which never runs and needs no spare: it stays as it is, and a backup job can copy it";
  if (lock !== undefined)
    return `it is locked (${oneLine(lock)}), so something is at work on it: import again when that has ended; a lock that was left behind goes with '${tool} unlock ${vmid}'`;
  if (tags.some((tag) => COPIES.test(tag)))
    return "it is a copy that coldspare keeps of another guest, which a new site file would make twice: import with the specification of that site";
  if (config === undefined)
    return `its configuration could not be read${unreadable === undefined ? "" : ` (${oneLine(unreadable)})`}: mend that, and import again`;
  const waiting = guest.pending.filter((key) => /^(name|hostname|onboot|protection)$/.test(key));
  if (waiting.length > 0)
    return `a change of its ${list(waiting)} waits for its next start: restart it or take the change back, and import again`;
  return undefined;
}

/** Tags of guests that are no guests of their own. */
const COPIES = /^coldspare-(spare|restored|branch|drill)$/;

/** What a specification says of a part would be wrong after the guest's next start, or before it. */
function keepPending(draft: GuestDraft, { pending }: GuestSnapshot): void {
  const parts = [
    ["cpu", /^(cores|sockets|vcpus)$/],
    ["memory", /^memory$/],
    ["disks", /^((scsi|virtio|sata|ide|mp)\d+|rootfs)$/],
    ["networks", /^net\d+$/],
  ] as const;
  const rest = pending.filter((key) => !parts.some(([, keys]) => keys.test(key)));
  for (const [part, keys] of parts) {
    const waiting = pending.filter((key) => keys.test(key));
    if (waiting.length > 0) draft.keep(part, `a change of ${list(waiting)} waits for its next start`);
  }
  if (rest.length > 0) draft.left.push(`a change of ${list(rest)} waits for its next start`);
}

/** The guest as its section says it, or why the schema refuses it: never a part of one. */
export function checkedGuest(input: GuestSpecInput): { input: GuestSpecInput } | { reason: string } {
  const parsed = guestSchema.safeParse(input, { jitless: true });
  if (parsed.success) return { input };
  const [issue] = parsed.error.issues;
  const where = issue?.path.map(String).join(".") ?? "";
  return {
    reason: `its ${where || "configuration"} cannot be said (${oneLine(issue?.message ?? "it does not fit the schema")}): change it on the hypervisor, and import again`,
  };
}
