/** Standbys out of a chosen backup: an older one, or one that is made for a planned switch. */

import type { ManifestGuest } from "../planning/manifest";
import { destroyStandby, label, newestBackup } from "../providers/restore-refresh";
import { findStandbys, notesWithout, type StandbySpec } from "../providers/standby-inspect";
import { refuseStarted } from "../providers/standby-started";
import type { Operator } from "./context";
import { ACTIVE_TAG } from "./live-types";

/** Tags of a standby of which no other one is there to copy them from. */
const PLAIN_TAGS = ["coldspare", "coldspare-spare"];

/** What is needed to make a standby; tags and notes are taken from those that exist. */
export async function standbySpec(operator: Operator, guest: ManifestGuest): Promise<StandbySpec> {
  const base: StandbySpec = {
    guest: guest.name,
    vmid: guest.vmid,
    kind: guest.kind,
    source: guest.primary,
    node: guest.spare!,
    standbyIds: guest.standbyIds!,
    storage: guest.standbyStorage ?? guest.storages[0]!,
    backupStorage: guest.backupStorage!,
    tags: PLAIN_TAGS,
    notes: "",
    bootOrder: guest.boot.order,
    ...(guest.boot.delaySeconds > 0 && { bootDelaySeconds: guest.boot.delaySeconds }),
  };
  const pve = operator.pveAt(base.node) ?? operator.pve;
  const model = (await findStandbys(pve, base)).filter(({ ours }) => ours).find(({ config }) => config.tags);
  if (model === undefined) return base;
  const tags = (model.config.tags ?? "").split(/[;, ]+/).filter((tag) => tag !== "" && tag !== ACTIVE_TAG);
  return { ...base, tags, notes: notesWithout(model.config.description) };
}

/** Restores a chosen backup into a standby id. What is under that id is destroyed, when it is a standby of ours that never ran. */
export async function restorePoint(
  operator: Operator,
  guest: ManifestGuest,
  point: { into: number; at: string; volid: string },
  note: (text: string) => void,
): Promise<void> {
  const spec = await standbySpec(operator, guest);
  const pve = operator.pveAt(spec.node) ?? operator.pve;
  const there = (await findStandbys(pve, spec)).find(({ vmid }) => vmid === point.into);
  const wanted = { time: point.at, volid: point.volid };
  if (there?.recovery?.volid === point.volid && there.config.lock === undefined)
    return note(`${point.into} holds ${point.volid} already`);
  if (there !== undefined) {
    await refuseStarted(pve, there, spec, "restore an older backup of");
    await destroyStandby(pve, there, spec, note);
  }
  const isMachine = guest.kind === "qemu";
  await pve.task(
    spec.node,
    "POST",
    `/nodes/${spec.node}/${spec.kind}`,
    {
      vmid: point.into,
      ...(isMachine ? { archive: point.volid } : { ostemplate: point.volid, restore: true }),
      storage: spec.storage,
      [isMachine ? "name" : "hostname"]: `${guest.name}-spare`,
      tags: spec.tags.join(";"),
      description: `Restored from ${point.volid}, not checked yet.`,
      onboot: false,
      protection: false,
      start: false,
      unique: false,
    },
    { guest: guest.name, doing: `restore ${point.volid} into ${point.into}` },
    { onProgress: note },
  );
  await label(pve, spec, { vmid: point.into, node: spec.node }, wanted);
}

/** Backs up a guest that was shut down, and restores just that into a standby id. */
export async function restoreTakenAlong(
  operator: Operator,
  guest: ManifestGuest,
  into: number,
  note: (text: string) => void,
): Promise<void> {
  const spec = await standbySpec(operator, guest);
  const source = operator.pveAt(guest.primary) ?? operator.pve;
  await source.task(
    guest.primary,
    "POST",
    `/nodes/${guest.primary}/vzdump`,
    {
      vmid: guest.vmid,
      storage: spec.backupStorage,
      mode: "stop",
      compress: "zstd",
      "notes-template": "{{guestname}} before a planned switch",
    },
    { guest: guest.name, doing: `back up guest ${guest.vmid} '${guest.name}' a last time` },
    { onProgress: note },
  );
  const pve = operator.pveAt(spec.node) ?? operator.pve;
  const backup = await newestBackup(pve, spec);
  if (backup === undefined) throw new Error(`${spec.node} does not see the backup on '${spec.backupStorage}'`);
  const at = new Date((backup.ctime ?? 0) * 1000).toISOString().replace(".000Z", "Z");
  await restorePoint(operator, guest, { into, at, volid: backup.volid }, note);
}
