/**
 * Carries out a planned failover: block the guests for everybody, fence the old side, give them to the spare, start them in
 * order. In this order no crash, return or partition can make two sides run.
 */
import type { ManifestGuest } from "../planning/manifest";
import { list } from "../planning/units";
import { PveError } from "../providers/pve/errors";
import { waitForAnswer } from "./answers";
import { ClaimLost, handOver, lost, mergeReadings, requireHeld } from "./claims";
import type { Operator } from "./context";
import { destination, moveSteps, stopSteps } from "./failover-guest";
import { fence, looksAlive } from "./fencing";
import { runs, shutDown } from "./guest-power";
import type { Operation } from "./journal";
import type { FailoverPlan, GuestMove } from "./plan-failover";
import { recordActive, recordLines } from "./stack-record";
import type { Step } from "./steps";
import {
  agreed,
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
interface Course {
  /** The voters' answers to the block, with the seconds of their holds. */
  holds?: VoterReadings;
  /** Clock of this machine when the operation was begun or resumed. */
  began: number;
  /** Guests that have gone home while this failover was under way; see {@link hasGoneHome}. */
  home: Set<string>;
}

/** How the steps are run. */
export interface FailoverOptions {
  /** Wait at the end until every guest answers, and say how long it took. Default true. */
  wait?: boolean;
  /** Record the active sides in the stack's config. Default true. */
  record?: boolean;
  /** Filled with the guests that went home meanwhile: the server came back and took them, with the spare's consent. */
  home?: Set<string>;
}

/** All steps of a failover, planned or not. */
export function failoverSteps(
  operator: Operator,
  operation: Operation,
  plan: FailoverPlan,
  options: FailoverOptions = {},
): Step[] {
  const course: Course = { began: operator.clock.now().getTime(), home: options.home ?? new Set() };
  const guests = plan.moves.map(({ guest }) => operator.manifest.guests[guest]!);
  if (guests.length === 0) return [];
  const settle = plan.planned
    ? [
        ...[...plan.moves].reverse().flatMap((move) => stopSteps(operator, plan, move)),
        releaseStep(operator, operation, plan, guests),
      ]
    : [
        stillOffStep(operator, operation, plan, guests),
        blockStep(operator, operation, plan, guests, course),
        fenceStep(operator, operation, plan, guests, course),
        assignStep(operator, operation, plan, guests, course),
        ...[...new Set(plan.moves.map(({ to }) => to))].map((to) => quorumStep(operator, plan, to)),
      ];
  return [
    ...settle,
    ...plan.stops.map(
      (stop): Step => ({
        id: `shed-${stop.guest}`,
        guest: stop.guest,
        title: `stop ${stop.guest} (${stop.vmid}) on ${stop.server}, to make room`,
        isDone: async () => (await runs(operator, stop)) !== true,
        run: () => shutDown(operator, stop, SHED_SECONDS),
      }),
    ),
    ...plan.moves.flatMap((move) =>
      moveSteps(operator, operation, plan, move).map((step) => unlessHome(operator, plan, move, course, step)),
    ),
    ...(options.wait === false ? [] : [answerStep(operator, operation, plan, course)]),
    ...(options.record === false ? [] : [recordStep(operator, plan, course)]),
  ];
}

const SHED_SECONDS = 120;

/**
 * The server came back in the middle, when the spare had been given the guest and ran nothing of it yet: the guard there asked
 * for it, and the spare's consented. The guest runs at home, with its newest data, and stays there.
 */
function hasGoneHome(guest: ManifestGuest, plan: FailoverPlan, readings: VoterReadings): boolean {
  const record = agreed(guest, readings);
  return !plan.planned && record?.server === plan.server && record.by === `guard@${plan.server}`;
}

/** What is left to do for a guest that has gone home: nothing, and what was already done for its move is taken back. */
function unlessHome(operator: Operator, plan: FailoverPlan, move: GuestMove, course: Course, step: Step): Step {
  if (plan.planned || step.guest === undefined) return step;
  const guest = operator.manifest.guests[move.guest]!;
  return {
    ...step,
    async moot(failed) {
      if (failed && !course.home.has(guest.name) && hasGoneHome(guest, plan, await readVoters(operator, [guest]))) {
        course.home.add(guest.name);
      }
      if (!course.home.has(guest.name)) return undefined;
      const back = await enableAgain(operator, move);
      return `${guest.name} has gone home: ${plan.server} came back and took it, as nothing of it ran on ${move.to}${back}`;
    },
  };
}

/** The switch had stopped its replication, to keep what the lost server held. */
async function enableAgain(operator: Operator, { guest, job, to }: GuestMove): Promise<string> {
  if (job === undefined) return "";
  const pve = operator.pveAt(to) ?? operator.pve;
  try {
    const jobs = await pve.get<{ id: string; disable?: boolean | number | string }[]>("/cluster/replication");
    if (Number(jobs.find(({ id }) => id === job)?.disable ?? 0) === 0) return "";
    await pve.put(`/cluster/replication/${job}`, { disable: false }, { guest, doing: `enable replication ${job} of` });
    return `; its replication ${job} goes on`;
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    return `; its replication ${job} is still disabled, as ${error.reason}: \`pvesr enable ${job}\``;
  }
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
        for (const guest of guests) if (hasGoneHome(guest, plan, before)) course.home.add(guest.name);
        if (course.home.size > 0) note(`gone home to ${plan.server}, which came back: ${list([...course.home])}`);
      }
      const open = guests.filter((guest) => !course.home.has(guest.name) && !isAssigned(guest, plan, before, by));
      if (open.length === 0)
        return note(`${course.home.size > 0 ? "the others" : "they"} are given to their spares already`);
      // What was fenced is what was blocked then. Who has been given the guests since may be running them.
      if (wasFenced(operation)) {
        for (const guest of open) requireBlocked(guest, before, by);
        return note("they are blocked already");
      }
      // The first one alone: of two commands at once one gets nothing at all, instead of each a part.
      for (const part of [open.slice(0, 1), open.slice(1)]) {
        if (part.length > 0) await block(operator, operation, plan, part, before, course);
      }
      refuseStartsSince(plan, open, course.holds ?? {});
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
): Promise<void> {
  const by = claimText(operation);
  const claims: Record<string, Claim> = {};
  for (const guest of guests) {
    const own = recordsOf(guest, before).find(({ record }) => record.by === by && record.server === NOBODY);
    const others = recordsOf(guest, before).filter(({ record }) => record.by !== by);
    const other = others.find(
      ({ record }) => record.server === NOBODY && (own === undefined || record.epoch > own.record.epoch),
    );
    if (other !== undefined) throw lost(guest.name, other.record.by);
    claims[guest.name] = { epoch: own?.record.epoch ?? highestEpoch(guest, before) + 1, server: NOBODY };
  }
  // The old side's own voice counts for nothing here, and asking a dead server costs time.
  const result = await claimAt(operator, guests, claims, by, { except: [plan.server] });
  course.holds = mergeReadings(course.holds ?? {}, result.readings);
  for (const guest of guests) requireHeld(guest, result, blockingOf(guest.voters));
}

/** The old side may have been switched on after somebody looked: then it has started something, with newer data. */
function refuseStartsSince(plan: FailoverPlan, guests: readonly ManifestGuest[], readings: VoterReadings): void {
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
    throw new ClaimLost(
      `${guest.name} was started on ${plan.server} after this was planned (${list(since.map(({ voter }) => voter))} granted it): ${plan.server} is not off. ` +
        `Its guests are blocked and nothing was started: switch it off and begin anew, or give up: \`coldspare undo ${plan.server}\``,
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
      const left = guests.filter((guest) => !course.home.has(guest.name) && !isAssigned(guest, plan, readings, by));
      for (const guest of left) {
        const own = recordsOf(guest, readings).filter(({ record }) => record.by === by);
        const epochs = own.map(({ record }) => (record.server === NOBODY ? record.epoch + 1 : record.epoch));
        if (epochs.length === 0) throw lost(guest.name, recordsOf(guest, readings)[0]?.record.by ?? "");
        claims[guest.name] = { epoch: Math.max(...epochs), server: targetOf(plan, guest.name) };
      }
      if (left.length === 0) return note("is so already");
      const result = await claimAt(operator, left, claims, by, { except: plan.planned ? [] : [plan.server] });
      for (const guest of left)
        requireHeld(guest, result, guest.voters.length === 2 ? blockingOf(guest.voters) : majorityOf(guest.voters));
    },
  };
}

function targetOf({ moves }: FailoverPlan, guest: string): string {
  return moves.find((move) => move.guest === guest)!.to;
}

/** Whether this operation has already given the guest to its new side, at enough voters. */
function isAssigned(guest: ManifestGuest, plan: FailoverPlan, readings: VoterReadings, by: string): boolean {
  const to = targetOf(plan, guest.name);
  const held = recordsOf(guest, readings).filter(({ record }) => record.by === by && record.server === to);
  const needed = guest.voters.length === 2 ? blockingOf(guest.voters) : majorityOf(guest.voters);
  return held.length >= needed || isAfter(guest, readings, by, to);
}

/** With two voters the start itself raises the epoch, in the name of whoever allowed it. */
function isAfter(guest: ManifestGuest, readings: VoterReadings, by: string, to: string): boolean {
  if (guest.voters.length !== 2) return false;
  const own = recordsOf(guest, readings).find(({ voter }) => voter === to)?.record;
  return own !== undefined && own.server === to && own.by !== by && own.epoch > 0 && !own.fresh && /allow/.test(own.by);
}

/** The server that has them consents, and the other voters are told. */
function releaseStep(
  operator: Operator,
  operation: Operation,
  plan: FailoverPlan,
  guests: readonly ManifestGuest[],
): Step {
  const by = claimText(operation);
  return {
    id: "release",
    title: `${plan.server} lets ${list(guests.map(({ name }) => name))} go`,
    seconds: 2,
    always: true,
    async run(note) {
      const readings = await readVoters(operator, guests);
      const left = guests.filter((guest) => !isAssigned(guest, plan, readings, by));
      if (left.length === 0) return note("it has done so already");
      for (const [to, members] of byTarget(plan, left))
        await handOver(operator, plan.server, to, members, readings, by);
    },
  };
}

function byTarget(plan: FailoverPlan, guests: readonly ManifestGuest[]): Map<string, ManifestGuest[]> {
  const targets = new Map<string, ManifestGuest[]>();
  for (const guest of guests) {
    const to = targetOf(plan, guest.name);
    targets.set(to, [...(targets.get(to) ?? []), guest]);
  }
  return targets;
}

/** Only now, as fencing is settled: before, two halves of a cluster could each have called themselves the whole. */
function quorumStep(operator: Operator, plan: FailoverPlan, server: string): Step {
  const isQuorate = async () => {
    const rows = await (operator.pveAt(server) ?? operator.pve).get<{ type: string; quorate?: number }[]>(
      "/cluster/status",
    );
    const cluster = rows.find(({ type }) => type === "cluster");
    return cluster === undefined || Number(cluster.quorate) === 1;
  };
  return {
    id: `quorum-${server}`,
    title: `see that ${server} has a quorum without ${plan.server}`,
    seconds: 1,
    isDone: isQuorate,
    async run(note) {
      const answer = await operator.ssh.run(server, ["pvecm", "expected", "1"]);
      if (answer.code !== 0) throw new Error(`\`pvecm expected 1\` on ${server}: ${answer.stderr.trim()}`);
      note(`told the cluster on ${server} to expect one vote`);
      for (let look = 0; look < QUORUM_LOOKS; look++) {
        if (await isQuorate()) return;
        await operator.clock.sleep(1);
      }
      throw new Error(`${server} has no quorum, also after \`pvecm expected 1\`: look at \`pvecm status\` there`);
    },
  };
}

const QUORUM_LOOKS = 20;

function answerStep(operator: Operator, operation: Operation, plan: FailoverPlan, course: Course): Step {
  return {
    id: "answer",
    title: `wait until ${plan.moves.length === 1 ? plan.moves[0]!.guest : "the guests"} answer${plan.moves.length === 1 ? "s" : ""}`,
    seconds: Math.max(0, ...plan.moves.map(({ bootSeconds }) => bootSeconds)),
    optional: true,
    async run(note) {
      await Promise.all(
        awayMoves(plan, course).map(async (move) => {
          const text = await waitForAnswer(operator, operator.manifest.guests[move.guest]!, destination(move));
          const seconds = Math.round((operator.clock.now().getTime() - Date.parse(operation.openedAt)) / 1000);
          const planned = move.plannedSeconds;
          const data = { seconds, ...(planned !== undefined && { plannedSeconds: planned }), began: course.began };
          await operator.journal.write(operation, { event: "note", guest: move.guest, text, data });
          note(
            `${text}; ${seconds} s after the command began${planned === undefined ? "" : ` (planned: ${planned} s)`}`,
          );
        }),
      );
    },
  };
}

/** Moves but for those of guests that have gone home. */
function awayMoves({ moves }: FailoverPlan, { home }: Course): GuestMove[] {
  return moves.filter(({ guest }) => !home.has(guest));
}

function recordStep(operator: Operator, plan: FailoverPlan, course: Course): Step {
  return {
    id: "record",
    title: "record the active sides in the stack's config",
    optional: true,
    async run(note) {
      const sides = Object.fromEntries(
        awayMoves(plan, course).map(({ guest, to }) => [
          guest,
          to === operator.manifest.guests[guest]!.primary ? ("primary" as const) : ("spare" as const),
        ]),
      );
      for (const line of recordLines(await recordActive(sides, { env: operator.env }))) note(line);
    },
  };
}
