import * as fs from "node:fs";
import { type Call, flag, list } from "./call";
import { isVolumeKey } from "./clone";
import type { Domain } from "./domain";
import { badParameters } from "./errors";
import { nameOf } from "./guest-status";
import { runHook } from "./hooks";
import { backUpToPbs, prunePbs } from "./pbs-backup";
import { activatePbs, isPbs, volumeNameOf } from "./pbs-storage";
import { bootSeconds } from "./power";
import { isDisk, parseDrive } from "./qemu-config";
import type { Archive } from "./restore";
import type { Guest, StorageEntry, Volume } from "./state";
import { startTask, type TaskHandle } from "./tasks";
import { duration } from "./time-text";
import { addVolume, findVolume, formatSize, removeVolume, volumeFile, volumePath } from "./volumes";

const BACKUP_RATE = 150 * 1024 * 1024;
const SMALLEST_ARCHIVE = 33 * 1024;

/** Options of a backup, whether given with a call or kept in a job. */
export type BackupOptions = Record<string, string>;

/** Guests of a node that a backup takes: those named, those of a pool, or all but the excluded. */
export function chosenGuests(
  domain: Domain,
  node: string,
  options: BackupOptions,
): { guests: Guest[]; unknown: string[] } {
  const here = domain.guests(node);
  if (flag(options.all)) {
    const excluded = list(options.exclude);
    return { guests: here.filter((guest) => !excluded.includes(String(guest.vmid))), unknown: [] };
  }
  if (options.pool) {
    const members = domain.state.pools[options.pool]?.guests ?? [];
    return { guests: here.filter((guest) => members.includes(guest.vmid)), unknown: [] };
  }
  const wanted = list(options.vmid);
  return {
    guests: here.filter((guest) => wanted.includes(String(guest.vmid))),
    // A guest of another node is that node's business; one that is nowhere is an error.
    unknown: wanted.filter((vmid) => !domain.guest(vmid)),
  };
}

function archiveName(begun: number, guest: Guest, compress: string): { name: string; format: string } {
  const stamp = new Date(begun * 1000).toISOString();
  const time = `${stamp.slice(0, 10).replaceAll("-", "_")}-${stamp.slice(11, 19).replaceAll(":", "_")}`;
  const inner = guest.type === "qemu" ? "vma" : "tar";
  const suffix = { zstd: ".zst", gzip: ".gz", "1": ".lzo", lzo: ".lzo" }[compress] ?? "";
  return { name: `backup/vzdump-${guest.type}-${guest.vmid}-${time}.${inner}${suffix}`, format: `${inner}${suffix}` };
}

function backedUpDisks(domain: Domain, guest: Guest): { key: string; volume: Volume }[] {
  return Object.entries(guest.config).flatMap(([key, text]) => {
    if (!isVolumeKey(guest.type, key)) return [];
    const values = parseDrive(text);
    const wanted =
      guest.type === "qemu" ? isDisk(values) && values.backup !== "0" : key === "rootfs" || values.backup === "1";
    const volume = values.file?.includes(":") ? findVolume(domain, guest.node, values.file) : undefined;
    return wanted && volume ? [{ key, volume }] : [];
  });
}

function noteOf(domain: Domain, guest: Guest, template: string | undefined): string | undefined {
  return template
    ?.replaceAll("{{guestname}}", nameOf(guest))
    .replaceAll("{{vmid}}", String(guest.vmid))
    .replaceAll("{{node}}", guest.node)
    .replaceAll("{{cluster}}", domain.state.cluster ?? "standalone node");
}

/** Backs one guest up. Throws when its archive cannot be written; the other guests of the job go on. */
async function backUpGuest(
  domain: Domain,
  guest: Guest,
  entry: StorageEntry,
  options: BackupOptions,
  handle: TaskHandle,
): Promise<void> {
  const { clock } = domain.world;
  const begun = clock.now();
  const mode = options.mode ?? "snapshot";
  const timeText = () => new Date(clock.now() * 1000).toISOString().slice(0, 19).replace("T", " ");
  const kind = guest.type === "qemu" ? "VM" : "CT";
  handle.log(`INFO: Starting Backup of ${kind} ${guest.vmid} (${guest.type})`, `INFO: Backup started at ${timeText()}`);
  domain.checkLock(guest);
  const wasRunning = guest.running !== undefined;
  handle.log(
    `INFO: status = ${wasRunning ? "running" : "stopped"}`,
    `INFO: backup mode: ${wasRunning ? mode : "stop"}`,
  );
  handle.log("INFO: ionice priority: 7", `INFO: ${kind} Name: ${nameOf(guest)}`);
  const disks = backedUpDisks(domain, guest);
  for (const { key, volume } of disks)
    handle.log(`INFO: include disk '${key}' '${parseDrive(guest.config[key]!).file}' ${formatSize(volume.size)}`);
  const { name, format } = isPbs(entry) ? pbsName(begun, guest) : archiveName(begun, guest, options.compress ?? "0");
  const what = isPbs(entry) ? "Proxmox Backup Server" : "vzdump";
  handle.log(`INFO: creating ${what} archive '${volumePath(entry, name)}'`);
  if (!domain.quorate(guest.node))
    throw new Error(
      `unable to open file '/etc/pve/nodes/${guest.node}/${guest.type === "qemu" ? "qemu-server" : "lxc"}/${guest.vmid}.conf.tmp.102' - Permission denied`,
    );
  guest.config.lock = "backup";
  try {
    // What the backup holds is the state at its beginning: later writes of the guest are not in it.
    const archive = makeArchive(domain, guest, disks);
    const used = disks.reduce((sum, { volume }) => sum + volume.used, 0);
    // PVE starts a stopped machine, paused, to read its disks: the hook script is called, and the guest never runs.
    if (!wasRunning && guest.type === "qemu") await runHook(domain, guest, "pre-start", handle);
    if (!wasRunning && guest.type === "qemu") await runHook(domain, guest, "post-start", handle);
    if (wasRunning && mode === "stop") await handle.takes(bootSeconds(guest) / 2);
    const notes = noteOf(domain, guest, options["notes-template"]);
    if (isPbs(entry)) {
      await handle.takes(3);
      const rate = rateOf(options);
      const isProtected = flag(options.protected);
      await backUpToPbs(domain, entry, { archive, node: guest.node, begun, rate, notes, isProtected }, handle);
    } else await storeArchive(domain, guest, entry, options, { archive, name, format, begun, used, notes }, handle);
    if (!wasRunning && guest.type === "qemu") await runHook(domain, guest, "post-stop", handle);
    prune(domain, guest, entry, options, (line) => handle.log(line));
  } finally {
    // The lock of a backup that died with its node stays until somebody unlocks the guest.
    if (handle.task.exitstatus === undefined) delete guest.config.lock;
    domain.save();
  }
  handle.log(
    `INFO: Finished Backup of ${kind} ${guest.vmid} (${duration(clock.now() - begun)})`,
    `INFO: Backup finished at ${timeText()}`,
  );
}

function pbsName(begun: number, guest: Guest): { name: string; format: string } {
  const type = guest.type === "qemu" ? "vm" : "ct";
  return {
    name: volumeNameOf({ ns: "", type, id: String(guest.vmid), time: Math.floor(begun) }),
    format: `pbs-${type}`,
  };
}

/** Bytes per second that a backup reads: `bwlimit` is in KiB/s, 0 means none. */
function rateOf(options: BackupOptions): number {
  const limit = Number(options.bwlimit ?? 0) * 1024;
  return limit > 0 ? Math.min(limit, BACKUP_RATE) : BACKUP_RATE;
}

/** Writes the archive as one file on the storage. */
async function storeArchive(
  domain: Domain,
  guest: Guest,
  entry: StorageEntry,
  options: BackupOptions,
  made: { archive: Archive; name: string; format: string; begun: number; used: number; notes: string | undefined },
  handle: TaskHandle,
): Promise<void> {
  const { archive, name, format, begun, used, notes } = made;
  const { clock } = domain.world;
  await handle.takes(3 + used / rateOf(options));
  if (!domain.state.nodes[guest.node]?.up) throw new Error("interrupted by signal");
  const compressed = options.compress && options.compress !== "0" ? Math.ceil(used / 2) : used;
  const size = Math.max(SMALLEST_ARCHIVE, compressed);
  if (domain.usage(entry, guest.node).avail < size)
    throw new Error("vma_queue_write: write error - No space left on device");
  addVolume(
    domain,
    guest.node,
    entry,
    {
      name,
      content: "backup",
      format,
      size,
      used: size,
      vmid: guest.vmid,
      // As the archive's name says it: when the backup began.
      ctime: Math.floor(begun),
      ...(notes ? { notes } : {}),
      ...(flag(options.protected) ? { protected: true } : {}),
    },
    JSON.stringify(archive),
  );
  handle.log(`INFO: transferred ${(used / 1024 ** 3).toFixed(2)} GiB in ${Math.round(clock.now() - begun)} seconds`);
  handle.log(`INFO: archive file size: ${Math.round(size / 1024)}KB`);
  if (notes) handle.log("INFO: adding notes to backup");
}

function makeArchive(domain: Domain, guest: Guest, disks: { key: string; volume: Volume }[]): Archive {
  const { lock: _lock, ...config } = guest.config;
  return {
    type: guest.type,
    vmid: guest.vmid,
    config: Object.fromEntries(Object.entries(config).filter(([key]) => !/^unused\d+$/.test(key))),
    disks: Object.fromEntries(
      disks.map(({ key, volume }) => [
        key,
        {
          size: volume.size,
          used: volume.used,
          format: volume.format,
          content: volume.content,
          bytes: fs.readFileSync(volumeFile(domain, volume)).toString("base64"),
        },
      ]),
    ),
  };
}

/** How many archives stay, of those a rule of `prune-backups` keeps. */
export function keptArchives(archives: Volume[], rule: string): Set<Volume> {
  const keep = new Set<Volume>();
  const newest = [...archives].sort((a, b) => b.ctime - a.ctime);
  const values = Object.fromEntries(rule.split(",").map((part) => part.split("=") as [string, string]));
  if (values["keep-all"] === "1") return new Set(archives);
  for (const volume of newest.slice(0, Number(values["keep-last"] ?? 0))) keep.add(volume);
  const day = (volume: Volume) => new Date(volume.ctime * 1000).toISOString();
  const week = (volume: Volume) => String(Math.floor((volume.ctime / 86400 + 3) / 7));
  const periods: [string, (volume: Volume) => string][] = [
    ["keep-hourly", (volume) => day(volume).slice(0, 13)],
    ["keep-daily", (volume) => day(volume).slice(0, 10)],
    ["keep-weekly", week],
    ["keep-monthly", (volume) => day(volume).slice(0, 7)],
    ["keep-yearly", (volume) => day(volume).slice(0, 4)],
  ];
  for (const [key, period] of periods) {
    let left = Number(values[key] ?? 0);
    const already = new Set([...keep].map(period));
    for (const volume of newest) {
      if (left === 0) break;
      if (keep.has(volume) || already.has(period(volume))) continue;
      already.add(period(volume));
      keep.add(volume);
      left--;
    }
  }
  return keep;
}

function prune(
  domain: Domain,
  guest: Guest,
  entry: StorageEntry,
  options: BackupOptions,
  log: (line: string) => void,
): void {
  const rule = options["prune-backups"] ?? entry["prune-backups"];
  if (!rule || options.remove === "0") return;
  if (isPbs(entry)) {
    pruneOnPbs(domain, guest, entry, rule, log);
    return;
  }
  const backing = domain.backing(entry, guest.node);
  const archives = domain.state.volumes.filter(
    (volume) =>
      volume.backing === backing && volume.content === "backup" && volume.vmid === guest.vmid && !volume.protected,
  );
  const keep = keptArchives(archives, rule);
  log(`INFO: prune older backups with retention: ${rule.replaceAll(",", ", ")}`);
  for (const volume of archives.filter((candidate) => !keep.has(candidate))) {
    log(`INFO: removing backup '${entry.storage}:${volume.name}'`);
    removeVolume(domain, volume);
  }
}

function pruneOnPbs(
  domain: Domain,
  guest: Guest,
  entry: StorageEntry,
  rule: string,
  log: (line: string) => void,
): void {
  const group = { type: guest.type === "qemu" ? ("vm" as const) : ("ct" as const), id: String(guest.vmid) };
  log(`INFO: prune older backups with retention: ${rule.replaceAll(",", ", ")}`);
  log(`INFO: running 'proxmox-backup-client prune' for '${group.type}/${group.id}'`);
  const removed = prunePbs(domain, guest.node, entry, group, rule, false).filter(({ mark }) => mark === "remove");
  log(`INFO: pruned ${removed.length} backup(s) not covered by keep-retention policy`);
}

/** Runs a backup of a node's guests as one task. Returns its UPID. */
export function startBackup(
  domain: Domain,
  node: string,
  options: BackupOptions,
  user: string,
  jobId?: string,
): string {
  const single = list(options.vmid);
  const command = Object.entries(options)
    .filter(([key]) => key !== "vmid")
    .map(([key, value]) => ` --${key} ${/[^\w./:=,@-]/.test(value) ? `'${value}'` : value}`)
    .join("");
  return startTask(domain, {
    node,
    type: "vzdump",
    id: single.length === 1 ? single[0]! : "",
    user,
    work: async (handle) => {
      if (jobId) handle.log(`INFO: starting new backup job: vzdump (${jobId})${command}`);
      else handle.log(`INFO: starting new backup job: vzdump ${single.join(" ")}${command} --node ${node}`);
      const entry = domain.storage(options.storage ?? "local", node);
      if (!entry.content.split(",").includes("backup"))
        throw new Error(
          `could not get storage information for '${entry.storage}': storage '${entry.storage}' does not support backups`,
        );
      if (isPbs(entry)) activateForBackup(domain, node, entry);
      else if (!domain.active(entry, node))
        throw new Error(`could not activate storage '${entry.storage}': storage '${entry.storage}' is not online`);
      const { guests, unknown } = chosenGuests(domain, node, options);
      let errors = unknown.length;
      for (const vmid of unknown) handle.log(`ERROR: Backup of VM ${vmid} failed - unable to find VM '${vmid}'`);
      for (const guest of guests) {
        try {
          await backUpGuest(domain, guest, entry, options, handle);
        } catch (error) {
          errors++;
          const text = error instanceof Error ? error.message : String(error);
          handle.log(`ERROR: Backup of ${guest.type === "qemu" ? "VM" : "CT"} ${guest.vmid} failed - ${text}`);
        }
      }
      handle.log(errors === 0 ? "INFO: Backup job finished successfully" : "INFO: Backup job finished with errors");
      if (errors > 0) throw new Error("job errors");
    },
  });
}

/** The word that PVE has for a server that does not answer, refuses or is another one than it was. */
function activateForBackup(domain: Domain, node: string, entry: StorageEntry): void {
  try {
    activatePbs(domain, node, entry);
  } catch (error) {
    throw new Error(`could not activate storage '${entry.storage}': ${error instanceof Error ? error.message : error}`);
  }
}

/** `POST /nodes/{node}/vzdump`. */
export function vzdump(call: Call): string {
  const { domain, node, params, identity } = call;
  const options = { ...params };
  delete options.node;
  if (!options.vmid && !options.pool && !flag(options.all))
    throw badParameters({ vmid: "property is missing and it is not optional" });
  if (options.storage) domain.storage(options.storage, node);
  return startBackup(domain, node, options, identity.full);
}
