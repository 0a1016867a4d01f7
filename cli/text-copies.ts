/** Copies for people: what there is of each subject, and the points themselves. */
import type { Copies, Point } from "../operations/backups/copies";
import type { RunResult } from "../operations/backups/run-policy";
import type { BackupStatus } from "../operations/backups/status-backups";
import type { Standing, SubjectSummary } from "../operations/backups/summary";
import { formatDuration, formatGiB, formatNumber } from "../planning/units";
import { type Cell, type Column, type Paint, renderTable, type Style, wrapText } from "./table";

const stateStyle: Record<Standing["state"], Style> = { kept: "green", late: "red", none: "red", unknown: "yellow" };
const GIB = 1024 ** 3;

/** Bytes in words: `26.75 GiB`, small ones in MiB. */
export function formatBytes(bytes: number | undefined): string {
  if (bytes === undefined) return "-";
  return bytes >= GIB / 10 ? formatGiB(bytes / GIB) : `${formatNumber(bytes / 1024 ** 2)} MiB`;
}

export function ageOf(at: string | undefined, now: string): string {
  if (at === undefined) return "-";
  return `${formatDuration(Math.max(0, (Date.parse(now) - Date.parse(at)) / 1000))} ago`;
}

/** One line for each subject: newest good copy, oldest, how many, what was promised. */
export function summaryTable(summaries: readonly SubjectSummary[], now: string, width: number, paint: Paint): string[] {
  const columns: Column[] = [
    { title: "subject", wrap: true },
    { title: "newest good" },
    { title: "on", wrap: true },
    { title: "promised", align: "right" },
    { title: "copies", align: "right" },
    { title: "oldest", align: "right" },
    { title: "verified", align: "right" },
    { title: "policies", wrap: true },
  ];
  const rows = summaries.map((each): Cell[] => [
    each.subject,
    { text: newestText(each), style: stateStyle[each.state] },
    each.target ?? "-",
    formatDuration(each.promisedSeconds),
    each.broken > 0 ? { text: `${each.count} (${each.broken} broken)`, style: "red" } : String(each.count),
    ageOf(each.oldest, now),
    ageOf(each.verifiedAt, now),
    Object.keys(each.policies).join(", "),
  ]);
  return renderTable(columns, rows, width, paint);
}

function newestText({ state, ageSeconds }: Standing): string {
  if (ageSeconds !== undefined) return `${formatDuration(ageSeconds)} ago`;
  return state === "none" ? "none" : "not seen";
}

/** Every point, newest first. */
export function pointsTable(points: readonly Point[], now: string, width: number, paint: Paint): string[] {
  const columns: Column[] = [
    { title: "subject", wrap: true },
    { title: "age", align: "right" },
    { title: "size", align: "right" },
    { title: "where", wrap: true },
    { title: "verified" },
    { title: "policy", wrap: true },
    { title: "point", wrap: true },
  ];
  const rows = points.map((point): Cell[] => [
    point.subject,
    ageOf(point.at, now),
    formatBytes(point.bytes),
    point.medium === undefined ? point.target : `${point.target}, medium ${point.medium}`,
    verifiedCell(point),
    point.policies.join(", "),
    [point.id, point.protected && "protected", point.encrypted && "encrypted"].filter(Boolean).join(", "),
  ]);
  return renderTable(columns, rows, width, paint);
}

function verifiedCell({ verified, verifiedAt }: Point): Cell {
  if (verified === "none") return { text: "never", style: "dim" };
  const when = verifiedAt === undefined ? "" : ` ${verifiedAt.slice(0, 10)}`;
  return { text: `${verified}${when}`, style: verified === "ok" ? "green" : "red" };
}

/** What could not be asked, each with its reason. */
export function unaskedLines({ unasked, foreign }: Copies, width: number, paint: Paint): string[] {
  const lines = unasked.map(({ targets, reason }) => `not asked (${targets.join(", ")}): ${reason}`);
  const others = foreign === 0 ? [] : [`${foreign} more copies are of guests that this site does not know`];
  return [
    ...lines.flatMap((line) => wrapText(line, width).map((each) => paint("yellow", each))),
    ...others.map((line) => paint("dim", line)),
  ];
}

/** How each run ended. */
export function runsTable(results: readonly RunResult[], width: number, paint: Paint): string[] {
  const columns: Column[] = [
    { title: "what", wrap: true },
    { title: "server" },
    { title: "result" },
    { title: "took", align: "right" },
    { title: "why", wrap: true },
  ];
  const rows = results.map(({ subject, server, ok, seconds, reason }): Cell[] => [
    subject,
    server,
    ok ? { text: "done", style: "green" } : { text: "FAILED", style: "red" },
    formatDuration(Math.round(seconds)),
    reason ?? "",
  ]);
  return renderTable(columns, rows, width, paint);
}

/** Copies and media in the site's status. */
export function backupSections(
  { subjects, rotations, siteLoss, targets }: BackupStatus,
  now: string,
  width: number,
  paint: Paint,
): string[][] {
  const fills = targets.map(({ target, usedGiB, limitGiB, fillsAfterDays: days }) => {
    const when = days === undefined ? "" : days === 0 ? ", full" : `, full in ${days} d`;
    return `${target}: ${formatGiB(usedGiB)} of ${formatGiB(limitGiB)}${when}`;
  });
  const media = rotations.map(({ target, attached, state, offline }) => {
    const age =
      offline === undefined ? "no off-line copy" : `newest off line ${formatDuration(offline.ageSeconds)} old`;
    return `${target}: ${attached ?? "nothing"} attached (${state}), ${age}`;
  });
  const loss =
    siteLoss === undefined ? [] : [`lost with everything on line: the last ${formatDuration(siteLoss.ageSeconds)}`];
  return [summaryTable(subjects, now, width, paint), [...fills, ...media, ...loss].map((line) => paint("dim", line))];
}
