/** Configurations of guests, many at a time; a guest that moves or goes meanwhile is read again. */
import type { GuestSnapshot } from "../../planning/adoption/snapshot";
import type { PveClient } from "../../providers/pve/client";
import { PveError } from "../../providers/pve/errors";
import { LiveSiteError } from "./error";
import { eachOf } from "./many";
import { flag, guestEntry, type Row, text } from "./rows";

/** Reads of a cluster that does not hold still. */
const ATTEMPTS = 3;

export interface GuestReading {
  pve: PveClient;
  /** Servers that answer. */
  online: ReadonlySet<string>;
  /** The cluster's firewall is on: a guest's own rules count. */
  firewall: boolean;
  atOnce: number;
  /** Called after each guest. */
  done(guest: GuestSnapshot): void;
}

/**
 * Every guest of the cluster as of one moment: the list is asked for again afterwards, and what has changed in between is read
 * again.
 *
 * @param first The list as it was asked for before.
 * @throws LiveSiteError of kind `changing` that names the guests which moved, came or went each time
 */
export async function readGuests(reading: GuestReading, first: readonly Row[]): Promise<GuestSnapshot[]> {
  const read = new Map<number, GuestSnapshot>();
  let listed = guestsIn(first);
  let changed: readonly GuestSnapshot[] = listed;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    for (const guest of await eachOf(changed, reading.atOnce, (each) => readGuest(reading, each)))
      read.set(guest.vmid, guest);
    const before = new Map(listed.map((guest) => [guest.vmid, guest]));
    listed = guestsIn(await reading.pve.get<Row[]>("/cluster/resources", { type: "vm" }, { doing: "list the guests" }));
    changed = listed.filter((guest) => differs(before.get(guest.vmid), guest));
    const gone = [...before.keys()].filter((vmid) => !listed.some((guest) => guest.vmid === vmid));
    for (const vmid of gone) read.delete(vmid);
    if (changed.length === 0) return [...read.values()].sort((a, b) => a.vmid - b.vmid);
  }
  const names = changed.map(({ vmid, name }) => (name === undefined ? String(vmid) : `${vmid} '${name}'`));
  throw new LiveSiteError(
    "changing",
    `the cluster changes while it is read: ${names.join(", ")} moved, came or changed each of ${ATTEMPTS} times. Fix: run this again when migrations and backups have ended`,
  );
}

const guestsIn = (rows: readonly Row[]): GuestSnapshot[] =>
  rows.filter(({ type }) => type === "qemu" || type === "lxc").map(guestEntry);

/** Whether a guest must be read again. Whether it runs is no part of its configuration. */
function differs(before: GuestSnapshot | undefined, now: GuestSnapshot): boolean {
  if (before === undefined) return true;
  const same = ["node", "type", "name", "template", "lock"] as const;
  return same.some((key) => before[key] !== now[key]) || before.tags.join() !== now.tags.join();
}

async function readGuest(reading: GuestReading, listed: GuestSnapshot): Promise<GuestSnapshot> {
  const guest = reading.online.has(listed.node)
    ? await readConfiguration(reading, listed)
    : { ...listed, unreadable: `its server ${listed.node} is off` };
  reading.done(guest);
  return guest;
}

async function readConfiguration(reading: GuestReading, listed: GuestSnapshot): Promise<GuestSnapshot> {
  const { pve } = reading;
  const path = `/nodes/${listed.node}/${listed.type}/${listed.vmid}`;
  try {
    // One call tells what it runs with and what waits for its next start.
    const rows = await pve.get<Row[]>(`${path}/pending`, {}, { doing: `read guest ${listed.vmid}` });
    const guest = { ...listed, ...configurationOf(rows) };
    return reading.firewall && usesFirewall(guest.config) ? { ...guest, firewall: await rulesOf(pve, path) } : guest;
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    return { ...listed, unreadable: error.reason };
  }
}

/** Keys that are no settings. */
const NO_SETTINGS = new Set(["digest", "parent", "snaptime", "vmstate", "runningmachine", "runningcpu", "snapstate"]);

function configurationOf(rows: readonly Row[]): Pick<GuestSnapshot, "config" | "pending" | "snapshots"> {
  const settings = rows.filter(({ key }) => !NO_SETTINGS.has(String(key)));
  const values = settings.flatMap(({ key, value }) => {
    const shown = text(value);
    return shown === undefined ? [] : [[String(key), shown] as const];
  });
  const parent = text(rows.find(({ key }) => key === "parent")?.value);
  return {
    config: Object.fromEntries(values),
    pending: settings.filter((row) => row.pending !== undefined || flag(row.delete)).map(({ key }) => String(key)),
    snapshots: parent === undefined ? [] : [parent],
  };
}

const usesFirewall = (config: Readonly<Record<string, string>> = {}): boolean =>
  Object.entries(config).some(([key, value]) => /^net\d+$/.test(key) && /(^|,)firewall=1/.test(value));

async function rulesOf(pve: PveClient, path: string): Promise<GuestSnapshot["firewall"]> {
  const [options, rules] = await Promise.all([
    pve.get<Row>(`${path}/firewall/options`),
    pve.get<Row[]>(`${path}/firewall/rules`),
  ]);
  return { enabled: flag(options.enable), rules: rules.length };
}
