import { createHash, randomUUID } from "node:crypto";
import { badParameters, fail } from "./errors";
import { parseProperties, parseQemuNet, printProperties, randomMac } from "./property-string";
import type { Guest, GuestConfig } from "./state";

/** Keys whose values PVE answers as numbers; `memory` is not among them, it comes back as text. */
const NUMBERS = new Set([
  "acpi",
  "autostart",
  "balloon",
  "ciupgrade",
  "cores",
  "cpulimit",
  "cpuunits",
  "freeze",
  "keephugepages",
  "kvm",
  "localtime",
  "migrate_downtime",
  "migrate_speed",
  "numa",
  "onboot",
  "protection",
  "reboot",
  "shares",
  "sockets",
  "tablet",
  "tdf",
  "template",
  "vcpus",
]);

const DRIVE = /^(ide[0-3]|sata[0-5]|scsi([0-9]|[12][0-9]|30)|virtio([0-9]|1[0-5])|efidisk0|tpmstate0)$/;

/** Whether the key names a disk, a CD drive, an EFI or a TPM volume. */
export function isDriveKey(key: string): boolean {
  return DRIVE.test(key);
}

export function isUnusedKey(key: string): boolean {
  return /^unused\d+$/.test(key);
}

export function parseDrive(text: string): Record<string, string> {
  return parseProperties(text, "file");
}

export function printDrive(values: Record<string, string>): string {
  return printProperties(values, "file");
}

/** Whether a drive holds a disk of the guest: no CD, no physical drive. */
export function isDisk(values: Record<string, string>): boolean {
  return values.media !== "cdrom" && values.file !== "none" && values.file !== "cdrom";
}

/** The guest's volumes by key: disks, EFI, TPM, cloud-init drive and, if wanted, unused ones. */
export function ownVolumes(config: GuestConfig, withUnused = true): { key: string; volid: string }[] {
  const found: { key: string; volid: string }[] = [];
  for (const [key, text] of Object.entries(config)) {
    if (isUnusedKey(key) && withUnused) found.push({ key, volid: text });
    if (!isDriveKey(key)) continue;
    const values = parseDrive(text);
    const file = values.file ?? "";
    if (file.includes(":") && (isDisk(values) || file.includes("cloudinit"))) found.push({ key, volid: file });
  }
  return found;
}

/** The configuration as the API answers it. */
export function showConfig(guest: Guest, config: GuestConfig = guest.config): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(config)) {
    if (key === "cipassword") shown[key] = "**********";
    else shown[key] = NUMBERS.has(key) ? Number(value) : value;
  }
  shown.digest = configDigest(guest, config);
  return shown;
}

export function configDigest(guest: Guest, config: GuestConfig = guest.config): string {
  const hash = createHash("sha1");
  for (const key of Object.keys(config).sort()) hash.update(`${key}: ${config[key]}\n`);
  hash.update(Object.keys(guest.snapshots).join(","));
  return hash.digest("hex");
}

/** Refuses a change that was made for another version of the configuration. */
export function checkDigest(guest: Guest, digest: string | undefined): void {
  if (digest && digest !== configDigest(guest)) throw fail("checksum mismatch (file change by other user?)");
}

/** Tags without doubles, sorted and in lower case. */
export function normalTags(text: string): string {
  const tags = text.split(/[,;\s]+/).filter((tag) => tag !== "");
  return [...new Set(tags.map((tag) => tag.toLowerCase()))].sort().join(";");
}

/** A network card as PVE stores it, with an address if it has none yet. */
export function storedNet(key: string, text: string): string {
  const { model, mac, rest } = parseQemuNet(key, text);
  return printProperties({ ...rest, "": `${model}=${mac ?? randomMac()}` }, "");
}

/** Identity values that a new guest gets. */
export function newIdentity(ctime: number): GuestConfig {
  return {
    smbios1: `uuid=${randomUUID()}`,
    vmgenid: randomUUID(),
    meta: `creation-qemu=10.1.2,ctime=${ctime}`,
  };
}

/** Boot order of a guest that was given none: the first disk, then the first network card. */
export function defaultBoot(config: GuestConfig): string | undefined {
  const order = ["ide", "sata", "scsi", "virtio"].flatMap((bus) =>
    Object.keys(config)
      .filter((key) => isDriveKey(key) && key.startsWith(bus))
      .sort((a, b) => Number(a.replace(/\D/g, "")) - Number(b.replace(/\D/g, ""))),
  );
  const disk = order.find((key) => isDisk(parseDrive(config[key]!)));
  const cd = order.find((key) => !isDisk(parseDrive(config[key]!)) && parseDrive(config[key]!).file !== "none");
  const net = Object.keys(config)
    .filter((key) => /^net\d+$/.test(key))
    .sort()[0];
  const found = [disk, cd, net].filter((key) => key !== undefined);
  return found.length > 0 ? `order=${found.join(";")}` : undefined;
}

const KEY_TYPES = new Set([
  "ssh-rsa",
  "ssh-ed25519",
  "ssh-dss",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
]);

/** PVE really parses the keys: each must be a key of its type. */
export function checkSshKeys(encoded: string): void {
  let text = encoded;
  try {
    text = decodeURIComponent(encoded);
  } catch {
    throw badParameters({ sshkeys: "invalid format - invalid urlencoded string\n" });
  }
  for (const line of text.split("\n")) {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#")) continue;
    const parts = trimmed.split(/\s+/);
    const index = parts.findIndex((part) => KEY_TYPES.has(part));
    const type = parts[index];
    const encodedKey = parts[index + 1] ?? "";
    const data = Buffer.from(encodedKey, "base64");
    // Node.js forgives what a strict decoder does not: a length that is no multiple of four.
    if (encodedKey.length % 4 !== 0) throw fail("SSH public key validation error");
    if (!type || !isKeyBlob(type, data)) throw fail("SSH public key validation error");
  }
}

/** The blob names its type itself, and an ed25519 key has exactly 32 bytes. */
function isKeyBlob(type: string, data: Buffer): boolean {
  if (data.length < 8) return false;
  const length = data.readUInt32BE(0);
  if (length !== type.length || data.subarray(4, 4 + length).toString() !== type) return false;
  if (type !== "ssh-ed25519") return data.length > 4 + length + 4;
  const start = 4 + length;
  return data.length === start + 4 + 32 && data.readUInt32BE(start) === 32;
}
