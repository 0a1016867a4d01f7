import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { crc32 } from "node:zlib";

/** Bytes of a chunk. Proxmox Backup Server has 4 MiB; the disks of the lab hold a few bytes that stand for many. */
export const CHUNK_BYTES = 4096;

const MAGIC = Buffer.from("LABCHNK1");
const HEADER = 20;

/** One chunk as it is stored: its bytes behind a header with a checksum and the bytes of a real disk that it stands for. */
interface Blob {
  data: Buffer;
  crc: number;
  weight: number;
}

/** What a chunk is on disk, beside its bytes. */
export interface ChunkFile {
  digest: string;
  file: string;
  /** Last use in virtual seconds. */
  usedAt: number;
  weight: number;
  /** Renamed by a verification. */
  bad: boolean;
}

function encode({ data, weight }: { data: Buffer; weight: number }): Buffer {
  const header = Buffer.alloc(HEADER);
  MAGIC.copy(header);
  header.writeUInt32LE(crc32(data), 8);
  header.writeDoubleLE(weight, 12);
  return Buffer.concat([header, data]);
}

function decode(bytes: Buffer): Blob {
  if (bytes.length < HEADER || !bytes.subarray(0, MAGIC.length).equals(MAGIC))
    throw new Error("unable to parse raw blob - wrong magic");
  return { data: bytes.subarray(HEADER), crc: bytes.readUInt32LE(8), weight: bytes.readDoubleLE(12) };
}

/** The digest of a chunk that is not encrypted. */
export function digestOfChunk(data: Buffer): string {
  return createHash("sha256").update(data).digest("hex");
}

/**
 * Chunks by the SHA-256 of what they hold, in `.chunks/<first four digits>/<digest>`. The time of their last use is the file's
 * modification time: reading a file does not change it, so it keeps to the lab's clock.
 */
export class ChunkStore {
  private readonly folder: string;
  private weight: number | undefined;

  constructor(folder: string) {
    this.folder = path.join(folder, ".chunks");
  }

  file(digest: string): string {
    return path.join(this.folder, digest.slice(0, 4), digest);
  }

  has(digest: string): boolean {
    return fs.existsSync(this.file(digest));
  }

  /** Stores a chunk, or notes that one that is there was used. @returns whether it was new */
  put(digest: string, data: Buffer, weight: number, now: number): boolean {
    if (this.touch(digest, now)) return false;
    const file = this.file(digest);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(`${file}.tmp`, encode({ data, weight }));
    fs.renameSync(`${file}.tmp`, file);
    fs.utimesSync(file, now, now);
    if (this.weight !== undefined) this.weight += weight;
    return true;
  }

  /** Notes the use of a chunk. @returns false when it is not there */
  touch(digest: string, now: number): boolean {
    return touchFile(this.file(digest), now);
  }

  /** Keeps what a verification put aside for as long as something asks for the chunk. */
  touchBad(digest: string, now: number): void {
    for (let number = 0; number < 10; number++) touchFile(`${this.file(digest)}.${number}.bad`, now);
  }

  /**
   * The bytes of a chunk.
   *
   * @param isPlain - the digest is the one of these bytes; of an encrypted chunk only the checksum can be checked
   * @throws Error when it is missing or not what it should be
   */
  read(digest: string, isPlain: boolean): Buffer {
    if (!this.has(digest)) throw new Error(`unable to load chunk '${digest}' - No such file or directory (os error 2)`);
    const { data, crc } = decode(fs.readFileSync(this.file(digest)));
    if (crc32(data) !== crc) throw new Error("Data blob has wrong CRC checksum.");
    if (isPlain && digestOfChunk(data) !== digest) throw new Error("detected chunk with wrong digest.");
    return Buffer.from(data);
  }

  weightOf(digest: string): number {
    return this.has(digest) ? decode(fs.readFileSync(this.file(digest))).weight : 0;
  }

  /** Puts a damaged chunk aside, so that the next backup with the same content stores it anew. @returns the new name */
  putAside(digest: string): string | undefined {
    if (!this.has(digest)) return undefined;
    for (let number = 0; number < 10; number++) {
      const name = `${this.file(digest)}.${number}.bad`;
      if (fs.existsSync(name)) continue;
      fs.renameSync(this.file(digest), name);
      this.weight = undefined;
      return name;
    }
    return undefined;
  }

  remove(chunk: ChunkFile): void {
    fs.rmSync(chunk.file, { force: true });
    this.weight = undefined;
  }

  /** Turns a byte of a stored chunk over, as a failing disk does. */
  damage(digest: string): void {
    const bytes = fs.readFileSync(this.file(digest));
    const { mtime } = fs.statSync(this.file(digest));
    const last = bytes.length - 1;
    bytes[last] = (bytes[last] ?? 0) ^ 0xff;
    fs.writeFileSync(this.file(digest), bytes);
    fs.utimesSync(this.file(digest), mtime, mtime);
  }

  list(): ChunkFile[] {
    if (!fs.existsSync(this.folder)) return [];
    return fs.readdirSync(this.folder).flatMap((prefix) =>
      fs.readdirSync(path.join(this.folder, prefix)).map((name) => {
        const file = path.join(this.folder, prefix, name);
        const weight = fs.readFileSync(file).subarray(0, HEADER).readDoubleLE(12);
        const [digest = ""] = name.split(".");
        return { digest, file, usedAt: fs.statSync(file).mtimeMs / 1000, weight, bad: name.endsWith(".bad") };
      }),
    );
  }

  /** Bytes that all chunks stand for. */
  usedBytes(): number {
    this.weight ??= this.list().reduce((sum, chunk) => sum + chunk.weight, 0);
    return this.weight;
  }
}

function touchFile(file: string, now: number): boolean {
  if (!fs.existsSync(file)) return false;
  fs.utimesSync(file, now, now);
  return true;
}
