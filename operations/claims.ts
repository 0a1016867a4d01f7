/** Claims of an operation at the voters: held by enough of them, or lost to whoever was quicker. */
import type { ManifestGuest } from "../planning/manifest";
import { list } from "../planning/units";
import type { Operator } from "./context";
import {
  agreed,
  askRelease,
  type Claim,
  type ClaimResult,
  claimAt,
  majorityOf,
  operationOf,
  recordsOf,
  type VoterReadings,
} from "./voters";

/** Somebody else claimed the guests at the same time, or the voters did not hold what they should. */
export class ClaimLost extends Error {
  override readonly name = "ClaimLost";
  constructor(
    message: string,
    /** Another command holds the guests: this one has nothing to go on with. */
    readonly harmless = false,
  ) {
    super(message);
  }
}

/** Answers to two questions, for different guests, as one. */
export function mergeReadings(a: VoterReadings, b: VoterReadings): VoterReadings {
  const merged = { ...a };
  for (const [voter, reading] of Object.entries(b)) {
    const known = merged[voter];
    merged[voter] =
      known?.reachable && reading.reachable
        ? { reachable: true, guests: { ...known.guests, ...reading.guests } }
        : reading;
  }
  return merged;
}

/**
 * @param isFirst Nothing was claimed before this claim.
 * @throws ClaimLost when too few voters hold the claim
 */
export function requireHeld(
  guest: ManifestGuest,
  { held, denied, readings }: ClaimResult,
  needed: number,
  isFirst = false,
): void {
  const taken = held[guest.name]!.length;
  const refused = denied[guest.name]![0];
  if (taken >= needed) return;
  if (refused !== undefined) throw lost(guest.name, refused.record.by, isFirst && taken === 0);
  const silent = Object.entries(readings).flatMap(([voter, reading]) =>
    reading.reachable ? [] : [`${voter}: ${reading.reason}`],
  );
  throw new ClaimLost(
    `${guest.name}: ${taken} of ${guest.voters.length} voters took the claim, ${needed} are needed (${silent.join("; ")}). Nothing was started; run the same command again when they answer`,
  );
}

/**
 * The error for a guest that somebody else holds.
 *
 * @param harmless Nothing was claimed before: there is nothing to go on with, or to give back.
 */
export function lost(guest: string, by: string, harmless = false): ClaimLost {
  const other = operationOf(by);
  if (by.startsWith("guard@")) {
    const server = by.slice("guard@".length);
    return new ClaimLost(
      `${guest} has gone to ${server}: it came back and took it, with the consent of the server that had it. Nothing of it was started by this command. ` +
        `See \`coldspare status\`; the same command again goes on with the others, and \`coldspare undo\` gives back what is still blocked`,
      harmless,
    );
  }
  return new ClaimLost(
    `${guest} is held by ${other === undefined ? by || "somebody else" : `${other} (${by.slice(other.length + 1)})`}, which was quicker. Nothing of it was started by this command; \`coldspare status\` shows how it goes on`,
    harmless,
  );
}

/**
 * Passes guests from a server that is alive to another one: it consents as none of them runs there, and the other voters
 * are told. Resumable with the same `by`.
 */
export async function handOver(
  operator: Operator,
  from: string,
  to: string,
  guests: readonly ManifestGuest[],
  readings: VoterReadings,
  by: string,
): Promise<void> {
  const claims: Record<string, Claim> = {};
  const asked: Record<string, number> = {};
  const isBegun = guests.some((guest) => recordsOf(guest, readings).some(({ record }) => record.by === by));
  for (const guest of guests) {
    const own = recordsOf(guest, readings).find(({ voter }) => voter === from)?.record;
    const majority = agreed(guest, readings);
    if (own === undefined) throw new ClaimLost(`${from} does not say what it holds of ${guest.name}`);
    if (own.by === by && own.server === to) claims[guest.name] = { epoch: own.epoch, server: to };
    else if (own.server === from && (majority === undefined || majority.server === from)) {
      asked[guest.name] = own.epoch;
      claims[guest.name] = { epoch: own.epoch + 1, server: to };
    } else throw lost(guest.name, (majority ?? own).by, !isBegun);
  }
  if (Object.keys(asked).length > 0) {
    const answer = await askRelease(operator, from, to, asked, by);
    if (!answer.reachable) throw new Error(`${from} did not answer: ${answer.reason}`);
    const refused = Object.keys(asked).filter((name) => answer.guests[name]?.verdict !== "ok");
    if (refused.length > 0) {
      const why = refused.map(
        (name) => `${name}: ${answer.guests[name]?.reason ?? answer.voiceless?.[name] ?? "no reason is given"}`,
      );
      throw new Error(`${from} does not let go of ${list(refused)} (${why.join("; ")})`);
    }
  }
  const result = await claimAt(operator, guests, claims, by);
  for (const guest of guests) requireHeld(guest, result, majorityOf(guest.voters));
}
