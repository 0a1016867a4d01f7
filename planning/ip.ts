/** IP addresses and prefixes of one family, over the ip-address library. */
import { Address4, Address6 } from "ip-address";

export type Family = 4 | 6;

/** A prefix such as 192.168.20.0/24. */
export interface Prefix {
  family: Family;
  text: string;
  length: number;
  first: bigint;
  last: bigint;
}

function read(text: string, family: Family): Address4 | Address6 | undefined {
  // The library throws, which is slow; most texts of the other family end here.
  if (text.includes(":") !== (family === 6)) return undefined;
  try {
    return family === 4 ? new Address4(text) : new Address6(text);
  } catch {
    return undefined;
  }
}

/** The number of an address without prefix length; undefined when the text is none. */
export function parseAddress(text: string, family: Family): bigint | undefined {
  return /^[0-9a-fA-F.:]+$/.test(text) ? read(text, family)?.bigInt() : undefined;
}

/** A prefix; its first address may be any address in it. Undefined when the text is none. */
export function parsePrefix(text: string, family: Family): Prefix | undefined {
  if (!/^[0-9a-fA-F.:]+\/\d+$/.test(text)) return undefined;
  const address = read(text, family);
  if (address === undefined) return undefined;
  const length = Number(text.split("/")[1]);
  return { family, text, length, first: address.startAddress().bigInt(), last: address.endAddress().bigInt() };
}

/** The address of a number, in its shortest form. */
export function formatAddress(value: bigint, family: Family): string {
  return (family === 4 ? Address4.fromBigInt(value) : Address6.fromBigInt(value)).correctForm();
}

export function contains(prefix: Prefix, address: bigint): boolean {
  return address >= prefix.first && address <= prefix.last;
}

/** Why no host may have an address of the prefix; undefined when one may. */
export function unusable(prefix: Prefix, address: bigint): string | undefined {
  if (prefix.family === 4) {
    // A /31 joins two hosts and has neither (RFC 3021).
    if (prefix.length >= 31) return undefined;
    if (address === prefix.first) return "the network address";
    return address === prefix.last ? "the broadcast address" : undefined;
  }
  return prefix.length < 127 && address === prefix.first ? "the subnet-router anycast address" : undefined;
}

export function overlap(a: Prefix, b: Prefix): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}
