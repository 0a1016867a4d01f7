/**
 * The rules of Proxmox Backup Server's documentation, written out sentence by sentence and slowly, with texts for
 * periods as its program forms them. Shares nothing with planning/backup.
 */

type Rule = "last" | "hourly" | "daily" | "weekly" | "monthly" | "yearly";

function wall(time: number, timeZone: string): Date {
  // Swedish dates are ISO dates.
  const text = new Date(time * 1000).toLocaleString("sv-SE", { timeZone });
  return new Date(`${text.replace(" ", "T")}Z`);
}

/** ISO 8601: week 1 has the year's first Thursday. */
function isoWeek(date: Date): string {
  const thursday = new Date(date);
  thursday.setUTCDate(date.getUTCDate() + 4 - (date.getUTCDay() || 7));
  thursday.setUTCHours(0, 0, 0, 0);
  const newYear = Date.UTC(thursday.getUTCFullYear(), 0, 1);
  return `${thursday.getUTCFullYear()}/${Math.ceil(((thursday.getTime() - newYear) / 86_400_000 + 1) / 7)}`;
}

function periodName(rule: Rule, time: number, timeZone: string): string {
  const date = wall(time, timeZone);
  const iso = date.toISOString();
  const lengths = { hourly: 13, daily: 10, monthly: 7, yearly: 4 };
  if (rule === "last") return String(time);
  return rule === "weekly" ? isoWeek(date) : iso.slice(0, lengths[rule]);
}

/** Which copies stay, newest first. */
export function documentedPrune(times: number[], keep: Partial<Record<Rule, number>>, timeZone: string): number[] {
  const newestFirst = [...times].sort((a, b) => b - a);
  const kept: number[] = [];
  const removed: number[] = [];
  // "The retention options are processed in the order given above."
  for (const rule of ["last", "hourly", "daily", "weekly", "monthly", "yearly"] as const) {
    const wanted = keep[rule];
    if (wanted === undefined || wanted === 0) continue;
    const name = (time: number) => periodName(rule, time, timeZone);
    // "Each option only covers backups within its time period. The next option does not take care of already covered
    // backups. It will only consider older backups."
    const coveredBefore = kept.map(name);
    const periods: string[] = [];
    for (const time of newestFirst) {
      if (kept.includes(time) || removed.includes(time)) continue;
      if (coveredBefore.includes(name(time))) continue;
      // "If there is more than one backup for a single day, only the latest is retained."
      if (periods.includes(name(time))) removed.push(time);
      // "Keep backups for the last <N> days"; days without backups do not count.
      else if (periods.length < wanted) {
        periods.push(name(time));
        kept.push(time);
      } else break;
    }
  }
  return newestFirst.filter((time) => kept.includes(time));
}
