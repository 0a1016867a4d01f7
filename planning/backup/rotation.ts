/**
 * Media rotation: which disk is attached when. One medium is attached at a time; the others lie on the shelf, or off
 * site. Each set has a calendar, and its media take turns in their order. What is recorded of real swaps is compared
 * with it in media-status.ts.
 */
import { CALENDAR_EXAMPLES, type CalendarEvent, parseCalendarEvent } from "../calendar";
import { formatDuration } from "../units";
import { nextRunIn } from "./local-time";

/** Media of one calendar. */
export interface MediaSet {
  name: string;
  /** Labels of the disks, in the order of their turns. */
  media: readonly string[];
  /** Calendar event at which the next medium of this set is attached: `mon 09:00`. */
  swap: string;
  /** They are carried out of the building when they are detached. Default: they lie on the shelf. */
  offSite?: boolean;
}

export interface Rotation {
  sets: readonly MediaSet[];
  /** How long a swap may be late. Old and new medium are both accepted meanwhile. */
  graceSeconds: number;
  timeZone: string;
  /** Epoch seconds: the first medium of the first set is attached from here. */
  start: number;
}

export interface Swap {
  /** Epoch seconds. */
  at: number;
  attach: string;
  /** Set of the medium to attach. */
  set: string;
  detach: string;
  /** Where the detached medium goes. */
  takeTo: "shelf" | "off-site";
}

/** The time in which one medium should be attached. */
export interface Turn {
  medium: string;
  set: string;
  since: number;
  /** When the next medium is due; Infinity when none ever is. */
  until: number;
  /** The medium before it; undefined for the first one. */
  before?: string;
}

/** What is wrong with a rotation, in words; undefined when it can be followed. */
export function rotationProblem({ sets }: Pick<Rotation, "sets">): string | undefined {
  const labels = sets.flatMap(({ media }) => media);
  const twice = labels.find((label, index) => labels.indexOf(label) !== index);
  if (twice !== undefined) return `medium ${twice} is in it twice: a disk has one place in one set`;
  if (labels.length < 2) return "it has fewer than two media: while the only one is attached, nothing is off line";
  for (const { name, media, swap } of sets) {
    if (media.length === 0) return `set ${name} has no medium`;
    const { problem } = parseCalendarEvent(swap);
    if (problem !== undefined) return `swap '${swap}' of set ${name}: ${problem}. Examples: ${CALENDAR_EXAMPLES}`;
  }
  const idle = sets.findIndex((set, index) => overriding(sets, set, index) !== undefined);
  if (idle === -1) return undefined;
  const other = overriding(sets, sets[idle]!, idle)!;
  return `set ${sets[idle]!.name} never gets its turn: set ${other.name} has the same calendar and goes before it`;
}

/** A later set with the same calendar, which is served in place of this one each time. */
function overriding(sets: readonly MediaSet[], { swap }: MediaSet, index: number): MediaSet | undefined {
  return sets.slice(index + 1).find((other) => other.swap.trim() === swap.trim());
}

interface Wheel {
  set: MediaSet;
  event: CalendarEvent;
  /** Index of the medium whose turn is next. */
  next: number;
  due: number | undefined;
}

function wheelsOf(rotation: Rotation): Wheel[] {
  const problem = rotationProblem(rotation);
  if (problem !== undefined) throw new Error(`The rotation cannot be followed: ${problem}`);
  return rotation.sets.map((set, index) => {
    const event = parseCalendarEvent(set.swap).event!;
    const first = index === 0 ? 1 % set.media.length : 0;
    return { set, event, next: first, due: nextRunIn(event, rotation.start, rotation.timeZone) };
  });
}

const YEAR = 366 * 86_400;
/** After so long without a swap none comes: one set of one medium overrides all others, or the calendars have ended. */
const STANDSTILL = 5 * YEAR;

/**
 * All swaps in order, without end unless the calendars name years. When two sets are due at the same instant, the one
 * that comes later in the list (the rarer one) is served; the other keeps its place and waits for its next turn.
 */
function* allSwaps(rotation: Rotation): Generator<Swap> {
  const wheels = wheelsOf(rotation);
  let attached = { medium: rotation.sets[0]!.media[0]!, set: rotation.sets[0]! };
  let last = rotation.start;
  for (;;) {
    const at = Math.min(...wheels.map(({ due }) => due ?? Number.POSITIVE_INFINITY));
    if (at - last > STANDSTILL) return;
    const served = wheels.findLast(({ due }) => due === at)!;
    for (const wheel of wheels) if (wheel.due === at) wheel.due = nextRunIn(wheel.event, at, rotation.timeZone);
    const { set, next } = served;
    served.next = (next + 1) % set.media.length;
    const medium = set.media[next]!;
    // The only medium of its set, still attached: nothing to carry.
    if (medium === attached.medium) continue;
    const takeTo = attached.set.offSite === true ? "off-site" : "shelf";
    yield { at, attach: medium, set: set.name, detach: attached.medium, takeTo };
    attached = { medium, set };
    last = at;
  }
}

/**
 * Swaps in `from <= at < to`.
 * @throws Error when the rotation has a problem (see rotationProblem)
 */
export function swaps(rotation: Rotation, from: number, to: number): Swap[] {
  const found: Swap[] = [];
  for (const swap of allSwaps(rotation)) {
    if (swap.at >= to) break;
    if (swap.at >= from) found.push(swap);
  }
  return found;
}

/** Which medium should be attached at an instant. Before the start it is the first one, too. */
export function attachedAt(rotation: Rotation, time: number): Turn {
  const [first] = rotation.sets;
  let turn: Turn = {
    medium: first?.media[0] ?? "",
    set: first?.name ?? "",
    since: rotation.start,
    until: Number.POSITIVE_INFINITY,
  };
  for (const swap of allSwaps(rotation)) {
    turn.until = swap.at;
    if (swap.at > time) return turn;
    turn = {
      medium: swap.attach,
      set: swap.set,
      since: swap.at,
      until: Number.POSITIVE_INFINITY,
      before: swap.detach,
    };
  }
  return turn;
}

/** Media that may be written: the one whose turn it is, and in the time of grace the one before it. */
export function acceptedAt(rotation: Rotation, time: number): string[] {
  const { medium, since, before } = attachedAt(rotation, time);
  return before !== undefined && time < since + rotation.graceSeconds ? [medium, before] : [medium];
}

export interface OfflineAge {
  /** Greatest age in seconds; Infinity when at some time there is no such medium. */
  seconds: number;
  /** When it is reached: just before this swap. */
  at: number;
}

export interface OfflineAges {
  /** Of the newest medium that is not attached: what is lost at worst with everything that is on line. */
  offline: OfflineAge;
  /** Of the newest medium off site: what is lost at worst with the building. Absent without a set off site. */
  offSite?: OfflineAge;
}

/**
 * The worst ages over a year of swaps on time. A medium is as old as its last detachment, as it is written up to then.
 * A year begins when the first medium is off line (off site), so that the first weeks do not count. A swap that is late
 * adds its delay, at most `graceSeconds` before it is reported.
 */
export function offlineAges(rotation: Rotation): OfflineAges {
  const hasOffSite = rotation.sets.some(({ offSite }) => offSite === true);
  const offline = worstAge(rotation, () => true);
  if (!hasOffSite) return { offline };
  return { offline, offSite: worstAge(rotation, ({ takeTo }) => takeTo === "off-site") };
}

function worstAge(rotation: Rotation, counts: (swap: Swap) => boolean): OfflineAge {
  /** Media that count and are away, with their detachment. */
  const away = new Map<string, number>();
  let worst: OfflineAge = { seconds: 0, at: rotation.start };
  let began: number | undefined;
  for (const swap of allSwaps(rotation)) {
    if (began === undefined && swap.at - rotation.start > STANDSTILL) break;
    const newest = away.size === 0 ? Number.NEGATIVE_INFINITY : Math.max(...away.values());
    if (began !== undefined && swap.at - newest > worst.seconds) worst = { seconds: swap.at - newest, at: swap.at };
    if (began !== undefined && swap.at > began + YEAR) return worst;
    away.delete(swap.attach);
    if (!counts(swap)) continue;
    away.set(swap.detach, swap.at);
    began ??= swap.at;
  }
  // The calendars end, or no such medium is ever detached.
  return { seconds: Number.POSITIVE_INFINITY, at: began ?? rotation.start };
}

export type WriteAnswer = { ok: true } | { ok: false; attach: string; refusal: string };

/** Whether a medium may be written now; if not, why, and which one is to be attached. */
export function mayWrite(rotation: Rotation, label: string, now: number): WriteAnswer {
  const turn = attachedAt(rotation, now);
  if (acceptedAt(rotation, now).includes(label)) return { ok: true };
  const owner = rotation.sets.find(({ media }) => media.includes(label));
  const since = new Date(turn.since * 1000).toISOString().slice(0, 16);
  const turnOf = `it is the turn of ${turn.medium} since ${since}Z (${formatDuration(now - turn.since)} ago)`;
  const refusal =
    owner === undefined
      ? `Medium '${label}' is none of this rotation: ${turnOf}. Attach ${turn.medium}; ${label} is left as it is.`
      : `Medium ${label} of set ${owner.name} is not written: ${turnOf}. Attach ${turn.medium}, take ${label} to the ${place(owner)}.`;
  return { ok: false, attach: turn.medium, refusal };
}

function place({ offSite }: MediaSet): string {
  return offSite === true ? "place off site" : "shelf";
}
