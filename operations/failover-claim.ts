/**
 * The first half of a failover that nobody consented to: block the guests for everybody, fence the old side, give them to the
 * spare. In this order no crash, return or partition can make two sides run.
 */
import type { ManifestGuest } from "../planning/manifest";
import { list } from "../planning/units";
import { ClaimLost, lost, mergeReadings, requireHeld } from "./claims";
import type { Operator } from "./context";
import { noteTaken, type Taken } from "./failover-taken";
import { fence, looksAlive } from "./fencing";
import type { Operation } from "./journal";
import type { FailoverPlan } from "./plan-failover";
import type { Step } from "./steps";
import {
  blockingOf,
  type Claim,
  claimAt,
  claimText,
  highestEpoch,
  majorityOf,
  NOBODY,
  readVoters,
  recordsOf,
  type VoterReadings,
} from "./voters";

/** What a step hands to later ones within one run. Nothing that is not found again when the operation is resumed. */
export interface Course {
  /** The voters' answers to the block, with the seconds of their holds. */
  holds?: VoterReadings;
  /** Clock of this machine when the operation was begun or resumed. */
  began: number;
  /** Guests that somebody else was given meanwhile. */
  taken: Taken;
}

/** Blocks, fences, gives to the spare. */
export function claimSteps(
  operator: Operator,
  operation: Operation,
  plan: FailoverPlan,
  guests: readonly ManifestGuest[],
  course: Course,
): Step[] {
  return [
    stillOffStep(operator, operation, plan, guests),
    blockStep(operator, operation, plan, guests, course),
    fenceStep(operator, operation, plan, guests, course),
    assignStep(operator, operation, plan, guests, course),
  ];
}

/**
 * The plan of a failover that was left open between block and fence, with the starts that the voters have granted by now: the
 * word that is given next is about the server as it is then, and what is blocked can be granted nothing more. A guest that is
 * not blocked at enough voters keeps its own.
 */
export async function withGrantsOfNow(
  operator: Operator,
  operation: Operation,
  plan: FailoverPlan,
): Promise<FailoverPlan> {
  if (plan.planned || wasFenced(operation)) return plan;
  const by = claimText(operation);
  const guests = plan.moves.map(({ guest }) => operator.manifest.guests[guest]!);
  const readings = await readVoters(operator, guests);
  const moves = plan.moves.map((move) => {
    const guest = operator.manifest.guests[move.guest]!;
    const records = recordsOf(guest, readings);
    const blocked = records.filter(({ record }) => record.by === by && record.server === NOBODY);
    if (blocked.length < blockingOf(guest.voters)) return move;
    return { ...move, grants: Object.fromEntries(records.map(({ voter, record }) => [voter, record.grants])) };
  });
  return { ...plan, moves };
}

/** Before anything is changed: the server must not have come back since it was planned. */
function stillOffStep(
  operator: Operator,
  operation: Operation,
  plan: FailoverPlan,
  guests: readonly ManifestGuest[],
): Step {
  const { fencing, server } = plan;
  const how =
    fencing.method === "confirm"
      ? `${server} is off, as was confirmed`
      : `${server} is to be fenced by ${fencing.method}`;
  return {
    id: "check",
    title: how,
    always: true,
    async run(note) {
      if (wasFenced(operation)) return note("the guests were blocked and fenced by this operation already");
      const by = claimText(operation);
      const readings = await readVoters(operator, guests);
      const isBlocked = guests.every((guest) => recordsOf(guest, readings).some(({ record }) => record.by === by));
      if (isBlocked) return note("the guests are blocked by this operation already");
      if (fencing.method !== "confirm") return;
      const signs = await looksAlive(operator, server);
      if (signs.length > 0)
        throw new Error(
          `${server} is back (${list(signs)}), and nothing was changed yet: \`coldspare failover ${server} --planned\` switches without loss. End this one: \`coldspare journal --close ${operation.id}\``,
        );
      note(`confirmed by ${operator.by}`);
    },
  };
}

/** From here on the old side can be granted nothing, and nobody else either. */
function blockStep(
  operator: Operator,
  operation: Operation,
  plan: FailoverPlan,
  guests: readonly ManifestGuest[],
  course: Course,
): Step {
  const by = claimText(operation);
  return {
    id: "block",
    title: `block ${list(guests.map(({ name }) => name))} at their voters`,
    seconds: 2,
    always: true,
    async run(note) {
      const before = await readVoters(operator, guests);
      if (wasFenced(operation)) {
        for (const line of await noteTaken(operator, plan, guests, before, by, course.taken)) note(line);
      }
      const open = guests.filter((guest) => !course.taken.has(guest.name) && !isAssigned(guest, plan, before, by));
      if (open.length === 0)
        return note(`${course.taken.size > 0 ? "the others" : "they"} are given to their spares already`);
      // What was fenced is what was blocked then. Who has been given the guests since may be running them.
      if (wasFenced(operation)) {
        for (const guest of open) requireBlocked(guest, before, by);
        return note("they are blocked already");
      }
      // The first one alone: of two commands at once one gets nothing at all, instead of each a part.
      const [first, ...others] = open;
      await block(operator, operation, plan, [first!], before, course, true);
      if (others.length > 0) await block(operator, operation, plan, others, before, course, false);
      refuseStartsSince(plan, open, course.holds ?? {}, note);
      note(
        open
          .map(
            ({ name, voters }) => `${name}: ${voters.filter((voter) => course.holds?.[voter]?.reachable).join(", ")}`,
          )
          .join("; "),
      );
    },
  };
}

/** In an earlier run of the same operation. */
function wasFenced(operation: Operation): boolean {
  return "done" in operation && operation.done instanceof Set && operation.done.has("fence");
}

function requireBlocked(guest: ManifestGuest, readings: VoterReadings, by: string): void {
  const records = recordsOf(guest, readings);
  const own = records.filter(({ record }) => record.by === by);
  if (own.length >= blockingOf(guest.voters)) return;
  throw lost(guest.name, records.find(({ record }) => record.by !== by)?.record.by ?? "");
}

async function block(
  operator: Operator,
  operation: Operation,
  plan: FailoverPlan,
  guests: readonly ManifestGuest[],
  before: VoterReadings,
  course: Course,
  isFirst: boolean,
): Promise<void> {
  const by = claimText(operation);
  const claims: Record<string, Claim> = {};
  for (const guest of guests) {
    const own = recordsOf(guest, before).find(({ record }) => record.by === by && record.server === NOBODY);
    const others = recordsOf(guest, before).filter(({ record }) => record.by !== by);
    const other = others.find(
      ({ record }) => record.server === NOBODY && (own === undefined || record.epoch > own.record.epoch),
    );
    if (other !== undefined) throw lost(guest.name, other.record.by, isFirst && own === undefined);
    claims[guest.name] = { epoch: own?.record.epoch ?? highestEpoch(guest, before) + 1, server: NOBODY };
  }
  // The old side's own voice counts for nothing here, and asking a dead server costs time.
  const result = await claimAt(operator, guests, claims, by, { except: [plan.server] });
  course.holds = mergeReadings(course.holds ?? {}, result.readings);
  for (const guest of guests) requireHeld(guest, result, blockingOf(guest.voters), isFirst);
}

/**
 * The old side may have been switched on after somebody looked: then it has started something, with newer data. The block
 * holds, so nothing more can be granted, and a new word (the same command once more) is about what is now.
 */
function refuseStartsSince(
  plan: FailoverPlan,
  guests: readonly ManifestGuest[],
  readings: VoterReadings,
  note: (text: string) => void,
): void {
  for (const guest of guests) {
    const known = plan.moves.find((move) => move.guest === guest.name)!.grants;
    const held = recordsOf(guest, readings);
    const unread = held.filter(({ voter }) => known[voter] === undefined).map(({ voter }) => voter);
    // What a voter has granted since the confirmation is known only if it was asked before it.
    if (plan.fencing.method === "confirm" && unread.length > 0) {
      throw new ClaimLost(
        `${list(unread)} did not answer when ${plan.server} was confirmed to be off, so nobody knows what it has let ${plan.server} start since. ` +
          `The guests are blocked and nothing was started: look at ${plan.server} again, then run the same command`,
      );
    }
    const since = held.filter(({ voter, record }) => record.grants > (known[voter] ?? record.grants));
    if (since.length === 0) continue;
    const started = `${guest.name} was started on ${plan.server} after this was planned (${list(since.map(({ voter }) => voter))} granted it)`;
    // The power switch and the lease's end are still to come, and do away with that, too.
    if (plan.fencing.method !== "confirm") {
      note(started);
      continue;
    }
    throw new ClaimLost(
      `${started}: ${plan.server} was not off. Its guests are blocked and nothing was started: switch it off and run the same command again, ` +
        `or give up: \`coldspare undo ${plan.server}\``,
    );
  }
}

function fenceStep(
  operator: Operator,
  operation: Operation,
  plan: FailoverPlan,
  guests: readonly ManifestGuest[],
  course: Course,
): Step {
  const { fencing, server } = plan;
  const titles = {
    consent: "",
    confirm: `see that ${server} does not answer`,
    power: `switch ${server} off and read its state back`,
    lease: `wait until the leases of ${server} have ended`,
  };
  return {
    id: "fence",
    title: titles[fencing.method],
    ...(fencing.method === "lease" && { seconds: fencing.termSeconds + fencing.marginSeconds }),
    async run(note) {
      // Resumed: the holds are what the voters say now.
      const holds = course.holds ?? (await readVoters(operator, guests));
      const { [server]: _own, ...others } = holds;
      const targets = [...new Set(plan.moves.map(({ to }) => to))];
      await fence(operator, fencing, others, targets, note);
      await operator.journal.write(operation, { event: "note", text: `fenced by ${fencing.method}` });
    },
  };
}

/** Only directly after one's own block: whoever has claimed in between has won. */
function assignStep(
  operator: Operator,
  operation: Operation,
  plan: FailoverPlan,
  guests: readonly ManifestGuest[],
  course: Course,
): Step {
  const by = claimText(operation);
  const targets = plan.moves.map(({ guest, to }) => `${guest} to ${to}`);
  return {
    id: "assign",
    title: `give ${list(targets)}`,
    seconds: 2,
    always: true,
    async run(note) {
      const readings = await readVoters(operator, guests);
      const claims: Record<string, Claim> = {};
      const left = guests.filter((guest) => !course.taken.has(guest.name) && !isAssigned(guest, plan, readings, by));
      for (const guest of left) {
        const own = recordsOf(guest, readings).filter(({ record }) => record.by === by);
        const epochs = own.map(({ record }) => (record.server === NOBODY ? record.epoch + 1 : record.epoch));
        if (epochs.length === 0) throw lost(guest.name, recordsOf(guest, readings)[0]?.record.by ?? "");
        claims[guest.name] = { epoch: Math.max(...epochs), server: targetOf(plan, guest.name) };
      }
      if (left.length === 0) return note("is so already");
      const result = await claimAt(operator, left, claims, by, { except: plan.planned ? [] : [plan.server] });
      for (const guest of left) requireHeld(guest, result, assigningOf(guest));
    },
  };
}

export function targetOf({ moves }: FailoverPlan, guest: string): string {
  return moves.find((move) => move.guest === guest)!.to;
}

/** Whether this operation has already given the guest to its new side, at enough voters. */
export function isAssigned(guest: ManifestGuest, plan: FailoverPlan, readings: VoterReadings, by: string): boolean {
  const to = targetOf(plan, guest.name);
  const held = recordsOf(guest, readings).filter(({ record }) => record.by === by && record.server === to);
  return held.length >= assigningOf(guest) || isAfter(guest, readings, by, to);
}

/** Voters that must hold the assignment: of two the one that is left. */
function assigningOf({ voters }: ManifestGuest): number {
  return voters.length === 2 ? blockingOf(voters) : majorityOf(voters);
}

/** With two voters the start itself raises the epoch, in the name of whoever allowed it. */
function isAfter(guest: ManifestGuest, readings: VoterReadings, by: string, to: string): boolean {
  if (guest.voters.length !== 2) return false;
  const own = recordsOf(guest, readings).find(({ voter }) => voter === to)?.record;
  return own !== undefined && own.server === to && own.by !== by && own.epoch > 0 && !own.fresh && /allow/.test(own.by);
}
