/** What terminal and page of `check --live` say alike. */
import type { Fate, GuestLoss, LiveReport, ServerLoss } from "../planning/adoption/live-types";
import { formatGiB, formatNumber, list } from "../planning/units";
import type { Style } from "./table";

export const MOST_URGENT = 10;

export type Tone = "good" | "care" | "bad";

export const toneStyle: Record<Tone, Style> = { good: "green", care: "yellow", bad: "red" };

const FATE_WORDS: Record<Fate, string> = {
  ha: "by itself (HA)",
  "ha-replica": "by itself (HA)",
  shared: "by a person",
  replica: "by a person",
  backup: "restore",
  nothing: "GONE",
  unknown: "UNKNOWN",
};

/** How a guest comes back, in two words. */
export function fateWords({ fate, comesBack, backup }: GuestLoss): string {
  if (comesBack || fate === "backup" || fate === "nothing" || fate === "unknown") return FATE_WORDS[fate];
  return backup === undefined ? "NO ROOM" : "no room";
}

export function fateTone({ fate, comesBack, byItself }: GuestLoss): Tone {
  if (comesBack) return byItself ? "good" : "care";
  return fate === "backup" ? "care" : "bad";
}

export function factsLine({ cluster, version, counts, readAt }: LiveReport): string {
  return [
    cluster === undefined ? "no cluster" : `cluster ${cluster}`,
    `Proxmox VE ${version}`,
    `${counted(counts.servers, "server")}${counts.off === 0 ? "" : `, ${counts.off} off`}`,
    `${counted(counts.running, "running guest")}, ${counts.stopped} off, ${counted(counts.templates, "template")}`,
    `read ${new Date(readAt * 1000).toISOString().replace(".000Z", "Z")}`,
  ].join(" · ");
}

/** The verdict on the loss of a server. */
export function lossVerdict({ online, guests, counts, quorum }: ServerLoss): { text: string; tone: Tone } {
  if (!online) return { text: "it is off now", tone: "bad" };
  const away = guests.filter(({ comesBack }) => !comesBack).length;
  if (away > 0)
    return {
      text: `${away} of ${counted(guests.length, "guest")} ${away === 1 ? "does" : "do"} not come back`,
      tone: "bad",
    };
  if (quorum !== undefined && !quorum.quorate) return { text: "the others lose their majority", tone: "bad" };
  if (guests.length === 0) return { text: "nothing stops", tone: "good" };
  if (counts.person > 0)
    return { text: `${counted(counts.person, "guest")} must be started by somebody`, tone: "care" };
  return { text: "all come back by themselves", tone: "good" };
}

/** What else the loss of a server means: votes, storages, room. */
export function lossNotes({ quorum, storages, room, restores, stopped, templates, guests }: ServerLoss): string[] {
  const lacks = room
    .filter(({ takes }) => takes > 0)
    .flatMap(({ server, memoryGiB, memoryLimitGiB, cores, coreLimit }) => [
      ...(memoryGiB > memoryLimitGiB
        ? [`${server} lacks ${formatNumber(memoryGiB - memoryLimitGiB)} GiB of memory`]
        : []),
      ...(cores > coreLimit ? [`${server} has ${cores} virtual cores for ${formatNumber(coreLimit)}`] : []),
    ]);
  const short = [
    ...(restores.memoryShortGiB > 0 ? [`${formatNumber(restores.memoryShortGiB)} GiB of memory`] : []),
    ...(restores.storageShortGiB > 0 ? [`${formatNumber(restores.storageShortGiB)} GiB of storage`] : []),
  ];
  const off = [
    ...(stopped === 0 ? [] : [counted(stopped, "guest")]),
    ...(templates === 0 ? [] : [counted(templates, "template")]),
  ];
  return [
    ...(quorum === undefined
      ? []
      : [
          `quorum: ${quorum.votes} of ${quorum.expected} votes are left, ${quorum.needed} are needed${quorum.quorate ? "" : ": NOTHING can be started on the others"}${quorum.unsure ? " (a QDevice could not be read, and is not counted)" : ""}`,
        ]),
    ...(storages.length === 0 ? [] : [`gone with it: ${list(storages)}`]),
    ...(lacks.length > 0
      ? [`room: ${list(lacks)}`]
      : guests.some(({ comesBack }) => comesBack)
        ? ["room: what comes back fits on the others"]
        : []),
    ...(restores.guests === 0
      ? []
      : [
          `restores: ${counted(restores.guests, "guest")}; ${short.length === 0 ? "there is room for them on the others" : `the others lack ${list(short)} for them`}`,
        ]),
    ...(off.length === 0 ? [] : [`also on it, off: ${list(off)}`]),
  ];
}

export const memoryText = ({ memoryGiB }: GuestLoss): string => (memoryGiB === 0 ? "-" : formatGiB(memoryGiB));

export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
