import { AnswerWith, type Call, flag, list, perm, type Route, route } from "./call";
import { cloneGuest, makeTemplate } from "./clone";
import { destroyGuest } from "./destroy";
import { badParameters, fail } from "./errors";
import { currentStatus, listedStatus } from "./guest-status";
import { setPlainValues } from "./guest-values";
import { refuseHookscript } from "./hooks";
import { migrateGuest, migratePreconditions } from "./migrate";
import { moveDisk } from "./move-disk";
import { CHANGE_MACHINE, CLONE, checkOptionPrivileges } from "./option-privileges";
import { pendingChanges, takeHot } from "./pending";
import { rebootById, shutdownById, startById, stopById } from "./power";
import { checkDigest, isDriveKey, isUnusedKey, ownVolumes, parseDrive, showConfig } from "./qemu-config";
import { checkConfigValues, createQemu } from "./qemu-create";
import { detachDrive, resizeDisk, setDrive } from "./qemu-drives";
import type { Guest } from "./state";
import { startTask } from "./tasks";
import { requireWritable } from "./writable";

const VM = "/nodes/{node}/qemu/{vmid}";
const AUDIT = perm("/vms/{vmid}", "VM.Audit");
const POWER = perm("/vms/{vmid}", "VM.PowerMgmt");
/** Settings that a running guest takes at once; the others wait for its next start. */
const HOT =
  /^(name|description|tags|onboot|startup|protection|hookscript|lock|net\d+|(ide|sata|scsi|virtio)\d+|unused\d+|boot|bootdisk|agent|ciuser|cipassword|sshkeys|ipconfig\d+|nameserver|searchdomain|citype|cicustom|balloon|shares|vmgenid)$/;

function guestOf(call: Call): Guest {
  return call.domain.guestOn(call.node, "qemu", call.path.vmid!);
}

const NOT_OPTIONS = new Set([
  "digest",
  "skiplock",
  "force",
  "background_delay",
  "node",
  "vmid",
  "import-working-storage",
]);

function checkUpdate(call: Call): Guest {
  const { domain, params } = call;
  if (Object.keys(params).every((key) => NOT_OPTIONS.has(key))) throw fail("no options specified");
  checkOptionPrivileges(call, call.path.vmid!, params);
  // Parameters are checked before the guest is looked for.
  checkConfigValues(domain, call.node, params, call.identity.isRoot);
  const guest = guestOf(call);
  requireWritable(call, guest);
  if (!flag(params.skiplock)) domain.checkLock(guest);
  checkDigest(guest, params.digest);
  const deleted = list(params.delete);
  if (deleted.includes("hookscript") && !call.identity.isRoot) refuseHookscript("qemu");
  for (const key of deleted)
    if (params[key] !== undefined) throw badParameters({ delete: `Cannot use same property '${key}' with 'delete'` });
  if (
    guest.config.protection === "1" &&
    (deleted.some(isUnusedKey) || (flag(params.force) && deleted.some(isDriveKey)))
  )
    throw fail(`can't remove unused disk - protection mode enabled`);
  return guest;
}

function applyUpdate(call: Call, guest: Guest, log: (line: string) => void): void {
  const { domain, params } = call;
  for (const key of list(params.delete)) {
    if (isDriveKey(key) || isUnusedKey(key)) detachDrive(domain, guest, key, flag(params.force));
    else delete guest.config[key];
  }
  setPlainValues(guest, params);
  for (const [key, text] of Object.entries(params)) if (isDriveKey(key)) setDrive(domain, guest, key, text, log);
  takeHot(guest, (key) => HOT.test(key));
  domain.save();
}

async function updateNow(call: Call): Promise<null> {
  const guest = checkUpdate(call);
  await call.domain.withGuest(guest.vmid, () => applyUpdate(call, guest, () => undefined));
  return null;
}

function updateInTask(call: Call): string {
  const guest = checkUpdate(call);
  return startTask(call.domain, {
    node: call.node,
    type: "qmconfig",
    id: String(guest.vmid),
    user: call.identity.full,
    work: (handle) =>
      call.domain.withGuest(guest.vmid, async () => {
        await handle.takes(1);
        applyUpdate(call, guest, (line) => handle.log(line));
      }),
  });
}

function readConfig(call: Call): Record<string, unknown> {
  const guest = guestOf(call);
  const snapshot = call.params.snapshot;
  if (snapshot) {
    const found = guest.snapshots[snapshot];
    if (!found) throw fail(`snapshot '${snapshot}' does not exist`);
    return showConfig(guest, found.config);
  }
  if (flag(call.params.current) && guest.running) return showConfig(guest, guest.running.config);
  return showConfig(guest);
}

function pending(call: Call): Record<string, unknown>[] {
  const guest = guestOf(call);
  return pendingChanges(showConfig(guest, guest.running?.config), showConfig(guest));
}

function resize(call: Call): string {
  const { domain, node, params, path } = call;
  const guest = domain.guestOn(node, "qemu", path.vmid!);
  requireWritable(call, guest);
  checkDigest(guest, params.digest);
  domain.checkLock(guest);
  return startTask(domain, {
    node,
    type: "resize",
    id: path.vmid!,
    user: call.identity.full,
    work: (handle) =>
      domain.withGuest(guest.vmid, async () => {
        const text = guest.config[params.disk!];
        const exists = text !== undefined && parseDrive(text).file !== undefined;
        if (exists) await handle.takes(0.5);
        resizeDisk(domain, guest, params.disk!, params.size ?? "");
        if (guest.running) guest.running.config[params.disk!] = guest.config[params.disk!]!;
        domain.save();
      }),
  });
}

function unlink(call: Call): null {
  const guest = guestOf(call);
  requireWritable(call, guest);
  domainDetach(call, guest);
  return null;
}

function domainDetach(call: Call, guest: Guest): void {
  for (const key of list(call.params.idlist)) detachDrive(call.domain, guest, key, flag(call.params.force));
  call.domain.save();
}

function start(call: Call): string {
  const { domain, node, path } = call;
  domain.requireQuorum(node);
  return startById(domain, node, "qemu", Number(path.vmid), call.identity.full);
}

function feature(call: Call): Record<string, unknown> {
  const guest = guestOf(call);
  const files = ownVolumes(guest.config, false).map(({ volid }) => call.domain.state.storages[volid.split(":")[0]!]);
  const has = files.every((entry, index) => {
    if (call.params.feature !== "snapshot") return true;
    const volid = ownVolumes(guest.config, false)[index]!.volid;
    return entry !== undefined && (entry.type === "zfspool" || entry.type === "lvmthin" || volid.endsWith(".qcow2"));
  });
  return { hasFeature: has ? 1 : 0, nodes: call.domain.nodeNames() };
}

/** The calls on virtual machines. */
export const qemuRoutes: Route[] = [
  route("GET", "/nodes/{node}/qemu", undefined, (call) =>
    call.domain.guests(call.node, "qemu").map((guest) => listedStatus(call.domain, guest)),
  ),
  route("POST", "/nodes/{node}/qemu", undefined, createQemu),
  route("GET", VM, undefined, (call) => {
    guestOf(call);
    return ["config", "pending", "status", "snapshot", "firewall", "agent", "feature"].map((subdir) => ({ subdir }));
  }),
  route("DELETE", VM, perm("/vms/{vmid}", "VM.Allocate"), (call) => destroyGuest(call, "qemu")),
  route("GET", `${VM}/config`, AUDIT, readConfig),
  route("PUT", `${VM}/config`, CHANGE_MACHINE, updateNow),
  route("POST", `${VM}/config`, CHANGE_MACHINE, updateInTask),
  route("GET", `${VM}/pending`, AUDIT, pending),
  route("PUT", `${VM}/resize`, perm("/vms/{vmid}", "VM.Config.Disk"), resize),
  route("PUT", `${VM}/unlink`, perm("/vms/{vmid}", "VM.Config.Disk"), unlink),
  route("POST", `${VM}/move_disk`, perm("/vms/{vmid}", "VM.Config.Disk"), moveDisk),
  route("GET", `${VM}/feature`, AUDIT, feature),
  route("GET", `${VM}/status`, undefined, () =>
    ["current", "start", "stop", "reset", "shutdown", "suspend", "reboot"].map((subdir) => ({ subdir })),
  ),
  route("GET", `${VM}/status/current`, AUDIT, (call) => currentStatus(call.domain, guestOf(call))),
  route("POST", `${VM}/status/start`, POWER, start),
  route("POST", `${VM}/status/stop`, POWER, (call) =>
    stopById(call.domain, call.node, "qemu", Number(call.path.vmid), call.identity.full),
  ),
  route("POST", `${VM}/status/shutdown`, POWER, (call) =>
    shutdownById(call.domain, call.node, "qemu", Number(call.path.vmid), call.identity.full, {
      timeout: Number(call.params.timeout ?? 180),
      force: flag(call.params.forceStop),
    }),
  ),
  route("POST", `${VM}/status/reboot`, POWER, (call) =>
    rebootById(call.domain, call.node, "qemu", Number(call.path.vmid), call.identity.full, false),
  ),
  route("POST", `${VM}/status/reset`, POWER, (call) =>
    rebootById(call.domain, call.node, "qemu", Number(call.path.vmid), call.identity.full, true),
  ),
  route("POST", `${VM}/status/suspend`, POWER, (call) => pause(call, true)),
  route("POST", `${VM}/status/resume`, POWER, (call) => pause(call, false)),
  route("POST", `${VM}/clone`, CLONE, (call) => cloneGuest(call, "qemu")),
  route("POST", `${VM}/template`, perm("/vms/{vmid}", "VM.Allocate"), (call) => makeTemplate(call, "qemu")),
  route("GET", `${VM}/migrate`, perm("/vms/{vmid}", "VM.Migrate"), migratePreconditions),
  route("POST", `${VM}/migrate`, perm("/vms/{vmid}", "VM.Migrate"), (call) => migrateGuest(call, "qemu")),
  route("GET", `${VM}/rrddata`, AUDIT, () => new AnswerWith([], {})),
];

function pause(call: Call, paused: boolean): string {
  const { domain, node, path } = call;
  return startTask(domain, {
    node,
    type: paused ? "qmsuspend" : "qmresume",
    id: path.vmid!,
    user: call.identity.full,
    seconds: 1,
    work: () => {
      const guest = domain.guestOn(node, "qemu", path.vmid!);
      if (!guest.running) throw new Error(`VM ${guest.vmid} not running`);
      guest.running.paused = paused;
      domain.world.runtime?.signal(guest.running.pid, paused ? "pause" : "resume");
      domain.save();
    },
  });
}
