/** Findings about a running cluster: how they are made, and how guests are named in them. */
import type { FindingCode } from "../catalogue";
import { makeFinding } from "../findings";
import { list } from "../units";
import { type LiveCode, liveFindings } from "./live-catalogue";
import type { Facts, LiveGuest } from "./live-facts";
import type { LiveFinding, ServerLoss } from "./live-types";

/** What a check sees. */
export interface Seen {
  facts: Facts;
  losses: readonly ServerLoss[];
}

export type Check = (seen: Seen) => LiveFinding[];

export interface Said {
  subject: string;
  guests?: readonly { id: number }[];
  message: string;
  fix: string;
}

/** A finding of this report, or one of the plan's that says the same of a running cluster. */
export function live(code: LiveCode | FindingCode, { subject, guests = [], message, fix }: Said): LiveFinding {
  const ids = guests.map(({ id }) => id);
  if (isLive(code)) return { code, severity: liveFindings[code].severity, subject, message, fix, guests: ids };
  return { ...makeFinding(code, subject, message, fix), guests: ids };
}

const isLive = (code: LiveCode | FindingCode): code is LiveCode => Object.hasOwn(liveFindings, code);

const MOST_NAMES = 5;

/** `web (101), db (102) and 7 more`. */
export function named(guests: readonly { id: number; title: string }[], most = MOST_NAMES): string {
  const shown = guests.slice(0, most).map(({ id, title }) => `${title} (${id})`);
  const more = guests.length - shown.length;
  return list(more > 0 ? [...shown, `${more} more`] : shown);
}

/** `1 guest has`, `3 guests have`. */
export function some(count: number, one: string, several: string): string {
  return count === 1 ? `1 guest ${one}` : `${count} guests ${several}`;
}

export const bySize = (a: LiveGuest, b: LiveGuest): number => b.diskGiB - a.diskGiB || a.id - b.id;

/** The smallest entry of `qm` and `pct`. */
export const toolOf = ({ kind }: LiveGuest): string => (kind === "qemu" ? "qm" : "pct");
