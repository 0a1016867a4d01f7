/** What one server says of itself: over its API, over SSH. A server that does not answer costs no more than the patience. */
import { type DrillResult, parseDrills, READ_DRILLS } from "../providers/drill-results";
import type { PveClient } from "../providers/pve/client";
import { PveError } from "../providers/pve/errors";
import type { ClusterRow, GuestRow, ReplicationJob, ReplicationJobStatus } from "../providers/pve/types";
import { SshError } from "../providers/ssh";
import { NODE_PROGRAM, type Operator } from "./context";
import type { LiveZfsSide, NodeAnswer, Reach } from "./live-types";
import { keyValues } from "./voters";
import { READ_REPLICAS, replicasIn } from "./zfs-replica";

/** A dead server may cost so many seconds, whatever it is dead of. */
export const PATIENCE_SECONDS = 5;

/** One guest on its server: `/nodes/<server>/qemu` and `/lxc`. */
export interface GuestOnServer {
  vmid: number;
  kind: "qemu" | "lxc";
  status: string;
  name?: string;
  tags?: string;
  lock?: string;
  maxmem?: number;
  cpus?: number;
  pid?: number;
}

/** One guest in the list of the cluster. */
export type ClusterGuest = GuestRow & { lock?: string };

/** What a hypervisor's API says. With any other reach than `up` the lists are empty and mean nothing. */
export interface ApiAnswer {
  reach: Reach;
  problem?: string;
  time?: number;
  cluster: ClusterRow[];
  listed: ClusterGuest[];
  guests: GuestOnServer[];
  /** Absent: this token may not see them. */
  jobs?: ReplicationJob[];
  jobStates: ReplicationJobStatus[];
}

const silent = (reach: Reach, problem?: string): ApiAnswer => ({
  reach,
  cluster: [],
  listed: [],
  guests: [],
  jobStates: [],
  ...(problem !== undefined && { problem }),
});

/** A server of which something could not be read: what it does say must not be taken for all that there is. */
export const unreadable = (error: PveError): ApiAnswer =>
  silent(error.isServerDown ? "down" : "refused", `${error.reason} (${error.call}). Fix: ${error.fix}`);

export async function askApi(operator: Operator, server: string): Promise<ApiAnswer> {
  const pve = operator.pveAt(server);
  if (pve === undefined) return silent("none");
  let heard: PveError | undefined;
  try {
    return await within(
      PATIENCE_SECONDS,
      readApi(pve, server, (read) => patiently(operator, read, (error) => (heard = error))),
    );
  } catch (error) {
    if (error instanceof TooSlow) {
      const why = heard === undefined ? "" : ` (${heard.call}: ${heard.reason})`;
      return silent("down", `its API does not answer within ${PATIENCE_SECONDS} s${why}`);
    }
    if (!(error instanceof PveError)) throw error;
    return unreadable(error);
  }
}

type Patience = <T>(read: () => Promise<T>) => Promise<T>;

const ATTEMPTS = 3;
const PAUSE_SECONDS = 0.5;

/** A lock that somebody holds, a worker that was restarted: it passes in a moment, or it is no passing trouble. */
export async function patiently<T>(
  { clock }: Operator,
  read: () => Promise<T>,
  onError: (error: PveError) => void = () => undefined,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof PveError)) throw error;
      onError(error);
      if (attempt >= ATTEMPTS || error.isServerDown || DENIED.includes(error.status)) throw error;
      await clock.sleep(PAUSE_SECONDS);
    }
  }
}

const FORBIDDEN = 403;
const DENIED = [401, FORBIDDEN];

/**
 * Decisions are taken on these lists, so one that could not be read is never an empty one. Some are refused to a token that may
 * see less: then what is in them is not known, and the rest counts.
 */
async function readApi(pve: PveClient, server: string, patient: Patience): Promise<ApiAnswer> {
  const node = `/nodes/${server}`;
  const read = <T>(path: string, query?: Record<string, string>) => patient(() => pve.get<T[]>(path, query));
  const ifAllowed = <T>(answer: Promise<T[]>): Promise<T[] | undefined> =>
    answer.catch((error: unknown) => {
      if (error instanceof PveError && error.status === FORBIDDEN) return undefined;
      throw error;
    });
  const [cluster = [], listed, vms, containers, jobs, jobStates = [], time] = await Promise.all([
    ifAllowed(read<ClusterRow>("/cluster/status")),
    read<ClusterGuest>("/cluster/resources", { type: "vm" }),
    read<Omit<GuestOnServer, "kind">>(`${node}/qemu`),
    read<Omit<GuestOnServer, "kind">>(`${node}/lxc`),
    ifAllowed(read<ReplicationJob>("/cluster/replication")),
    ifAllowed(read<ReplicationJobStatus>(`${node}/replication`)),
    pve.get<{ time: number }>(`${node}/time`).catch(() => undefined),
  ]);
  const guests = [
    ...vms.map((row): GuestOnServer => ({ ...row, vmid: Number(row.vmid), kind: "qemu" })),
    ...containers.map((row): GuestOnServer => ({ ...row, vmid: Number(row.vmid), kind: "lxc" })),
  ];
  const known = { ...(jobs && { jobs }), ...(time && { time: time.time }) };
  return { reach: "up", cluster, listed, guests, jobStates, ...known };
}

/** What a server says over SSH. */
export interface SshAnswer {
  reach: Reach;
  problem?: string;
  node?: NodeAnswer;
  drills: Record<string, DrillResult>;
  /** Guests whose old side here has data of its own. */
  diverged: string[];
  /** Replication jobs that a drill has switched off while it copies here. */
  paused: string[];
  /** Unix time of the newest replication snapshot, by job. */
  snapshots: Record<string, number>;
  /** Guests by `zfs-sync` that are kept here. */
  replicas: Record<string, LiveZfsSide>;
}

/** One command for everything that lies in files. Sections begin with a line `== name`. */
const FACTS = `cd /
echo '== history'; cat /etc/coldspare/history 2>/dev/null
echo '== diverged'; ls /var/lib/coldspare/diverged 2>/dev/null
echo '== paused'; ls /var/lib/coldspare/drills 2>/dev/null | sed -n 's/^paused-//p'
echo '== snapshots'; if command -v zfs >/dev/null; then zfs list -H -t snapshot -o name 2>/dev/null | grep '@__replicate_'; fi
echo '== replicas'; ${READ_REPLICAS}
echo '== drills'; ${READ_DRILLS}`;

export async function askSsh(operator: Operator, server: string): Promise<SshAnswer> {
  const nothing = { drills: {}, diverged: [], paused: [], snapshots: {}, replicas: {} };
  if (operator.manifest.servers[server]?.ssh === undefined) return { reach: "none", ...nothing };
  const run = (argv: readonly string[]) => operator.ssh.run(server, argv, { timeoutSeconds: PATIENCE_SECONDS });
  try {
    const [ping, facts] = await within(
      PATIENCE_SECONDS + 1,
      Promise.all([run([NODE_PROGRAM, "serve", "ping"]), run(["sh", "-c", FACTS])]),
    );
    const sections = sectionsOf(facts.stdout);
    const node = nodeAnswer(ping.stdout, sections.history ?? []);
    const missing =
      node === undefined
        ? { problem: `coldspare-node does not answer there (${ping.stderr.trim() || `exit code ${ping.code}`})` }
        : { node };
    return {
      reach: "up",
      ...missing,
      drills: parseDrills(sections.drills ?? []),
      diverged: (sections.diverged ?? []).map((name) => name.replace(/\..*$/, "")),
      paused: sections.paused ?? [],
      snapshots: snapshotsIn(sections.snapshots ?? []),
      replicas: replicasIn(sections.replicas ?? []),
    };
  } catch (error) {
    if (error instanceof TooSlow) return { reach: "down", problem: "it does not answer over SSH", ...nothing };
    if (!(error instanceof SshError)) throw error;
    const reach = error.kind === "unreachable" || error.kind === "timeout" ? "down" : "refused";
    return { reach, problem: `${error.reason}. Fix: ${error.fix}`, ...nothing };
  }
}

function sectionsOf(text: string): Record<string, string[]> {
  const sections: Record<string, string[]> = {};
  let lines: string[] = [];
  for (const line of text.split("\n")) {
    const name = /^== (\w+)$/.exec(line)?.[1];
    if (name !== undefined) {
      lines = [];
      sections[name] = lines;
    } else if (line.trim() !== "") lines.push(line.trim());
  }
  return sections;
}

/** `pong self=srv2 boot=… uptime=123.4 generation=7 hash=… version=1` */
export function nodeAnswer(ping: string, history: readonly string[]): NodeAnswer | undefined {
  const line = ping.split("\n").find((each) => each.startsWith("pong "));
  if (line === undefined) return undefined;
  const values = keyValues(line.trim().split(/\s+/).slice(1));
  return {
    self: values.self ?? "",
    boot: values.boot ?? "",
    uptimeSeconds: Number(values.uptime ?? 0),
    generation: Number(values.generation ?? 0) || 0,
    hash: values.hash ?? "",
    version: values.version ?? "",
    history: history.flatMap((each) => {
      const [generation, hash] = each.split(/\s+/);
      return hash === undefined ? [] : [{ generation: Number(generation), hash }];
    }),
  };
}

/** `tank/vm-113-disk-0@__replicate_113-0_1790000000__`: the oldest of a job's newest ones counts, as a run may be half done. */
export function snapshotsIn(lines: readonly string[]): Record<string, number> {
  const newest: Record<string, Record<string, number>> = {};
  for (const line of lines) {
    const match = /^(\S+)@__replicate_(\d+-\d+)_(\d+)__$/.exec(line);
    if (!match) continue;
    const volumes = newest[match[2]!] ?? {};
    newest[match[2]!] = volumes;
    volumes[match[1]!] = Math.max(volumes[match[1]!] ?? 0, Number(match[3]));
  }
  return Object.fromEntries(Object.entries(newest).map(([job, volumes]) => [job, Math.min(...Object.values(volumes))]));
}

class TooSlow extends Error {}

/** Gives up waiting, not the work: it ends by itself and its outcome is of no interest any more. */
async function within<T>(seconds: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new TooSlow()), seconds * 1000);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined);
  }
}
