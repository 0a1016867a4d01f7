/** Guest ids and MAC addresses that depend on names only: never on order, on what is free, or on the active side. */
import type { Context } from "./context";
import { list } from "./units";

/** Ids are derived in a range that people rarely use by hand. */
export const DERIVED_IDS = { from: 200_000, to: 899_999 };

/** FNV-1a with the finaliser of MurmurHash3: 32 well-mixed bits of a text. */
export function hash32(text: string, seed = 0): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The guest id of a guest that names none. `role` is empty for the guest itself, `standby-1` and `standby-2` for its copies. */
export function deriveGuestId(site: string, guest: string, role = ""): number {
  const range = DERIVED_IDS.to - DERIVED_IDS.from + 1;
  return DERIVED_IDS.from + (hash32(`${site}/${guest}/${role}`) % range);
}

/**
 * The MAC address of a guest's n-th network interface: locally administered and unicast, the same on every side, so
 * that DHCP reservations and licences follow the guest through a failover.
 */
export function deriveMac(site: string, guest: string, index: number): string {
  const key = `${site}/${guest}/net${index}`;
  const low = hash32(key, 1);
  const high = hash32(key, 2);
  // x2, x6, xA or xE as second digit: bit 1 set (local), bit 0 clear (unicast).
  const first = ((high & 0xfc) | 0x02) & 0xff;
  const bytes = [first, (high >>> 8) & 0xff, low & 0xff, (low >>> 8) & 0xff, (low >>> 16) & 0xff, low >>> 24];
  return bytes.map((byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(":");
}

export interface GuestIds {
  id: number;
  standbyIds?: [number, number];
}

/** Ids of every guest and standby copy; an id that is used twice is a finding. */
export function planGuestIds(context: Context): Record<string, GuestIds> {
  const { spec } = context;
  const ids: Record<string, GuestIds> = {};
  const uses = new Map<number, { path: string; what: string; derived: boolean }[]>();
  const take = (id: number, path: string, what: string, derived: boolean) =>
    void uses.set(id, [...(uses.get(id) ?? []), { path, what, derived }]);

  for (const { name, spec: guest } of context.guests) {
    const id = guest.id ?? deriveGuestId(spec.site.name, name);
    ids[name] = { id };
    take(id, `guests.${name}.id`, name, guest.id === undefined);
    const replica = guest.coldReplica;
    if (replica?.method !== "restore") continue;
    const standbyIds = replica.standbyIds ?? [
      deriveGuestId(spec.site.name, name, "standby-1"),
      deriveGuestId(spec.site.name, name, "standby-2"),
    ];
    ids[name] = { id, standbyIds };
    standbyIds.forEach((standby, index) => {
      const path = `guests.${name}.coldReplica.standbyIds`;
      take(standby, path, `standby copy ${index + 1} of ${name}`, replica.standbyIds === undefined);
    });
  }

  for (const [id, takers] of uses) {
    const [, ...others] = takers;
    const offender = takers.find((taker) => !taker.derived) ?? takers[0];
    if (others.length === 0 || offender === undefined) continue;
    const who = takers.map((taker) => (taker.derived ? `${taker.what} (derived from its name)` : taker.what));
    context.add(
      "GUEST-ID-DUPLICATE",
      offender.path,
      `Guest id ${id} is used ${others.length === 1 ? "twice" : `${takers.length} times`}: by ${list(who)}.`,
      `Give each its own id between 100 and 999999999, for example ${freeId(id, uses)} at ${offender.path}.`,
    );
  }
  return ids;
}

function freeId(id: number, taken: ReadonlyMap<number, unknown>): number {
  let candidate = id;
  while (taken.has(candidate)) candidate = candidate >= 999_999_999 ? 100 : candidate + 1;
  return candidate;
}
