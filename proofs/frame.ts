/** What every proof does alike: runs a scenario to a row, prints its claims, keeps the table, ends with a verdict. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { checkout } from "../tests/engine/engine";
import { Check, markdown, type Row, table } from "./check";

export const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Runs one scenario; an error that it throws is a claim that failed. */
export async function proveOne(scenario: string, part: string, run: (check: Check) => Promise<void>): Promise<Row> {
  const check = new Check();
  const started = Date.now();
  try {
    await run(check);
  } catch (error) {
    const seen = error instanceof Error ? (error.stack ?? error.message) : String(error);
    check.that("the scenario runs to its end", false, seen);
  }
  const { claims, figures } = check;
  for (const { text, ok, seen } of claims)
    say(`  ${ok ? "ok    " : "FAILED"} ${text}${seen === undefined ? "" : indented(seen)}`);
  for (const figure of figures) say(`         ${figure}`);
  return { scenario, part, seconds: (Date.now() - started) / 1000, claims, figures };
}

const indented = (text: string): string => `\n${text}`.replaceAll("\n", "\n         ");

export const hasFailed = ({ claims }: Pick<Row, "claims">): boolean => claims.some(({ ok }) => !ok);

/** Prints the table and the verdict. @returns exit code: 0 when there were claims and all held */
export function conclude(rows: readonly Row[], partTitle: string, before: readonly string[] = []): number {
  const claims = rows.flatMap((row) => row.claims);
  const failed = claims.filter(({ ok }) => !ok).length;
  const verdict = `${claims.length - failed} passed, ${failed} failed`;
  say(["", ...table(rows, partTitle), "", ...before, verdict].join("\n"));
  return failed === 0 && claims.length > 0 ? 0 : 1;
}

/**
 * Keeps the table in docs/proofs/<name>.md; rows of scenarios that were not run stay as they are there.
 *
 * @param head The page's title and what was real, above the table.
 */
export function keepTable(name: string, head: string, rows: readonly Row[], partTitle: string): void {
  const file = join(checkout, "docs/proofs", `${name}.md`);
  mkdirSync(dirname(file), { recursive: true });
  const before = existsSync(file) ? readFileSync(file, "utf8") : "";
  const { table: lines, verdict } = markdown(rows, before, new Date().toISOString().slice(0, 10), partTitle);
  writeFileSync(file, `${head}\n\n${lines}\n\n${verdict}\n`);
}

/** Runs the proof's main function and ends the process with its code. */
export function runMain(main: () => Promise<number>): void {
  const end = (code: number) => {
    process.exitCode = code;
    // What a failed scenario has left open must not keep the run from its end.
    setTimeout(() => process.exit(code), 3000).unref();
  };
  main().then(end, (error: Error) => {
    say(`${error.stack}\n\n0 passed, 1 failed`);
    end(1);
  });
}
