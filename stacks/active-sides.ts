/**
 * Where guests really are active, against what the stack's config records. Commands move guests, the config only records it:
 * a reverted commit or a stale checkout must never move one, so a difference stops the preview.
 */
import { activeMismatch, type Finding, type GuestPlan, type Side, switchUnderWay } from "../planning";

/** A guest as `/cluster/resources` lists it. */
export interface GuestRow {
  vmid: number;
  node: string;
  status?: string;
  tags?: string;
}

/** What one voter holds of a guest: the server that may run it, or `-` for nobody. */
export interface VoterRecord {
  voter: string;
  epoch: number;
  server: string;
}

/** Reads what voters hold, by guest. A voter that does not answer, or has no guard yet, is left out. */
export type ReadRecords = (guests: readonly GuestPlan[]) => Promise<Record<string, VoterRecord[]>>;

/** Findings about guests that are active on another side than recorded. A guest that does not exist yet is on none. */
export function compareActiveSides(
  guests: readonly GuestPlan[],
  rows: readonly GuestRow[],
  records: Readonly<Record<string, readonly VoterRecord[]>>,
  votersOf: (guest: GuestPlan) => readonly string[],
): Finding[] {
  return guests.flatMap((guest) => {
    if (guest.spare === undefined || guest.spare === guest.primary) return [];
    const seen = seenSide(guest, rows);
    if (seen !== undefined && seen.side !== guest.activeSide)
      return [activeMismatch(guest.name, guest.activeSide, { ...seen, server: serverOf(guest, seen.side) })];
    const exists = rows.some(({ vmid }) => idsOf(guest).includes(vmid));
    const record = exists ? agreedRecord(records[guest.name] ?? [], votersOf(guest).length) : undefined;
    return record === undefined ? [] : recordFindings(guest, record);
  });
}

function recordFindings(guest: GuestPlan, { server, voters }: AgreedRecord): Finding[] {
  if (server === "-") return [switchUnderWay(guest.name, voters)];
  const side = server === guest.primary ? "primary" : server === guest.spare ? "spare" : undefined;
  if (side === undefined || side === guest.activeSide) return [];
  return [activeMismatch(guest.name, guest.activeSide, { side, server, because: `so say ${voters.join(" and ")}` })];
}

function serverOf(guest: GuestPlan, side: Side): string {
  return side === "primary" ? guest.primary : (guest.spare ?? guest.primary);
}

function idsOf({ id, replica }: GuestPlan): number[] {
  return [id, ...(replica?.standbyIds ?? [])];
}

/** The side that the hypervisors show; undefined where they show neither. Containers are a finding of their own. */
function seenSide(guest: GuestPlan, rows: readonly GuestRow[]): { side: Side; because: string } | undefined {
  const { id, primary, spare, replica } = guest;
  if (replica?.method === "zfs-sync") return registeredSide(guest, rows);
  const own = rows.find(({ vmid }) => vmid === id);
  if (replica?.method !== "restore") {
    if (guest.kind === "container" || own === undefined) return undefined;
    const side = own.node === primary ? "primary" : own.node === spare ? "spare" : undefined;
    return side && { side, because: `guest ${id} is on ${own.node}` };
  }
  const standbys = rows.filter(
    ({ vmid, node, tags }) => replica.standbyIds?.includes(vmid) && node === spare && hasTag(tags, "coldspare"),
  );
  const running = standbys.find(({ status }) => status === "running");
  if (running !== undefined)
    return { side: "spare", because: `its standby, guest ${running.vmid}, runs on ${running.node}` };
  if (own?.status === "running" && own.node === primary)
    return { side: "primary", because: `guest ${id} runs on ${own.node}, and none of its standbys does` };
  // A failover marks the standby that it starts, which may be off for a moment.
  const marked = standbys.find(({ tags }) => hasTag(tags, "coldspare-active"));
  return (
    marked && { side: "spare", because: `its standby, guest ${marked.vmid} on ${marked.node}, is marked as active` }
  );
}

/** The same id on both servers: what runs says where, and else the mark that a failover leaves on the side that it starts. */
function registeredSide(
  { id, primary, spare }: GuestPlan,
  rows: readonly GuestRow[],
): { side: Side; because: string } | undefined {
  const at = (server: string | undefined) => rows.find(({ vmid, node }) => vmid === id && node === server);
  const [home, away] = [at(primary), at(spare)];
  if (away?.status === "running") return { side: "spare", because: `guest ${id} runs on ${spare}` };
  if (home?.status === "running") return { side: "primary", because: `guest ${id} runs on ${primary}` };
  return hasTag(away?.tags, "coldspare-active")
    ? { side: "spare", because: `guest ${id} on ${spare} is marked as active` }
    : undefined;
}

function hasTag(tags: string | undefined, wanted: string): boolean {
  return (tags ?? "").split(/[;, ]/).includes(wanted);
}

interface AgreedRecord {
  server: string;
  voters: string[];
}

/** What a majority of the voters holds; nothing while nobody has ever claimed the guest (epoch 0). */
function agreedRecord(records: readonly VoterRecord[], voters: number): AgreedRecord | undefined {
  for (const { epoch, server } of records) {
    const same = records.filter((each) => each.epoch === epoch && each.server === server);
    if (epoch > 0 && same.length >= Math.floor(voters / 2) + 1)
      return { server, voters: same.map(({ voter }) => voter).sort() };
  }
  return undefined;
}
