/** The dated report of a drill, in Markdown: for the folder that one shows an auditor. Pure. */
import { formatDuration } from "../planning/units";
import type { DrillResult } from "./drill";

export interface DrillReport {
  site: string;
  /** ISO time. */
  from: string;
  to: string;
  by: string;
  results: DrillResult[];
  /** Guests that were asked for and not tried, with the reason. */
  refused: { subject: string; message: string }[];
}

/** Whether everything that was asked for was tried and answered. */
export function drillPassed({ results, refused }: DrillReport): boolean {
  return results.length > 0 && refused.length === 0 && results.every(({ ok }) => ok);
}

export function drillReportText(report: DrillReport): string {
  const { site, from, to, by, results, refused } = report;
  const passed = results.filter(({ ok }) => ok).length;
  const lines = [
    `# Recovery drill of ${site}, ${from.slice(0, 10)}`,
    "",
    `- From ${from} to ${to}, run by ${by}`,
    `- Result: ${drillPassed(report) ? "passed" : "FAILED"}; ${passed} of ${results.length + refused.length} guests recovered`,
    "- Each guest was started from a full copy of its replica, in a network of its own, probed, and thrown away.",
    "  Neither the replica nor the running guest was touched.",
    "",
    "| guest | server | method | data of | age of the data | answers after | recovery time | promised | probes | result |",
    "|---|---|---|---|---|---|---|---|---|---|",
    ...results.map(row),
    "",
  ];
  const failures = results.filter(({ ok }) => !ok);
  if (failures.length > 0)
    lines.push(
      "## What failed",
      "",
      ...failures.map(({ guest, reason }) => `- **${guest}**: ${reason ?? "no reason known"}`),
      "",
    );
  if (refused.length > 0)
    lines.push(
      "## What was not tried",
      "",
      ...refused.map(({ subject, message }) => `- **${subject}**: ${message}`),
      "",
    );
  lines.push(
    "The recovery time is the planned one (decision, fencing, activation, delays of the guests before) with the measured time",
    "of the boot in place of the planned one.",
    "",
  );
  return lines.join("\n");
}

function row(result: DrillResult): string {
  const time = (seconds: number | undefined) => (seconds === undefined ? "–" : formatDuration(Math.round(seconds)));
  const probes = result.probes.map(({ probe, ok }) => `${probe}${ok ? "" : " ✗"}`).join(", ");
  const cells = [
    result.guest,
    result.server,
    result.method,
    result.recoveryPoint ?? "–",
    time(result.recoveryPointAgeSeconds),
    time(result.answersAfterSeconds),
    time(result.recoveryTimeSeconds),
    time(result.recoveryTimePromisedSeconds),
    probes || "none: it ran",
    result.ok ? "recovered" : "FAILED",
  ];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}
