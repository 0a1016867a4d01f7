/** Durations and sizes: from what people write to seconds and GiB, and back to words. */

const UNIT_SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** 1 GiB in MB (10^6 bytes): link and bandwidth limits are given in MB, sizes in GiB. */
export const MB_PER_GIB = 1073.741824;

/** Seconds of a duration such as `90s`, `15m`, `4h`, `1d` or `2w`; NaN for anything else. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([smhdw])$/.exec(text);
  return match === null ? Number.NaN : Number(match[1]) * (UNIT_SECONDS[match[2] ?? ""] ?? Number.NaN);
}

/** Seconds in words with at most two units: `45 s`, `15 min`, `3 d 45 min`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "without end";
  let rest = Math.round(seconds);
  const parts: string[] = [];
  for (const [unit, size] of [
    ["d", 86_400],
    ["h", 3600],
    ["min", 60],
    ["s", 1],
  ] as const) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count} ${unit}`);
  }
  return parts.slice(0, 2).join(" ") || "0 s";
}

/** A duration as the specification takes it, never shorter than the seconds: `17m`, `32h`, `8d`. */
export function durationCovering(seconds: number): string {
  if (seconds <= 2 * 3600) return `${Math.ceil(seconds / 60)}m`;
  return seconds <= 2 * 86_400 ? `${Math.ceil(seconds / 3600)}h` : `${Math.ceil(seconds / 86_400)}d`;
}

/** A number with at most two decimals and no trailing zeros. */
export function formatNumber(value: number): string {
  return String(Math.round(value * 100) / 100);
}

/** GiB in words: `26.75 GiB`. */
export function formatGiB(value: number): string {
  return `${formatNumber(value)} GiB`;
}

/** Sums in thousandths, so that the order of the summands never shows in the result. */
export function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += Math.round(value * 1000);
  return total / 1000;
}

/** Names in a fixed order that no locale changes. */
export function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** `a, b and c` */
export function list(names: readonly string[], last = "and"): string {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} ${last} ${names.at(-1)}`;
}
