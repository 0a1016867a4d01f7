/** Times of whole processes, and a row for the table. */
import { spawnSync } from "node:child_process";
import { performance } from "node:perf_hooks";

export interface Row {
  what: string;
  value: string;
  /** What it is measured against: a bare program, or the bound that was promised. */
  beside: string;
}

export interface Sample {
  median: number;
  least: number;
  most: number;
}

/** Runs `work` a few times to warm caches, then `times` times; milliseconds. */
export function sample(work: () => void, times: number, warmUp = 2): Sample {
  for (let run = 0; run < warmUp; run++) work();
  return summary(
    Array.from({ length: times }, () => {
      const start = performance.now();
      work();
      return performance.now() - start;
    }),
  );
}

export function summary(measured: readonly number[]): Sample {
  const taken = measured.toSorted((one, other) => one - other);
  const middle = taken.length >> 1;
  const median = taken.length % 2 === 1 ? taken[middle]! : (taken[middle - 1]! + taken[middle]!) / 2;
  return { median, least: taken[0]!, most: taken.at(-1)! };
}

/** One process of this Node.js, from start to exit. A failure is an error: it would be quick for the wrong reason. */
export function runNode(args: readonly string[], env: Record<string, string> = {}): void {
  const result = spawnSync(process.execPath, args, { env: { ...process.env, ...env }, encoding: "utf8" });
  if (result.error) throw result.error;
  if (result.status !== 0)
    throw new Error(`node ${args.join(" ")} ended with ${result.status}:\n${result.stderr}${result.stdout}`);
}

/** `280 ms (266-310)`; a single measurement has no range. */
export function milliseconds({ median, least, most }: Sample): string {
  const range = least === most ? "" : ` (${least.toFixed(0)}-${most.toFixed(0)})`;
  return `${median.toFixed(0)} ms${range}`;
}
