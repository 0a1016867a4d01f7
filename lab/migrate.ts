import { type Call, flag } from "./call";
import { copySeconds, isVolumeKey } from "./clone";
import { volumesNamed } from "./destroy";
import type { Domain } from "./domain";
import { fail } from "./errors";
import { runHook } from "./hooks";
import { powerOff, powerOn } from "./power";
import { setProcess } from "./processes";
import { isDriveKey, parseDrive, printDrive } from "./qemu-config";
import { swapReplication } from "./replication";
import type { Guest, GuestType, Volume } from "./state";
import { startTask, type TaskHandle } from "./tasks";
import { clockText, duration } from "./time-text";
import { copyVolume, findVolume, isDirectory, removeVolume, splitVolid, volumePath } from "./volumes";

interface LocalVolume {
  volid: string;
  volume: Volume;
}

function localVolumes(domain: Domain, guest: Guest): LocalVolume[] {
  const volids = new Set([
    ...volumesNamed(guest),
    ...Object.values(guest.snapshots).flatMap((snapshot) => volumesNamed({ ...guest, config: snapshot.config })),
  ]);
  return [...volids].flatMap((volid) => {
    const entry = domain.state.storages[splitVolid(volid).storage];
    const volume = findVolume(domain, guest.node, volid);
    return entry && volume && !domain.isShared(entry) ? [{ volid, volume }] : [];
  });
}

/** `GET …/migrate`: where the guest could go. */
export function migratePreconditions(call: Call): Record<string, unknown> {
  const { domain, node } = call;
  const guest = domain.guestOn(node, "qemu", call.path.vmid!);
  const local = localVolumes(domain, guest);
  const others = domain.nodeNames().filter((name) => name !== node);
  return {
    running: guest.running ? 1 : 0,
    allowed_nodes: others,
    local_disks: local.map(({ volid, volume }) => ({ volid, size: volume.size, cdrom: 0, is_unused: 0 })),
    local_resources: [],
    "mapped-resources": [],
    "mapped-resource-info": {},
    not_allowed_nodes: {},
  };
}

/** `POST …/migrate`. */
export function migrateGuest(call: Call, type: GuestType): string {
  const { domain, node, params, identity } = call;
  const target = params.target ?? "";
  domain.requireQuorum(node);
  if (!domain.state.nodes[target]) throw fail(`no such cluster node '${target}'`);
  if (target === node) throw fail(`target is local node.`);
  const guest = domain.guestOn(node, type, call.path.vmid!);
  domain.checkLock(guest);
  if (guest.running && type === "qemu" && !flag(params.online)) throw fail("can't migrate running VM without --online");
  if (guest.running && type === "lxc" && !flag(params.restart) && !flag(params.online))
    throw fail("lxc live migration is currently not implemented");
  const local = localVolumes(domain, guest);
  if (guest.running && type === "qemu" && local.length > 0 && !flag(params["with-local-disks"]))
    throw fail(`can't migrate VM - online migration with local disks needs 'with-local-disks'`);
  return startTask(domain, {
    node,
    type: type === "qemu" ? "qmigrate" : "vzmigrate",
    id: String(guest.vmid),
    user: identity.full,
    work: (handle) =>
      domain.withGuest(guest.vmid, () =>
        domain.withMigrationLock(guest.vmid, true, () => migrate(domain, guest, target, params, handle)),
      ),
  });
}

async function migrate(
  domain: Domain,
  guest: Guest,
  target: string,
  params: Record<string, string>,
  handle: TaskHandle,
): Promise<void> {
  const started = domain.world.clock.now();
  const say = (text: string) => handle.log(`${clockText(domain)} ${text}`);
  const abort = (reason: string): never => {
    say(`ERROR: ${reason}`);
    say("aborting phase 1 - cleanup resources");
    say(`ERROR: migration aborted (duration ${duration(domain.world.clock.now() - started)}): ${reason}`);
    throw new Error("migration aborted");
  };
  say(
    `starting migration of ${guest.type === "qemu" ? "VM" : "CT"} ${guest.vmid} to node '${target}' (${domain.address(target)})`,
  );
  if (!domain.reaches(guest.node, target)) abort(`Can't connect to destination address using public key`);
  const local = localVolumes(domain, guest);
  for (const { volid } of local) say(`found local disk '${volid}' (attached)`);
  const physical = Object.entries(guest.config).some(
    ([key, text]) => isDriveKey(key) && parseDrive(text).file === "cdrom",
  );
  if (physical) {
    say("can't migrate local cdrom drive");
    abort("Problem found while scanning volumes - can't migrate VM - check log");
  }
  const moves = local.map(({ volid, volume }) => {
    const storage =
      params.targetstorage && params.targetstorage !== "1" ? params.targetstorage : splitVolid(volid).storage;
    const entry = domain.state.storages[storage];
    if (!entry || !domain.onNode(entry, target))
      return abort(`storage '${storage}' is not available on node '${target}'`);
    if (!domain.active(entry, target)) return abort(`storage '${storage}' is not online on node '${target}'`);
    return { volid, volume, entry };
  });
  const { runtime } = domain.world;
  const isLive = guest.running !== undefined && guest.type === "qemu";
  // A container is stopped, moved and started; a machine runs on until the target has taken over.
  const restarts = guest.running !== undefined && guest.type === "lxc" && runtime !== undefined;
  if (restarts) await powerOff(domain, guest, handle);
  guest.config.lock = "migrate";
  try {
    if (isLive)
      await runHook(domain, guest, "pre-start", handle, { node: target, env: { PVE_MIGRATED_FROM: guest.node } });
    if (moves.length > 0) say("copying local disk images");
    for (const { volid, volume, entry } of moves) {
      const replicated = domain.state.volumes.some(
        (other) =>
          other.backing === domain.backing(entry, target) &&
          other.name === volume.name &&
          other.snapshots.some((name) => name.startsWith("__replicate_")),
      );
      if (isDirectory(entry))
        say(
          `Formatting '${volumePath(entry, volume.name)}', fmt=${volume.format} size=${volume.size} preallocation=off`,
        );
      await handle.takes(replicated ? 1 : copySeconds(isDirectory(entry) ? volume.size : volume.used));
      if (!domain.reaches(guest.node, target))
        abort(`storage migration for '${volid}' to storage '${entry.storage}' failed - connection lost`);
      if (domain.usage(entry, target).avail < volume.used)
        abort(`storage migration for '${volid}' to storage '${entry.storage}' failed - out of space`);
      copyVolume(domain, volume, domain.backing(entry, target));
      say(`successfully imported '${volid}'`);
      say(`volume '${volid}' is '${entry.storage}:${volume.name}' on the target`);
    }
    if (isLive && runtime) {
      // The switch: from here on nothing is written on the source, and what was written meanwhile goes along.
      await runtime.end(guest.node, guest.vmid, guest.running!.pid, "kill");
      for (const { volume, entry } of moves) copyVolume(domain, volume, domain.backing(entry, target));
    }
  } catch (error) {
    if (handle.task.exitstatus === undefined) delete guest.config.lock;
    throw error;
  }
  delete guest.config.lock;
  const source = guest.node;
  const jobs = domain.replicationOf(guest.vmid);
  const keepCopies = jobs.some((job) => job.target === target);
  for (const { volume, volid, entry } of moves) {
    renameStorage(guest, volid, `${entry.storage}:${volume.name}`);
    if (!keepCopies) removeVolume(domain, volume);
  }
  const { running } = guest;
  setProcess(domain, guest.vmid, source, undefined);
  guest.node = target;
  if (running && guest.type === "lxc") running.startedAt = domain.world.clock.now();
  if (running && runtime) running.pid = await runtime.start(target, guest, true);
  setProcess(domain, guest.vmid, target, running);
  if (isLive) await runHook(domain, guest, "post-start", handle);
  if (restarts) await powerOn(domain, guest, handle);
  swapReplication(domain, guest, source);
  domain.save();
  say(`migration finished successfully (duration ${duration(domain.world.clock.now() - started)})`);
}

function renameStorage(guest: Guest, from: string, to: string): void {
  if (from === to) return;
  for (const [key, text] of Object.entries(guest.config)) {
    if (text === from) guest.config[key] = to;
    if (!isVolumeKey(guest.type, key)) continue;
    const values = parseDrive(text);
    if (values.file === from) guest.config[key] = printDrive({ ...values, file: to });
  }
}
