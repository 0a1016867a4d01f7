/** An index of one disk or archive: which chunks, in which order. Laid out like PBS's fixed index: a header of 4096 bytes, then
 * one SHA-256 for each chunk. */
export interface Index {
  /** Bytes that the chunks hold together. */
  size: number;
  digests: string[];
}

const HEADER = 4096;
const DIGEST = 32;
const MAGIC = Buffer.from("LABFIDX1");

export function encodeIndex({ size, digests }: Index): Buffer {
  const header = Buffer.alloc(HEADER);
  MAGIC.copy(header);
  header.writeDoubleLE(size, 8);
  return Buffer.concat([header, ...digests.map((digest) => Buffer.from(digest, "hex"))]);
}

/** @throws Error when the file is no index */
export function decodeIndex(bytes: Buffer): Index {
  if (bytes.length < HEADER || !bytes.subarray(0, MAGIC.length).equals(MAGIC))
    throw new Error("got unknown magic number");
  const digests: string[] = [];
  for (let at = HEADER; at + DIGEST <= bytes.length; at += DIGEST) digests.push(bytes.toString("hex", at, at + DIGEST));
  return { size: bytes.readDoubleLE(8), digests };
}
