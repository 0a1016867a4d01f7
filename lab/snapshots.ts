import { anyOf, type Call, perm, type Route, route } from "./call";
import { isVolumeKey } from "./clone";
import type { Domain } from "./domain";
import { fail } from "./errors";
import { powerOff, powerOn } from "./power";
import { configDigest, isDisk, parseDrive } from "./qemu-config";
import type { Guest, GuestConfig, GuestType, Volume } from "./state";
import { startTask } from "./tasks";
import { dropVolumeSnapshot, findVolume, rollbackVolume, snapshotVolume, splitVolid } from "./volumes";
import { requireWritable } from "./writable";

interface Held {
  volid: string;
  volume: Volume;
}

function volumesOf(domain: Domain, guest: Guest, config: GuestConfig): Held[] {
  return Object.entries(config).flatMap(([key, text]) => {
    if (!isVolumeKey(guest.type, key)) return [];
    const values = parseDrive(text);
    const volid = values.file ?? "";
    const volume = volid.includes(":") && isDisk(values) ? findVolume(domain, guest.node, volid) : undefined;
    return volume ? [{ volid, volume }] : [];
  });
}

function requireFeature(domain: Domain, held: Held[]): void {
  for (const { volid, volume } of held) {
    const entry = domain.state.storages[splitVolid(volid).storage];
    if (entry?.type === "zfspool" || entry?.type === "lvmthin" || volume.format === "qcow2") continue;
    throw new Error("snapshot feature is not available");
  }
}

function withoutState(config: GuestConfig): GuestConfig {
  const { lock: _lock, parent: _parent, ...rest } = config;
  return Object.fromEntries(Object.entries(rest).filter(([key]) => !/^unused\d+$/.test(key)));
}

const TASKS: Record<GuestType, { create: string; rollback: string; remove: string }> = {
  qemu: { create: "qmsnapshot", rollback: "qmrollback", remove: "qmdelsnapshot" },
  lxc: { create: "vzsnapshot", rollback: "vzrollback", remove: "vzdelsnapshot" },
};

/** All three changes are tasks: PVE answers with an id at once and the task tells what was wrong. */
function change(
  call: Call,
  type: GuestType,
  kind: "create" | "rollback" | "remove",
  work: (guest: Guest) => Promise<void> | void,
): string {
  const { domain, node } = call;
  const guest = domain.guestOn(node, type, call.path.vmid!);
  requireWritable(call, guest);
  return startTask(domain, {
    node,
    type: TASKS[type][kind],
    id: call.path.vmid!,
    user: call.identity.full,
    work: (handle) =>
      domain.withGuest(guest.vmid, async () => {
        domain.checkLock(guest);
        await work(guest);
        await handle.takes(1);
        domain.save();
      }),
  });
}

function create(call: Call, type: GuestType): string {
  const { domain, params } = call;
  return change(call, type, "create", (guest) => {
    const name = params.snapname ?? "";
    if (guest.snapshots[name]) throw new Error(`snapshot name '${name}' already used`);
    const held = volumesOf(domain, guest, guest.config);
    requireFeature(domain, held);
    for (const { volume } of held) snapshotVolume(domain, volume, name);
    guest.snapshots[name] = {
      config: withoutState(guest.config),
      snaptime: domain.world.clock.seconds(),
      ...(params.description ? { description: params.description } : {}),
      ...(guest.config.parent ? { parent: guest.config.parent } : {}),
    };
    guest.config.parent = name;
  });
}

function rollback(call: Call, type: GuestType): string {
  const { domain } = call;
  const name = call.path.snapname!;
  return change(call, type, "rollback", async (guest) => {
    const snapshot = guest.snapshots[name];
    if (!snapshot) throw new Error(`snapshot '${name}' does not exist`);
    const held = volumesOf(domain, guest, snapshot.config);
    for (const { volid, volume } of held) {
      const entry = domain.state.storages[splitVolid(volid).storage];
      const newer = volume.snapshots.slice(volume.snapshots.indexOf(name) + 1);
      // ZFS rolls back to the newest snapshot only.
      if (entry?.type === "zfspool" && newer.length > 0)
        throw new Error(`can't rollback, '${name}' is not most recent snapshot on '${volid}'`);
    }
    const wasRunning = guest.running !== undefined;
    if (wasRunning) await powerOff(domain, guest);
    for (const { volume } of held) rollbackVolume(domain, volume, name);
    guest.config = { ...snapshot.config, parent: name };
    if (call.params.start === "1") await powerOn(domain, guest);
  });
}

function remove(call: Call, type: GuestType): string {
  const { domain } = call;
  const name = call.path.snapname!;
  return change(call, type, "remove", (guest) => {
    const snapshot = guest.snapshots[name];
    if (!snapshot) throw new Error(`snapshot '${name}' does not exist`);
    for (const { volume } of volumesOf(domain, guest, snapshot.config)) dropVolumeSnapshot(domain, volume, name);
    delete guest.snapshots[name];
    const relink = (holder: { parent?: string }) => {
      if (holder.parent !== name) return;
      if (snapshot.parent) holder.parent = snapshot.parent;
      else delete holder.parent;
    };
    for (const other of Object.values(guest.snapshots)) relink(other);
    relink(guest.config as { parent?: string });
  });
}

function listSnapshots(call: Call, type: GuestType): Record<string, unknown>[] {
  const guest = call.domain.guestOn(call.node, type, call.path.vmid!);
  const named = Object.entries(guest.snapshots).map(([name, snapshot]) => ({
    name,
    snaptime: snapshot.snaptime,
    description: snapshot.description ?? "",
    ...(type === "qemu" ? { vmstate: 0 } : {}),
    ...(snapshot.parent ? { parent: snapshot.parent } : {}),
  }));
  return [
    ...named,
    {
      name: "current",
      description: "You are here!",
      digest: configDigest(guest),
      ...(type === "qemu" ? { running: guest.running ? 1 : 0 } : {}),
      ...(guest.config.parent ? { parent: guest.config.parent } : {}),
    },
  ];
}

function readSnapshot(call: Call, type: GuestType): Record<string, unknown> {
  const guest = call.domain.guestOn(call.node, type, call.path.vmid!);
  const snapshot = guest.snapshots[call.path.snapname!];
  if (!snapshot) throw fail(`snapshot '${call.path.snapname}' does not exist`);
  return {
    ...snapshot.config,
    snaptime: snapshot.snaptime,
    ...(snapshot.description ? { description: snapshot.description } : {}),
  };
}

function routesOf(type: GuestType): Route[] {
  const base = `/nodes/{node}/${type}/{vmid}/snapshot`;
  const audit = perm("/vms/{vmid}", "VM.Audit");
  const write = perm("/vms/{vmid}", "VM.Snapshot");
  return [
    route("GET", base, audit, (call) => listSnapshots(call, type)),
    route("POST", base, write, (call) => create(call, type)),
    route("GET", `${base}/{snapname}`, undefined, () => ["config", "rollback"].map((cmd) => ({ cmd }))),
    route("DELETE", `${base}/{snapname}`, write, (call) => remove(call, type)),
    route(
      "GET",
      `${base}/{snapname}/config`,
      anyOf("/vms/{vmid}", "VM.Snapshot", "VM.Snapshot.Rollback", "VM.Audit"),
      (call) => readSnapshot(call, type),
    ),
    route("PUT", `${base}/{snapname}/config`, write, (call) => {
      const guest = call.domain.guestOn(call.node, type, call.path.vmid!);
      const snapshot = guest.snapshots[call.path.snapname!];
      if (!snapshot) throw fail(`snapshot '${call.path.snapname}' does not exist`);
      if (call.params.description !== undefined) snapshot.description = call.params.description;
      return null;
    }),
    route("POST", `${base}/{snapname}/rollback`, anyOf("/vms/{vmid}", "VM.Snapshot", "VM.Snapshot.Rollback"), (call) =>
      rollback(call, type),
    ),
  ];
}

/** Snapshots of virtual machines and containers. */
export const snapshotRoutes: Route[] = [...routesOf("qemu"), ...routesOf("lxc")];
