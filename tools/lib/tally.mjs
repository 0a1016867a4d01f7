// Counts what passed, failed and was left out, and ends with the one line that a machine reads. Pure.

import { stripVTControlCharacters } from "node:util";

/** @typedef {{ passed: number, failed: number, failures: string[], skipped: string[] }} Tally */

/** @returns {Tally} */
export function emptyTally() {
  return { passed: 0, failed: 0, failures: [], skipped: [] };
}

/** A check that is one test by itself (the linter, the type check). @returns {Tally} */
export function tallyCheck(name, ok) {
  return { ...emptyTally(), passed: ok ? 1 : 0, failed: ok ? 0 : 1, failures: ok ? [] : [name] };
}

/**
 * Reads jest's `--json` report.
 * A file that could not be run counts as one failure, and so does a project without a single test: nothing was proved.
 * @param {object | undefined} report undefined when jest wrote none
 * @param {{ filtered?: boolean }} options `filtered`: only some files were asked for, so that none is no surprise
 * @returns {Tally}
 */
export function tallyJest(project, report, { filtered = false } = {}) {
  if (report === undefined) return tallyCheck(`${project}: jest ended without a report`, false);
  const tally = emptyTally();
  for (const file of report.testResults) {
    if (file.assertionResults.length === 0 && file.status === "failed") {
      tally.failed++;
      tally.failures.push(`${file.name}: could not be run`);
    }
    for (const { status, fullName, failureMessages = [] } of file.assertionResults) {
      if (status === "passed") tally.passed++;
      else if (status === "failed") {
        tally.failed++;
        tally.failures.push([fullName, ...reason(failureMessages.join("\n"))].join("\n"));
      } else tally.skipped.push(fullName);
    }
  }
  if (!filtered && tally.passed + tally.failed === 0)
    return { ...tally, ...tallyCheck(`${project}: no test was run`, false), skipped: tally.skipped };
  return tally;
}

/**
 * Counts the claims of a proof from what it printed: its last line is the verdict. A proof that ended before it, or that
 * claimed nothing, is a failure.
 * @param {string[]} lines
 * @returns {Tally}
 */
export function tallyProof(name, lines) {
  const last = lines.findLast((line) => line.trim() !== "") ?? "";
  const [, passed, failed] = /^(\d+) passed, (\d+) failed$/.exec(last) ?? [];
  if (passed === undefined || Number(passed) + Number(failed) === 0)
    return tallyCheck(`proof of ${name}: it ended without a verdict`, false);
  const failures = lines.flatMap((line, index) => {
    if (!line.startsWith("  FAILED ")) return [];
    const rest = lines.slice(index + 1);
    const end = rest.findIndex((next) => !next.startsWith("         "));
    const seen = rest.slice(0, end < 0 ? undefined : end).join("\n");
    return [[`proof of ${name}: ${line.slice(9)}`, ...reason(seen)].join("\n")];
  });
  return { ...emptyTally(), passed: Number(passed), failed: Number(failed), failures };
}

/** What is shown of a failure beside its name: its beginning and its end, as the log above may be long or cut. */
function reason(text) {
  const lines = stripVTControlCharacters(text)
    .split("\n")
    .filter((line) => line.trim() !== "" && !/^\s+at /.test(line))
    .map((line) => `         ${line.trim().slice(0, 300)}`);
  return lines.length <= REASON_LINES ? lines : [...lines.slice(0, 3), "         …", ...lines.slice(3 - REASON_LINES)];
}
const REASON_LINES = 9;

/** @param {Tally[]} tallies @returns {Tally} */
export function sum(tallies) {
  return tallies.reduce(
    (all, one) => ({
      passed: all.passed + one.passed,
      failed: all.failed + one.failed,
      failures: [...all.failures, ...one.failures],
      skipped: [...all.skipped, ...one.skipped],
    }),
    emptyTally(),
  );
}

/**
 * The last lines. In continuous integration a test that was not run is a failed one: nobody reads the log of a green
 * run.
 * @returns {{ lines: string[], failed: number }} the last line is `N passed, N failed`
 */
export function verdict(tally, { ci }) {
  const lines = [];
  for (const name of tally.failures) lines.push(`FAILED   ${name}`);
  for (const name of tally.skipped) lines.push(`NOT RUN  ${name}${ci ? " (counts as failed here: CI is set)" : ""}`);
  const failed = tally.failed + (ci ? tally.skipped.length : 0);
  lines.push(`${tally.passed} passed, ${failed} failed`);
  return { lines, failed };
}
