/** Results of drills as the servers keep them: one JSON document per guest. */

/** The result of a guest's last drill on one server. */
export interface DrillResult {
  /** ISO time. */
  at: string;
  ok: boolean;
  /** The planned recovery time, with the boot that was measured in place of the planned one. */
  recoveryTimeSeconds?: number;
  /** How its replica was made. */
  method?: string;
  /** Why it failed. */
  reason?: string;
}

/** Prints a line per result; for a shell. */
export const READ_DRILLS = `for f in /var/lib/coldspare/drills/*.json; do test -f "$f" && { tr -d '\\n' <"$f"; echo; }; done; true`;

/** Results by guest. A line that was cut off is none. */
export function parseDrills(lines: readonly string[]): Record<string, DrillResult> {
  const drills: Record<string, DrillResult> = {};
  for (const line of lines) {
    const found = parseDrill(line);
    if (found !== undefined) drills[found.guest] = found.drill;
  }
  return drills;
}

function parseDrill(line: string): { guest: string; drill: DrillResult } | undefined {
  let values: Record<string, unknown>;
  try {
    values = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  const { guest, at, ok, recoveryTimeSeconds, method, reason } = values;
  if (typeof guest !== "string" || typeof at !== "string" || typeof ok !== "boolean") return undefined;
  const drill = {
    at,
    ok,
    ...(typeof recoveryTimeSeconds === "number" && { recoveryTimeSeconds }),
    ...(typeof method === "string" && { method }),
    ...(typeof reason === "string" && { reason }),
  };
  return { guest, drill };
}

/** The newest of several servers' results for one guest. */
export function newestDrill(results: readonly (DrillResult | undefined)[]): DrillResult | undefined {
  return results.reduce((best, each) => (each && (best === undefined || each.at > best.at) ? each : best), undefined);
}
