/** What our commands write into the notes of copies and of guests made from them, and read back from there. Pure. */

const VERIFIED = /^Verified: (\S+) (ok|failed)(?: (.*))?$/m;

/** What the last verification of an archive found. */
export interface NotedVerification {
  at: string;
  state: "ok" | "failed";
  reason?: string;
}

/** The line that a verification has left in an archive's notes. */
export function verificationIn(notes: string | undefined): NotedVerification | undefined {
  const match = notes?.match(VERIFIED);
  if (!match) return undefined;
  return { at: match[1]!, state: match[2] as "ok" | "failed", ...(match[3] && { reason: match[3] }) };
}

/** The notes with the line of a new verification in place of the last one. */
export function withVerification(notes: string | undefined, { at, state, reason }: NotedVerification): string {
  const rest = (notes ?? "").replace(VERIFIED, "").trimEnd();
  const why = reason === undefined ? "" : ` ${reason.replace(/\s+/g, " ").trim()}`;
  return `${rest}${rest === "" ? "" : "\n"}Verified: ${at} ${state}${why}`;
}

/** Tag of a guest that a command has restored beside the original. */
export const RESTORED_TAG = "coldspare-restored";

/** Tag of what was in the place of a restored guest, and is kept. */
export const BEFORE_RESTORE_TAG = "coldspare-before-restore";

/** Tag of a branch; without it, and the line in the notes, nothing is ever removed as a branch. */
export const BRANCH_TAG = "coldspare-branch";

/** Tag of a copy that is started to see whether it starts, and thrown away. */
export const TEST_TAG = "coldspare-restore-test";

const BRANCH = /^Branch of (\S+), data of (\S+), expires (\S+), made by (\S+)\s*$/m;

/** What a branch is. */
export interface BranchNote {
  guest: string;
  /** The moment whose data it began with. ISO time. */
  dataAt: string;
  /** ISO time. */
  expires: string;
  by: string;
}

export function branchNotes({ guest, dataAt, expires, by }: BranchNote): string {
  return `Branch of ${guest}, data of ${dataAt}, expires ${expires}, made by ${by.replace(/\s+/g, "_")}\nManaged by coldspare: removed by \`coldspare branch expire\` after that date.`;
}

/** Undefined for the notes of anything else. */
export function branchIn(notes: string | undefined): BranchNote | undefined {
  const match = notes?.match(BRANCH);
  return match ? { guest: match[1]!, dataAt: match[2]!, expires: match[3]!, by: match[4]! } : undefined;
}
