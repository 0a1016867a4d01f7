/** What may be deleted: retention, held back by what is known of the copies. */
import { byName, list } from "../units";
import { zoneOf } from "./local-time";
import { datedCopy, type Keep, type RetentionRule, reasonsToKeep } from "./retention";

/** A copy that can be restored. */
export interface PrunePoint {
  id: string;
  subject: string;
  /** Epoch seconds. */
  at: number;
  /** `ok` and `failed`: it was read back; `none`: not yet. */
  verified: "ok" | "failed" | "none";
}

export interface PruneDecision<P extends PrunePoint = PrunePoint> {
  point: P;
  delete: boolean;
  /** In words: the rules that keep it, the guard that does, or that nothing does. */
  why: string;
}

/**
 * Applies a retention to each subject, and never gives up its last good copy: the newest one that was verified stays,
 * whatever the rules say. As long as none was, the newest that is not known to be bad stays in its place.
 *
 * Bad copies count towards the rules, as the programs count them: this is what keeps a row of them from pushing the good
 * one out.
 * @returns subjects by name, newest point first
 */
export function protectedFromPrune<P extends PrunePoint>(
  points: readonly P[],
  keep: Keep,
  rule: RetentionRule,
  timeZone = "UTC",
): PruneDecision<P>[] {
  const subjects = new Map<string, P[]>();
  for (const point of points) {
    const others = subjects.get(point.subject);
    if (others === undefined) subjects.set(point.subject, [point]);
    else others.push(point);
  }
  return [...subjects]
    .sort(([one], [other]) => byName(one, other))
    .flatMap(([, own]) => decide(own, keep, rule, timeZone));
}

function decide<P extends PrunePoint>(
  points: readonly P[],
  keep: Keep,
  rule: RetentionRule,
  timeZone: string,
): PruneDecision<P>[] {
  const zone = zoneOf(timeZone);
  const sorted = points.toSorted((one, other) => other.at - one.at);
  const reasons = reasonsToKeep(
    sorted.map(({ at }) => datedCopy(at, zone)),
    keep,
    rule,
  );
  const good = lastGood(sorted);
  return sorted.map((point, index) => {
    const why = reasons[index] ?? [];
    if (why.length > 0) return { point, delete: false, why: `kept: ${list(why)}` };
    if (point === good) return { point, delete: false, why: whyGuarded(point) };
    return { point, delete: true, why: "no rule keeps it" };
  });
}

/** @param points Newest first. */
function lastGood<P extends PrunePoint>(points: readonly P[]): P | undefined {
  return points.find(({ verified }) => verified === "ok") ?? points.find(({ verified }) => verified !== "failed");
}

function whyGuarded({ subject, verified }: PrunePoint): string {
  return verified === "ok"
    ? `kept although no rule does: it is the newest copy of ${subject} that was verified`
    : `kept although no rule does: no copy of ${subject} was verified, and it is the newest that is not known to be bad`;
}

/** A copy on one of several media that are not attached at the same time. */
export interface MediumPoint extends PrunePoint {
  medium: string;
}

export interface MediumDecision<P extends MediumPoint = MediumPoint> extends PruneDecision<P> {
  /** No rule keeps it, but its medium is not attached: it goes when its turn comes. */
  waits: boolean;
}

/**
 * Retention over all media of a rotation together: a copy on the shelf counts as any other, so that `weekly 4` is four
 * weeks and not four on each disk. Deleted is on the attached medium only.
 */
export function retentionAcrossMedia<P extends MediumPoint>(
  points: readonly P[],
  keep: Keep,
  rule: RetentionRule,
  attached: string,
  timeZone = "UTC",
): MediumDecision<P>[] {
  return protectedFromPrune(points, keep, rule, timeZone).map((decision) => {
    const { medium } = decision.point;
    if (!decision.delete || medium === attached) return { ...decision, waits: false };
    return { ...decision, delete: false, waits: true, why: `no rule keeps it; ${medium} is not attached` };
  });
}
