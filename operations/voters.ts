/**
 * Records of who may run a guest, on the guest's voters. A majority of identical records is what counts; see docs/guard.md.
 * All questions go over SSH to the program on the servers, all voters at once, one call for all guests of a voter.
 */
import type { ManifestGuest } from "../planning/manifest";
import { SshError } from "../providers/ssh";
import { NODE_PROGRAM, type Operator } from "./context";

/** In place of a server: nobody may run the guest. */
export const NOBODY = "-";

/** What one voter holds of one guest. */
export interface VoterRecord {
  /** What the voter did with what was asked of it; `ok` for a plain read. */
  verdict: "ok" | "denied" | "refused";
  epoch: number;
  /** The one server that may run it, or {@link NOBODY}. */
  server: string;
  /** Unique text of who claimed. */
  by: string;
  /** ISO time. */
  since?: string;
  /** Starts that this voter has granted, ever. */
  grants: number;
  /** Seconds for which the voter's last grant is still good, and to whom it was given. */
  hold: number;
  holder?: string;
  /** The voter has never written a record: it was made or made anew, and remembers nothing. */
  fresh: boolean;
  reason?: string;
}

/** One voter's answer, or why there is none. */
export type VoterReading =
  | {
      reachable: true;
      guests: Record<string, VoterRecord>;
      /** Guests of which it has no vote to give (record broken, disk full, not its voter), and why. */
      voiceless?: Record<string, string>;
    }
  /** `dead`: nobody answers there. Otherwise it is there, but does not let us ask. */
  | { reachable: false; dead: boolean; reason: string; fix: string };

/** By voter. */
export type VoterReadings = Record<string, VoterReading>;

/** A claim of one guest. */
export interface Claim {
  epoch: number;
  server: string;
}

/** What the voters say to a claim. */
export interface ClaimResult {
  readings: VoterReadings;
  /** Voters that hold the claim, by guest. */
  held: Record<string, string[]>;
  /** Voters that hold something newer or of somebody else, by guest. */
  denied: Record<string, { voter: string; record: VoterRecord }[]>;
}

/** More than half of a guest's voters. */
export function majorityOf(voters: readonly string[]): number {
  return Math.floor(voters.length / 2) + 1;
}

/** So many voters that the others are no majority: enough to keep everybody else from starting. */
export function blockingOf(voters: readonly string[]): number {
  return voters.length - majorityOf(voters) + 1;
}

/** The record that a majority of a guest's voters holds identically; `undefined` when there is none among the answers. */
export function agreed(guest: ManifestGuest, readings: VoterReadings): VoterRecord | undefined {
  const records = recordsOf(guest, readings);
  // A voter without memory counts only when nobody remembers anything.
  const fresh = records.filter(({ record }) => record.fresh);
  if (fresh.length > 0 && fresh.length === records.length) {
    return records.length === guest.voters.length ? records[0]!.record : undefined;
  }
  const remembering = records.filter(({ record }) => !record.fresh || isUnanimousStart(guest, records));
  for (const { record } of remembering) {
    const same = remembering.filter((each) => sameRecord(each.record, record));
    if (same.length >= majorityOf(guest.voters)) return record;
  }
  return undefined;
}

/** All voters answer, and none has seen more than the beginning. */
function isUnanimousStart(guest: ManifestGuest, records: readonly { record: VoterRecord }[]): boolean {
  return records.length === guest.voters.length && records.every(({ record }) => record.epoch === 0);
}

/** The answers of a guest's own voters. */
export function recordsOf(guest: ManifestGuest, readings: VoterReadings): { voter: string; record: VoterRecord }[] {
  return guest.voters.flatMap((voter) => {
    const reading = readings[voter];
    const record = reading?.reachable ? reading.guests[guest.name] : undefined;
    return record === undefined ? [] : [{ voter, record }];
  });
}

/** The highest epoch that any voter tells of. */
export function highestEpoch(guest: ManifestGuest, readings: VoterReadings): number {
  return Math.max(0, ...recordsOf(guest, readings).map(({ record }) => record.epoch));
}

function sameRecord(a: VoterRecord, b: VoterRecord): boolean {
  return a.epoch === b.epoch && a.server === b.server && (a.epoch === 0 || a.by === b.by);
}

/** Asks every voter of these guests what it holds. Never throws for a voter that does not answer. */
export function readVoters(operator: Operator, guests: readonly ManifestGuest[]): Promise<VoterReadings> {
  return askAll(operator, guests, (names) => ["read", ...names]);
}

/**
 * Claims guests for the given servers at all of their voters. A voter accepts a higher epoch, or the very same claim again.
 *
 * Voters are asked one after another in the same order by everybody: of two commands that claim at the same moment, one is
 * denied at the first voter that both reach, and leaves the others alone.
 */
export async function claimAt(
  operator: Operator,
  guests: readonly ManifestGuest[],
  claims: Readonly<Record<string, Claim>>,
  by: string,
  options: { except?: readonly string[] } = {},
): Promise<ClaimResult> {
  const result: ClaimResult = { readings: {}, held: {}, denied: {} };
  for (const { name } of guests) {
    result.held[name] = [];
    result.denied[name] = [];
  }
  const lost = new Set<string>();
  for (const voter of votersOf(operator, guests)) {
    if (options.except?.includes(voter)) continue;
    const asked = guests.filter((guest) => guest.voters.includes(voter) && !lost.has(guest.name));
    if (asked.length === 0) continue;
    const words = asked.map(({ name }) => `${name}=${claims[name]!.epoch}@${claims[name]!.server}`);
    const reading = await ask(operator, voter, ["claim", encodeBy(by), ...words]);
    result.readings[voter] = reading;
    if (!reading.reachable) continue;
    for (const { name } of asked) {
      const record = reading.guests[name];
      if (record?.verdict === "ok") result.held[name]!.push(voter);
      else if (record !== undefined) {
        result.denied[name]!.push({ voter, record });
        lost.add(name);
      }
    }
  }
  return result;
}

/**
 * Asks the server that may run the guests to let them go: it consents when none of their ids runs or starts there, and its
 * record then names `to`. The other voters are to be told with {@link claimAt}, `epoch + 1`, the same `by`.
 */
export function askRelease(
  operator: Operator,
  server: string,
  to: string,
  epochs: Readonly<Record<string, number>>,
  by: string,
): Promise<VoterReading> {
  const words = Object.entries(epochs).map(([guest, epoch]) => `${guest}=${epoch}`);
  return ask(operator, server, ["release", encodeBy(by), to, ...words]);
}

/** Voters of any of the guests that the manifest knows a way to, the third ones (witnesses) first, then by name. */
function votersOf(operator: Operator, guests: readonly ManifestGuest[]): string[] {
  const all = [...new Set(guests.flatMap(({ voters }) => voters))].sort();
  const isHypervisor = (server: string) => operator.manifest.servers[server]?.roles.includes("hypervisor") === true;
  return [...all.filter((server) => !isHypervisor(server)), ...all.filter(isHypervisor)];
}

async function askAll(
  operator: Operator,
  guests: readonly ManifestGuest[],
  request: (names: string[]) => string[],
): Promise<VoterReadings> {
  const voters = votersOf(operator, guests);
  const readings = await Promise.all(
    voters.map((voter) => {
      const names = guests.filter((guest) => guest.voters.includes(voter)).map(({ name }) => name);
      return ask(operator, voter, request(names));
    }),
  );
  return Object.fromEntries(voters.map((voter, index) => [voter, readings[index]!]));
}

/** Seconds for one answer: a voter asks nobody else for these. */
const ANSWER_SECONDS = 10;

async function ask({ ssh }: Operator, voter: string, request: readonly string[]): Promise<VoterReading> {
  try {
    const answer = await ssh.run(voter, [NODE_PROGRAM, "serve", ...request], { timeoutSeconds: ANSWER_SECONDS });
    if (!/^end\s*$/m.test(answer.stdout)) {
      const said = answer.stderr.trim().split("\n").at(-1) || `exit code ${answer.code}`;
      return {
        reachable: false,
        dead: false,
        reason: `coldspare-node on ${voter} does not answer as it should (${said})`,
        fix: `look on ${voter}: \`coldspare-node serve ping\`; \`pulumi up\` installs it anew`,
      };
    }
    return { reachable: true, ...parseAnswers(answer.stdout) };
  } catch (error) {
    if (!(error instanceof SshError)) throw error;
    return { reachable: false, dead: error.kind === "unreachable", reason: error.reason, fix: error.fix };
  }
}

/** Lines `<guest> ok|denied|refused key=value …`. One without an epoch is no record, and counts for nothing. */
export function parseAnswers(text: string): { guests: Record<string, VoterRecord>; voiceless: Record<string, string> } {
  const guests: Record<string, VoterRecord> = {};
  const voiceless: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const [guest, verdict, ...words] = line.trim().split(/\s+/);
    if (guest === undefined || (verdict !== "ok" && verdict !== "denied" && verdict !== "refused")) continue;
    const values = keyValues(words);
    if (values.epoch === undefined) {
      voiceless[guest] = values.reason === undefined ? "no reason is given" : decode(values.reason);
      continue;
    }
    const holder = values.holder === NOBODY ? undefined : values.holder;
    guests[guest] = {
      verdict,
      epoch: Number(values.epoch),
      server: values.server ?? NOBODY,
      by: values.by === undefined || values.by === NOBODY ? "" : decode(values.by),
      grants: Number(values.grants ?? 0),
      hold: Number(values.hold ?? 0),
      fresh: values.fresh === "1",
      ...(holder !== undefined && { holder }),
      ...(values.since !== undefined && values.since !== NOBODY && { since: values.since }),
      ...(values.reason !== undefined && { reason: decode(values.reason) }),
    };
  }
  return { guests, voiceless };
}

/** `a=1 b=2` as an object. */
export function keyValues(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    words.flatMap((word) => {
      const at = word.indexOf("=");
      return at > 0 ? [[word.slice(0, at), word.slice(at + 1)]] : [];
    }),
  );
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Letters, digits and `._@+-` as they are, the rest percent-encoded: one word on the wire. */
export function encodeBy(by: string): string {
  const percent = (byte: number) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  return by.replace(/[^A-Za-z0-9._@+-]/gu, (letter) => [...Buffer.from(letter)].map(percent).join(""));
}

/** Text by which a claim is known as this operation's, on every voter and to everybody: `<operation id>+<operator>`. */
export function claimText(operation: { id: string; by: string }): string {
  return `${operation.id}+${operation.by}`;
}

/** The operation that a claim belongs to; absent for claims of the guard or of a person by hand. */
export function operationOf(by: string): string | undefined {
  return /^([A-Za-z0-9._-]+-\d{8}T\d{6}Z-[0-9a-f]+)\+/.exec(by)?.[1];
}
