/**
 * Schedules of Proxmox VE and of its backup server prune by age alone: with the newest copies found to be broken they would remove
 * the last good one in time. So that one is protected, and let go again once a newer good one is there.
 */
import { PveError } from "../../providers/pve/errors";
import type { Operator } from "../context";
import { isGood, newestFirst, type Point } from "./copies";

/** Marks a protection of ours: another one is never lifted. */
const KEPT = "Kept by coldspare: every newer copy was found to be broken.";

export interface Keeping {
  point: Point;
  /** false: it need not be kept any longer. */
  protect: boolean;
}

/** What has to be protected, and what may be let go if its protection is ours. Pure. */
export function planLastGood(points: readonly Point[]): Keeping[] {
  const pruned = points.filter(({ kind }) => kind === "pbs" || kind === "vzdump").sort(newestFirst);
  const groups = new Map<string, Point[]>();
  for (const point of pruned) {
    const key = `${point.target} ${point.subject}`;
    groups.set(key, [...(groups.get(key) ?? []), point]);
  }
  return [...groups.values()].flatMap((copies) => {
    const lastGood = copies.find(isGood);
    const kept = lastGood === copies[0] ? undefined : lastGood;
    return copies.flatMap((point): Keeping[] => {
      if (point === kept) return point.protected ? [] : [{ point, protect: true }];
      return point.protected ? [{ point, protect: false }] : [];
    });
  });
}

/** One of them, carried out or not. */
export interface Kept extends Keeping {
  text: string;
  error?: string;
}

/** Carries it out. What is refused is told, and keeps nothing else back. */
export async function keepLastGood(operator: Operator, points: readonly Point[]): Promise<Kept[]> {
  const kept: Kept[] = [];
  for (const keeping of planLastGood(points)) {
    const done = await carryOut(operator, keeping);
    if (done !== undefined) kept.push(done);
  }
  return kept;
}

async function carryOut(operator: Operator, keeping: Keeping): Promise<Kept | undefined> {
  const { point, protect } = keeping;
  const { id, subject, servers } = point;
  const path = `/nodes/${servers[0] ?? ""}/storage/${id.split(":")[0]}/content/${encodeURIComponent(id)}`;
  try {
    // A list has the first line of the notes only.
    const { notes = "" } = await operator.pve.get<{ notes?: string }>(path, {}, { doing: `read the notes of ${id}` });
    if (!protect && !notes.includes(KEPT)) return undefined;
    const rest = notes.replace(KEPT, "").trimEnd();
    const marked = protect ? `${rest}${rest === "" ? "" : "\n"}${KEPT}` : rest;
    await operator.pve.put(path, { protected: protect, notes: marked }, { doing: `protect ${id}` });
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    const text = `${id} of ${subject} could not be ${protect ? "protected" : "let go"}: ${error.message}`;
    return { ...keeping, text, error: error.reason };
  }
  const text = protect
    ? `${id} is the last good copy of ${subject}: it is protected, and no schedule removes it`
    : `${id} is protected no longer: there is a newer good copy of ${subject}`;
  return { ...keeping, text };
}
