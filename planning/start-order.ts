/** In which order guests start when several change sides, and what each start waits for: for plans and commands alike. */
import { byName } from "./units";

/** What the order of starts depends on. */
export interface Starting {
  name: string;
  boot: { order: number; delaySeconds: number };
}

/** An application group, as far as it says when its guests start. */
export interface StartGroup {
  guests: readonly string[];
  order: number;
  delaySeconds: number;
}

/** One start, and what is waited for before the next one. */
export interface StartStep {
  guest: string;
  group?: string;
  /** Seconds to wait after this start, or after the guest answers if `untilUp`. */
  waitSeconds: number;
  /** The last guest of a group has to answer before the next start. */
  untilUp: boolean;
}

/**
 * One sequence for everything that one command starts, on whichever servers: groups by their order and other guests by
 * their boot order, on one scale; within a group its own list counts. Ties are settled by name, never by a file's order.
 */
export function startOrder(
  guests: readonly Starting[],
  groups: Readonly<Record<string, StartGroup>> = {},
): StartStep[] {
  const byGuest = new Map(guests.map((guest) => [guest.name, guest]));
  const units: { name: string; order: number; group?: StartGroup; members: Starting[] }[] = [];
  for (const [name, group] of Object.entries(groups).sort(([a], [b]) => byName(a, b))) {
    const members = [...new Set(group.guests)].flatMap((guest) => byGuest.get(guest) ?? []);
    // A guest named by two groups, which is a finding, starts with the first of them.
    for (const { name: guest } of members) byGuest.delete(guest);
    if (members.length > 0) units.push({ name, order: group.order, group, members });
  }
  for (const guest of byGuest.values()) units.push({ name: guest.name, order: guest.boot.order, members: [guest] });
  units.sort((a, b) => a.order - b.order || byName(a.name, b.name));
  return units.flatMap(({ name, group, members }) =>
    members.map((guest, index) => {
      const step = { guest: guest.name, waitSeconds: guest.boot.delaySeconds, untilUp: false };
      if (group === undefined) return step;
      const last = index === members.length - 1;
      return { ...step, group: name, ...(last && { waitSeconds: group.delaySeconds, untilUp: true }) };
    }),
  );
}
