/**
 * Home again, with a last synchronisation; and commit, by which the spare becomes the home. What is decided is in the plan; here is
 * in which order it is done, and why nothing can be lost in between.
 */

import type { Operator } from "./context";
import { divergedSteps } from "./diverged";
import { handOverStep, Memory, type Return, startStep, stopStep } from "./failback-moves";
import type { ReturnGuest, ReturnPlan } from "./failback-plan";
import { migrateStep, synchroniseSteps } from "./failback-replication";
import { restoreSteps, standbyStep } from "./failback-restore";
import { answersStep, commandsStep, networksStep, tidyStep } from "./failback-surroundings";
import { activateHomeStep, lastSyncSteps, reverseStep, standbyAgainStep } from "./failback-zfs";
import type { Operation, OperationHistory } from "./journal";
import { startSteps } from "./power-order";
import type { Step } from "./steps";

/**
 * The steps of a failback or a commit, in their order: first what can be done while everything runs on, then unit by unit (an
 * application group, or a guest by itself) down, over, and up again in the order of the start.
 *
 * @param operation As the journal has it; with its lines, where it is resumed.
 */
export function returnSteps(operator: Operator, operation: Operation | OperationHistory, plan: ReturnPlan): Step[] {
  const lines = "lines" in operation ? operation.lines : [];
  const run: Return = { operator, operation, plan, memory: new Memory(lines) };
  const early = plan.guests.flatMap((each) => earlySteps(run, each));
  const staying = plan.guests.filter(({ stays }) => stays);
  return [
    ...early,
    ...staying.map((each) => tidyStep(run, each, each.away)),
    ...unitsOf(run).flatMap((unit) => unitSteps(run, unit)),
  ];
}

/** Copies of the old data come before anything that writes over it. */
function earlySteps(run: Return, each: ReturnGuest): Step[] {
  // What is to be kept is set aside by the same command that makes the old side a copy again.
  if (each.method === "zfs-sync") return [reverseStep(run, each)];
  const keep = divergedSteps(run, each);
  return each.method === "storage-replication" ? [...keep, ...synchroniseSteps(run, each)] : keep;
}

interface Unit {
  group?: string;
  guests: ReturnGuest[];
  /** Seconds to wait after each of them. */
  waits: number[];
}

function unitsOf({ operator, plan }: Return): Unit[] {
  const units: Unit[] = [];
  const moving = plan.guests.filter(({ stays }) => !stays);
  const order = startSteps(
    operator.manifest,
    moving.map(({ guest }) => guest),
  );
  for (const { guest, group, waitSeconds } of order) {
    const each = moving.find((candidate) => candidate.guest === guest)!;
    const last = units.at(-1);
    if (group !== undefined && last?.group === group) {
      last.guests.push(each);
      last.waits.push(waitSeconds);
    } else units.push({ ...(group !== undefined && { group }), guests: [each], waits: [waitSeconds] });
  }
  return units;
}

function unitSteps(run: Return, unit: Unit): Step[] {
  if (run.plan.kind === "commit") return unit.guests.flatMap((each) => commitSteps(run, each));
  const backwards = [...unit.guests].reverse();
  return [
    ...backwards.flatMap((each) => [...commandsStep(run, each, unit.group, "before-stop"), stopStep(run, each)]),
    ...backwards.flatMap((each) => commandsStep(run, each, unit.group, "after-stop")),
    ...unit.guests.flatMap((each) => overSteps(run, each)),
    ...unit.guests.flatMap((each, index) => upSteps(run, each, unit, index)),
  ];
}

/** The guest is off. It comes home as data first; only then may its home start it. */
function overSteps(run: Return, each: ReturnGuest): Step[] {
  const { away, home } = each;
  if (each.method === "zfs-sync")
    return [...lastSyncSteps(run, each), handOverStep(run, each, away, home), activateHomeStep(run, each)];
  const over = each.method === "restore" ? restoreSteps(run, each, home) : [migrateStep(run, each, away, home)];
  return [...over, ...networksStep(run, each, home), handOverStep(run, each, away, home)];
}

function upSteps(run: Return, each: ReturnGuest, { group, guests, waits }: Unit, index: number): Step[] {
  const { home, vmid } = each;
  const start = each.wasRunning
    ? [
        ...commandsStep(run, each, group, "before-start"),
        startStep(run, each, home, vmid),
        ...commandsStep(run, each, group, "after-start"),
        answersStep(run, each, home),
      ]
    : [];
  const after =
    each.method === "restore"
      ? [standbyStep(run, each)]
      : each.method === "zfs-sync"
        ? [standbyAgainStep(run, each)]
        : [];
  const next = guests.length > 1 || run.plan.guests.length > 1;
  const pause =
    each.wasRunning && next && waits[index]! > 0 && each !== run.plan.guests.at(-1)
      ? [pauseStep(run, each, waits[index]!)]
      : [];
  return [...start, ...after, tidyStep(run, each, home), ...pause];
}

function pauseStep({ operator }: Return, { guest }: ReturnGuest, seconds: number): Step {
  return {
    id: `wait-${guest}`,
    guest,
    title: `wait ${seconds} s for ${guest}`,
    seconds,
    run: () => operator.clock.sleep(seconds),
  };
}

/**
 * It stays where it is. Under replication only the direction is turned, which was done before. A restored guest keeps its id,
 * as another id would be another guest to the stack, and the stack would replace it: so it is restored under the primary's id.
 * Where the old primary is still there under that id, it is restored over there and moved over: the id is never free, and
 * nothing has to be deleted.
 */
function commitSteps(run: Return, each: ReturnGuest): Step[] {
  const { away, home, vmid, storage } = each;
  if (each.method === "storage-replication") return [tidyStep(run, each, away)];
  const restored = each.oldPrimary
    ? [...restoreSteps(run, each, home), migrateStep(run, each, home, away, storage)]
    : restoreSteps(run, each, away);
  return [
    ...commandsStep(run, each, undefined, "before-stop"),
    stopStep(run, each),
    ...restored,
    ...networksStep(run, each, away),
    ...(each.wasRunning
      ? [
          ...commandsStep(run, each, undefined, "before-start"),
          startStep(run, each, away, vmid),
          ...commandsStep(run, each, undefined, "after-start"),
          answersStep(run, each, away),
        ]
      : []),
    standbyStep(run, each),
    tidyStep(run, each, away),
  ];
}
