/** Whether a restored standby is older than what was promised for it: a line for whoever looks, and no part of the state. */
import { formatDuration } from "../planning/units";
import type { PveClient } from "./pve/client";
import { newestBackup } from "./restore-refresh";
import { timeOn, timeText } from "./server-time";
import type { FoundStandby, StandbyIdentity } from "./standby-inspect";

/** What to tell; `undefined` when the promise is kept, or when there is none. */
export async function ageWarning(
  pve: PveClient,
  props: StandbyIdentity & { promisedSeconds?: number },
  newest: FoundStandby | undefined,
): Promise<string | undefined> {
  const { guest, vmid, promisedSeconds } = props;
  if (promisedSeconds === undefined || newest?.recovery === undefined) return undefined;
  const { time, volid } = newest.recovery;
  const made = Date.parse(time) / 1000;
  const age = ((await timeOn(pve, newest.node, props)) ?? made) - made;
  if (!(age > promisedSeconds)) return undefined;
  const what =
    `warning: standby ${newest.vmid} of '${guest}' is as of ${time} (${formatDuration(age)} ago), older than the promised ` +
    formatDuration(promisedSeconds);
  const backupStorage = volid.split(":")[0]!;
  const backup = await newestBackup(pve, { ...props, node: newest.node, backupStorage }).catch(() => undefined);
  if (backup === undefined) return `${what}; '${backupStorage}' shows no backup of it to ${newest.node}`;
  if ((backup.ctime ?? 0) > made) {
    return `${what}. A backup of ${timeText(backup.ctime ?? 0)} is there: \`coldspare refresh --guest ${guest}\` restores it; does its timer run?`;
  }
  return (
    `${what}, and no newer backup is on '${backupStorage}'. Look at the last run of the backup job (Datacenter, Backup; the task log), ` +
    `or make one where the guest runs: \`vzdump ${vmid} --storage ${backupStorage} --mode snapshot\``
  );
}
