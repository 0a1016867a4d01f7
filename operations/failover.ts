/** Carries out a failover as it was planned: the guests change hands, then each is brought up on its spare, in order. */
import type { ManifestGuest } from "../planning/manifest";
import { list } from "../planning/units";
import { PveError } from "../providers/pve/errors";
import { waitForAnswer } from "./answers";
import { handOver } from "./claims";
import type { Operator } from "./context";
import { type Course, claimSteps, isAssigned, targetOf } from "./failover-claim";
import { destination, moveSteps, stopSteps } from "./failover-guest";
import { type Taken, unlessTaken } from "./failover-taken";
import { runs, shutDown, stopHard } from "./guest-power";
import type { Operation } from "./journal";
import type { StopOnSpare } from "./plan-capacity";
import type { FailoverPlan, GuestMove } from "./plan-failover";
import { recordActive, recordLines } from "./stack-record";
import { type Failures, PartsFailed, type Step } from "./steps";
import { agreed, claimText, readVoters, type VoterReadings } from "./voters";

/** How the steps are run. */
export interface FailoverOptions {
  /** Wait at the end until every guest answers, and say how long it took. Default true. */
  wait?: boolean;
  /** Record the active sides in the stack's config. Default true. */
  record?: boolean;
  /** Filled with the guests that somebody else was given meanwhile, and who that is. */
  taken?: Taken;
}

/** All steps of a failover, planned or not. */
export function failoverSteps(
  operator: Operator,
  operation: Operation,
  plan: FailoverPlan,
  options: FailoverOptions = {},
): Step[] {
  const course: Course = { began: operator.clock.now().getTime(), taken: options.taken ?? new Map() };
  const by = claimText(operation);
  const guests = plan.moves.map(({ guest }) => operator.manifest.guests[guest]!);
  if (guests.length === 0) return [];
  const settle = plan.planned
    ? [
        ...[...plan.moves].reverse().flatMap((move) => stopSteps(operator, plan, move).map(ofParts(move))),
        releaseStep(operator, operation, plan, guests),
      ]
    : [
        ...claimSteps(operator, operation, plan, guests, course),
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
        run: (note) => stopForRoom(operator, stop, note),
      }),
    ),
    ...plan.moves.flatMap((move) =>
      moveSteps(operator, operation, plan, move)
        .map(ofParts(move))
        .map((step) => unlessTaken(operator, plan, move, course.taken, by, step)),
    ),
    ...(options.wait === false ? [] : [answerStep(operator, operation, plan, course)]),
    ...(options.record === false ? [] : [recordStep(operator, plan, course)]),
  ];
}

const SHED_SECONDS = 120;

/** Others wait for the room: what does not end in time has its plug pulled. */
async function stopForRoom(operator: Operator, stop: StopOnSpare, note: (text: string) => void): Promise<void> {
  try {
    await shutDown(operator, stop, SHED_SECONDS);
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    note(`it did not shut down (${error.reason}) and is stopped hard`);
    await stopHard(operator, stop);
  }
}

/** One guest that cannot be brought up keeps no other one off; what a group needs is needed by all of it. */
function ofParts({ guest, group }: GuestMove): (step: Step) => Step {
  const groups = group === undefined ? [] : [`group ${group}`];
  return (step) => ({ ...step, parts: step.guest === undefined ? groups : [guest, ...groups] });
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
    async run(note, failed) {
      const readings = await readVoters(operator, guests);
      const isOut = ({ name, group }: ManifestGuest) => failed.has(name) || failed.has(`group ${group}`);
      // Whoever gave it to the spare: what is needed is that its voters say so.
      const isThere = (guest: ManifestGuest) =>
        isAssigned(guest, plan, readings, by) || agreed(guest, readings)?.server === targetOf(plan, guest.name);
      const left = guests.filter((guest) => !isOut(guest) && !isThere(guest));
      if (left.length === 0) return note("it has done so already");
      const reasons = new Map<string, string>();
      for (const [to, members] of byTarget(plan, left)) {
        const refused = await handOverEach(operator, plan.server, to, members, readings, by);
        for (const [guest, reason] of refused) reasons.set(guest, reason);
      }
      if (reasons.size > 0) throw new PartsFailed(reasons);
    },
  };
}

/** All at once; if that fails, one by one, so that one which cannot go keeps no other one off. Answers why some did not go. */
async function handOverEach(
  operator: Operator,
  from: string,
  to: string,
  guests: readonly ManifestGuest[],
  readings: VoterReadings,
  by: string,
): Promise<Map<string, string>> {
  const reasons = new Map<string, string>();
  try {
    await handOver(operator, from, to, guests, readings, by);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (guests.length === 1) return reasons.set(guests[0]!.name, error.message);
    for (const guest of guests) {
      const each = await handOverEach(operator, from, to, [guest], await readVoters(operator, [guest]), by);
      for (const [name, reason] of each) reasons.set(name, reason);
    }
  }
  return reasons;
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
  const isStarted = ({ startAfter }: GuestMove) => startAfter !== false;
  const started = plan.moves.filter(isStarted);
  return {
    id: "answer",
    title: `wait until ${started.length === 1 ? started[0]!.guest : "the guests"} answer${started.length === 1 ? "s" : ""}`,
    seconds: Math.max(0, ...started.map(({ bootSeconds }) => bootSeconds)),
    optional: true,
    async run(note, failed) {
      await Promise.all(
        carriedOut(plan, course, failed)
          .filter(isStarted)
          .map(async (move) => {
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

/** Moves that were carried out. */
function carriedOut({ moves }: FailoverPlan, { taken }: Course, failed: Failures): GuestMove[] {
  return moves.filter(({ guest, group }) => !taken.has(guest) && !failed.has(guest) && !failed.has(`group ${group}`));
}

function recordStep(operator: Operator, plan: FailoverPlan, course: Course): Step {
  return {
    id: "record",
    title: "record the active sides in the stack's config",
    optional: true,
    async run(note, failed) {
      const sides = Object.fromEntries(
        carriedOut(plan, course, failed).map(({ guest, to }) => [
          guest,
          to === operator.manifest.guests[guest]!.primary ? ("primary" as const) : ("spare" as const),
        ]),
      );
      for (const line of recordLines(await recordActive(sides, { env: operator.env }))) note(line);
    },
  };
}
