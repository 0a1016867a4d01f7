/** What happened to a cluster between two looks at `/cluster/resources`. */
import { type Row, text } from "./rows";

export interface Changes {
  /** Guests to be read (again), by id. */
  again: number[];
  /** What happened, for people. Empty: nothing. */
  said: string[];
}

/**
 * @param astray Guests that were not where `before` said.
 */
export function changesBetween(before: readonly Row[], now: readonly Row[], astray: ReadonlySet<number>): Changes {
  const found: Changes = { again: [], said: [] };
  const servers = flipped(before, now);
  for (const [name, online] of servers) found.said.push(`server ${name} ${online ? "came back" : "went off"}`);
  const old = byId(before);
  const present = byId(now);
  for (const [vmid, row] of present) {
    const said = whatHappened(old.get(vmid), row, astray.has(vmid));
    if (said !== undefined) found.said.push(`guest ${vmid} ${said}`);
    if (said !== undefined || servers.has(String(row.node))) found.again.push(vmid);
  }
  for (const vmid of old.keys()) if (!present.has(vmid)) found.said.push(`guest ${vmid} was removed`);
  return found;
}

export const isGuest = ({ type }: Row): boolean => type === "qemu" || type === "lxc";

const byId = (rows: readonly Row[]): Map<number, Row> =>
  new Map(rows.filter(isGuest).map((row) => [Number(row.vmid), row]));

function flipped(before: readonly Row[], now: readonly Row[]): Map<string, boolean> {
  const online = (rows: readonly Row[]) =>
    new Map(rows.filter(({ type }) => type === "node").map((row) => [String(row.node), row.status === "online"]));
  const old = online(before);
  return new Map([...online(now)].filter(([name, is]) => old.get(name) !== is));
}

function whatHappened(before: Row | undefined, now: Row, astray: boolean): string | undefined {
  if (before === undefined) return "is new";
  if (before.node !== now.node) return `moved from ${before.node} to ${now.node}`;
  if (!sameSettings(before, now)) return "was changed";
  return astray ? `was not found on ${now.node}` : undefined;
}

/**
 * What the list shows of the configuration. Whether a guest runs or is locked is no part of it, and the size of a container's disk
 * is what its file system says at the moment.
 */
function sameSettings(before: Row, now: Row): boolean {
  const keys = [
    "type",
    "name",
    "tags",
    "pool",
    "template",
    "maxcpu",
    "maxmem",
    ...(now.type === "qemu" ? ["maxdisk"] : []),
  ];
  return keys.every((key) => text(before[key]) === text(now[key]));
}
