/** What `coldspare init` is told: each answer read and checked on its own, with the reason when it cannot be used. */

import { parseAddress } from "../../planning/ip";
import { onSite } from "../../planning/places";
import type { SiteSpec } from "../../planning/schema";
import { name as hostName, serverName } from "../../planning/schema-basics";
import { backendUrl, type StateChoice } from "../project";

export interface ServerAnswer {
  name: string;
  cores: number;
  memoryGiB: number;
  poolGiB: number;
  address: string;
}

/** A machine beside the hypervisors: the third vote of two, and with a disk also the place of backups. */
export interface ThirdAnswer {
  name: string;
  cores: number;
  memoryGiB: number;
  diskGiB?: number;
  address: string;
}

export interface GuestAnswer {
  name: string;
  cores: number;
  memoryGiB: number;
  diskGiB: number;
  os: "linux" | "windows";
  /** Default: dhcp. */
  address?: string;
}

export interface Answers {
  name: string;
  servers: ServerAnswer[];
  third?: ThirdAnswer;
  guests: GuestAnswer[];
  state: StateChoice;
}

/** An answer that cannot be used; `message` is the reason, for the person who typed it. */
export class AnswerError extends Error {
  override readonly name = "AnswerError";
}

export const forms = {
  server: "name cores memory-GiB pool-GiB [address]",
  third: "name [cores memory-GiB [disk-GiB]] [address]",
  guest: "name [cores memory-GiB disk-GiB] [linux|windows] [address]",
  state: "local[:folder], s3://bucket[?endpoint=https://…&region=…] or cloud[:organisation]",
} as const;

/** The name of the site. */
export function readName(text: string): string {
  const checked = hostName.safeParse(text.trim());
  if (checked.success) return checked.data;
  throw new AnswerError(`'${text.trim()}' ${why(checked.error.issues)}`);
}

/** One server, for example `srv1 8 32 1000 192.168.10.11`. */
export function readServer(text: string, before: readonly ServerAnswer[]): ServerAnswer {
  const { words, addresses } = split(text);
  const [name, cores, memory, pool, ...rest] = words;
  if (name === undefined || cores === undefined || memory === undefined || pool === undefined || rest.length > 0)
    throw new AnswerError(`a server is written as: ${forms.server}, for example srv1 8 32 1000 192.168.10.11`);
  const server = {
    name: checkedName(name, before),
    cores: wholeNumber(cores, "cores"),
    memoryGiB: sizeGiB(memory, "memory"),
    poolGiB: sizeGiB(pool, "pool"),
    address: addresses[0] ?? nextAddress(before),
  };
  refuseTaken(server.address, before);
  return server;
}

/** The machine beside the hypervisors; undefined for none. */
export function readThird(text: string, servers: readonly ServerAnswer[]): ThirdAnswer | undefined {
  if (isNone(text)) {
    if (servers.length !== 2) return undefined;
    throw new AnswerError(noThirdVote(servers));
  }
  const { words, addresses } = split(text);
  const [name = "", cores = "1", memory = "1", disk, ...rest] = words;
  if (name === "" || rest.length > 0 || words.length === 2)
    throw new AnswerError(
      `the machine is written as: ${forms.third}, for example backup-1 2 4 2000, or witness-1; or none`,
    );
  if (disk === undefined && servers.length !== 2)
    throw new AnswerError(
      `${servers.length === 1 ? "one server needs no third vote" : `${servers.length} servers have votes enough without it`}: give it a disk for backups (${name} 2 4 2000), or write none`,
    );
  const third = {
    name: checkedName(name, servers),
    cores: wholeNumber(cores, "cores"),
    memoryGiB: sizeGiB(memory, "memory"),
    ...(disk !== undefined && { diskGiB: sizeGiB(disk, "disk") }),
    address: addresses[0] ?? nextAddress(servers),
  };
  refuseTaken(third.address, servers);
  return third;
}

function noThirdVote([one, other]: readonly ServerAnswer[]): string {
  return (
    `two servers need a third vote: when ${one?.name} is lost, ${other?.name} has 1 of 2 votes, its cluster stands still, and nothing ` +
    "can be started there. Any small machine outside of both votes as well, a backup server, a NAS that runs Debian, a " +
    "Raspberry Pi: write for example witness-1"
  );
}

/** One guest, for example `mail 2 4 50`. */
export function readGuest(text: string, taken: readonly { name: string; address?: string }[]): GuestAnswer {
  const { words, addresses } = split(text);
  const os = words.filter((word) => word === "linux" || word === "windows");
  const [name, cores = "2", memory = "4", disk = "40", ...rest] = words.filter(
    (word) => !(os as string[]).includes(word),
  );
  if (name === undefined || rest.length > 0 || os.length > 1)
    throw new AnswerError(`a guest is written as: ${forms.guest}, for example mail 2 4 50; or none`);
  const checked = hostName.safeParse(name);
  if (!checked.success) throw new AnswerError(`'${name}' ${why(checked.error.issues)}`);
  const [address] = addresses;
  if (address !== undefined) refuseTaken(address, taken);
  return {
    name: checkedName(name, taken),
    cores: wholeNumber(cores, "cores"),
    memoryGiB: sizeGiB(memory, "memory"),
    diskGiB: wholeNumber(String(sizeGiB(disk, "disk")), "disk"),
    os: (os[0] as GuestAnswer["os"] | undefined) ?? "linux",
    ...(address !== undefined && { address }),
  };
}

/** Where the state lies. */
export function readState(text: string): StateChoice {
  const [, word = "", rest = ""] = /^([a-z0-9]+):?(.*)$/i.exec(text.trim()) ?? [];
  switch (word.toLowerCase()) {
    case "local":
    case "file":
      return localState(rest.replace(/^\/\/(?=.)/, ""));
    case "cloud":
      return cloudState(rest);
    case "s3":
      return bucketState(text.trim());
    default:
      throw new AnswerError(`'${text.trim()}' is no place for the state: write ${forms.state}`);
  }
}

function localState(folder: string): StateChoice {
  if (/[\s?#\\]/.test(folder))
    throw new AnswerError(`'${folder}' cannot be a folder of state: take one without spaces`);
  return folder === "" ? { kind: "local" } : { kind: "local", folder };
}

function cloudState(organisation: string): StateChoice {
  if (organisation === "") return { kind: "cloud" };
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]*$/.test(organisation))
    throw new AnswerError(
      `'${organisation}' is no organisation of Pulumi Cloud: letters, digits, dashes and underscores`,
    );
  return { kind: "cloud", organisation };
}

function bucketState(text: string): StateChoice {
  const [, bucket = ""] = /^s3:\/\/([^/?#]*)/.exec(text) ?? [];
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket))
    throw new AnswerError(
      `'${bucket}' is no bucket: write s3://bucket, with 3 to 63 lower-case letters, digits, dots and dashes`,
    );
  if (!URL.canParse(text) || !["", "/"].includes(new URL(text).pathname))
    throw new AnswerError(`'${text}' is no bucket: write s3://bucket?endpoint=https://s3.example.org&region=eu-west-3`);
  const query = new URL(text).searchParams;
  const unknown = [...query.keys()].filter((key) => key !== "endpoint" && key !== "region");
  if (unknown.length > 0)
    throw new AnswerError(
      `'${unknown[0]}' is not asked for here: s3://bucket takes endpoint and region; add others to Pulumi.yaml`,
    );
  const endpoint = query.get("endpoint");
  const region = query.get("region");
  return {
    kind: "s3",
    bucket,
    ...(endpoint && { endpoint: checkedEndpoint(endpoint) }),
    ...(region && { region }),
  };
}

function checkedEndpoint(text: string): string {
  const url = text.includes("://") ? text : `https://${text}`;
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new AnswerError(`'${text}' is no endpoint: write https://s3.example.org`);
  if (new URL(url).password !== "")
    throw new AnswerError("keys of the bucket come from the environment: leave them out here");
  return url.replace(/\/$/, "");
}

/** Why the state would be lost with the site; undefined when it would not. */
export function stateOnSite(spec: SiteSpec, state: StateChoice): string | undefined {
  const found = onSite(spec, backendUrl(state));
  return found && `that is ${found.name}, a part of the site: what takes the site takes its state`;
}

export function isNone(text: string): boolean {
  return /^(none|no|-)$/i.test(text.trim());
}

/** Words of an answer, separated by spaces, commas or slashes; an address may stand anywhere. */
function split(text: string): { words: string[]; addresses: string[] } {
  const all = text
    .trim()
    .split(/[\s,/]+/)
    .filter((word) => word !== "");
  const addresses = all.filter((word) => /^\d+(\.\d+){3}$/.test(word));
  const wrong = addresses.find((word) => parseAddress(word, 4) === undefined);
  if (wrong !== undefined) throw new AnswerError(`'${wrong}' is no IPv4 address`);
  if (addresses.length > 1) throw new AnswerError(`${addresses.join(" and ")} are two addresses: write one`);
  return { words: all.filter((word) => !addresses.includes(word)), addresses };
}

function checkedName(text: string, taken: readonly { name: string }[]): string {
  const checked = serverName.safeParse(text);
  if (!checked.success) throw new AnswerError(`'${text}' ${why(checked.error.issues)}`);
  if (taken.some(({ name }) => name.toLowerCase() === text.toLowerCase()))
    throw new AnswerError(`there is a ${text} already: give each machine a name of its own`);
  return text;
}

function refuseTaken(address: string, taken: readonly { name: string; address?: string }[]): void {
  const other = taken.find((each) => each.address === address);
  if (other) throw new AnswerError(`${address} is the address of ${other.name} already`);
}

function wholeNumber(text: string, what: string): number {
  if (/^\d+$/.test(text) && Number(text) > 0 && Number(text) <= 1e6) return Number(text);
  throw new AnswerError(`${what}: '${text}' is no whole number above 0`);
}

/** GiB, also written as 32G, 32GiB, 2T or 2TiB. */
function sizeGiB(text: string, what: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(gi?b?|ti?b?)?$/i.exec(text) ?? [];
  const size = Number(number) * (unit?.[0]?.toLowerCase() === "t" ? 1024 : 1);
  if (size > 0 && size <= 1e7) return size;
  throw new AnswerError(`${what}: '${text}' is no size in GiB above 0, for example 32 or 2T`);
}

/** The address after the last one that was given; those of a small network to begin with. */
export function nextAddress(before: readonly { address?: string }[]): string {
  const last = before.findLast(({ address }) => address !== undefined)?.address ?? "192.168.10.10";
  const [a = 0, b = 0, c = 0, d = 0] = last.split(".").map(Number);
  const taken = new Set(before.map(({ address }) => address));
  for (let step = 1; step < 254; step++) {
    const candidate = [a, b, c, ((d + step - 1) % 254) + 1].join(".");
    if (!taken.has(candidate)) return candidate;
  }
  return last;
}

function why(issues: readonly { message: string }[]): string {
  return issues.map(({ message }) => message).join(", ");
}
