/** What is on the servers under the two standby ids, and whether it is ours to touch. */
import type { StandbyPlan } from "../planning/standby";
import { about } from "./about";
import type { PveClient } from "./pve/client";
import { PveError } from "./pve/errors";
import type { GuestConfig, GuestRow } from "./pve/types";

/** What a standby is made from and how it is told from other guests. Plain values, no engine. */
export type StandbySpec = Omit<StandbyPlan, "active">;

/** What tells a standby from other guests: enough to find it, not to make it. */
export type StandbyIdentity = Pick<StandbySpec, "guest" | "vmid" | "kind" | "node" | "standbyIds" | "tags">;

/** A guest that was found under one of the standby ids. */
export interface FoundStandby {
  vmid: number;
  node: string;
  kind: "qemu" | "lxc";
  name: string;
  running: boolean;
  /** Made from a backup of this guest, or called like its standby: it may be labelled. */
  ours: boolean;
  /**
   * May be destroyed when it is off: ours with every tag of ours, or the empty shell that PVE leaves on the spare when a
   * restore breaks ('state is NOT cleaned up'): without name, tags, notes and disks it holds nothing of anybody.
   */
  expendable: boolean;
  /** Present once the restore was checked. */
  recovery?: RecoveryPoint;
  config: GuestConfig;
}

/** From which backup a standby was made. */
export interface RecoveryPoint {
  /** ISO 8601, UTC. */
  time: string;
  volid: string;
}

const RECOVERY_LINE = /^Recovery point: (\S+) from (\S+)\s*$/m;

/** Name of the standby on its server. */
export function standbyName(guest: string): string {
  return `${guest}-spare`;
}

/** Notes of a checked standby: the given ones and, as the last line, the recovery point, which is read back from there. */
export function notesWith(notes: string, recovery: RecoveryPoint): string {
  const text = notes.trimEnd();
  return `${text}${text === "" ? "" : "\n\n"}Recovery point: ${recovery.time} from ${recovery.volid}`;
}

/** The notes without our line. */
export function notesWithout(description: string | undefined): string {
  return (description ?? "").replace(RECOVERY_LINE, "").trimEnd();
}

/** The recovery point in a guest's notes. */
export function recoveryIn(description: string | undefined): RecoveryPoint | undefined {
  const match = description?.match(RECOVERY_LINE);
  return match ? { time: match[1]!, volid: match[2]! } : undefined;
}

/** Tags as PVE keeps them: small letters, sorted, each once. */
export function normalTags(tags: readonly string[] | string | undefined): string[] {
  const list = typeof tags === "string" ? tags.split(/[;, ]+/) : (tags ?? []);
  return [...new Set(list.map((tag) => tag.toLowerCase()).filter((tag) => tag !== ""))].sort();
}

/** `startup` of PVE for the given order and delay; `undefined` when none is given. */
export function startupOf(spec: Pick<StandbySpec, "bootOrder" | "bootDelaySeconds">): string | undefined {
  if (spec.bootOrder === undefined) return undefined;
  return spec.bootDelaySeconds === undefined
    ? `order=${spec.bootOrder}`
    : `order=${spec.bootOrder},up=${spec.bootDelaySeconds}`;
}

/**
 * The standbys that exist, on whichever server, in the order of `standbyIds`. Ids and tags that the standby had before a
 * change of the program are looked for as well.
 */
export async function findStandbys(
  pve: PveClient,
  spec: StandbyIdentity,
  former: { ids?: readonly number[]; tags?: readonly string[] } = {},
): Promise<FoundStandby[]> {
  const ids = new Set([...spec.standbyIds, ...(former.ids ?? [])]);
  const rows = await pve.get<GuestRow[]>("/cluster/resources", { type: "vm" }, about("look for the standby of", spec));
  const found: FoundStandby[] = [];
  for (const id of ids) {
    const row = rows.find((each) => each.vmid === id);
    const standby = row && (await inspect(pve, spec, row, [spec.tags, former.tags ?? spec.tags]));
    if (standby) found.push(standby);
  }
  return found;
}

async function inspect(
  pve: PveClient,
  spec: StandbyIdentity,
  row: GuestRow,
  tagSets: readonly (readonly string[])[],
): Promise<FoundStandby | undefined> {
  const path = `/nodes/${row.node}/${row.type}/${row.vmid}`;
  const asked = about(`read standby ${row.vmid} of`, spec);
  let config: GuestConfig;
  let status: { status: string };
  try {
    config = await pve.get<GuestConfig>(`${path}/config`, {}, asked);
    // The list is refreshed every few seconds only; whether a guest runs is asked where it is known.
    status = await pve.get<{ status: string }>(`${path}/status/current`, {}, asked);
  } catch (error) {
    // The list still shows guests that are gone.
    if (error instanceof PveError && error.isMissing) return undefined;
    throw error;
  }
  const name = config.name ?? config.hostname ?? "";
  const tags = normalTags(config.tags);
  const recovery = recoveryIn(config.description);
  const shell = row.node === spec.node && row.type === spec.kind && isShell(config);
  const ours = row.type === spec.kind && (name === standbyName(spec.guest) || namesBackupOf(config.description, spec));
  return {
    vmid: row.vmid,
    node: row.node,
    kind: row.type,
    name,
    running: status.status !== "stopped",
    ours,
    expendable:
      shell || (ours && tagSets.some((set) => set.length > 0 && normalTags(set).every((tag) => tags.includes(tag)))),
    ...(recovery === undefined ? {} : { recovery }),
    config,
  };
}

const DISK_KEY = /^(scsi|virtio|sata|ide|efidisk|tpmstate|mp)\d+$|^rootfs$/;

/** Volume ids of a guest's disks, without drives for media. */
export function disksOf(config: GuestConfig): string[] {
  return Object.entries(config)
    .filter(([key, value]) => DISK_KEY.test(key) && typeof value === "string" && !/media=cdrom|^none/.test(value))
    .map(([, value]) => (value as string).split(",")[0]!)
    .filter((volume) => volume.includes(":"));
}

function isShell(config: GuestConfig): boolean {
  const { name, hostname, tags, description } = config;
  // A detached disk (unused0) is destroyed together with its guest.
  const detached = Object.keys(config).some((key) => /^unused\d+$/.test(key));
  return [name, hostname, tags, description].every((text) => !text) && disksOf(config).length === 0 && !detached;
}

/** Whether notes of ours name a backup of this very guest (`vzdump-qemu-110-…`, or `vm/110/…` on a backup server). */
function namesBackupOf(description: string | undefined, { kind, vmid }: StandbyIdentity): boolean {
  const volid = description?.match(/(?:Recovery point: \S+|Restored) from (\S+)/)?.[1] ?? "";
  return volid.includes(`vzdump-${kind}-${vmid}-`) || volid.includes(`/${kind === "qemu" ? "vm" : "ct"}/${vmid}/`);
}

/** The newest good standby: checked, not locked, not running. */
export function newestOf(found: readonly FoundStandby[]): FoundStandby | undefined {
  return found
    .filter((each) => each.ours && each.recovery !== undefined && each.config.lock === undefined)
    .reduce<FoundStandby | undefined>(
      (best, each) => (best && best.recovery!.time >= each.recovery!.time ? best : each),
      undefined,
    );
}

/** @throws PveError when a standby runs: it is the active side and is not ours to touch */
export function refuseRunning(found: readonly FoundStandby[], spec: StandbyIdentity, doing: string): void {
  const running = found.find((each) => each.running);
  if (!running) return;
  throw new PveError({
    ...about(doing, spec),
    server: running.node,
    call: `GET /nodes/${running.node}/${running.kind}/${running.vmid}/status/current`,
    status: 409,
    reason: `guest ${running.vmid} '${running.name}' runs on ${running.node}: it is the active side and is left alone`,
    fix: `if '${spec.guest}' was failed over, fail back or commit first; if it was started by mistake, shut it down on ${running.node} and run this again`,
  });
}

/** @throws PveError when the guest under a standby id was not made by us: it may be anybody's */
export function refuseForeign(standby: FoundStandby, spec: StandbyIdentity, doing: string): void {
  if (standby.expendable) return;
  const command = standby.kind === "qemu" ? "qm" : "pct";
  const unlock = standby.config.lock === undefined ? "" : `${command} unlock ${standby.vmid} && `;
  const tags = normalTags(standby.config.tags).join(", ") || "none";
  throw new PveError({
    ...about(doing, spec),
    server: standby.node,
    call: `GET /nodes/${standby.node}/${standby.kind}/${standby.vmid}/config`,
    status: 409,
    reason: `guest id ${standby.vmid} is taken by '${standby.name}' (tags: ${tags}), which is not known as a standby of this guest`,
    fix:
      `give the guest other standbyIds, or, if '${standby.name}' may go, remove it on ${standby.node}: ` +
      `\`${unlock}${command} destroy ${standby.vmid}\``,
  });
}
