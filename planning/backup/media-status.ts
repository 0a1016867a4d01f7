/** What was recorded of swaps, compared with the rotation: what is due, what is late, how old the media are. */
import { formatDuration } from "../units";
import { acceptedAt, attachedAt, type MediaSet, type Rotation, type Turn } from "./rotation";

/** A swap as it was really made. */
export interface SwapRecord {
  /** Epoch seconds. */
  at: number;
  medium: string;
  action: "attached" | "detached";
  /** Who did it. */
  by: string;
}

/**
 * `right`: the medium whose turn it is; `due`: another one, within the time of grace; `overdue`: the swap is later than
 * that; `wrong`: a medium that was attached out of its turn.
 */
export type MediaState = "right" | "due" | "overdue" | "wrong";

export interface MediumStatus {
  medium: string;
  set: string;
  where: "attached" | "shelf" | "off-site" | "never recorded";
  /** When it got there. */
  since?: number;
}

export interface MediumAge {
  medium: string;
  /** Since its last detachment, up to which it was written. */
  seconds: number;
}

export interface MediaStatus {
  state: MediaState;
  /** As recorded; undefined when nothing is attached. */
  attached?: string;
  turn: Turn;
  /** How long the swap has been due. */
  lateSeconds: number;
  /** In the order of the rotation. */
  media: MediumStatus[];
  /** The newest medium that is not attached: with its age as the site's worst-case loss as of now. */
  offline?: MediumAge;
  /** The newest medium off site. */
  offSite?: MediumAge;
  /** One sentence with what to do. */
  text: string;
}

/** @param records In any order. Attaching a medium detaches the one before it, recorded or not. */
export function mediaStatus(rotation: Rotation, records: readonly SwapRecord[], now: number): MediaStatus {
  const past = records.filter(({ at }) => at <= now).toSorted((one, other) => one.at - other.at);
  const { attached, since, detached } = replay(past);
  const turn = attachedAt(rotation, now);
  const { state, lateSeconds } = judge(rotation, turn, attached, since, now);
  const media = rotation.sets.flatMap((set) =>
    set.media.map((medium) => mediumStatus(medium, set, medium === attached ? since : undefined, detached.get(medium))),
  );
  const offline = newest(media, now, () => true);
  const offSite = newest(media, now, ({ where }) => where === "off-site");
  return {
    state,
    ...(attached !== undefined && { attached }),
    turn,
    lateSeconds,
    media,
    ...(offline && { offline }),
    ...(offSite && { offSite }),
    text: inWords(rotation, state, turn, attached, lateSeconds),
  };
}

interface Replayed {
  attached?: string;
  since: number;
  /** Last detachment of the media that are not attached. */
  detached: Map<string, number>;
}

function replay(records: readonly SwapRecord[]): Replayed {
  const now: Replayed = { since: 0, detached: new Map() };
  for (const { at, medium, action } of records) {
    if (now.attached !== undefined && (action === "attached" || medium === now.attached)) {
      // The same medium reported twice has been there all along.
      if (action === "attached" && medium === now.attached) continue;
      now.detached.set(now.attached, at);
      delete now.attached;
    }
    if (action === "attached") {
      now.attached = medium;
      now.since = at;
      now.detached.delete(medium);
    } else if (!now.detached.has(medium)) {
      // Nobody recorded that it was attached: what it holds is not newer than this.
      now.detached.set(medium, at);
    }
  }
  return now;
}

function judge(
  rotation: Rotation,
  turn: Turn,
  attached: string | undefined,
  since: number,
  now: number,
): { state: MediaState; lateSeconds: number } {
  if (attached === turn.medium) return { state: "right", lateSeconds: 0 };
  if (attached !== undefined && attached !== turn.before && !acceptedAt(rotation, since).includes(attached))
    return { state: "wrong", lateSeconds: now - Math.max(turn.since, since) };
  const dueSince = attached === undefined ? turn.since : endOfTurn(rotation, attached, since, turn);
  const lateSeconds = Math.max(0, now - dueSince);
  return { state: lateSeconds < rotation.graceSeconds ? "due" : "overdue", lateSeconds };
}

/** When the medium that was attached at an instant should have been swapped for the next one. */
function endOfTurn(rotation: Rotation, attached: string, since: number, current: Turn): number {
  const own = attachedAt(rotation, since);
  if (own.medium === attached) return Math.min(own.until, current.since);
  return own.before === attached ? own.since : current.since;
}

function mediumStatus(
  medium: string,
  { name, offSite }: MediaSet,
  attachedSince: number | undefined,
  detachedAt: number | undefined,
): MediumStatus {
  if (attachedSince !== undefined) return { medium, set: name, where: "attached", since: attachedSince };
  if (detachedAt === undefined) return { medium, set: name, where: "never recorded" };
  return { medium, set: name, where: offSite === true ? "off-site" : "shelf", since: detachedAt };
}

function newest(
  media: readonly MediumStatus[],
  now: number,
  counts: (medium: MediumStatus) => boolean,
): MediumAge | undefined {
  let found: MediumAge | undefined;
  for (const medium of media) {
    if (medium.since === undefined || medium.where === "attached" || !counts(medium)) continue;
    const seconds = now - medium.since;
    if (found === undefined || seconds < found.seconds) found = { medium: medium.medium, seconds };
  }
  return found;
}

function inWords(
  rotation: Rotation,
  state: MediaState,
  turn: Turn,
  attached: string | undefined,
  lateSeconds: number,
): string {
  const until = Number.isFinite(turn.until) ? ` until ${isoMinute(turn.until)}` : "";
  if (state === "right") return `${turn.medium} is attached, as it should be${until}.`;
  const owner = rotation.sets.find(({ media }) => media.includes(attached ?? ""));
  const away = owner?.offSite === true ? "off site" : "to the shelf";
  const todo = attached === undefined ? "" : `, take ${attached} ${owner === undefined ? "away" : away}`;
  const found = attached === undefined ? "no medium is attached" : `${attached} is`;
  const late = lateSeconds > 0 ? ` (${formatDuration(lateSeconds)} ago)` : "";
  const urgency = { due: "due", overdue: "overdue", wrong: "the wrong medium" }[state];
  return `${urgency}: ${turn.medium} should be attached since ${isoMinute(turn.since)}${late}, and ${found}. Attach ${turn.medium}${todo}.`;
}

function isoMinute(epoch: number): string {
  return `${new Date(epoch * 1000).toISOString().slice(0, 16)}Z`;
}
