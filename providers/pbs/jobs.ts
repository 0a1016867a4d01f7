/** Entries of the backup server's configuration about jobs and bandwidth: what is in them, and how each setting travels. */
import { checkAuthId, checkId, checkNamespace, checkRange } from "./names";
import type { Section, SectionInputs, SectionProperty } from "./section";

const text = (wire: string, more: Partial<SectionProperty> = {}): SectionProperty => ({ wire, kind: "text", ...more });
const number = (wire: string, more: Partial<SectionProperty> = {}): SectionProperty => ({
  wire,
  kind: "number",
  ...more,
});
const flag = (wire: string, initial: boolean, more: Partial<SectionProperty> = {}): SectionProperty => ({
  wire,
  kind: "flag",
  initial,
  ...more,
});

const COMMENT = text("comment", { loose: true });
const MAX_DEPTH = 7;

/** Inputs of a prune job; see `PbsPruneJob`. */
export interface PbsPruneJobInputs extends SectionInputs {
  jobId: string;
  store: string;
  schedule: string;
  ns?: string;
  maxDepth?: number;
  keepLast?: number;
  keepHourly?: number;
  keepDaily?: number;
  keepWeekly?: number;
  keepMonthly?: number;
  keepYearly?: number;
  disable?: boolean;
  comment?: string;
}

export const PRUNE_JOB: Section<PbsPruneJobInputs> = {
  noun: "prune job",
  path: "/config/prune",
  key: "jobId",
  keyWire: "id",
  removeCommand: "proxmox-backup-manager prune-job remove",
  properties: {
    store: text("store", { fixed: true }),
    schedule: text("schedule", { schedule: true }),
    ns: text("ns", { initial: "" }),
    maxDepth: number("max-depth"),
    keepLast: number("keep-last"),
    keepHourly: number("keep-hourly"),
    keepDaily: number("keep-daily"),
    keepWeekly: number("keep-weekly"),
    keepMonthly: number("keep-monthly"),
    keepYearly: number("keep-yearly"),
    // Whoever switched pruning off while looking for a lost backup does not want it on again with the next update.
    disable: flag("disable", false, { loose: true }),
    comment: COMMENT,
  },
  check(inputs) {
    const kept = KEEPS.filter((key) => inputs[key] !== undefined);
    const isKnown = inputs.schedule !== undefined;
    return [
      ...checkId("jobId", inputs.jobId),
      ...checkNamespace("ns", inputs.ns),
      ...checkRange("maxDepth", inputs.maxDepth, 0, MAX_DEPTH),
      ...kept.flatMap((key) => checkRange(key, inputs[key], 1, 100_000)),
      ...(isKnown && kept.length === 0
        ? [{ property: "keepLast", reason: "the job keeps everything; name at least one period, or leave the job out" }]
        : []),
    ];
  },
};

const KEEPS = ["keepLast", "keepHourly", "keepDaily", "keepWeekly", "keepMonthly", "keepYearly"] as const;

/** Inputs of a verification job; see `PbsVerifyJob`. */
export interface PbsVerifyJobInputs extends SectionInputs {
  jobId: string;
  store: string;
  schedule?: string;
  ns?: string;
  maxDepth?: number;
  ignoreVerified?: boolean;
  outdatedAfter?: number;
  comment?: string;
}

export const VERIFY_JOB: Section<PbsVerifyJobInputs> = {
  noun: "verification job",
  path: "/config/verify",
  key: "jobId",
  keyWire: "id",
  removeCommand: "proxmox-backup-manager verify-job remove",
  properties: {
    store: text("store", { fixed: true }),
    schedule: text("schedule", { schedule: true }),
    ns: text("ns", { initial: "" }),
    maxDepth: number("max-depth", { initial: MAX_DEPTH }),
    ignoreVerified: flag("ignore-verified", true),
    outdatedAfter: number("outdated-after"),
    comment: COMMENT,
  },
  check: ({ jobId, ns, maxDepth, outdatedAfter }) => [
    ...checkId("jobId", jobId),
    ...checkNamespace("ns", ns),
    ...checkRange("maxDepth", maxDepth, 0, MAX_DEPTH),
    ...checkRange("outdatedAfter", outdatedAfter, 1, 36_500),
  ],
};

/** Inputs of a sync job; see `PbsSyncJob`. */
export interface PbsSyncJobInputs extends SectionInputs {
  jobId: string;
  store: string;
  remote?: string;
  remoteStore: string;
  ns?: string;
  remoteNs?: string;
  maxDepth?: number;
  schedule?: string;
  direction?: "pull" | "push";
  rateIn?: string;
  rateOut?: string;
  removeVanished?: boolean;
  transferLast?: number;
  owner?: string;
  resyncCorrupt?: boolean;
  encryptedOnly?: boolean;
  verifiedOnly?: boolean;
  runOnMount?: boolean;
  unmountOnDone?: boolean;
  groupFilter?: string[];
  comment?: string;
}

export const SYNC_JOB: Section<PbsSyncJobInputs> = {
  noun: "sync job",
  path: "/config/sync",
  key: "jobId",
  keyWire: "id",
  removeCommand: "proxmox-backup-manager sync-job remove",
  properties: {
    store: text("store", { fixed: true }),
    remote: text("remote"),
    remoteStore: text("remote-store"),
    ns: text("ns", { initial: "" }),
    remoteNs: text("remote-ns", { initial: "" }),
    maxDepth: number("max-depth"),
    schedule: text("schedule", { schedule: true }),
    direction: text("sync-direction", { initial: "pull", fixed: true }),
    rateIn: text("rate-in"),
    rateOut: text("rate-out"),
    removeVanished: flag("remove-vanished", false),
    transferLast: number("transfer-last"),
    // The server fills in whoever made the job.
    owner: text("owner", { loose: true }),
    resyncCorrupt: flag("resync-corrupt", false),
    encryptedOnly: flag("encrypted-only", false),
    verifiedOnly: flag("verified-only", false),
    runOnMount: flag("run-on-mount", false),
    unmountOnDone: flag("unmount-on-done", false),
    groupFilter: { wire: "group-filter", kind: "list" },
    comment: COMMENT,
  },
  check: (inputs) => [
    ...checkId("jobId", inputs.jobId),
    ...checkNamespace("ns", inputs.ns),
    ...checkNamespace("remoteNs", inputs.remoteNs),
    ...checkRange("maxDepth", inputs.maxDepth, 0, MAX_DEPTH),
    ...checkRange("transferLast", inputs.transferLast, 1, 100_000),
    ...checkAuthId("owner", inputs.owner),
    ...(inputs.remote === undefined && inputs.store !== undefined && inputs.store === inputs.remoteStore
      ? checkOtherNamespace(inputs)
      : []),
  ],
};

function checkOtherNamespace({ ns = "", remoteNs = "", store }: Partial<PbsSyncJobInputs>) {
  if (ns !== remoteNs) return [];
  return [
    { property: "remoteStore", reason: `'${store}' would be copied to itself; name another datastore or namespace` },
  ];
}

/** Inputs of a traffic rule; see `PbsTrafficControl`. */
export interface PbsTrafficControlInputs extends SectionInputs {
  name: string;
  networks: string[];
  rateIn?: string;
  rateOut?: string;
  burstIn?: string;
  burstOut?: string;
  timeframes?: string[];
  users?: string[];
  comment?: string;
}

export const TRAFFIC_CONTROL: Section<PbsTrafficControlInputs> = {
  noun: "traffic rule",
  path: "/config/traffic-control",
  key: "name",
  keyWire: "name",
  removeCommand: "proxmox-backup-manager traffic-control remove",
  properties: {
    networks: { wire: "network", kind: "list" },
    rateIn: text("rate-in"),
    rateOut: text("rate-out"),
    burstIn: text("burst-in"),
    burstOut: text("burst-out"),
    timeframes: { wire: "timeframe", kind: "list" },
    users: { wire: "users", kind: "list" },
    comment: COMMENT,
  },
  check: ({ name, networks }) => [
    ...checkId("name", name),
    ...(networks?.length === 0 ? [{ property: "networks", reason: "is empty; name networks such as 0.0.0.0/0" }] : []),
  ],
};
