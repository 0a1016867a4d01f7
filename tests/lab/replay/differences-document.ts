import type { DeliberateDifference } from "./deliberate-differences";

/** `docs/lab-differences.md`: where the lab answers otherwise than the real API, and why. */
export function differencesDocument(list: DeliberateDifference[]): string {
  const rows = list.map((entry) => {
    const calls = entry.seq === undefined ? "all" : entry.seq.join(", ");
    return `| ${entry.file === "*" ? "all" : entry.file} | ${calls} | \`${entry.what.replaceAll("|", "\\|")}\` | ${entry.why} |`;
  });
  return [
    "# Where the lab answers otherwise than the real API",
    "",
    "Every call of `tests/recordings/` is replayed against the lab in the same starting state. Status, reason phrase, keys and",
    "types of every answer are compared, values where they do not depend on the run, the end of each task and its log. The test",
    "fails on each difference that is not in this table, and on each line of it that is no longer true.",
    "",
    "Never compared, because each run of the real API differs in them as well: task ids, process ids, times, checksums,",
    "made-up hardware addresses and UUIDs, load figures, sizes of backup files, lines of a log that tell of speeds or progress.",
    "",
    "This page is made by `UPDATE_DOCS=1 npx jest tests/lab/replay/compare --selectProjects unit` from",
    "`tests/lab/replay/deliberate-differences.ts`.",
    "",
    "| recording | calls | where | why |",
    "|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}
