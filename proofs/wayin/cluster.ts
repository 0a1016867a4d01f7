/** A lab cluster and what the proof asks of it behind everybody's back. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type LiveCluster, startCluster } from "../../tests/live/clusters";
import type { Part } from "./scenario";

/** What lies on the hypervisors, as text: every guest's configuration and whether it runs, every job, storage and pool. */
export async function photograph({ pve }: LiveCluster): Promise<string> {
  type Row = Record<string, unknown>;
  const resources = await pve.get<Row[]>("/cluster/resources", { type: "vm" });
  const guests = await Promise.all(
    resources.map(async ({ node, type, vmid, status }) => {
      const path = `/nodes/${node}/${type}/${vmid}`;
      const config = await pve.get<Row>(`${path}/config`).catch((error: Error): Row => ({ unreadable: error.message }));
      return { node, type, vmid, status, config: withoutBackupLock(config) };
    }),
  );
  const lists = ["/cluster/replication", "/cluster/backup", "/storage", "/pools", "/cluster/ha/resources"];
  const rest = await Promise.all(lists.map((path) => pve.get<Row[]>(path)));
  const sorted = rest.map((rows) => rows.map((row) => JSON.stringify(withoutMoments(row))).sort());
  guests.sort((a, b) => Number(a.vmid) - Number(b.vmid));
  return JSON.stringify([guests, ...sorted], null, 1);
}

/** The cluster's own backup jobs lock a guest for as long as they copy it; the digest counts the lock in. */
function withoutBackupLock({ digest: _, ...config }: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).filter(([key, value]) => key !== "lock" || value !== "backup"));
}

/** Times of runs go on by themselves. */
function withoutMoments(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).filter(([key]) => !/^(last_|next_|next-run|duration|fail_count|error|digest)/.test(key)),
  );
}

/** Where two photographs differ first; undefined when they are equal. */
export function difference(before: string, after: string): string | undefined {
  if (before === after) return undefined;
  const [one, other] = [before.split("\n"), after.split("\n")];
  const at = one.findIndex((line, index) => line !== other[index]);
  return `line ${at}: ${one[at]} became ${other[at]}`;
}

/** Starts a cluster, runs the work, ends it. */
export async function withCluster(
  kind: Exclude<Part, "library" | "empty">,
  work: (cluster: LiveCluster) => Promise<void>,
): Promise<void> {
  // In real time: the cluster's own jobs should not come round while it is looked at.
  const cluster = await startCluster(kind, { speed: 1 });
  try {
    await work(cluster);
  } finally {
    await cluster.stop();
  }
}

/** Environment in which commands reach the cluster, with a token in a file. */
export async function access(cluster: LiveCluster, folder: string, token: string): Promise<NodeJS.ProcessEnv> {
  const file = join(folder, "token");
  writeFileSync(file, token, { mode: 0o600 });
  return { COLDSPARE_API_TOKEN_FILE: file, COLDSPARE_CA_FILE: cluster.lab.caFile };
}

/** `--endpoint` of one server that is up. */
export function endpoint(cluster: LiveCluster): string[] {
  return ["--endpoint", Object.values(cluster.endpoints)[0] ?? ""];
}
