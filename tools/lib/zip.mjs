// Reads files out of a zip archive (a Python wheel is one): the few lines spare a dependency before `npm ci`.
import { inflateRawSync } from "node:zlib";

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;

/**
 * Unpacks one entry.
 * @param {Buffer} archive the whole archive
 * @param {string} name the entry's full name
 * @returns {Buffer}
 * @throws when the archive is damaged or has no such entry
 */
export function unzipEntry(archive, name) {
  for (const entry of entries(archive)) if (entry.name === name) return readEntry(archive, entry.at);
  throw new Error(`the zip archive has no entry ${name}`);
}

/**
 * Unpacks the entries that are wanted, as text by name.
 * @param {Buffer} archive the whole archive
 * @param {(name: string) => boolean} wanted
 * @returns {Record<string, string>}
 * @throws when the archive is damaged
 */
export function unzipTexts(archive, wanted) {
  const texts = {};
  for (const { name, at } of entries(archive)) if (wanted(name)) texts[name] = readEntry(archive, at).toString("utf8");
  return texts;
}

function* entries(archive) {
  const end = archive.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
  if (end < 0 || archive.readUInt32LE(end) !== END_OF_DIRECTORY) throw new Error("not a zip archive");
  let at = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left--) {
    if (archive.readUInt32LE(at) !== DIRECTORY_ENTRY) throw new Error("the zip archive's directory is damaged");
    const nameLength = archive.readUInt16LE(at + 28);
    yield { name: archive.toString("utf8", at + 46, at + 46 + nameLength), at };
    at += 46 + nameLength + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32);
  }
}

function readEntry(archive, at) {
  const method = archive.readUInt16LE(at + 10);
  const size = archive.readUInt32LE(at + 20);
  const local = archive.readUInt32LE(at + 42);
  // The local header repeats name and extra field, and its extra field may have another length.
  const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
  const packed = archive.subarray(start, start + size);
  if (method === 0) return packed;
  if (method === 8) return inflateRawSync(packed);
  throw new Error(`zip compression method ${method} is not supported`);
}
