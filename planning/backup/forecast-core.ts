/**
 * Space on one target over the next months, by simulating its retention.
 *
 * The model. Of a subject's blocks each is changed in a day with the probability `dailyChange`, independent of the others
 * and of the days before; in d days a share 1 - (1 - dailyChange)^d has changed. A target that stores differences (pbs,
 * restic, zfs) holds the first full and, between each two neighbouring copies that remain, the blocks that changed
 * between them: removing a copy frees what no other copy refers to, which is what was changed on both of its sides.
 * Real changes come back to the same blocks more often, so that old copies take less than this. `vzdump` stores fulls.
 *
 * Left out: growth of the data, the index of a repository, and the day that Proxmox Backup Server's garbage collection
 * waits before it gives space back. Before anything is removed the new copy is there, so the peak counts it.
 */
import { CALENDAR_EXAMPLES, parseCalendarEvent } from "../calendar";
import { type KeptHistory, keptHistory } from "./kept-history";
import { zoneOf } from "./local-time";
import type { DataRatio } from "./ratios";
import { KEEP_RULES, type Keep, keepsNothing, type RetentionRule } from "./retention";

export interface ForecastSubject {
  name: string;
  /** What lies there, uncompressed. */
  usedGiB: number;
  ratio: DataRatio;
  /** Calendar event. */
  schedule: string;
  keep: Keep;
}

export interface ForecastInput {
  rule: RetentionRule;
  subjects: readonly ForecastSubject[];
  /** Epoch seconds: the target is empty. */
  from: number;
  /** Default: 12 */
  months?: number;
  /** Default: UTC */
  timeZone?: string;
  /** What may be filled: size times fill limit, or a quota. Default: nothing is said about fitting. */
  limitGiB?: number;
  /** Copies that the storage below keeps of each byte. Default: 1 */
  storedCopies?: number;
  /** The way to the target in Mbit/s. */
  linkMbps?: number;
}

export interface ForecastTransfer {
  /** All first fulls, one after another. */
  firstFullSeconds: number;
  /** The most that has to travel for one instant of the schedules afterwards. */
  largestRunSeconds: number;
  /** The largest subject, back from the target; undefined without subjects. */
  restoreLargest?: { subject: string; seconds: number };
  /** All subjects, one after another. */
  restoreAllSeconds: number;
}

export interface Forecast {
  /** At the end of each month, in GiB. */
  months: number[];
  peakGiB: number;
  /** Epoch seconds of the run after which the peak is reached; undefined when nothing runs. */
  peakAt?: number;
  /** Epoch seconds of the run that goes beyond the limit; undefined if none does. */
  fillsAt?: number;
  /** Copies of all subjects at the end. */
  copies: number;
  transfer?: ForecastTransfer;
}

const DAY = 86_400;
const MBIT_PER_GIB = 8589.934592;

/** What a subject takes on a target with its first copy, in GiB. */
export function firstFullGiB({ usedGiB, ratio }: ForecastSubject, rule: RetentionRule): number {
  const shared = rule === "pbs" || rule === "restic" ? ratio.deduplication : 1;
  return usedGiB * ratio.compression * shared;
}

/**
 * Simulates a target. Subjects that share schedule and retention are simulated together.
 * @throws Error for a schedule that is no calendar event
 */
export function simulateTarget(input: ForecastInput): Forecast {
  const ends = monthEnds(input.from, input.months ?? 12, input.timeZone ?? "UTC");
  const to = ends.at(-1) ?? input.from;
  const groups = groupsOf(input).map(({ keep, schedule, subjects }) => {
    const history = keptHistory(eventOf(schedule), keep, input.rule, input.from, to, input.timeZone ?? "UTC");
    return { history, ...spaceOf(history, subjects, input.rule), subjects: subjects.length };
  });
  const space = addUp(groups, ends, input.storedCopies ?? 1, input.limitGiB);
  const copies = groups.reduce((sum, { history, subjects }) => sum + (history.left.at(-1) ?? 0) * subjects, 0);
  return {
    ...space.forecast,
    copies,
    ...(input.linkMbps !== undefined && { transfer: transferOf(input, space.largestRunGiB, input.linkMbps) }),
  };
}

interface Group {
  schedule: string;
  keep: Keep;
  subjects: ForecastSubject[];
}

function groupsOf({ subjects }: ForecastInput): Group[] {
  const groups = new Map<string, Group>();
  for (const subject of subjects) {
    const { schedule, keep } = subject;
    const key = `${schedule}\n${KEEP_RULES.map((rule) => keep[rule] ?? 0).join()}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { schedule, keep, subjects: [subject] });
    else group.subjects.push(subject);
  }
  return [...groups.values()];
}

function eventOf(schedule: string) {
  const { event, problem } = parseCalendarEvent(schedule);
  if (event === undefined) throw new Error(`schedule '${schedule}': ${problem}. Examples: ${CALENDAR_EXAMPLES}`);
  return event;
}

/** GiB of all subjects of a history: with the new copy, after removal, and what travels. One entry per run. */
interface GroupSpace {
  made: Float64Array;
  left: Float64Array;
  sent: Float64Array;
}

function spaceOf(history: KeptHistory, subjects: readonly ForecastSubject[], rule: RetentionRule): GroupSpace {
  const empty = () => new Float64Array(history.at.length);
  const space: GroupSpace = { made: empty(), left: empty(), sent: empty() };
  const sizes = new Map<number, number>();
  for (const subject of subjects) {
    // Fulls do not depend on changes: all in one.
    const change = rule === "vzdump" ? 1 : subject.ratio.dailyChange;
    sizes.set(change, (sizes.get(change) ?? 0) + firstFullGiB(subject, rule));
  }
  for (const [change, size] of sizes)
    if (rule === "vzdump") addFulls(space, history, size);
    else addChanges(space, history, size, change);
  return space;
}

function addFulls(space: GroupSpace, { made, left, gap }: KeptHistory, size: number): void {
  for (let run = 0; run < made.length; run++) {
    space.made[run]! += made[run]! * size;
    space.left[run]! += left[run]! * size;
    if (gap[run] !== -1) space.sent[run]! += size;
  }
}

function addChanges(space: GroupSpace, history: KeptHistory, size: number, dailyChange: number): void {
  const { gap, changes, changesEnd } = history;
  const changed = Float64Array.from(history.spans, (seconds) => size * (1 - (1 - dailyChange) ** (seconds / DAY)));
  let held = 0;
  let change = 0;
  for (let run = 0; run < gap.length; run++) {
    const span = gap[run]!;
    if (span === -1) held += size;
    else {
      held += changed[span]!;
      space.sent[run]! += changed[span]!;
    }
    space.made[run]! += held;
    for (; change < changesEnd[run]!; change++) {
      const number = changes[change]!;
      held += number < 0 ? -changed[-1 - number]! : changed[number]!;
    }
    space.left[run]! += held;
  }
}

/** All groups on one axis of time. Runs of the same instant are made before any of them removes. */
function addUp(
  groups: readonly ({ history: KeptHistory } & GroupSpace)[],
  ends: readonly number[],
  storedCopies: number,
  limitGiB = Number.POSITIVE_INFINITY,
): { forecast: Omit<Forecast, "copies" | "transfer">; largestRunGiB: number } {
  const runs = groups.flatMap(({ history }, group) => history.at.map((at, index) => ({ at, group, index })));
  if (groups.length > 1) runs.sort((one, other) => one.at - other.at);
  const held = new Float64Array(groups.length);
  const forecast: Omit<Forecast, "copies" | "transfer"> = { months: [], peakGiB: 0 };
  let total = 0;
  let largestRunGiB = 0;
  for (let first = 0, last = 0; first < runs.length; first = last) {
    const { at } = runs[first]!;
    while (forecast.months.length < ends.length && ends[forecast.months.length]! <= at) forecast.months.push(total);
    let sent = 0;
    for (last = first; last < runs.length && runs[last]!.at === at; last++) {
      const { group, index } = runs[last]!;
      total += groups[group]!.made[index]! * storedCopies - held[group]!;
      sent += groups[group]!.sent[index]!;
    }
    largestRunGiB = Math.max(largestRunGiB, sent);
    if (total > forecast.peakGiB) {
      forecast.peakGiB = total;
      forecast.peakAt = at;
    }
    if (total > limitGiB && forecast.fillsAt === undefined) forecast.fillsAt = at;
    for (let run = first; run < last; run++) {
      const { group, index } = runs[run]!;
      held[group] = groups[group]!.left[index]! * storedCopies;
    }
    // Summed anew: differences of a year would add up their rounding.
    total = held.reduce((sum, gib) => sum + gib, 0);
  }
  while (forecast.months.length < ends.length) forecast.months.push(total);
  return { forecast, largestRunGiB };
}

/** The same day and time of each following month, on the wall; the month's last day where it has no such day. */
function monthEnds(from: number, months: number, timeZone: string): number[] {
  const { offset } = zoneOf(timeZone);
  const start = new Date((from + offset(from)) * 1000);
  return Array.from({ length: months }, (_, index) => {
    const year = start.getUTCFullYear();
    const month = start.getUTCMonth() + index + 1;
    const day = Math.min(start.getUTCDate(), new Date(Date.UTC(year, month + 1, 0)).getUTCDate());
    const wall = Date.UTC(year, month, day) / 1000 + ((((from + offset(from)) % DAY) + DAY) % DAY);
    return wall - offset(wall - offset(wall));
  });
}

function transferOf({ rule, subjects }: ForecastInput, largestRunGiB: number, linkMbps: number): ForecastTransfer {
  const seconds = (gib: number) => (gib * MBIT_PER_GIB) / linkMbps;
  // What is shared is stored once, but a restore reads it for each.
  const full = ({ usedGiB, ratio }: ForecastSubject) => usedGiB * ratio.compression;
  const sum = (size: (subject: ForecastSubject) => number) =>
    subjects.reduce((total, subject) => total + size(subject), 0);
  const largest = subjects.reduce<ForecastSubject | undefined>(
    (found, subject) => (found === undefined || full(subject) > full(found) ? subject : found),
    undefined,
  );
  return {
    firstFullSeconds: seconds(sum((subject) => firstFullGiB(subject, rule))),
    largestRunSeconds: seconds(largestRunGiB),
    ...(largest && { restoreLargest: { subject: largest.name, seconds: seconds(full(largest)) } }),
    restoreAllSeconds: seconds(sum(full)),
  };
}

/** A retention times a factor: rounded down, and never less than 1 of a rule that is used. */
export function scaledKeep(keep: Keep, factor: number): Keep {
  const scaled: Keep = {};
  for (const rule of KEEP_RULES) {
    const count = keep[rule] ?? 0;
    if (count > 0) scaled[rule] = Math.max(1, Math.floor(count * factor + 1e-9));
  }
  return scaled;
}

export interface LargestKeep {
  /** Of the given retention: 2 is twice as many of each rule. At most 8, which stands for 'as much as you like'. */
  factor: number;
  /** What the subjects' retentions become, one for each different one. */
  keeps: { given: Keep; largest: Keep }[];
}

const LARGEST_FACTOR = 8;
/** Steps of the factor in which the search ends. */
const FACTOR_STEP = 1 / 16;

/**
 * The largest retention that fits: all retentions of the target times one factor, found by bisection. What is returned
 * was simulated and fits. With the rules of Proxmox Backup Server a still larger one may fit as well, as there a longer
 * retention sometimes takes less space: what one rule covers another does not keep.
 * @returns undefined when not even one copy of each rule fits, or nothing limits the target
 */
export function largestKeep(input: ForecastInput): LargestKeep | undefined {
  if (input.limitGiB === undefined || input.subjects.every(({ keep }) => keepsNothing(keep))) return undefined;
  const fits = (step: number) => {
    const subjects = input.subjects.map((subject) => ({
      ...subject,
      keep: scaledKeep(subject.keep, step * FACTOR_STEP),
    }));
    return simulateTarget({ ...input, subjects }).fillsAt === undefined;
  };
  let low = 0;
  let high = LARGEST_FACTOR / FACTOR_STEP + 1;
  if (!fits(low)) return undefined;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle;
  }
  const factor = low * FACTOR_STEP;
  const given = new Map(input.subjects.map(({ keep }) => [JSON.stringify(scaledKeep(keep, 1)), keep]));
  return { factor, keeps: [...given.values()].map((keep) => ({ given: keep, largest: scaledKeep(keep, factor) })) };
}
