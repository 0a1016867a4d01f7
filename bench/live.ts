/** Reading a running cluster of 15 servers with 120 guests through one endpoint, as `import` and `check --live` do. */
import { performance } from "node:perf_hooks";
import { readCluster } from "../operations/live-site/read";
import { type LiveCluster, startCluster } from "../tests/live/clusters";
import { type Row, type Sample, summary } from "./measure";

/** Seconds that import and live check may take for this cluster. */
const bound = 10;
const runs = 5;
/** Real milliseconds that each answer takes longer: a server that is busy or far away. */
const delays = [0, 50];

export async function benchLive(): Promise<Row[]> {
  const cluster = await startCluster("large");
  try {
    const rows: Row[] = [];
    for (const delay of delays) rows.push(await measure(cluster, delay));
    return rows;
  } finally {
    await cluster.stop();
  }
}

async function measure(cluster: LiveCluster, latencyMs: number): Promise<Row> {
  await cluster.control("POST", "/faults", { latencyMs });
  await cluster.resetCalls();
  const times: number[] = [];
  for (let run = 0; run < runs; run++) times.push(await readOnce(cluster));
  const { total, changing } = await cluster.calls();
  const slow = latencyMs === 0 ? "" : `, ${latencyMs} ms for each answer`;
  return {
    what: `reading 15 servers with 120 guests (lab${slow})`,
    value: seconds(summary(times)),
    beside: `${total / runs} calls, ${changing} of them changing; bound ${bound} s`,
  };
}

/** With a client of its own, so that connections are made anew. */
async function readOnce(cluster: LiveCluster): Promise<number> {
  const [name = "", url = ""] = Object.entries(cluster.endpoints)[0]!;
  const pve = cluster.client(cluster.lab.tokens.root, { endpoints: { [name]: url } });
  const start = performance.now();
  await readCluster(pve);
  const taken = performance.now() - start;
  pve.close();
  return taken;
}

const seconds = ({ median, least, most }: Sample): string =>
  `${(median / 1000).toFixed(2)} s (${(least / 1000).toFixed(2)}-${(most / 1000).toFixed(2)})`;
