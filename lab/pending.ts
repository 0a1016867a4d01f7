import type { Guest } from "./state";

/** A running guest takes over those changes of its configuration that need no restart. */
export function takeHot(guest: Guest, isHot: (key: string) => boolean): void {
  const { config, running } = guest;
  if (!running) return;
  for (const key of new Set([...Object.keys(config), ...Object.keys(running.config)])) {
    if (!isHot(key)) continue;
    const value = config[key];
    if (value === undefined) delete running.config[key];
    else running.config[key] = value;
  }
}

/** What `pending` answers: every setting with its value now, and what it becomes at the next start where that differs. */
export function pendingChanges(
  now: Record<string, unknown>,
  wanted: Record<string, unknown>,
): Record<string, unknown>[] {
  return [...new Set([...Object.keys(now), ...Object.keys(wanted)])]
    .filter((key) => key !== "digest")
    .sort()
    .map((key) => ({
      key,
      ...(now[key] === undefined ? {} : { value: now[key] }),
      ...(wanted[key] === undefined ? { delete: 1 } : wanted[key] !== now[key] ? { pending: wanted[key] } : {}),
    }));
}
