/** What is claimed 'never' is read off the watcher's record: no two sides of a guest alive at one moment. Pure. */
import type { Life } from "./watcher";

/** Two lives of one guest that were there at the same time. */
export interface Overlap {
  guest: string;
  first: Life;
  second: Life;
  milliseconds: number;
}

/** The guest that a process belongs to: `app-spare` is a side of `app`. A drill's copy and a kept copy are guests of their own. */
export function guestOf(name: string): string {
  return name.replace(/-spare$/, "");
}

/** All overlaps, longest first. `since` leaves out what ended before (milliseconds since the machine's boot). */
export function overlaps(lives: readonly Life[], since = 0): Overlap[] {
  const found: Overlap[] = [];
  for (const [index, first] of lives.entries()) {
    for (const second of lives.slice(index + 1)) {
      if (guestOf(first.name) !== guestOf(second.name)) continue;
      const from = Math.max(first.from, second.from, since);
      const to = Math.min(first.to, second.to);
      if (to > from) found.push({ guest: guestOf(first.name), first, second, milliseconds: to - from });
    }
  }
  return found.sort((a, b) => b.milliseconds - a.milliseconds);
}

/** One record per process and start: the last line that the watcher printed of it counts. */
export function latest(lines: readonly Life[]): Life[] {
  const lives = new Map<string, Life>();
  for (const life of lines) lives.set(`${life.pid}/${life.from}`, life);
  return [...lives.values()];
}
