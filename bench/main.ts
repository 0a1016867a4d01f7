/** `npm run bench`: prints what check, forecast, reading a cluster, state, preview and up cost on this machine. Nothing here passes or fails. */
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { painter, renderTable } from "../cli/table";
import { benchCheck } from "./check";
import { benchForecast } from "./forecast";
import { benchLive } from "./live";
import type { Row } from "./measure";

const root = join(__dirname, "..");
const columns = [
  { title: "measured", wrap: true },
  { title: "value", wrap: true },
  { title: "beside it", wrap: true },
];

async function main(): Promise<void> {
  const program = join(root, "dist/cli/main.js");
  if (!existsSync(program)) throw new Error("dist/cli/main.js is missing: run 'npm run build' first");
  process.stdout.write(`Node.js ${process.version}, ${availableParallelism()} cores; median (least-most)\n\n`);
  print([...benchCheck(program), ...benchForecast(), ...(await benchLive())]);
  if (process.env.COLDSPARE_ENGINE === "no") {
    process.stdout.write("\nwithout an engine, state, preview and up are not measured\n");
    return;
  }
  // Loaded late: it brings the lab and Pulumi's toolchain with it.
  const { benchEngine } = require("./engine") as typeof import("./engine");
  const progress = (line: string) => void process.stderr.write(`measuring ${line} ...\n`);
  print(await benchEngine(progress));
}

function print(rows: readonly Row[]): void {
  const cells = rows.map(({ what, value, beside }) => [what, value, beside]);
  process.stdout.write(`${renderTable(columns, cells, 110, painter(false)).join("\n")}\n`);
}

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
