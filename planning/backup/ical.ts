/** An iCalendar file (RFC 5545) of the swaps, for the person who carries the disks. */
import { offsetChanges, zoneOf } from "./local-time";
import { type Rotation, type Swap, swaps } from "./rotation";

export interface SwapCalendar {
  /** The target whose media they are: part of each event's UID, which stays when the file is made again. */
  target: string;
  /** The server they are attached to. */
  server: string;
  from: number;
  to: number;
  /** Epoch seconds at which the file is made (DTSTAMP); planning has no clock. */
  stamp: number;
  /** How long before a swap the reminder comes, in minutes. Default: 60 */
  reminderMinutes?: number;
}

/** How long a swap takes in a calendar. */
const MINUTES = 30;

/** The file, with CRLF line ends and lines folded at 75 octets. */
export function swapCalendar(rotation: Rotation, options: SwapCalendar): string {
  const lines = [
    "BEGIN:VCALENDAR",
    "VERSION:2.0",
    "PRODID:-//coldspare//media rotation//EN",
    "CALSCALE:GREGORIAN",
    ...(rotation.timeZone === "UTC" ? [] : timeZoneLines(rotation.timeZone, options)),
    ...swaps(rotation, options.from, options.to).flatMap((swap) => eventLines(rotation, swap, options)),
    "END:VCALENDAR",
  ];
  return lines.map((line) => `${folded(line)}\r\n`).join("");
}

function eventLines({ timeZone }: Rotation, swap: Swap, options: SwapCalendar): string[] {
  const { at, attach, detach, takeTo } = swap;
  const { target, server, stamp, reminderMinutes = 60 } = options;
  const summary = `Swap backup disk: attach ${attach}, take ${detach} ${takeTo === "shelf" ? "to the shelf" : "off site"}`;
  const steps = [
    `Target ${target} on ${server}.`,
    `1. Look with \`coldspare media\`: the last backup on ${detach} is good and none is running.`,
    `2. Detach ${detach}; read the label on the disk.`,
    `3. Attach ${attach}, and look again: it is recognised.`,
    `4. Take ${detach} ${takeTo === "shelf" ? "to the shelf, away from the server" : "to its place off site"}.`,
  ];
  return [
    "BEGIN:VEVENT",
    `UID:${escaped(`swap-${utc(at)}-${target}@coldspare`)}`,
    `DTSTAMP:${utc(stamp)}`,
    timeZone === "UTC" ? `DTSTART:${utc(at)}` : `DTSTART;TZID=${timeZone}:${local(at, timeZone)}`,
    `DURATION:PT${MINUTES}M`,
    `SUMMARY:${escaped(summary)}`,
    `DESCRIPTION:${escaped(steps.join("\n"))}`,
    `LOCATION:${escaped(server)}`,
    "TRANSP:TRANSPARENT",
    "BEGIN:VALARM",
    "ACTION:DISPLAY",
    `DESCRIPTION:${escaped(summary)}`,
    `TRIGGER:-PT${reminderMinutes}M`,
    "END:VALARM",
    "END:VEVENT",
  ];
}

/** The offsets of the zone in the time of the file, one by one: RFC 5545, 3.6.5, asks for them beside every TZID. */
function timeZoneLines(timeZone: string, { from, to }: SwapCalendar): string[] {
  const first = zoneOf(timeZone).offset(from);
  const changes = [{ at: from, before: first, after: first }, ...offsetChanges(timeZone, from, to)];
  const observances = changes.flatMap(({ at, before, after }) => {
    const kind = after > before ? "DAYLIGHT" : "STANDARD";
    const start = `DTSTART:${utc(at + before).slice(0, -1)}`;
    return [`BEGIN:${kind}`, start, `TZOFFSETFROM:${offset(before)}`, `TZOFFSETTO:${offset(after)}`, `END:${kind}`];
  });
  return ["BEGIN:VTIMEZONE", `TZID:${timeZone}`, ...observances, "END:VTIMEZONE"];
}

/** `20260105T080000Z` */
function utc(epoch: number): string {
  return `${new Date(epoch * 1000).toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
}

function local(epoch: number, timeZone: string): string {
  return utc(epoch + zoneOf(timeZone).offset(epoch)).slice(0, -1);
}

/** `+0530` */
function offset(seconds: number): string {
  const minutes = Math.abs(seconds) / 60;
  const two = (value: number) => String(Math.floor(value)).padStart(2, "0");
  return `${seconds < 0 ? "-" : "+"}${two(minutes / 60)}${two(minutes % 60)}`;
}

function escaped(text: string): string {
  return text.replaceAll(/[\\;,]/g, "\\$&").replaceAll(/\r?\n/g, "\\n");
}

/** At most 75 octets a line (3.1); a character of several octets stays whole. */
function folded(line: string): string {
  let octets = 0;
  let text = "";
  for (const character of line) {
    const size = utf8Octets(character);
    if (octets + size > 75) {
      text += "\r\n ";
      octets = 1;
    }
    text += character;
    octets += size;
  }
  return text;
}

function utf8Octets(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x80) return 1;
  if (code < 0x800) return 2;
  return code < 0x1_0000 ? 3 : 4;
}
