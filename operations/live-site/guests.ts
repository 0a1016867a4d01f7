/** Configurations of guests: one call for a machine, two for a container, more only where there is something to ask for. */
import type { GuestSnapshot } from "../../planning/adoption/snapshot";
import { isOfThisCall, type Reader, wordsOf } from "./reader";
import { flag, guestEntry, isRow, type Row, text } from "./rows";

/** A guest as it was read. */
export interface ReadGuest {
  guest: GuestSnapshot;
  /** Its file was not where the list said: it moved or was removed meanwhile. */
  astray: boolean;
}

export interface GuestReading {
  reader: Reader;
  /** Servers that answer. */
  online: ReadonlySet<string>;
  /** The cluster's firewall is on: a guest's own rules count. */
  firewall: boolean;
}

/** Reads one guest; one that cannot be read says why. */
export async function readGuest(reading: GuestReading, row: Row): Promise<ReadGuest> {
  const listed = guestEntry(row);
  if (!reading.online.has(listed.node))
    return { guest: nameless(listed, `its server ${listed.node} is off`), astray: false };
  try {
    return { guest: await readConfiguration(reading, listed), astray: false };
  } catch (error) {
    if (!isOfThisCall(error)) throw error;
    return {
      guest: nameless(listed, wordsOf(error)),
      astray: /^Configuration file .* does not exist/.test(error.reason),
    };
  }
}

/** `/cluster/resources` makes a name up where there is none. */
const MADE_UP = /^(VM|CT) ?\d+$/;

function nameless(listed: GuestSnapshot, unreadable: string): GuestSnapshot {
  const { name, ...rest } = listed;
  return { ...rest, ...(name === undefined || MADE_UP.test(name) ? {} : { name }), unreadable };
}

async function readConfiguration({ reader, firewall }: GuestReading, listed: GuestSnapshot): Promise<GuestSnapshot> {
  const { vmid, type, node, name: _listed, ...rest } = listed;
  const path = `/nodes/${node}/${type}/${vmid}`;
  const doing = `read guest ${vmid}`;
  // `pending` tells what a guest runs with and what waits for its next start, but not the lines that LXC reads itself.
  const [rows, raw] = await Promise.all([
    reader.rows(`${path}/pending`, doing),
    type === "lxc" ? reader.get<unknown>(`${path}/config`, doing).then(rawLines) : {},
  ]);
  const settings = rows.filter(({ key }) => !NO_SETTINGS.has(String(key)));
  const config: Record<string, string> = { ...configOf(settings), ...raw };
  const name = config[type === "lxc" ? "hostname" : "name"];
  const parent = text(rows.find(({ key }) => key === "parent")?.value);
  const own = firewall && usesFirewall(config);
  const [snapshots, rules] = await Promise.all([
    parent === undefined ? [] : snapshotsOf(reader, path, vmid),
    own ? firewallOf(reader, path, vmid) : rest.firewall,
  ]);
  return {
    vmid,
    type,
    node,
    ...(name === undefined ? {} : { name }),
    ...rest,
    config,
    pending: settings
      .filter((row) => row.pending !== undefined || flag(row.delete))
      .map(({ key }) => String(key))
      .sort(),
    snapshots,
    firewall: rules,
  };
}

/** Keys that are no settings. */
const NO_SETTINGS = new Set(["digest", "parent", "snaptime", "vmstate", "runningmachine", "runningcpu", "snapstate"]);

function configOf(settings: readonly Row[]): Record<string, string> {
  const values = settings.flatMap(({ key, value }) => {
    const shown = text(value);
    return shown === undefined ? [] : [[String(key), shown] as const];
  });
  return Object.fromEntries(values);
}

/** Lines such as `lxc.mount.entry`, which may stand several times: one text, a line each. */
function rawLines(config: unknown): Record<string, string> {
  const lines = isRow(config) && Array.isArray(config.lxc) ? (config.lxc as unknown[]) : [];
  const found: Record<string, string> = {};
  for (const line of lines) {
    if (!Array.isArray(line)) continue;
    const [key, value] = line.map(String) as [string, string];
    found[key] = found[key] === undefined ? value : `${found[key]}\n${value}`;
  }
  return found;
}

async function snapshotsOf(reader: Reader, path: string, vmid: number): Promise<string[]> {
  const rows = await reader.list(`the snapshots of guest ${vmid}`, `${path}/snapshot`);
  return rows
    .map(({ name }) => String(name))
    .filter((name) => name !== "current")
    .sort();
}

const usesFirewall = (config: Readonly<Record<string, string>>): boolean =>
  Object.entries(config).some(([key, value]) => /^net\d+$/.test(key) && /(^|,)firewall=1/.test(value));

async function firewallOf(reader: Reader, path: string, vmid: number): Promise<GuestSnapshot["firewall"]> {
  const [options, rules] = await Promise.all([
    reader.ask(`the firewall of guest ${vmid}`, `${path}/firewall/options`),
    reader.list(`the firewall rules of guest ${vmid}`, `${path}/firewall/rules`),
  ]);
  return { enabled: isRow(options) && flag(options.enable), rules: rules.length };
}
