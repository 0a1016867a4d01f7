/** `npm run bench`: prints what check, state, preview and up cost on this machine. Nothing here passes or fails. */
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { painter, renderTable } from "../cli/table";
import { benchCheck } from "./check";
import type { Row } from "./measure";

async function main(): Promise<void> {
  // Both are compiled: this file lies in dist/bench/.
  const program = join(__dirname, "../cli/main.js");
  if (!existsSync(program)) throw new Error(`${program} is missing: run 'npm run build' first`);
  process.stdout.write(
    `Node.js ${process.version}, ${availableParallelism()} cores; medians, least and most in brackets\n\n`,
  );
  const rows: Row[] = benchCheck(program);
  const columns = [
    { title: "measured", wrap: true },
    { title: "value", wrap: true },
    { title: "beside it", wrap: true },
  ];
  const cells = rows.map(({ what, value, beside }) => [what, value, beside]);
  process.stdout.write(`${renderTable(columns, cells, 110, painter(false)).join("\n")}\n`);
}

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
