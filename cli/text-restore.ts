/** The plan of a restore or a branch for people: which copy, where to, what is kept, what is done. */
import type { RestorePlan } from "../operations/backups/plan-restore";
import type { Step } from "../operations/steps";
import { formatDuration } from "../planning/units";
import type { Paint } from "./table";
import { ageOf, formatBytes } from "./text-copies";
import { operationFindingsText, stepsText } from "./text-failover";

export function restorePlanText(
  plan: RestorePlan,
  steps: readonly Step[],
  now: string,
  width: number,
  paint: Paint,
  done?: ReadonlySet<string>,
): string[] {
  const { point, server, vmid, name, guest, existing, estimateSeconds } = plan;
  const what = plan.kind === "branch" ? `Branch of ${guest}` : plan.beside ? `${guest} beside the original` : guest;
  const lines = [paint("bold", `${plan.kind === "branch" ? what : `Restore ${what}`}, site ${plan.site}`)];
  if (point.id !== "")
    lines.push(
      `from   ${point.id} on ${point.target}: ${ageOf(point.at, now)}, ${formatBytes(point.bytes)}, ${verifiedText(plan)}`,
    );
  if (server !== "")
    lines.push(
      `to     ${name} (${vmid}) on ${server}${plan.storage === undefined ? "" : `, disks on ${plan.storage}`}`,
    );
  if (existing !== undefined)
    lines.push(`there  ${existing.name}, ${existing.running ? "running" : "off"}: ${keptText(plan)}`);
  if (plan.network !== undefined)
    lines.push(`net    ${plan.network.bridges.map(({ bridge }) => bridge).join(", ")}: bridges without ports`);
  lines.push(
    `after  ${plan.start ? "it is started" : "it stays powered off"}; about ${formatDuration(estimateSeconds)} at 100 MB/s`,
  );
  const findings = operationFindingsText([...plan.refusals, ...plan.warnings], width, paint);
  return [
    ...lines,
    ...(plan.refusals.length === 0 ? ["", ...stepsText(steps, paint, done)] : []),
    ...(findings.length > 0 ? ["", ...findings] : []),
    ...(plan.refusals.length > 0 ? ["", paint("red", "nothing was changed")] : []),
  ];
}

function verifiedText({ point: { verified } }: RestorePlan): string {
  return { ok: "verified", none: "never verified", failed: "BROKEN" }[verified];
}

function keptText({ existing }: RestorePlan): string {
  const { keep, keptName, keptId, backupStorage } = existing!;
  return keep === "keep" ? `kept as ${keptName} (${keptId})` : `backed up to ${backupStorage} first, protected`;
}
