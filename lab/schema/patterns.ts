/**
 * Turns a pattern of the schema (Perl) into one of JavaScript. PVE matches `m/^$pattern$/` without a group around it,
 * so an alternation at the top level is anchored on one side only: kept, because the lab answers as PVE does.
 *
 * @param pattern - the pattern as published, which may hold Perl's `(?^i:…)` groups
 * @returns undefined when JavaScript cannot express it (the value is then accepted)
 */
export function compilePattern(pattern: string): RegExp | undefined {
  // JavaScript before V8 12.5 has no flags on groups: one case-insensitive group makes the whole pattern so.
  const flags = /\(\?\^?[a-z]*i[a-z]*:/.test(pattern) ? "i" : "";
  const source = pattern.replace(/\(\?\^[a-z]*:/g, "(?:").replace(/\{,(\d+)\}/g, "{0,$1}");
  try {
    return new RegExp(`^${source}$`, flags);
  } catch {
    return undefined;
  }
}
