/** Copies for people: how full each target becomes, what 3-2-1-1-0 lacks, how old the media on the shelf are. */
import type { CopiesPlan, RotationPlan, TargetPlan } from "../planning/backup/plan";
import type { SitePlan } from "../planning/plan";
import { formatDuration, formatNumber, list } from "../planning/units";
import { type Cell, type Column, type Paint, renderTable, wrapText } from "./table";

interface Layout {
  paint: Paint;
  /** Columns of the terminal. */
  width: number;
}

/** A table of targets, a line on 3-2-1-1-0 and one for each rotation; empty where nothing is backed up. */
export function backupsText({ backups }: SitePlan, { paint, width }: Layout): string[] {
  const targets = Object.values(backups.targets);
  const lines = [
    ...(targets.length === 0 ? [] : targetsTable(targets, backups.policies, { paint, width })),
    ...copiesLine(Object.values(backups.copies), width),
    ...Object.values(backups.rotations).flatMap((rotation) => wrapText(rotationText(rotation), width)),
  ];
  return lines.length === 0 ? [] : [paint("bold", "COPIES, GIB, OVER 12 MONTHS"), ...lines];
}

function targetsTable(
  targets: readonly TargetPlan[],
  policies: SitePlan["backups"]["policies"],
  { paint, width }: Layout,
): string[] {
  const columns: Column[] = [
    { title: "target", wrap: true },
    { title: "on", wrap: true },
    { title: "month 1", align: "right" },
    { title: "month 12", align: "right" },
    { title: "peak", align: "right" },
    { title: "limit", align: "right" },
    { title: "fills" },
    { title: "age at worst" },
    { title: "restore all" },
  ];
  const rows = targets.map((target): Cell[] => {
    const { monthsGiB, peakGiB, fillsAfterDays } = target.forecast;
    const points = Object.values(policies)
      .filter((policy) => policy.target === target.name)
      .map(({ recoveryPointSeconds }) => recoveryPointSeconds);
    return [
      target.name,
      target.server ?? target.host ?? "-",
      formatNumber(monthsGiB[0] ?? 0),
      formatNumber(monthsGiB.at(-1) ?? 0),
      formatNumber(peakGiB),
      formatNumber(target.limitGiB),
      fillsAfterDays === undefined ? { text: "no", style: "green" } : { text: `day ${fillsAfterDays}`, style: "red" },
      points.length === 0 ? "-" : formatDuration(Math.max(...points)),
      formatDuration(target.restoreAllSeconds),
    ];
  });
  return renderTable(columns, rows, width, paint);
}

const RULES = [
  ["three copies", "three"],
  ["two kinds of media", "two"],
  ["one elsewhere", "one"],
  ["one off line or immutable", "offlineOrImmutable"],
  ["verified", "zero"],
] as const satisfies readonly (readonly [string, keyof CopiesPlan])[];

function copiesLine(copies: readonly CopiesPlan[], width: number): string[] {
  if (copies.length === 0) return [];
  const parts = RULES.map(
    ([words, key]) => `${words} ${copies.filter((each) => each[key]).length} of ${copies.length}`,
  );
  return wrapText(`3-2-1-1-0: ${list(parts)}.`, width);
}

function rotationText({ target, worstOfflineSeconds, worstOffSiteSeconds, sets }: RotationPlan): string {
  const media = sets.map(({ name, media }) => `${name} ${media.join(", ")}`).join("; ");
  const offSite = worstOffSiteSeconds === undefined ? "" : `, off site ${formatDuration(worstOffSiteSeconds)}`;
  return `Media of ${target} (${media}): the newest on the shelf is at worst ${formatDuration(worstOfflineSeconds)} old${offSite}.`;
}
