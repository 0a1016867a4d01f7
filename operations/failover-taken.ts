/**
 * Guests that somebody else was given while a failover was under way or left open: the server that came back, or another
 * command. They are left alone, and the failover goes on with the others.
 */
import type { ManifestGuest } from "../planning/manifest";
import { PveError } from "../providers/pve/errors";
import type { ReplicationJob } from "../providers/pve/types";
import { isOn } from "../providers/replication-health";
import { SshError } from "../providers/ssh";
import type { Operator } from "./context";
import { takeMarksOff } from "./guest-power";
import type { FailoverPlan, GuestMove } from "./plan-failover";
import type { Failures, Step } from "./steps";
import { agreed, NOBODY, operationOf, readVoters, type VoterReadings } from "./voters";

/** Who has a guest now: in words, and whether it runs where it was. */
export interface TakenBy {
  text: string;
  home: boolean;
}

/** By guest. */
export type Taken = Map<string, TakenBy>;

/**
 * Who was given a guest after this failover had fenced its server; undefined when it is still this failover's.
 *
 * The server itself can only be the one when it came back while the spare had the guest and ran nothing of it: the guard there
 * asked for the guest, and the spare's consented. Then it runs at home, with its newest data.
 */
export function takenBy(
  guest: ManifestGuest,
  plan: FailoverPlan,
  readings: VoterReadings,
  by: string,
): TakenBy | undefined {
  const record = agreed(guest, readings);
  const to = plan.moves.find((move) => move.guest === guest.name)?.to;
  if (plan.planned || record === undefined || record.epoch === 0 || record.by === by) return undefined;
  // With two voters a start is allowed in the name of the server that takes over.
  if (record.server === to && record.by.startsWith(`allow@${to}`)) return undefined;
  if (record.server === plan.server && record.by === `guard@${plan.server}`)
    return { text: `${guest.name} has gone home: ${plan.server} came back and took it`, home: true };
  const who = operationOf(record.by) ?? (record.by || "somebody else");
  const text =
    record.server === NOBODY
      ? `${guest.name} is in the middle of ${who}`
      : `${guest.name} was given to ${record.server} by ${who}`;
  return { text, home: false };
}

/** Looks whether guests were taken, and takes back what had been done for those that are at home again. */
export async function noteTaken(
  operator: Operator,
  plan: FailoverPlan,
  guests: readonly ManifestGuest[],
  readings: VoterReadings,
  by: string,
  taken: Taken,
): Promise<string[]> {
  const said: string[] = [];
  for (const guest of guests) {
    const found = takenBy(guest, plan, readings, by);
    if (found === undefined) continue;
    taken.set(guest.name, found);
    const move = plan.moves.find((each) => each.guest === guest.name)!;
    said.push([found.text, ...(found.home ? await putBack(operator, plan, move) : [])].join("; "));
  }
  return said;
}

/** A step of a guest's move, or of its group's, that has become pointless when they were taken. */
export function unlessTaken(
  operator: Operator,
  plan: FailoverPlan,
  move: GuestMove,
  taken: Taken,
  by: string,
  step: Step,
): Step {
  if (plan.planned) return step;
  if (step.guest === undefined) return { ...step, moot: async ({ failed }) => groupIsGone(plan, move, taken, failed) };
  const guest = operator.manifest.guests[move.guest]!;
  return {
    ...step,
    async moot({ tried }) {
      if (taken.has(guest.name)) return "";
      if (!tried) return undefined;
      const [said] = await noteTaken(operator, plan, [guest], await readVoters(operator, [guest]), by, taken);
      return said;
    },
  };
}

/** The commands of a group would move its address or name to a place where nothing of the group is. */
function groupIsGone(
  { moves }: FailoverPlan,
  { group }: GuestMove,
  taken: Taken,
  failed: Failures,
): string | undefined {
  const members = moves.filter((each) => each.group === group).map(({ guest }) => guest);
  if (!members.every((guest) => taken.has(guest) || failed.has(guest))) return undefined;
  return `nothing of group ${group} is brought up`;
}

/** What the failover had done for a guest that has gone home, and what the guard had marked there as an old side's. */
async function putBack(operator: Operator, plan: FailoverPlan, move: GuestMove): Promise<string[]> {
  const said = [await enableAgain(operator, move), await marksOff(operator, plan, move)];
  return said.filter((each) => each !== undefined);
}

/** The switch had stopped its replication, to keep what the lost server held. */
async function enableAgain(operator: Operator, { guest, job, to }: GuestMove): Promise<string | undefined> {
  if (job === undefined) return undefined;
  const pve = operator.pveAt(to) ?? operator.pve;
  try {
    const jobs = await pve.get<ReplicationJob[]>("/cluster/replication");
    if (!isOn(jobs.find(({ id }) => id === job)?.disable)) return undefined;
    await pve.put(`/cluster/replication/${job}`, { disable: false }, { guest, doing: `enable replication ${job} of` });
    return `its replication ${job} goes on`;
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    return `its replication ${job} is still disabled (${error.reason}): \`pvesr enable ${job}\``;
  }
}

async function marksOff(operator: Operator, { server }: FailoverPlan, move: GuestMove): Promise<string | undefined> {
  try {
    await takeMarksOff(operator, { guest: move.guest, kind: move.kind, server, vmid: move.fromId });
    return undefined;
  } catch (error) {
    if (!(error instanceof PveError || error instanceof SshError)) throw error;
    return `its marks of an old side could not be taken off there (${error.reason}): see its tags and 'start at boot'`;
  }
}
