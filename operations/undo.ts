/** Carries out an undo: the spare lets go, the primary starts as it was when its server was lost. */
import type { ManifestCommand, ManifestGuest } from "../planning/manifest";
import { list } from "../planning/units";
import { destroyStandby } from "../providers/restore-refresh";
import { findStandbys } from "../providers/standby-inspect";
import { handOver, lost, requireHeld } from "./claims";
import type { Operator } from "./context";
import { Memory, type Return } from "./failback-moves";
import type { ReturnGuest } from "./failback-plan";
import { commandsStep } from "./failback-surroundings";
import { takeConfig } from "./failover-guest";
import { configOf, runs, setTag, start, stopHard, takeMarksOff } from "./guest-power";
import type { Operation } from "./journal";
import { ACTIVE_TAG } from "./live-types";
import { mapNetworks } from "./network-change";
import type { UndoMove, UndoPlan } from "./plan-undo";
import { recordActive, recordLines } from "./stack-record";
import type { Step } from "./steps";
import { discardAwayStep, writableStep } from "./undo-zfs";
import { type Claim, claimAt, claimText, highestEpoch, majorityOf, NOBODY, readVoters, recordsOf } from "./voters";

export interface UndoOptions {
  /** Record the active sides in the stack's config. Default true. */
  record?: boolean;
}

export function undoSteps(operator: Operator, operation: Operation, plan: UndoPlan, options: UndoOptions = {}): Step[] {
  const { moves } = plan;
  if (moves.length === 0) return [];
  const run = asReturn(operator, operation, plan);
  const backwards = [...moves].reverse();
  return [
    ...backwards.map((move) => stopStep(operator, plan, move)),
    ...backwards.flatMap((move) => commandsStep(run, returning(move), move.group, "after-stop")),
    giveBackStep(operator, operation, moves),
    ...moves.flatMap((move) => homeSteps(run, move, move !== moves.at(-1))),
    ...(options.record === false ? [] : [recordStep(operator, moves)]),
  ];
}

const away = ({ guest, kind, spare, spareId }: UndoMove) => ({ guest, kind, server: spare, vmid: spareId });
const home = ({ guest, kind, primary, vmid }: UndoMove) => ({ guest, kind, server: primary, vmid });

/** To the site's own commands an undo is a return like any other. */
function asReturn(operator: Operator, operation: Operation, { what, moves }: UndoPlan): Return {
  const guests = moves.map(returning);
  const plan: Return["plan"] = {
    kind: "failback",
    subject: what,
    guests,
    stopSeconds: 0,
    forceStop: true,
    refusals: [],
    warnings: [],
  };
  return { operator, operation, plan, memory: new Memory() };
}

function returning({ guest, kind, method, primary, spare, vmid, spareId }: UndoMove): ReturnGuest {
  return {
    guest,
    kind,
    method,
    home: primary,
    away: spare,
    vmid,
    activeId: spareId,
    wasRunning: true,
    diverged: "none",
    oldPrimary: true,
  };
}

/** Hard: what it would still write is thrown away with the rest. So nothing is done before it either, and the plan says that. */
function stopStep(operator: Operator, plan: UndoPlan, move: UndoMove): Step {
  const skipped = move.lostSince === undefined ? [] : beforeStop(operator, plan, move);
  const words = skipped.map((command) => command.run.join(" ")).join("; ");
  const hard = skipped.length === 0 ? "" : `, hard: what is set before a stop is left out (${words})`;
  return {
    id: `stop-${move.guest}`,
    guest: move.guest,
    title: `stop ${move.guest} (${move.spareId}) on ${move.spare}${hard}`,
    seconds: 2,
    isDone: async () => (await runs(operator, away(move))) !== true,
    run: () => stopHard(operator, away(move)),
  };
}

/** The group's own with its last guest, which is the first to stop. */
function beforeStop({ manifest }: Operator, { moves }: UndoPlan, { guest, group }: UndoMove): ManifestCommand[] {
  const last = group !== undefined && moves.findLast((each) => each.group === group)?.guest === guest;
  const ofGroup = last ? (manifest.groups[group]?.commands ?? []) : [];
  return [...ofGroup, ...manifest.guests[guest]!.commands].filter(({ when }) => when === "before-stop");
}

/** The spare consents, as nothing runs there; a guest that nobody may run is claimed. */
function giveBackStep(operator: Operator, operation: Operation, moves: readonly UndoMove[]): Step {
  const by = claimText(operation);
  const guests = moves.map(({ guest }) => operator.manifest.guests[guest]!);
  return {
    id: "release",
    title: `give ${list(moves.map(({ guest, primary }) => `${guest} to ${primary}`))}`,
    seconds: 2,
    always: true,
    async run(note) {
      const readings = await readVoters(operator, guests);
      for (const move of moves) {
        const guest = operator.manifest.guests[move.guest]!;
        const records = recordsOf(guest, readings);
        const held = records.filter(({ record }) => record.by === by && record.server === move.primary);
        if (held.length >= majorityOf(guest.voters)) note(`${move.guest} is given back already`);
        else if (records.some(({ record }) => record.server === NOBODY))
          await claimBack(operator, guest, move, readings, by);
        else await handOver(operator, move.spare, move.primary, [guest], readings, by);
      }
    },
  };
}

/** Nobody may run it, so nobody has to be asked: whoever claims at a majority first has it. */
async function claimBack(
  operator: Operator,
  guest: ManifestGuest,
  move: UndoMove,
  readings: Parameters<typeof recordsOf>[1],
  by: string,
): Promise<void> {
  const assigned = recordsOf(guest, readings).find(({ record }) => record.server === move.spare);
  // A switch that had got further than its block may have started the spare by now.
  if (assigned !== undefined && (await runs(operator, away(move))) === true) throw lost(guest.name, assigned.record.by);
  const claims: Record<string, Claim> = {
    [guest.name]: { epoch: highestEpoch(guest, readings) + 1, server: move.primary },
  };
  requireHeld(guest, await claimAt(operator, [guest], claims, by), majorityOf(guest.voters));
}

function homeSteps(run: Return, move: UndoMove, isFollowed: boolean): Step[] {
  const { operator } = run;
  const { guest, primary, spare, vmid, job, method } = move;
  const commands = (when: ManifestCommand["when"]) => commandsStep(run, returning(move), move.group, when);
  const spec = operator.manifest.guests[guest]!;
  const replicated = method === "storage-replication";
  const take: Step = {
    id: `take-${guest}`,
    guest,
    title: `take the configuration of ${guest} (${vmid}) back to ${primary}`,
    isDone: async () => (await configOf(operator, home(move))) !== undefined,
    run: () => takeConfig(operator, primary, vmid, spare),
  };
  const fit: Step = {
    id: `network-${guest}`,
    guest,
    title: `fit the networks of ${guest} to ${primary}`,
    isDone: async () => (await runs(operator, home(move))) === true,
    async run(note) {
      const keys = await mapNetworks(operator, spec, { server: primary, vmid });
      note(keys.length === 0 ? "they fit already" : `changed ${keys.join(", ")}`);
    },
  };
  return [
    ...(replicated ? [take] : []),
    ...(move.networks && replicated ? [fit] : []),
    ...(method === "zfs-sync" ? [writableStep(operator, spec)] : []),
    ...commands("before-start"),
    {
      id: `start-${guest}`,
      guest,
      title: `start ${guest} (${vmid}) on ${primary}, as it was`,
      seconds: 5,
      isDone: async () => (await runs(operator, home(move))) === true,
      run: () => start(operator, home(move)),
    },
    ...commands("after-start"),
    ...(replicated && job !== undefined ? [enableStep(operator, move, job)] : []),
    ...(method === "restore" && move.lostSince !== undefined ? [discardStep(operator, spec, move)] : []),
    ...(method === "zfs-sync" ? [discardAwayStep(operator, spec)] : []),
    tidyStep(operator, spec, move),
    ...(isFollowed && move.waitSeconds > 0
      ? [
          {
            id: `wait-${guest}`,
            guest,
            title: `wait ${move.waitSeconds} s`,
            seconds: move.waitSeconds,
            run: () => operator.clock.sleep(move.waitSeconds),
          },
        ]
      : []),
  ];
}

/** Only once the primary runs: from now on the replication writes over what the spare has. */
function enableStep(operator: Operator, { guest, primary, spare }: UndoMove, job: string): Step {
  return {
    id: `job-${guest}`,
    guest,
    title: `enable replication ${job}: it brings ${spare} back to what ${primary} has`,
    seconds: 2,
    async run() {
      const pve = operator.pveAt(primary) ?? operator.pve;
      await pve.put(
        `/cluster/replication/${job}`,
        { disable: false },
        { guest, doing: `enable replication ${job} of` },
      );
    },
  };
}

/** What ran there is no copy of the primary any more, and would stand in the way of the next refresh. */
function discardStep(operator: Operator, guest: ManifestGuest, move: UndoMove): Step {
  return {
    id: `discard-${guest.name}`,
    guest: guest.name,
    title: `throw away ${move.spareId} on ${move.spare}; the next refresh makes a new standby`,
    optional: true,
    async run(note) {
      const pve = operator.pveAt(move.spare) ?? operator.pve;
      const identity = {
        guest: guest.name,
        vmid: guest.vmid,
        kind: guest.kind,
        node: move.spare,
        standbyIds: guest.standbyIds!,
      };
      const found = (await findStandbys(pve, { ...identity, tags: [] })).find(({ vmid }) => vmid === move.spareId);
      if (found === undefined) return note("it is gone already");
      if (!found.ours) throw new Error(`${move.spareId} on ${move.spare} is not known as a standby of ${guest.name}`);
      await destroyStandby(pve, { ...found, expendable: true }, { ...identity, tags: [] }, note);
    },
  };
}

function tidyStep(operator: Operator, guest: ManifestGuest, move: UndoMove): Step {
  return {
    id: `tidy-${guest.name}`,
    guest: guest.name,
    title: `take the marks of the switch off ${guest.name}`,
    optional: true,
    async run() {
      if (move.method !== "storage-replication") await setTag(operator, away(move), ACTIVE_TAG, false);
      await takeMarksOff(operator, home(move));
    },
  };
}

function recordStep(operator: Operator, moves: readonly UndoMove[]): Step {
  return {
    id: "record",
    title: "record the active sides in the stack's config",
    optional: true,
    async run(note) {
      const sides = Object.fromEntries(moves.map(({ guest }) => [guest, "primary" as const]));
      for (const line of recordLines(await recordActive(sides, { env: operator.env }))) note(line);
    },
  };
}
