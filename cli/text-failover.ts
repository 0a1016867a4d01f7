/** The plan of a failover for people: what goes where with which data, what is stopped, what is lost, and the steps. */

import type { FailoverPlan, GuestMove } from "../operations/plan-failover";
import type { Step } from "../operations/steps";
import type { Finding } from "../planning";
import { formatDuration } from "../planning/units";
import { type Cell, type Column, type Paint, renderTable, severityStyle, wrapText } from "./table";

export function failoverPlanText(plan: FailoverPlan, now: string, width: number, paint: Paint): string[] {
  const what = plan.planned ? "Planned switch" : "Failover";
  const columns: Column[] = [
    { title: "guest", wrap: true },
    { title: "from" },
    { title: "to" },
    { title: "id", align: "right" },
    { title: "data as of", wrap: true },
    { title: "answers after", align: "right" },
    { title: "planned", align: "right" },
  ];
  const rows = plan.moves.map((move): Cell[] => [
    move.guest,
    move.from,
    move.to,
    String(move.toId),
    dataCell(move, now),
    formatDuration(move.estimateSeconds),
    move.plannedSeconds === undefined ? "-" : formatDuration(move.plannedSeconds),
  ]);
  return [
    paint("bold", `${what} of ${plan.server}, site ${plan.site}`),
    fencingLine(plan),
    ...(rows.length > 0 ? ["", ...renderTable(columns, rows, width, paint)] : []),
    ...(plan.stops.length > 0
      ? [
          "",
          `stopped first, to make room: ${plan.stops.map(({ guest, server }) => `${guest} on ${server}`).join(", ")}`,
        ]
      : []),
    ...(plan.left.length > 0 ? [`not started, for want of room: ${plan.left.join(", ")}`] : []),
    ...(plan.lost.length > 0 ? [`stays off, has no spare: ${plan.lost.join(", ")}`] : []),
  ];
}

function fencingLine({ fencing, server }: FailoverPlan): string {
  switch (fencing.method) {
    case "consent":
      return `${server} is alive: it shuts its guests down, hands over their last changes and lets them go`;
    case "confirm":
      return `a person confirms that ${server} is off`;
    case "power":
      return `${server} is switched off, and its state is read back, before anything starts`;
    case "lease":
      return `nothing starts before the leases of ${server} have ended (up to ${formatDuration(fencing.termSeconds + fencing.marginSeconds)})`;
  }
}

function dataCell({ point }: GuestMove, now: string): Cell {
  if (point.kind === "now") return { text: "now: nothing is lost", style: "green" };
  if (point.at === undefined) return { text: "unknown", style: "red" };
  const age = Math.max(0, (Date.parse(now) - Date.parse(point.at)) / 1000);
  const from = point.kind === "backup" ? ", restored from a backup first" : "";
  return `${point.at.replace(/\.\d+Z$/, "Z")} (${formatDuration(age)} ago)${from}`;
}

/** The steps, numbered as they are carried out. */
export function stepsText(steps: readonly Step[], paint: Paint, done: ReadonlySet<string> = new Set()): string[] {
  return steps.map(({ id, title, seconds = 0 }, index) => {
    const estimate = seconds >= 10 ? ` (about ${formatDuration(seconds)})` : "";
    const line = `${String(index + 1).padStart(3)}. ${title}${estimate}`;
    return done.has(id) ? paint("dim", `${line} - done`) : line;
  });
}

/** Refusals and warnings, each with the way out. */
export function operationFindingsText(findings: readonly Finding[], width: number, paint: Paint): string[] {
  return findings.flatMap(({ severity, code, subject, message, fix }) => [
    `${paint(severityStyle[severity], severity === "error" ? "refused" : "warning")}  ${paint("bold", code)}  ${subject}`,
    ...wrapText(message, width - 9).map((line) => `         ${line}`),
    ...wrapText(`fix: ${fix}`, width - 9).map(
      (line, index) => `${index === 0 ? "         " : "              "}${line}`,
    ),
  ]);
}
