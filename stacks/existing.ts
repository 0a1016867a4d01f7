/** What is on the hypervisors already, asked once before anything is registered. */
import * as pulumi from "@pulumi/pulumi";
import type { SitePlan } from "../planning";
import { PveClient } from "../providers/pve/client";
import { ConfigError, PveError } from "../providers/pve/errors";
import type { GuestRow, ReplicationJob } from "../providers/pve/types";
import { samePair } from "../providers/replication-jobs";
import type { StackSettings } from "./settings";

/** Each answers with the id of what is there, or with nothing. */
export interface Existing {
  /** The server that a guest is on; of one that is on several (`zfs-sync`) the wanted one. */
  guest(kind: "qemu" | "lxc", vmid: number, wanted: string): string | undefined;
  /** @param server Of hypervisors without a cluster: the one that the entry is of. */
  storages(server: string, id: string): string | undefined;
  networks(server: string, name: string): string | undefined;
  jobs(id: string): string | undefined;
  pools(id: string): string | undefined;
  replication(vmid: number, pair: readonly [string, string]): ExistingJob | undefined;
}

export interface ExistingJob {
  id: string;
  schedule?: string;
  /** MB/s. */
  rate?: number;
}

/** What one way (that to a cluster, or to a server that is in none) told. */
interface Told {
  /** Absent: the way leads to the cluster. */
  server?: string;
  guests: (GuestRow & { type: string })[];
  storages: string[];
  networks: string[];
  jobs: string[];
  pools: string[];
  replication: ReplicationJob[];
}

/**
 * Asks the cluster once; of hypervisors without a cluster, each.
 *
 * @throws RunError when anything of it cannot be read: what is not known to exist would be made a second time
 */
export async function readExisting(plan: SitePlan, settings: StackSettings): Promise<Existing> {
  const hypervisors = Object.values(plan.servers).flatMap(({ name, roles }) =>
    roles.includes("hypervisor") ? [name] : [],
  );
  const alone = plan.site.cluster === undefined && hypervisors.length > 1;
  const ways = alone
    ? hypervisors.map((server) => ({ server, endpoints: only(settings.endpoints, server), nodes: [server] }))
    : [{ endpoints: settings.endpoints, nodes: hypervisors }];
  const apiToken = await new Promise<string>((done) => settings.apiToken.apply((token) => done(token)));
  try {
    const told = await Promise.all(ways.map((way) => ask(way, settings, apiToken)));
    return existingOf(told);
  } catch (error) {
    if (error instanceof PveError || error instanceof ConfigError)
      throw new pulumi.RunError(`What exists could not be read, so nothing can be taken over: ${error.message}`);
    throw error;
  }
}

function only(endpoints: Record<string, string>, server: string): Record<string, string> {
  const endpoint = endpoints[server];
  return endpoint === undefined ? {} : { [server]: endpoint };
}

async function ask(
  { server, endpoints, nodes }: { server?: string; endpoints: Record<string, string>; nodes: string[] },
  { ca, fingerprints }: StackSettings,
  apiToken: string,
): Promise<Told> {
  const pve = new PveClient({ endpoints, apiToken, fingerprints, ...(ca ? { ca } : {}) });
  try {
    const [guests, storages, jobs, pools, replication, networks] = await Promise.all([
      pve.get<Told["guests"]>("/cluster/resources", { type: "vm" }),
      pve.get<{ storage: string }[]>("/storage"),
      pve.get<{ id: string }[]>("/cluster/backup"),
      pve.get<{ poolid: string }[]>("/pools"),
      pve.get<ReplicationJob[]>("/cluster/replication"),
      Promise.all(nodes.map((node) => networksOf(pve, node))),
    ]);
    return {
      ...(server === undefined ? {} : { server }),
      guests,
      storages: storages.map(({ storage }) => storage),
      networks: networks.flat(),
      jobs: jobs.map(({ id }) => id),
      pools: pools.map(({ poolid }) => poolid),
      replication: replication.filter((job) => job.remove_job === undefined),
    };
  } finally {
    pve.close();
  }
}

async function networksOf(pve: PveClient, node: string): Promise<string[]> {
  const rows = await pve.get<{ iface: string }[]>(`/nodes/${node}/network`);
  return rows.map(({ iface }) => `${node}:${iface}`);
}

export function existingOf(told: readonly Told[]): Existing {
  const guests = told.flatMap((each) => each.guests);
  const all = (list: "jobs" | "networks" | "pools") => new Set(told.flatMap((each) => each[list]));
  const [jobs, networks, pools] = [all("jobs"), all("networks"), all("pools")];
  const storages = new Set(told.flatMap(({ server, storages: ids }) => ids.map((id) => entryKey(server, id))));
  const replication = told.flatMap((each) => each.replication);
  const found = (set: ReadonlySet<string>, id: string) => (set.has(id) ? id : undefined);
  return {
    guest(kind, vmid, wanted) {
      const seats = guests.filter((row) => row.type === kind && row.vmid === vmid).map(({ node }) => node);
      return seats.find((node) => node === wanted) ?? seats[0];
    },
    storages: (server, id) =>
      storages.has(entryKey(undefined, id)) || storages.has(entryKey(server, id)) ? id : undefined,
    networks: (server, name) => found(networks, `${server}:${name}`),
    jobs: (id) => found(jobs, id),
    pools: (id) => found(pools, id),
    replication(vmid, [source, target]) {
      const job = replication.find(
        (each) =>
          Number(each.guest) === vmid &&
          samePair({ source, target }, { source: each.source ?? source, target: each.target }),
      );
      if (job === undefined) return undefined;
      const rate = job.rate === undefined ? {} : { rate: Number(job.rate) };
      return { id: job.id, ...(job.schedule === undefined ? {} : { schedule: job.schedule }), ...rate };
    },
  };
}

function entryKey(server: string | undefined, id: string): string {
  return `${server ?? ""}:${id}`;
}
