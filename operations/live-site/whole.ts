/** Everything that stands once for the cluster, and what each server says of itself. */
import type { ClusterSnapshot, NodeSnapshot } from "../../planning/adoption/snapshot";
import type { Reader } from "./reader";
import {
  backupJobEntry,
  flag,
  isRow,
  networkEntry,
  nodeEntry,
  number,
  type Row,
  replicationEntry,
  storageEntry,
  text,
} from "./rows";

export type Whole = Pick<
  ClusterSnapshot,
  "cluster" | "quorate" | "qdevice" | "storages" | "replicationJobs" | "backupJobs" | "pools" | "ha" | "firewall"
> & {
  /** Addresses of the servers by name. */
  addresses: Map<string, string | undefined>;
};

/** About a dozen calls, whatever the cluster's size. */
export async function readWhole(reader: Reader): Promise<Whole> {
  const [status, storages, jobs, backups, pools, ha, firewall] = await Promise.all([
    reader.rows("/cluster/status", "read the cluster's status"),
    reader.rows("/storage", "read the storages"),
    reader.list("the replication jobs", "/cluster/replication"),
    reader.list("the backup jobs", "/cluster/backup"),
    reader.list("the pools", "/pools"),
    reader.list("the HA resources", "/cluster/ha/resources"),
    readFirewall(reader),
  ]);
  const cluster = status.find(({ type }) => type === "cluster");
  const name = text(cluster?.name);
  const device = cluster === undefined ? undefined : await readDevice(reader);
  return {
    addresses: new Map(status.filter(({ type }) => type === "node").map((row) => [String(row.name), text(row.ip)])),
    ...(name === undefined ? {} : { cluster: name }),
    quorate: cluster === undefined || flag(cluster.quorate),
    ...(device === undefined ? {} : { qdevice: device }),
    storages: storages.map(storageEntry).sort((a, b) => compare(a.storage, b.storage)),
    replicationJobs: jobs.map(replicationEntry).sort((a, b) => compare(a.id, b.id)),
    backupJobs: backups.map(backupJobEntry).sort((a, b) => compare(a.id, b.id)),
    pools: pools.map((pool) => ({ poolid: String(pool.poolid), ...optional("comment", pool.comment) })),
    ha: ha.map((row) => ({ sid: String(row.sid), ...optional("state", row.state) })),
    firewall,
  };
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function optional<K extends string>(key: K, value: unknown): { [P in K]?: string } {
  const shown = text(value);
  return (shown === undefined ? {} : { [key]: shown }) as { [P in K]?: string };
}

/** A QDevice shows its model; without one the answer is empty. */
async function readDevice(reader: Reader): Promise<boolean | undefined> {
  const answer = await reader.ask("the third vote (QDevice)", "/cluster/config/qdevice");
  return isRow(answer) ? Object.keys(answer).length > 0 : undefined;
}

async function readFirewall(reader: Reader): Promise<ClusterSnapshot["firewall"]> {
  const options = await reader.ask("the cluster's firewall", "/cluster/firewall/options");
  const enabled = isRow(options) && (number(options.enable) ?? 0) > 0;
  const [rules, groups, aliases, sets] = await Promise.all([
    reader.list("the cluster's firewall rules", "/cluster/firewall/rules"),
    reader.list("the security groups", "/cluster/firewall/groups"),
    reader.list("the firewall's aliases", "/cluster/firewall/aliases"),
    reader.list("the firewall's IP sets", "/cluster/firewall/ipset"),
  ]);
  return { enabled, rules: rules.length, groups: groups.length + aliases.length + sets.length };
}

/** The servers as `/cluster/resources` lists them, without their networks. */
export function serversOf(resources: readonly Row[], addresses: Whole["addresses"]): NodeSnapshot[] {
  const storages = resources.filter(({ type }) => type === "storage");
  return resources
    .filter(({ type }) => type === "node")
    .map((row) => nodeEntry(row, addresses.get(String(row.node)), storages))
    .sort((a, b) => compare(a.name, b.name));
}

/** The network of a server; of one that is off nothing is known. */
export async function readNetworks(reader: Reader, { name, online }: NodeSnapshot): Promise<NodeSnapshot["networks"]> {
  const networks = `the networks of ${name}`;
  const all = `server ${name}: its networks, the sizes of its storages, the configurations of its guests`;
  if (!online) {
    // Said in one sentence, also where it went off in the middle.
    reader.found(networks);
    reader.miss(all, "it is off, or cut off from the server that was asked");
    return [];
  }
  reader.found(all);
  return (await reader.list(networks, `/nodes/${name}/network`)).map(networkEntry);
}
