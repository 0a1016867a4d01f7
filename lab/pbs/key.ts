import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from "node:crypto";

/** A client's encryption key. PBS never sees it. */
export interface EncryptionKey {
  secret: Buffer;
  /** SHA-256 with colons; its first eight bytes are what messages show. */
  fingerprint: string;
}

const IV = 12;
const TAG = 16;

function colons(bytes: Buffer): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

function idKey(secret: Buffer): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, "", "_id_key", 32));
}

function fingerprintOf(secret: Buffer): string {
  return colons(createHash("sha256").update("fingerprint").update(idKey(secret)).digest());
}

/** The text of a new key file without a passphrase, as `proxmox-backup-client key create --kdf none` writes it. */
export function createKeyFile(now: number): string {
  const secret = randomBytes(32);
  const time = new Date(now * 1000).toISOString();
  return JSON.stringify({
    kdf: null,
    created: time,
    modified: time,
    data: secret.toString("base64"),
    fingerprint: fingerprintOf(secret),
  });
}

/** @throws Error with PVE's words when the text is no key file */
export function parseKeyFile(text: string): EncryptionKey {
  try {
    const { data } = JSON.parse(text) as { data?: string };
    const secret = Buffer.from(data ?? "", "base64");
    if (secret.length === 32) return { secret, fingerprint: fingerprintOf(secret) };
  } catch {
    // Said below: whatever is wrong with it, it is no key.
  }
  throw new Error("Value does not seems like a valid, JSON formatted encryption key!");
}

/** What messages show of a fingerprint. */
export function shortFingerprint(fingerprint: string): string {
  return fingerprint.slice(0, 23);
}

/** The digest of an encrypted chunk: the same bytes under another key are another chunk. */
export function keyedDigest(key: EncryptionKey, data: Buffer): string {
  return createHash("sha256").update(data).update(idKey(key.secret)).digest("hex");
}

export function encrypt(key: EncryptionKey, data: Buffer): Buffer {
  const iv = randomBytes(IV);
  const cipher = createCipheriv("aes-256-gcm", key.secret, iv);
  const sealed = Buffer.concat([cipher.update(data), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), sealed]);
}

/** @throws Error when the key is another one or the bytes were changed */
export function decrypt(key: EncryptionKey, bytes: Buffer): Buffer {
  const decipher = createDecipheriv("aes-256-gcm", key.secret, bytes.subarray(0, IV));
  decipher.setAuthTag(bytes.subarray(IV, IV + TAG));
  return Buffer.concat([decipher.update(bytes.subarray(IV + TAG)), decipher.final()]);
}
