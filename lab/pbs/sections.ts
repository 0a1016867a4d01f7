import { createHash } from "node:crypto";
import { nextEvent } from "../schedule";
import { listOf, PbsAnswer } from "./call";
import { badParameters, refused } from "./errors";
import type { Section } from "./types";

const BOOLEANS = new Set([
  "verify-new",
  "gc-on-unmount",
  "disable",
  "ignore-verified",
  "remove-vanished",
  "resync-corrupt",
  "run-on-mount",
  "unmount-on-done",
  "encrypted-only",
  "verified-only",
  "enable",
  "propagate",
]);
const NUMBERS = new Set([
  "keep-last",
  "keep-hourly",
  "keep-daily",
  "keep-weekly",
  "keep-monthly",
  "keep-yearly",
  "max-depth",
  "outdated-after",
  "transfer-last",
  "worker-threads",
  "port",
  "expire",
]);
const LISTS = new Set(["group-filter", "associated-key"]);

/** A section as the API answers it, with the types of its values; a secret is never among them. */
export function shown(section: Section): Record<string, unknown> {
  const answer: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(section)) {
    if (key === "password") continue;
    if (BOOLEANS.has(key)) answer[key] = value === "1";
    else if (NUMBERS.has(key)) answer[key] = Number(value);
    else answer[key] = LISTS.has(key) ? listOf(value) : value;
  }
  return answer;
}

/** SHA-256 of a configuration file. */
export function digestOf(table: unknown): string {
  return createHash("sha256").update(JSON.stringify(table)).digest("hex");
}

/** An answer with the digest of its file, which a change may send back. */
export function withDigest(data: unknown, table: unknown): PbsAnswer {
  return new PbsAnswer(data, { digest: digestOf(table) });
}

/** @throws PbsError when somebody changed the file meanwhile */
export function checkDigest(params: Record<string, string>, table: unknown): void {
  if (params.digest !== undefined && params.digest !== digestOf(table))
    throw refused("detected modified configuration - file changed by other user? Try again.");
}

/** Applies the parameters of a change: those in `delete` go, the others are set. */
export function applyChange(section: Section, params: Record<string, string>): void {
  const { delete: gone, digest: _digest, ...values } = params;
  for (const key of listOf(gone)) delete section[key];
  Object.assign(section, values);
}

/** @throws PbsError when a schedule cannot be read */
export function checkSchedules(params: Record<string, string>): void {
  for (const key of ["schedule", "gc-schedule"]) {
    const text = params[key];
    if (text === undefined || nextEvent(text, 0) !== undefined) continue;
    throw badParameters({ [key]: `unable to parse calendar event '${text}'` });
  }
}
