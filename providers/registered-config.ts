/** The configuration of a registered guest, made of the configuration of the guest that it is a side of. Pure. */
import { disksInNotes, notesWithDisks } from "../planning/registered-notes";
import type { GuestConfig } from "./pve/types";
import { disksOf, normalTags, type StandbySpec, startupOf } from "./standby-inspect";

/** What a registered guest is to be, beside what it takes over. */
export type RegistrationSpec = Pick<StandbySpec, "guest" | "tags" | "notes" | "bootOrder" | "bootDelaySeconds">;

/** What is set. */
export interface Registration {
  /** Everything that needs no volume. */
  plain: Record<string, string>;
  /** Disks by their key, as existing volumes: `scsi0: tank:vm-113-disk-0,discard=on`. */
  disks: Record<string, string>;
  /** Needs the disks that it names. */
  boot?: string;
}

/**
 * Of one server alone (hardware, hook script, lock), set by us for this side, or only written by Proxmox VE itself. The password
 * of cloud-init is hidden from whoever reads it; the guest has it already.
 */
const OWN =
  /^(digest|lock|parent|hookscript|onboot|startup|protection|meta|template|tags|description|args|boot|bootdisk|snapshots|cipassword|snaptime|vmstate|unused\d+|hostpci\d+|usb\d+|parallel\d+|runningmachine|runningcpu)$/;
const DRIVE = /^(scsi|virtio|sata|ide)\d+$|^efidisk0$|^tpmstate0$/;

/** @param source Configuration of the guest on its primary. */
export function registration(source: GuestConfig, spec: RegistrationSpec): Registration {
  const plain: Record<string, string> = {};
  const disks: Record<string, string> = {};
  for (const [key, value] of Object.entries(source)) {
    if (OWN.test(key) || (typeof value !== "string" && typeof value !== "number")) continue;
    const text = String(value);
    if (!DRIVE.test(key)) plain[key] = text;
    else if (isDisk(text)) disks[key] = withoutSize(text);
    else plain[key] = medium(text);
  }
  const startup = startupOf(spec);
  return {
    plain: {
      ...plain,
      name: spec.guest,
      onboot: "0",
      tags: normalTags(spec.tags).join(";"),
      description: notesWithDisks(spec.notes, disks),
      ...(startup === undefined ? {} : { startup }),
    },
    disks,
    ...(typeof source.boot === "string" ? { boot: source.boot } : {}),
  };
}

function isDisk(text: string): boolean {
  return !/(^|,)media=cdrom(,|$)/.test(text) && !/^(none|cdrom)(,|$)/.test(text) && text.includes(":");
}

/** The size is that of the volume, which grows with the other side's. */
function withoutSize(text: string): string {
  return text
    .split(",")
    .filter((option) => !/^(size|replicate)=/.test(option))
    .join(",");
}

/** The cloud-init drive is made on each server; an installation image is on the other one only. */
function medium(text: string): string {
  const volume = text.split(",")[0]!;
  return /cloudinit/.test(volume) ? `${volume.split(":")[0]}:cloudinit,media=cdrom` : "none,media=cdrom";
}

/** Volume id of a disk's text. */
export function volumeOf(disk: string): string {
  return disk.split(",")[0]!;
}

/** Settings by which a registered guest differs from what it is to be; `undefined`: to be taken out. Disks are another matter. */
export function changesOf(wanted: Registration, found: GuestConfig): Record<string, string | undefined> {
  const changes: Record<string, string | undefined> = {};
  for (const [key, value] of Object.entries(wanted.plain)) if (!isSame(key, value, found[key])) changes[key] = value;
  for (const key of Object.keys(found))
    if (!OWN.test(key) && !DRIVE.test(key) && wanted.plain[key] === undefined) changes[key] = undefined;
  return changes;
}

function isSame(key: string, wanted: string, found: unknown): boolean {
  if (key === "tags") return normalTags(wanted).join() === normalTags(found as string | undefined).join();
  if (key === "description") return wanted.trimEnd() === String(found ?? "").trimEnd();
  if (key === "onboot") return wanted === String(found ?? "0");
  if (/:cloudinit,/.test(wanted)) return /cloudinit/.test(String(found ?? ""));
  if (/^none,/.test(wanted)) return /^none,/.test(String(found ?? ""));
  return wanted === String(found ?? "");
}

/** Disks that the notes of a registered guest name and that are not attached to it. */
export function detachedDisks(config: GuestConfig): Record<string, string> {
  const attached = new Set(disksOf(config));
  return Object.fromEntries(
    Object.entries(disksInNotes(config.description)).filter(([, disk]) => !attached.has(volumeOf(disk))),
  );
}
