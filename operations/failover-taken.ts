/**
 * Guests that somebody else was given while a failover was under way or left open: the server that came back, or another
 * command. They are left alone, and the failover goes on with the others.
 */
import type { ManifestGuest } from "../planning/manifest";
import { PveError } from "../providers/pve/errors";
import { SshError } from "../providers/ssh";
import type { Operator } from "./context";
import { configOf, setTag } from "./guest-power";
import { DIVERGED_TAG } from "./live";
import type { FailoverPlan, GuestMove } from "./plan-failover";
import type { Failures, Step } from "./steps";
import { agreed, NOBODY, operationOf, readVoters, type VoterReadings } from "./voters";

/** By guest, in words: who has it now. */
export type Taken = Map<string, string>;

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
): string | undefined {
  const record = agreed(guest, readings);
  const to = plan.moves.find((move) => move.guest === guest.name)?.to;
  if (plan.planned || record === undefined || record.epoch === 0 || record.by === by) return undefined;
  // With two voters a start is allowed in the name of the server that takes over.
  if (record.server === to && record.by.startsWith(`allow@${to}`)) return undefined;
  if (isHome(plan, record)) return `${guest.name} has gone home: ${plan.server} came back and took it`;
  const who = operationOf(record.by) ?? (record.by || "somebody else");
  return record.server === NOBODY
    ? `${guest.name} is in the middle of ${who}`
    : `${guest.name} was given to ${record.server} by ${who}`;
}

function isHome({ server }: FailoverPlan, record: { server: string; by: string }): boolean {
  return record.server === server && record.by === `guard@${server}`;
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
      if (tried && !taken.has(guest.name)) {
        const text = takenBy(guest, plan, await readVoters(operator, [guest]), by);
        if (text === undefined) return undefined;
        taken.set(guest.name, text);
        return `${text}${await putBack(operator, plan, move, text)}`;
      }
      return taken.has(guest.name) ? "" : undefined;
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

/** What the failover had done for a guest that has gone home is taken back, and what the guard had marked there. */
export async function putBack(operator: Operator, plan: FailoverPlan, move: GuestMove, text: string): Promise<string> {
  if (!text.includes("has gone home")) return "";
  const said = [await enableAgain(operator, move), await takeMarksOff(operator, plan, move)];
  return said
    .filter((each) => each !== "")
    .map((each) => `; ${each}`)
    .join("");
}

/** The switch had stopped its replication, to keep what the lost server held. */
async function enableAgain(operator: Operator, { guest, job, to }: GuestMove): Promise<string> {
  if (job === undefined) return "";
  const pve = operator.pveAt(to) ?? operator.pve;
  try {
    const jobs = await pve.get<{ id: string; disable?: boolean | number | string }[]>("/cluster/replication");
    if (Number(jobs.find(({ id }) => id === job)?.disable ?? 0) === 0) return "";
    await pve.put(`/cluster/replication/${job}`, { disable: false }, { guest, doing: `enable replication ${job} of` });
    return `its replication ${job} goes on`;
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    return `its replication ${job} is still disabled (${error.reason}): \`pvesr enable ${job}\``;
  }
}

/** As long as the spare had it, the guard at home took it for an old side: it must not start at the next boot, and says so. */
async function takeMarksOff(operator: Operator, { server }: FailoverPlan, move: GuestMove): Promise<string> {
  const at = { guest: move.guest, kind: move.kind, server, vmid: move.fromId };
  try {
    await setTag(operator, at, DIVERGED_TAG, false);
    const config = await configOf(operator, at);
    const atBoot = operator.manifest.guests[move.guest]!.boot.atHostBoot;
    if (config !== undefined && (Number(config.onboot ?? 0) === 1) !== atBoot) {
      const pve = operator.pveAt(server) ?? operator.pve;
      await pve.put(`/nodes/${server}/${at.kind}/${at.vmid}/config`, { onboot: atBoot }, { guest: move.guest });
    }
    await operator.ssh.run(server, ["rm", "-f", `/var/lib/coldspare/diverged/${move.guest}`]);
    return "";
  } catch (error) {
    if (!(error instanceof PveError || error instanceof SshError)) throw error;
    return `its marks of an old side could not be taken off there (${error.reason}): see its tags and 'start at boot'`;
  }
}
