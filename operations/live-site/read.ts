/** Reads a running Proxmox VE cluster, with GET alone and few calls: what `check --live` and `import` begin with. */
import type { ClusterSnapshot, NodeSnapshot, UnreadPart } from "../../planning/adoption/snapshot";
import type { PveClient } from "../../providers/pve/client";
import { PveError } from "../../providers/pve/errors";
import { checkPrivileges, readable, readVersion } from "./access";
import { type GuestReading, readGuests } from "./guests";
import { eachOf } from "./many";
import {
  backupJobEntry,
  flag,
  networkEntry,
  nodeEntry,
  number,
  type Row,
  replicationEntry,
  storageEntry,
  text,
} from "./rows";

/** How far the reading is. */
export interface ReadProgress {
  done: number;
  total: number;
  /** What was just read, for example `guest 113`. */
  what: string;
}

export interface ReadOptions {
  say?: (progress: ReadProgress) => void;
  /** Calls at a time. Default 8: a pveproxy has three workers. */
  concurrency?: number;
  /** Milliseconds since 1970; default: the machine's clock. */
  clock?: () => number;
}

/**
 * Reads a cluster. Never changes anything.
 *
 * Calls: about a dozen for the cluster, one for each server and one for each guest; with the cluster's firewall on, two more for each
 * guest that uses it.
 *
 * @throws LiveSiteError when it cannot be read: see its `kind`
 */
export async function readCluster(pve: PveClient, options: ReadOptions = {}): Promise<ClusterSnapshot> {
  try {
    return await read(pve, options);
  } catch (error) {
    throw readable(error);
  }
}

async function read(pve: PveClient, options: ReadOptions): Promise<ClusterSnapshot> {
  const { concurrency = 8, say = () => undefined, clock = Date.now } = options;
  const version = await readVersion(pve);
  const hidden = await checkPrivileges(pve);
  const resources = await pve.get<Row[]>("/cluster/resources", {}, { doing: "list servers, guests and storages" });
  const parts = new Parts(pve, hidden);
  const whole = await readWhole(parts);
  const nodes = nodesOf(resources, whole.status);
  const online = nodes.filter((node) => node.online);
  const total = online.length + resources.filter(({ type }) => type === "qemu" || type === "lxc").length;
  let done = 0;
  const step = (what: string) => say({ done: Math.min(++done, total), total, what });
  await eachOf(online, concurrency, async (node) => {
    node.networks = (await parts.list(`the networks of ${node.name}`, `/nodes/${node.name}/network`)).map(networkEntry);
    step(`server ${node.name}`);
  });
  const reading: GuestReading = {
    pve,
    online: new Set(online.map(({ name }) => name)),
    firewall: whole.firewall.enabled,
    atOnce: concurrency,
    done: ({ vmid }) => step(`guest ${vmid}`),
  };
  const guests = await readGuests(reading, resources);
  const { status: _, ...rest } = whole;
  return { readAt: Math.floor(clock() / 1000), version, ...rest, nodes, guests, unread: parts.unread };
}

/** Calls whose failure is told and does not end the reading. */
class Parts {
  constructor(
    private readonly pve: PveClient,
    readonly unread: UnreadPart[],
  ) {}

  list(what: string, path: string): Promise<Row[]> {
    return this.ask<Row[]>(what, path, []);
  }

  async ask<T>(what: string, path: string, otherwise: T): Promise<T> {
    try {
      return await this.pve.get<T>(path, {}, { doing: `read ${what}` });
    } catch (error) {
      if (!(error instanceof PveError) || error.status === 401) throw error;
      this.unread.push({ what, why: error.reason });
      return otherwise;
    }
  }
}

type Whole = Pick<
  ClusterSnapshot,
  "cluster" | "quorate" | "qdevice" | "storages" | "replicationJobs" | "backupJobs" | "pools" | "ha" | "firewall"
> & { status: Row[] };

/** Everything that stands once for the cluster. */
async function readWhole(parts: Parts): Promise<Whole> {
  const [status, storages, jobs, backups, pools, ha, firewall] = await Promise.all([
    parts.list("the cluster's status", "/cluster/status"),
    parts.list("the storages", "/storage"),
    parts.list("the replication jobs", "/cluster/replication"),
    parts.list("the backup jobs", "/cluster/backup"),
    parts.list("the pools", "/pools"),
    parts.list("the HA resources", "/cluster/ha/resources"),
    readFirewall(parts),
  ]);
  const cluster = status.find(({ type }) => type === "cluster");
  const name = text(cluster?.name);
  const device = cluster === undefined ? undefined : await readDevice(parts);
  return {
    status,
    ...(name === undefined ? {} : { cluster: name }),
    quorate: cluster === undefined || flag(cluster.quorate),
    ...(device === undefined ? {} : { qdevice: device }),
    storages: storages.map(storageEntry),
    replicationJobs: jobs.map(replicationEntry),
    backupJobs: backups.map(backupJobEntry),
    pools: pools.map((pool) => ({
      poolid: String(pool.poolid),
      ...(text(pool.comment) === undefined ? {} : { comment: String(pool.comment) }),
    })),
    ha: ha.map((row) => ({
      sid: String(row.sid),
      ...(text(row.state) === undefined ? {} : { state: String(row.state) }),
    })),
    firewall,
  };
}

/** A QDevice shows its model; without one the answer is empty. */
async function readDevice(parts: Parts): Promise<boolean | undefined> {
  const answer = await parts.ask<Row | undefined>("the third vote (QDevice)", "/cluster/config/qdevice", undefined);
  return answer === undefined ? undefined : Object.keys(answer).length > 0;
}

async function readFirewall(parts: Parts): Promise<ClusterSnapshot["firewall"]> {
  const options = await parts.ask<Row>("the cluster's firewall", "/cluster/firewall/options", {});
  const enabled = (number(options.enable) ?? 0) > 0;
  if (!enabled) return { enabled, rules: 0, groups: 0 };
  const [rules, groups] = await Promise.all([
    parts.list("the cluster's firewall rules", "/cluster/firewall/rules"),
    parts.list("the security groups", "/cluster/firewall/groups"),
  ]);
  return { enabled, rules: rules.length, groups: groups.length };
}

function nodesOf(resources: readonly Row[], status: readonly Row[]): NodeSnapshot[] {
  const addresses = new Map(
    status.filter(({ type }) => type === "node").map(({ name, ip }) => [String(name), text(ip)]),
  );
  const storages = resources.filter(({ type }) => type === "storage");
  return resources
    .filter(({ type }) => type === "node")
    .map((row) => nodeEntry(row, addresses.get(String(row.node)), storages))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
