/** Replication waits while a drill copies its volumes, and goes on afterwards: what is switched off is written down first. */
import type { ManifestGuest } from "../planning/manifest";
import { formatDuration, list } from "../planning/units";
import { PveError } from "../providers/pve/errors";
import type { ReplicationJob } from "../providers/pve/types";
import { isOn } from "../providers/replication-health";
import type { Operator } from "./context";
import { DRILL_FOLDER, must } from "./drill-server";
import { agreed, NOBODY, readVoters } from "./voters";

/**
 * Does the work while no replication of the guest to this server runs. Whatever happens, the jobs are switched on again; one that
 * could not be stays noted on the server and in `paused`, for {@link resumePaused}.
 */
export async function whilePaused(
  operator: Operator,
  server: string,
  vmid: number,
  paused: Set<string>,
  work: () => Promise<void>,
): Promise<void> {
  const jobs = (await operator.pve.get<ReplicationJob[]>("/cluster/replication")).filter(
    ({ guest, target, disable }) => Number(guest) === vmid && target === server && !isOn(disable),
  );
  try {
    for (const job of jobs) await pause(operator, server, job, paused);
    await work();
  } finally {
    for (const { id } of jobs) if (paused.has(id)) await resumeJob(operator, server, id, paused);
  }
}

/** Noted before it is switched off, as a call that seems to fail may have been heard. */
async function pause(operator: Operator, server: string, job: ReplicationJob, paused: Set<string>): Promise<void> {
  const note = `mkdir -p ${DRILL_FOLDER} && : > "${DRILL_FOLDER}/paused-$1"`;
  await must(operator, server, ["sh", "-c", note, "sh", job.id]);
  paused.add(job.id);
  await operator.pve.put(`/cluster/replication/${job.id}`, { disable: true });
  await untilIdle(operator, job);
}

/** A first run of a large guest takes hours, and a drill would only be in its way. */
const IDLE_SECONDS = 3600;

/** A run that has begun is not ended by a pause. */
async function untilIdle({ pve, clock }: Operator, { id, source }: ReplicationJob): Promise<void> {
  if (source === undefined) return;
  const until = clock.now().getTime() + IDLE_SECONDS * 1000;
  for (;;) {
    const { pid } = await pve.get<{ pid?: number }>(`/nodes/${source}/replication/${id}/status`);
    if (pid === undefined) return;
    if (clock.now().getTime() >= until)
      throw new Error(
        `replication ${id} still runs after ${formatDuration(IDLE_SECONDS)}: see \`pvesr status\` on ${source}, and drill when it has ended`,
      );
    await clock.sleep(2);
  }
}

/**
 * Once more for the jobs that this drill, or one that was killed, has left switched off on the server.
 *
 * @param guests Of these guests only, as another drill may be at work there. Default: all.
 * @returns why the others are still off, by job
 */
export async function resumePaused(
  operator: Operator,
  server: string,
  guests?: readonly string[],
  paused: Set<string> = new Set(),
): Promise<Map<string, string>> {
  const noted = (await notedPauses(operator, server)).filter(
    (job) => guests === undefined || guests.includes(guestOf(operator, job)?.name ?? ""),
  );
  const left = new Map<string, string>();
  for (const job of new Set([...paused, ...noted])) {
    const why = await resumeJob(operator, server, job, paused);
    if (why !== undefined) left.set(job, why);
  }
  return left;
}

/** A server that does not answer now is asked by the next drill. */
async function notedPauses({ ssh }: Operator, server: string): Promise<string[]> {
  const argv = ["sh", "-c", `ls ${DRILL_FOLDER} 2>/dev/null; true`];
  const { stdout } = await ssh.run(server, argv).catch(() => ({ stdout: "" }));
  return [...stdout.matchAll(/^paused-(\d+-\d+)$/gm)].map(([, job]) => job!);
}

/**
 * Switches a job on again that a drill on `server` has paused. Unless the guest has failed over meanwhile: then its next run
 * could go over what the old side alone has, and a person decides. While nobody can say, it stays paused and noted.
 *
 * @returns why it is still off; undefined when it is on
 */
export async function resumeJob(
  operator: Operator,
  server: string,
  job: string,
  paused: Set<string> = new Set(),
): Promise<string | undefined> {
  try {
    const { why, decided } = await reasonToWait(operator, server, job);
    if (why === undefined) await enable(operator, job);
    if (why === undefined || decided) await forget(operator, server, job);
    if (why === undefined) paused.delete(job);
    return why && `replication ${job} stays disabled: ${why}`;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return `replication ${job} stays disabled: \`pvesr enable ${job}\` (${reason})`;
  }
}

/** `decided`: it is no drill's any more. */
async function reasonToWait(
  operator: Operator,
  server: string,
  job: string,
): Promise<{ why?: string; decided?: boolean }> {
  const guest = guestOf(operator, job);
  if (guest?.spare === undefined) return {};
  const { name, voters } = guest;
  const record = agreed(guest, await readVoters(operator, [guest]));
  const look = `\`pvesr enable ${job}\` once \`coldspare status\``;
  if (record === undefined)
    return {
      why: `no majority of ${list(voters)} says where ${name} is; ${look} shows it on another server than ${server}`,
    };
  if (record.server !== server && record.server !== NOBODY) return {};
  const meanwhile = record.server === NOBODY ? `a switch of ${name} is under way` : `${name} was switched to ${server}`;
  return { why: `${meanwhile}; ${look} shows that no old side keeps data of its own`, decided: true };
}

/** With the note still there the next drill switches on once more what is on already. */
async function forget({ ssh }: Operator, server: string, job: string): Promise<void> {
  await ssh.run(server, ["rm", "-f", `${DRILL_FOLDER}/paused-${job}`]).catch(() => undefined);
}

async function enable({ pve }: Operator, job: string): Promise<void> {
  try {
    await pve.put(`/cluster/replication/${job}`, { disable: false });
  } catch (error) {
    if (!(error instanceof PveError && error.isMissing)) throw error;
  }
}

/** The guest that a replication job copies. */
export function guestOf({ manifest }: Operator, job: string): ManifestGuest | undefined {
  return Object.values(manifest.guests).find(({ vmid }) => vmid === Number(job.split("-")[0]));
}
