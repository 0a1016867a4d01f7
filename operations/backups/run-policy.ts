/** Starts what a policy does by its schedule now: backups of guests by the API, jobs of the servers' programs over SSH. */

import type { Finding } from "../../planning";
import type { ManifestPolicy } from "../../planning/backup/manifest";
import type { ManifestGuest } from "../../planning/manifest";
import type { Operator } from "../context";
import type { LiveSite } from "../live-types";
import { refusal } from "../refusals";
import { PROGRAM_FOLDER } from "./ask-servers";
import { storageOfTarget } from "./copies";
import { keepersOf } from "./subjects";

/** One thing that is started, on one server. */
export interface Run {
  subject: string;
  server: string;
  title: string;
  start(note: (line: string) => void): Promise<unknown>;
}

export interface RunPlan {
  policy: string;
  runs: Run[];
  refusals: Finding[];
}

/** How one of them ended. */
export interface RunResult {
  subject: string;
  server: string;
  ok: boolean;
  seconds: number;
  /** Why not. */
  reason?: string;
}

/** A full copy over a slow line takes long, and ssh must not give up before. */
const LONGEST_SECONDS = 7 * 86_400;

/** @param name A policy, or a target of rotated media: then what the attached medium lacks is copied to it. */
export function planRun(operator: Operator, live: LiveSite, name: string): RunPlan {
  const { backups } = operator.manifest;
  const policy = backups?.policies[name];
  const refusals: Finding[] = [];
  if (policy === undefined) {
    const rotation = backups?.rotations[name];
    return rotation === undefined
      ? { policy: name, runs: [], refusals: [unknownPolicy(operator, name)] }
      : { policy: name, runs: [sshRun(operator, rotation.on, name, ["media", "run", name])], refusals };
  }
  const target = backups!.targets[policy.target];
  const storage = target && storageOfTarget(target);
  const runs: Run[] = [];
  for (const guest of policy.guests.flatMap((each) => operator.manifest.guests[each] ?? [])) {
    const seat = seatOf(live, guest);
    if (storage === undefined || seat === undefined) refusals.push(notRun(guest.name, live, policy.target));
    else runs.push(guestRun(operator, guest, seat, { storage, policy, name }));
  }
  const servers = new Set([...policy.folders, ...policy.volumes].map(({ server }) => server));
  for (const server of servers) runs.push(sshRun(operator, server, `files of ${server}`, ["run", name]));
  if (policy.datasets.length > 0) runs.push(...zfsRuns(operator, name, policy));
  return { policy: name, runs, refusals };
}

/** A finding for a name that is no policy (or target) of the site. */
export function unknownPolicy({ manifest }: Operator, name: string): Finding {
  const known = Object.keys(manifest.backups?.policies ?? {});
  return refusal(
    "OPERATION-UNKNOWN-POLICY",
    name,
    `${manifest.site} has no backup policy '${name}'`,
    known.length > 0 ? `one of ${known.join(", ")}` : "write one under `backups:` of the site file, then `pulumi up`",
  );
}

interface Place {
  server: string;
  vmid: number;
}

/** Where it is active. */
function seatOf(live: LiveSite, guest: ManifestGuest): Place | undefined {
  const seen = live.guests[guest.name];
  const running = seen?.runningOn[0];
  if (running !== undefined) return running;
  const server = seen?.activeServer;
  const seat = seen?.seats.find((each) => each.server === server && each.config === true);
  return seat && live.servers[seat.server]?.api === "up" ? seat : undefined;
}

function notRun(guest: string, live: LiveSite, target: string): Finding {
  const server = live.guests[guest]?.activeServer;
  return refusal(
    "OPERATION-NOT-BACKED-UP",
    guest,
    server === undefined
      ? `which side of ${guest} is active is not known, so it is not backed up to ${target}`
      : `${guest} is not found on ${server}, or ${server} does not answer, so it is not backed up to ${target}`,
    "see `coldspare status`",
  );
}

/** Options of the regular job where there is one, so that a run by hand differs in nothing but its time. */
const JOB_OPTIONS = ["mode", "compress", "fleecing", "bwlimit", "notes-template", "pbs-change-detection-mode"] as const;

function guestRun(
  operator: Operator,
  guest: ManifestGuest,
  { server, vmid }: Place,
  { storage, policy, name }: { storage: string; policy: ManifestPolicy; name: string },
): Run {
  return {
    subject: guest.name,
    server,
    title: `back ${guest.name} (${vmid}) up on ${server} to ${storage}`,
    async start(note) {
      const limit = policy.bandwidthMBps === undefined ? {} : { bwlimit: Math.round(policy.bandwidthMBps * 976.5625) };
      await operator.pve.task(
        server,
        "POST",
        `/nodes/${server}/vzdump`,
        {
          mode: "snapshot",
          compress: "zstd",
          "notes-template": `{{guestname}}, {{node}}, policy ${name}`,
          ...limit,
          ...(await jobOptions(operator, server, name)),
          vmid,
          storage,
          // The regular run prunes; one more by hand must not cost an older one.
          remove: false,
        },
        { guest: guest.name, doing: `back up guest ${vmid} '${guest.name}'` },
        { onProgress: note },
      );
    },
  };
}

/** What the policy's job in Proxmox VE says; nothing where there is none, or where it may not be seen. */
async function jobOptions(operator: Operator, server: string, policy: string): Promise<Record<string, string>> {
  type Job = Record<string, string | number | undefined>;
  const { site } = operator.manifest;
  // Without a cluster each hypervisor has a job of its own.
  const ids = [`${site}-${policy}-${server}`, `${site}-${policy}`];
  const pve = operator.pveAt(server) ?? operator.pve;
  const jobs = await pve.get<Job[]>("/cluster/backup").catch((): Job[] => []);
  const own = jobs.find(({ id }) => ids.includes(String(id)));
  return Object.fromEntries(JOB_OPTIONS.flatMap((key) => (own?.[key] === undefined ? [] : [[key, String(own[key])]])));
}

/** Jobs of ZFS have names of their own; the servers that have them tell which are of the policy. */
function zfsRuns(operator: Operator, policy: string, { target, datasets }: ManifestPolicy): Run[] {
  const keepers = keepersOf(operator.manifest.backups!).filter(
    ({ program, targets }) => program === "coldspare-zfs" && targets.includes(target),
  );
  const names = datasets.map(({ server, dataset }) => `${server}:${dataset}`);
  return keepers.map(({ server }) => ({
    subject: `data sets of ${server}`,
    server,
    title: `send ${names.join(", ")} from ${server} to ${target}`,
    async start(note) {
      const jobs = await zfsJobs(operator, server, policy);
      if (jobs.length === 0)
        throw new Error(`${server} has no ZFS job of policy ${policy}: \`pulumi up\` writes its zfs.conf`);
      for (const job of jobs) await command(operator, server, ["coldspare-zfs", "run", job], note);
    },
  }));
}

/** Names of a policy's jobs in a server's zfs.conf. */
export async function zfsJobs(operator: Operator, server: string, policy: string): Promise<string[]> {
  const argv = [`${PROGRAM_FOLDER}/coldspare-zfs`, "status", "--plain"];
  const { stdout } = await operator.ssh.run(server, argv, { timeoutSeconds: 30 });
  return stdout.split("\n").flatMap((line) => {
    const job = /(?:^|\s)job=(\S+)/.exec(line)?.[1];
    const of = /(?:^|\s)policy=(\S+)/.exec(line)?.[1];
    return job !== undefined && of !== undefined && decodeURIComponent(of) === policy ? [decodeURIComponent(job)] : [];
  });
}

function sshRun(operator: Operator, server: string, subject: string, words: string[]): Run {
  return {
    subject,
    server,
    title: `${words.join(" ")} on ${server}`,
    start: (note) => command(operator, server, ["coldspare-backup", ...words], note),
  };
}

const REFUSED = 3;

/** @throws Error with the last line that the program wrote */
export async function command(
  operator: Operator,
  server: string,
  [program = "", ...words]: readonly string[],
  note: (line: string) => void,
): Promise<string> {
  const argv = [`${PROGRAM_FOLDER}/${program}`, ...words];
  const { code, stdout, stderr } = await operator.ssh.run(server, argv, { timeoutSeconds: LONGEST_SECONDS });
  const said = stdout.trim().split("\n").at(-1) ?? "";
  if (code === 0) {
    if (said !== "") note(said);
    return stdout;
  }
  const why = stderr.trim().split("\n").at(-1) || said || `it ended with ${code}`;
  throw new Error(`${server}: ${code === REFUSED ? "refused: " : ""}${why}`);
}

/** One after another: each says how it ended, and none keeps the others back. */
export async function carryOutRuns(
  operator: Operator,
  runs: readonly Run[],
  stopped: () => boolean = () => false,
): Promise<RunResult[]> {
  const { clock, say } = operator;
  const results: RunResult[] = [];
  for (const { subject, server, title, start } of runs) {
    if (stopped()) break;
    const began = clock.now().getTime();
    const tell = (state: "begin" | "done" | "fail" | "note", text: string) =>
      say({ at: clock.now().toISOString(), guest: subject, step: "backup", text, state });
    tell("begin", title);
    const result = { subject, server };
    try {
      await start((line) => tell("note", line));
      tell("done", title);
      results.push({ ...result, ok: true, seconds: secondsSince(operator, began) });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      tell("fail", reason);
      results.push({ ...result, ok: false, seconds: secondsSince(operator, began), reason });
    }
  }
  return results;
}

function secondsSince({ clock }: Operator, began: number): number {
  return Math.round((clock.now().getTime() - began) / 100) / 10;
}
