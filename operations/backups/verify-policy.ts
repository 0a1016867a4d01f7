/** Reads copies again. What is found is kept where the copies are listed: by the programs, the backup server, or in an archive's notes. */
import type { Finding } from "../../planning";
import type { ManifestTarget } from "../../planning/backup/manifest";
import type { Operator } from "../context";
import { refusal } from "../refusals";
import { type Copies, newestFirst, type Point } from "./copies";
import { withVerification } from "./notes";
import { command, type Run, type RunPlan, unknownPolicy, zfsJobs } from "./run-policy";
import { keepersOf } from "./subjects";

/** @param name A policy, or a target. */
export function planVerify(operator: Operator, copies: Copies, name: string): RunPlan {
  const { backups } = operator.manifest;
  const policy = backups?.policies[name];
  const targetName = policy?.target ?? name;
  const target = backups?.targets[targetName];
  if (backups === undefined || target === undefined)
    return { policy: name, runs: [], refusals: [unknownPolicy(operator, name)] };
  const wanted = copies.points
    .filter((point) => point.target === targetName && (policy === undefined || point.policies.includes(name)))
    .sort(newestFirst);
  switch (target.kind) {
    case "pbs":
      return { policy: name, ...pbsRun(operator, targetName, target) };
    case "vzdump":
      return {
        policy: name,
        runs: wanted.map((point) => archiveRun(operator, point)),
        refusals: nothing(wanted, name),
      };
    case "offline-medium":
      return { policy: name, runs: [mediumRun(operator, targetName, target.on)], refusals: [] };
    default:
      return {
        policy: name,
        runs: jobRuns(operator, targetName, policy === undefined ? undefined : name),
        refusals: [],
      };
  }
}

function nothing(wanted: readonly Point[], name: string): Finding[] {
  if (wanted.length > 0) return [];
  return [
    refusal(
      "OPERATION-NO-POINT",
      name,
      `there is no copy of ${name} that could be read again`,
      "see `coldspare backups`",
    ),
  ];
}

/** What is on the attached medium; the others are read when it is their turn. */
function mediumRun(operator: Operator, target: string, server: string): Run {
  return {
    subject: target,
    server,
    title: `read what is on the attached medium of ${target} again, on ${server}`,
    start: (note) => command(operator, server, ["coldspare-backup", "media", "verify", target], note),
  };
}

/** On the backup server itself, by its own program, as root: no password of it is needed here. */
function pbsRun(
  operator: Operator,
  name: string,
  target: Extract<ManifestTarget, { kind: "pbs" }>,
): Pick<RunPlan, "runs" | "refusals"> {
  const server = target.on;
  if (server === undefined || operator.manifest.servers[server]?.ssh === undefined)
    return {
      runs: [],
      refusals: [
        refusal(
          "OPERATION-VERIFY-ELSEWHERE",
          name,
          `the backup server of ${name}, ${target.host}, is not reached over SSH from here`,
          `there: \`proxmox-backup-manager verify ${target.datastore}\``,
        ),
      ],
    };
  const title = `read every chunk of ${target.datastore} again on ${server}`;
  return {
    runs: [{ subject: name, server, title, start: (note) => verifyStore(operator, server, target.datastore, note) }],
    refusals: [],
  };
}

async function verifyStore(operator: Operator, server: string, store: string, note: (line: string) => void) {
  const argv = ["proxmox-backup-manager", "verify", store, "--ignore-verified", "false"];
  const { code, stdout, stderr } = await operator.ssh.run(server, argv, { timeoutSeconds: 7 * 86_400 });
  const last = stdout.trim().split("\n").at(-1) ?? "";
  if (code !== 0) throw new Error(`${server}: ${stderr.trim().split("\n").at(-1) || last || `it ended with ${code}`}`);
  if (last !== "") note(last);
}

/** Which program reads the checksums of an archive again; its argument is the file. */
const CHECKS: readonly [RegExp, string][] = [
  [/\.zst$/, 'exec zstd -q -t -- "$1"'],
  [/\.gz$/, 'exec gzip -t -- "$1"'],
  [/\.lzo$/, 'exec lzop -q -t -- "$1"'],
  [/\.vma$/, 'exec vma verify "$1"'],
  [/\.tar$/, 'exec tar -tf "$1" >/dev/null'],
];

/** The checksums of its compression, over every byte; what it came to stands in the archive's notes afterwards. */
function archiveRun(operator: Operator, point: Point): Run {
  const server = point.servers[0] ?? "";
  return {
    subject: point.subject,
    server,
    title: `read ${point.id} again on ${server}`,
    async start(note) {
      const check = CHECKS.find(([ending]) => ending.test(point.id))?.[1];
      if (check === undefined) throw new Error(`${point.id}: how such an archive is checked is not known`);
      const path = await operator.ssh.run(server, ["pvesm", "path", point.id], { timeoutSeconds: 60 });
      if (path.code !== 0)
        throw new Error(`${server}: ${path.stderr.trim() || `no file of ${point.id} is known there`}`);
      const argv = ["sh", "-c", check, "sh", path.stdout.trim()];
      const { code, stderr } = await operator.ssh.run(server, argv, { timeoutSeconds: 86_400 });
      const reason = stderr.trim().split("\n").at(-1) || `the check ended with ${code}`;
      // 127: the program that checks is not there, which says nothing about the copy.
      if (code === 127) throw new Error(`${server}: ${reason}`);
      const at = operator.clock.now().toISOString();
      await keepVerification(operator, point, {
        at,
        state: code === 0 ? "ok" : "failed",
        ...(code !== 0 && { reason }),
      });
      if (code !== 0)
        throw new Error(
          `${point.id} on ${server} is broken: ${reason}. It is not counted as good any more; the next backup makes a new one`,
        );
      note("every byte was read");
    },
  };
}

/** Writes what a verification found into the notes of an archive, where every list reads it. */
export async function keepVerification(
  { pve }: Operator,
  { id, servers, notes }: Point,
  found: Parameters<typeof withVerification>[1],
): Promise<void> {
  const server = servers[0] ?? "";
  const path = `/nodes/${server}/storage/${id.split(":")[0]}/content/${encodeURIComponent(id)}`;
  await pve.put(path, { notes: withVerification(notes, found) }, { doing: `note the verification of ${id}` });
}

/** By the programs of the servers that have jobs for the target. */
function jobRuns(operator: Operator, target: string, policy: string | undefined): Run[] {
  const { backups } = operator.manifest;
  const policies = Object.entries(backups!.policies).filter(
    ([name, spec]) => spec.target === target && (policy === undefined || name === policy),
  );
  return keepersOf(backups!)
    .filter(({ targets }) => targets.includes(target))
    .flatMap(({ server, program }) =>
      policies.map(
        ([name]): Run => ({
          subject: name,
          server,
          title: `read copies of ${name} again, by ${program} on ${server}`,
          async start(note) {
            const jobs = program === "coldspare-zfs" ? await zfsJobs(operator, server, name) : [name];
            for (const job of jobs) await command(operator, server, [program, "verify", job], note);
          },
        }),
      ),
    );
}
