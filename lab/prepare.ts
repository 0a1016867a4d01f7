import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Domain } from "./domain";
import { publishStatus } from "./guest-status";
import { isMountKey } from "./lxc-config";
import { parseProperties } from "./property-string";
import { isDisk, isDriveKey, parseDrive } from "./qemu-config";
import type { Guest, GuestConfig, GuestType, LabState } from "./state";
import type { LabTopology } from "./topology";
import { addVolume, parseSize, splitVolid } from "./volumes";
import { World } from "./world";

/**
 * Puts into a lab's folder what was there before it is started: for clusters that nobody can make over the API (what people
 * wrote into the files, hundreds of guests).
 *
 * @param hand Changes the state of the first cluster as it likes.
 * @param at Unix time that the lab's clock begins with, if that is later than now.
 */
export function prepareLab(
  folder: string,
  topology: LabTopology,
  hand: (domain: Domain) => void,
  at = Date.now() / 1000,
): void {
  fs.mkdirSync(path.join(folder, "volumes"), { recursive: true, mode: 0o700 });
  const state: LabState = {
    version: 1,
    clock: at,
    witnesses: {},
    domains: [],
    ticketKey: randomBytes(32).toString("hex"),
  };
  fs.writeFileSync(path.join(folder, "state.json"), JSON.stringify(state), { mode: 0o600 });
  const world = new World(folder, topology, 1);
  const domain = world.domains[0]!;
  hand(domain);
  publishStatus(domain);
  world.close();
}

/** A guest's file as somebody wrote it. */
export interface WrittenGuest {
  vmid: number;
  type: GuestType;
  node: string;
  config: GuestConfig;
  /** What it was started with, where that differs; `true`: it runs with `config`. Absent: it is stopped. */
  running?: true | GuestConfig;
  /** Names of its snapshots, the oldest first. */
  snapshots?: string[];
  pool?: string;
}

/** Puts a guest where it belongs, with a volume for each of its disks that lies on a storage of its node. */
export function writeGuest(domain: Domain, written: WrittenGuest): Guest {
  const { vmid, type, node, config, snapshots = [] } = written;
  const at = domain.world.clock.seconds();
  const guest: Guest = {
    vmid,
    type,
    node,
    config: { ...config, ...(snapshots.length > 0 ? { parent: snapshots.at(-1)! } : {}) },
    snapshots: Object.fromEntries(snapshots.map((name) => [name, { config: { ...config }, snaptime: at }])),
  };
  if (written.running !== undefined) {
    const started = written.running === true ? guest.config : written.running;
    guest.running = { pid: 1000 + Object.keys(domain.state.guests).length, startedAt: at, config: { ...started } };
  }
  domain.state.guests[String(vmid)] = guest;
  if (written.pool) {
    domain.state.pools[written.pool] ??= { guests: [], storages: [] };
    domain.state.pools[written.pool]!.guests.push(vmid);
  }
  for (const [key, text] of Object.entries(guest.config)) writeVolume(domain, guest, key, text);
  return guest;
}

function writeVolume(domain: Domain, guest: Guest, key: string, text: string): void {
  const { volid, size } = diskOf(guest.type, key, text);
  if (!volid?.includes(":")) return;
  const { storage, name } = splitVolid(volid);
  const entry = domain.state.storages[storage];
  if (!entry || !domain.active(entry, guest.node)) return;
  const content = guest.type === "lxc" ? "rootdir" : "images";
  const format = /\.(qcow2|raw|vmdk)$/.exec(name)?.[1] ?? (name.startsWith("subvol") ? "subvol" : "raw");
  const used = Math.floor(size / 4);
  addVolume(domain, guest.node, entry, { name, content, format, size, used, vmid: guest.vmid }, `${volid}\n`);
}

/** The volume that a setting names, if it is a disk of the guest's own. */
function diskOf(type: GuestType, key: string, text: string): { volid?: string; size: number } {
  if (/^unused\d+$/.test(key)) return { volid: text, size: 1024 ** 3 };
  if (type === "lxc" && isMountKey(key)) {
    const values = parseProperties(text, "volume");
    return { volid: values.volume ?? "", size: parseSize(values.size ?? "0") ?? 0 };
  }
  if (type === "lxc" || !isDriveKey(key)) return { size: 0 };
  const values = parseDrive(text);
  const own = isDisk(values) || values.file?.includes("cloudinit");
  return own ? { volid: values.file ?? "", size: parseSize(values.size ?? "4M") ?? 0 } : { size: 0 };
}
