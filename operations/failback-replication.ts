/** Home again, or at home in the other place, by Proxmox VE's own replication. */
import type { ReplicationJob, ReplicationJobStatus } from "../providers/pve/types";
import type { Operator } from "./context";
import { about, pathOf, progressOf, type Return, stateAt } from "./failback-moves";
import type { ReturnGuest } from "./failback-plan";
import type { Step } from "./steps";
import { agreed, NOBODY, readVoters } from "./voters";

/** Seconds between two looks, and how long a scheduler that looks once a minute may take to begin. */
const POLL_SECONDS = 5;
const BEGIN_SECONDS = 300;

/**
 * The job is switched on, in the direction from the active side to the old one, and runs well once. Its first run receives over
 * the volumes of the old side, so whatever was to be kept of them was copied before.
 */
export function synchroniseSteps(run: Return, each: ReturnGuest): Step[] {
  return [enableStep(run, each), syncStep(run, each)];
}

function enableStep({ operator }: Return, each: ReturnGuest): Step {
  const { pve, clock } = operator;
  const { guest, away, home, jobId } = each;
  const read = () => jobOf(pve, jobId!);
  return {
    id: `enable-${guest}`,
    guest,
    title: `replicate ${guest} from ${away} to ${home} (job ${jobId})`,
    seconds: 30,
    // Not asked whether it is so: once the guest is home, the job rightly goes the other way.
    async run() {
      await refuseElsewhere(operator, each);
      await pve.put(`/cluster/replication/${jobId}`, { disable: false }, about("replicate", each, each.vmid));
      // Proxmox VE turns a job round when it sees that the guest has moved; with the next look of its scheduler at the latest.
      for (let waited = 0; ; waited += POLL_SECONDS) {
        const job = await read();
        if (job?.target === home && (job.source === undefined || job.source === away)) return;
        if (waited >= BEGIN_SECONDS) {
          throw new Error(
            `job ${jobId} still goes from ${job?.source ?? "an unknown server"} to ${job?.target ?? "nowhere"}, while ${guest} is on ${away}: look at \`pvesr list\` and \`systemctl status pvescheduler\` on ${away}`,
          );
        }
        await clock.sleep(POLL_SECONDS);
      }
    },
  };
}

/** A job goes where the guest is not: had it been switched since this was planned, its newest data would be written over. */
async function refuseElsewhere(operator: Operator, { guest, away, home }: ReturnGuest): Promise<void> {
  const of = operator.manifest.guests[guest]!;
  const record = agreed(of, await readVoters(operator, [of]));
  if (record === undefined || record.server === away) return;
  const now =
    record.server === NOBODY ? `a switch of ${guest} is under way` : `${guest} was switched to ${record.server}`;
  throw new Error(
    `${now} since this was planned: nothing was replicated from ${away} to ${home}. Look at \`coldspare status\``,
  );
}

async function jobOf(pve: Return["operator"]["pve"], id: string): Promise<ReplicationJob | undefined> {
  return (await pve.get<ReplicationJob[]>("/cluster/replication")).find((job) => job.id === id);
}

function syncStep({ operator }: Return, each: ReturnGuest): Step {
  const { guest, away, home, jobId, vmid } = each;
  const { pve, clock } = operator;
  const path = `/nodes/${away}/replication/${jobId}`;
  const status = () =>
    pve.get<ReplicationJobStatus>(`${path}/status`, {}, about("read the replication of", each, vmid));
  return {
    id: `sync-${guest}`,
    guest,
    title: `bring ${guest} on ${home} up to date, while it runs on`,
    seconds: 300,
    async run(note) {
      const before = await status();
      await pve.post(`${path}/schedule_now`, {}, about("replicate", each, vmid));
      const tell = progressOf(operator, each, `sync-${guest}`);
      const began = clock.now().getTime();
      const seconds = () => Math.round((clock.now().getTime() - began) / 1000);
      let seen = before.pid !== undefined;
      for (let told = ""; ; await clock.sleep(POLL_SECONDS)) {
        const now = await status();
        if (now.pid === undefined && (now.last_sync ?? 0) > (before.last_sync ?? 0) && (now.fail_count ?? 0) === 0) {
          note(`as of ${new Date((now.last_sync ?? 0) * 1000).toISOString()}`);
          return;
        }
        if (now.pid === undefined && (now.fail_count ?? 0) > (before.fail_count ?? 0)) throw failed(each, now);
        // A failure from before is tried anew by this run: it counts once it has come again.
        if (now.pid === undefined && now.error !== undefined && now.last_try !== before.last_try)
          throw failed(each, now);
        seen ||= now.pid !== undefined;
        if (!seen && seconds() > BEGIN_SECONDS) {
          throw new Error(
            `the replication ${jobId} of ${guest} did not begin within ${BEGIN_SECONDS} s: look at \`systemctl status pvescheduler\` on ${away}`,
          );
        }
        const text =
          now.pid === undefined
            ? "waits for the scheduler of Proxmox VE"
            : `runs since ${Math.floor(seconds() / 30) * 30} s`;
        if (text !== told) tell(text);
        told = text;
      }
    },
  };
}

function failed({ guest, jobId, away, home }: ReturnGuest, { error }: ReplicationJobStatus): Error {
  return new Error(
    `the replication ${jobId} of ${guest} to ${home} failed: ${error ?? "no reason is given"}. Mend what it names (log: \`cat /var/log/pve/replicate/${jobId}\` on ${away}), then run this again. ${guest} goes on running on ${away}`,
  );
}

/** Proxmox VE's own migration of a guest that is off: the last difference goes over, then the job is turned round. */
export function migrateStep({ operator }: Return, each: ReturnGuest, from: string, to: string, storage?: string): Step {
  const { guest, vmid } = each;
  return {
    id: `migrate-${guest}`,
    guest,
    title: `move ${guest} (${vmid}) from ${from} to ${to}, with what was written last`,
    seconds: 30,
    isDone: async () => (await stateAt(operator, each, to, vmid)) !== "absent",
    async run() {
      const storages =
        storage === undefined ? {} : each.kind === "qemu" ? { targetstorage: storage } : { "target-storage": storage };
      await operator.pve.task(
        from,
        "POST",
        `${pathOf(each, from, vmid)}/migrate`,
        { target: to, ...storages },
        about("move", each, vmid),
        { onProgress: progressOf(operator, each, `migrate-${guest}`) },
      );
    },
  };
}
