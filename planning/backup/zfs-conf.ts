/**
 * What coldspare-zfs on a server needs: /etc/coldspare/zfs.conf and systemd units, out of plain lists (docs/zfs.md has the lines). No secrets
 * and no clock: the same lists give the same texts.
 */
import type { SiteManifest } from "../manifest";
import { byName } from "../units";
import { words } from "./conf-words";
import type { ManifestPolicy, ManifestTarget } from "./manifest";
import { onCalendar } from "./on-calendar";
import { KEEP_RULES, type Keep } from "./retention";
import type { MailSpec } from "./schema";

/** Number in the first line; a program on a server refuses another one. */
export const ZFS_CONF_FORMAT = 1;
/** What the source keeps: enough to go on from, and to look back a little without the receiver. */
export const KEEP_ON_SOURCE: Keep = { last: 3 };
/** Spread, so that servers do not all begin at the same second. */
const SPREAD_SECONDS = 300;
const PROGRAM = "/usr/local/sbin/coldspare-zfs";

/** A machine as the other end reaches it over SSH. */
export interface ZfsEnd {
  /** Name in zfs.conf: the server's, or the target's for a host elsewhere. */
  name: string;
  host: string;
  /** @default 22 */
  port?: number;
  /** @default "root" */
  user?: string;
}

/** Data sets of one server that are copied to one receiver. */
export interface ZfsJob {
  /** Unique on both servers. */
  name: string;
  policy: string;
  target: string;
  /** On `from`. */
  datasets: string[];
  from: ZfsEnd;
  /** `dataset`: the copies lie below; that of `tank/data` is `<dataset>/data`. */
  to: ZfsEnd & { dataset: string };
  /** `push` runs on `from`, `pull` on `to`. */
  direction: "push" | "pull";
  /** Encrypted data sets travel encrypted. Without it, an encrypted one is refused. */
  raw: boolean;
  /** MB/s, 10^6 bytes. Absent: no limit */
  rateMBps?: number;
  keepSource: Keep;
  /** Empty: everything stays. */
  keepTarget: Keep;
  recursive: boolean;
  /** Calendar event. */
  schedule: string;
  /** Calendar event at which the bytes of both sides are compared. */
  reread?: string;
  /** Whether a failure is mailed. @default true */
  mail?: boolean;
}

/** The volumes of a guest on two servers (method `zfs-sync`). */
export interface ZfsReplica {
  guest: string;
  sides: readonly [string, string];
  /** The same names on both sides, `tank/vm-113-disk-0`. */
  volumes: string[];
  /** Recovery points that stay. */
  keep: number;
  raw?: boolean;
  rateMBps?: number;
  schedule: string;
}

const VERBS = ["list", "snapshot", "send", "receive", "hold", "destroy", "rename", "rollback", "read"] as const;
export type ZfsVerb = (typeof VERBS)[number];

/** What the key of a peer may do on this server, and below which data sets. */
export interface ZfsAllow {
  peer: string;
  below: string[];
  verbs: readonly ZfsVerb[];
}

/** One server's part. */
export interface ZfsServer {
  self: string;
  peers: ZfsEnd[];
  allow: ZfsAllow[];
  jobs: ZfsJob[];
  replicas: ZfsReplica[];
  mail?: MailSpec;
}

const RECEIVER: readonly ZfsVerb[] = ["list", "receive", "send", "hold", "destroy", "rename", "read"];
const SOURCE: readonly ZfsVerb[] = ["list", "snapshot", "send", "hold", "destroy", "read"];

const runsOn = ({ direction, from, to }: ZfsJob) => (direction === "push" ? from.name : to.name);
const otherEnd = (job: ZfsJob): ZfsEnd => (job.direction === "push" ? job.to : job.from);

/**
 * A server's part of all jobs and replicas: what it runs, whom it reaches, and what it lets others do.
 * @param ends every server that a replica names
 * @throws RangeError for a replica whose other side `ends` does not have
 */
export function zfsServer(
  self: string,
  jobs: readonly ZfsJob[],
  replicas: readonly ZfsReplica[] = [],
  ends: Readonly<Record<string, ZfsEnd>> = {},
  mail?: MailSpec,
): ZfsServer {
  const own = jobs.filter((job) => runsOn(job) === self);
  const here = replicas.filter(({ sides }) => sides.includes(self));
  const partners = here.map(({ guest, sides }) => endOf(ends, sides[0] === self ? sides[1] : sides[0], guest));
  return {
    self,
    peers: unique([...own.map(otherEnd), ...partners].filter(({ name }) => name !== self)),
    allow: [
      ...jobs.filter((job) => runsOn(job) !== self && [job.from.name, job.to.name].includes(self)).map(allowOf),
      ...here.map((replica, at) => ({ peer: partners[at]!.name, below: replica.volumes, verbs: VERBS })),
    ],
    jobs: own,
    replicas: here,
    ...(mail && { mail }),
  };
}

function endOf(ends: Readonly<Record<string, ZfsEnd>>, name: string, guest: string): ZfsEnd {
  const end = Object.hasOwn(ends, name) ? ends[name] : undefined;
  if (end === undefined) throw new RangeError(`The replica of ${guest} has a side '${name}' that cannot be reached.`);
  return end;
}

function unique(ends: ZfsEnd[]): ZfsEnd[] {
  return [...new Map(ends.map((end) => [end.name, end])).values()].sort((one, other) => byName(one.name, other.name));
}

/** What the passive end of a job has to allow the end that runs it; also for a receiver that is no server of the site. */
export function allowOf(job: ZfsJob): ZfsAllow {
  return job.direction === "push"
    ? { peer: job.from.name, below: [job.to.dataset], verbs: RECEIVER }
    : { peer: job.to.name, below: job.datasets, verbs: SOURCE };
}

/** /etc/coldspare/zfs.conf. */
export function renderZfsConf({ self, peers, allow, jobs, replicas, mail }: ZfsServer): string {
  const lines = [
    `format ${ZFS_CONF_FORMAT}`,
    `self ${self}`,
    ...(mail ? [words("mail", { ...mail, to: [mail.to].flat() })] : []),
    ...peers.map(({ name, host, port = 22, user = "root" }) => words(`peer ${name}`, { address: host, port, user })),
    ...allow.map(({ peer, below, verbs }) => words(`allow ${peer}`, { below, do: verbs })),
    ...jobs.map(jobLine),
    ...replicas.map(replicaLine),
  ];
  return `${lines.join("\n")}\n`;
}

function jobLine(job: ZfsJob): string {
  const other = otherEnd(job).name;
  return words(`job ${job.name}`, {
    policy: job.policy,
    target: job.target,
    direction: job.direction,
    peer: other === runsOn(job) ? "-" : other,
    datasets: job.datasets,
    into: job.to.dataset,
    recursive: job.recursive ? 1 : 0,
    raw: job.raw ? 1 : 0,
    keepsource: keepText(job.keepSource),
    keeptarget: keepText(job.keepTarget),
    rate: bytesPerSecond(job.rateMBps),
    onfailure: job.mail === false ? 0 : 1,
  }).replaceAll("%3A", ":");
}

function replicaLine({ guest, sides, volumes, keep, raw, rateMBps }: ZfsReplica): string {
  return words(`replica ${guest}`, { sides, volumes, keep, raw: raw ? 1 : undefined, rate: bytesPerSecond(rateMBps) });
}

function keepText(keep: Keep): string[] {
  return KEEP_RULES.flatMap((rule) => (keep[rule] ? [`${rule}:${keep[rule]}`] : []));
}

const bytesPerSecond = (rate: number | undefined) => (rate === undefined ? undefined : Math.round(rate * 1e6));

/** Name and text of a systemd unit. Timers are enabled and started; services are not. */
export interface ZfsUnit {
  name: string;
  text: string;
}

/** Timers and services of a server: a run of each job, a comparison where one is asked for, a sync of each replica. */
export function zfsUnits({ jobs, replicas }: ZfsServer, timeZone: string): ZfsUnit[] {
  const runs = jobs.map(({ name, target, schedule }) =>
    unitsOf(`run-${name}`, `run ${name}`, `copy of ${name} to ${target}`, schedule, timeZone),
  );
  const checks = jobs.flatMap(({ name, target, reread }) =>
    reread === undefined
      ? []
      : [unitsOf(`verify-${name}`, `verify ${name} --bytes`, `comparing ${name} on ${target}`, reread, timeZone)],
  );
  const syncs = replicas.map(({ guest, schedule }) =>
    unitsOf(`replica-${guest}`, `replica sync ${guest}`, `replica of ${guest}`, schedule, timeZone, true),
  );
  return [...runs, ...checks, ...syncs].flat();
}

function unitsOf(
  name: string,
  command: string,
  description: string,
  schedule: string,
  timeZone: string,
  isReplica = false,
): ZfsUnit[] {
  // A recovery point of minutes leaves no room to spread.
  const spread = isReplica ? 0 : SPREAD_SECONDS;
  const unit = `coldspare-zfs-${name}`;
  const service = `[Unit]
Description=coldspare: ${description}
Wants=network-online.target
After=network-online.target zfs.target
ConditionPathExists=/etc/coldspare/zfs.conf

[Service]
Type=oneshot
ExecStart=${PROGRAM} ${command}
${isReplica ? "# 3: another run is under way, or this is not the active side.\nSuccessExitStatus=3\n" : ""}KillMode=control-group
Nice=10
UMask=0077
`;
  const timer = `[Unit]
Description=coldspare: ${description}

[Timer]
OnCalendar=${onCalendar(schedule, timeZone)}
# What was missed while the server was off is made up for.
Persistent=true
RandomizedDelaySec=${spread}
AccuracySec=${spread > 0 ? "1min" : "1s"}

[Install]
WantedBy=timers.target
`;
  return [
    { name: `${unit}.service`, text: service },
    { name: `${unit}.timer`, text: timer },
  ];
}

type Receiver = Extract<ManifestTarget, { kind: "zfs-receiver" }>;

/** The jobs of a site: one for each policy with data sets, server and way of sending. Sorted by name. */
export function zfsJobs(manifest: SiteManifest): ZfsJob[] {
  const { backups } = manifest;
  if (backups === undefined) return [];
  return Object.entries(backups.policies)
    .flatMap(([name, policy]) => {
      const target = Object.hasOwn(backups.targets, policy.target) ? backups.targets[policy.target] : undefined;
      return target?.kind === "zfs-receiver" ? jobsOf(manifest, name, policy, target) : [];
    })
    .sort((one, other) => byName(one.name, other.name));
}

function jobsOf(manifest: SiteManifest, name: string, policy: ManifestPolicy, target: Receiver): ZfsJob[] {
  const servers = [...new Set(policy.datasets.map(({ server }) => server))].sort(byName);
  return servers.flatMap((server) =>
    [true, false].flatMap((recursive) => {
      const own = policy.datasets.filter((each) => each.server === server && each.recursive === recursive);
      if (own.length === 0) return [];
      const rates = [policy.bandwidthMBps, target.rateMBps].filter((rate) => rate !== undefined);
      const job: ZfsJob = {
        name: `${name}-${server}${recursive ? "" : "-flat"}`,
        policy: name,
        target: policy.target,
        datasets: own.map(({ dataset }) => dataset).sort(byName),
        from: serverEnd(manifest, server),
        to: { ...receiverEnd(policy.target, target), dataset: `${target.dataset}/${server}` },
        direction: target.direction,
        raw: target.raw,
        keepSource: KEEP_ON_SOURCE,
        // Sanoid's own snapshots are its business; ours stay until a person removes them.
        keepTarget: target.pruner === "sanoid" ? {} : policy.keep,
        recursive,
        schedule: policy.schedule,
        mail: policy.notify !== "never",
        ...(rates.length > 0 && { rateMBps: Math.min(...rates) }),
        ...(policy.reread !== undefined && { reread: policy.reread }),
      };
      return [job];
    }),
  );
}

function serverEnd({ servers }: SiteManifest, name: string): ZfsEnd {
  const server = servers[name];
  const host = server?.address ?? server?.ssh?.host ?? name;
  return { name, host, port: server?.ssh?.host === host ? server.ssh.port : 22, user: "root" };
}

function receiverEnd(name: string, { on, host, port, user }: Receiver): ZfsEnd {
  return { name: on ?? name, host, port, user };
}
