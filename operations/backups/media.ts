/** Rotated media: which one should be attached, which one is, how old the others are, and what is lost with everything on line. */
import type { ManifestBackups, ManifestRotation } from "../../planning/backup/manifest";
import { type MediaState, type MediumStatus, mediaStatus, type SwapRecord } from "../../planning/backup/media-status";
import { type Rotation, type Swap, swaps, type Turn } from "../../planning/backup/rotation";
import { SshError } from "../../providers/ssh";
import type { Operator } from "../context";
import { type Copies, isGood, isoOf, type MediumState } from "./copies";
import { plainLines } from "./plain-lines";

/** A medium, and how old what lies on it is. */
export interface MediumView extends MediumStatus {
  /** Of its newest good copy, ISO time; absent: nothing is known to lie on it. */
  newest?: string;
  ageSeconds?: number;
}

export interface RotationView {
  target: string;
  server: string;
  copies: string;
  carrier?: string;
  /** `foreign`: what is attached is no medium of this rotation. `unknown`: its server could not be asked. */
  state: MediaState | "foreign" | "unknown";
  attached?: string;
  turn: Turn;
  lateSeconds: number;
  media: MediumView[];
  /** The newest content of a medium that is not attached: what is lost with everything that is on line. */
  offline?: { medium: string; ageSeconds: number };
  offSite?: { medium: string; ageSeconds: number };
  /** As planned, with every swap on time. */
  worstOfflineSeconds: number;
  worstOffSiteSeconds?: number;
  next: Swap[];
  freeBytes?: number;
  sizeBytes?: number;
  written?: string;
  /** When the server's own list of swaps ends, where that is soon. */
  listEnds?: string;
  /** What to do, or that all is well. */
  text: string;
  /** What its server says is wrong. */
  error?: string;
}

const DAY = 86_400;
/** As many days ahead swaps are shown. */
const AHEAD = 35 * DAY;
/** A list that ends sooner wants `pulumi up`. */
const LIST_LEFT = 30 * DAY;

export function rotationOf({ sets, graceSeconds, startSeconds }: ManifestRotation, timeZone: string): Rotation {
  return { sets, graceSeconds, timeZone, start: startSeconds };
}

/** @param records Swaps by rotation, as far as its server could be asked. */
export function rotationViews(
  backups: ManifestBackups,
  copies: Copies,
  records: Readonly<Record<string, readonly SwapRecord[] | undefined>>,
): RotationView[] {
  return Object.entries(backups.rotations)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([target, spec]) => viewOf(target, spec, backups.timeZone, copies, records[target]));
}

function viewOf(
  target: string,
  spec: ManifestRotation,
  timeZone: string,
  copies: Copies,
  known: readonly SwapRecord[] | undefined,
): RotationView {
  const now = Math.floor(Date.parse(copies.at) / 1000);
  const rotation = rotationOf(spec, timeZone);
  const seen = copies.media.find((each) => each.target === target);
  const status = mediaStatus(rotation, asSeen(known ?? [], seen, now), now);
  const media = status.media.map((each) => ({ ...each, ...contentOf(each.medium, target, copies, now) }));
  const away = media.filter(({ where }) => where !== "attached");
  const offSite = away.filter(({ set }) => spec.sets.some((each) => each.name === set && each.offSite));
  const asked = seen !== undefined;
  const foreign = seen?.attached === "foreign";
  return {
    target,
    server: spec.on,
    copies: spec.copies,
    ...(spec.carrier !== undefined && { carrier: spec.carrier }),
    state: !asked ? "unknown" : foreign ? "foreign" : status.state,
    ...(asked && status.attached !== undefined && !foreign && { attached: status.attached }),
    turn: status.turn,
    lateSeconds: asked ? status.lateSeconds : 0,
    media,
    ...newestOf("offline", away),
    ...newestOf("offSite", offSite),
    worstOfflineSeconds: spec.worstOfflineSeconds,
    ...(spec.worstOffSiteSeconds !== undefined && { worstOffSiteSeconds: spec.worstOffSiteSeconds }),
    next: swaps(rotation, now, now + AHEAD),
    ...roomOf(seen),
    ...(seen?.listEnds !== undefined && endsSoon(seen.listEnds, now) && { listEnds: seen.listEnds }),
    text: textOf(asked, foreign, target, spec.on, status),
    ...(seen?.error !== undefined && { error: seen.error }),
  };
}

function textOf(
  asked: boolean,
  foreign: boolean,
  target: string,
  server: string,
  { text, turn }: ReturnType<typeof mediaStatus>,
): string {
  if (!asked) return `${server} could not be asked what is attached; ${turn.medium} should be.`;
  if (foreign)
    return `What is attached is no medium of ${target}: it is not written. Take it away and attach ${turn.medium}, or, if it is a new disk: coldspare media init ${target} ${turn.medium}.`;
  return text;
}

/** What hangs on the server counts more than what somebody has written down. */
function asSeen(records: readonly SwapRecord[], seen: MediumState | undefined, now: number): SwapRecord[] {
  if (seen === undefined) return [...records];
  const last = records.toSorted((a, b) => a.at - b.at).at(-1);
  const recorded = last?.action === "attached" ? last.medium : undefined;
  const there = seen.attached === "foreign" ? undefined : seen.attached;
  if (there === recorded) return [...records];
  const since = seen.attachedAt === undefined ? now : Date.parse(seen.attachedAt) / 1000;
  const at = Math.max(last?.at ?? 0, Math.min(since, now));
  return there === undefined
    ? [...records, { at: now, medium: recorded!, action: "detached", by: "seen" }]
    : [...records, { at, medium: there, action: "attached", by: "seen" }];
}

function contentOf(
  medium: string,
  target: string,
  { points }: Copies,
  now: number,
): Pick<MediumView, "newest" | "ageSeconds"> {
  const own = points.filter((point) => point.target === target && point.medium === medium && isGood(point));
  const newest = own.reduce((best, { at }) => Math.max(best, Date.parse(at) / 1000), Number.NEGATIVE_INFINITY);
  return Number.isFinite(newest) ? { newest: isoOf(newest), ageSeconds: Math.max(0, Math.round(now - newest)) } : {};
}

function newestOf<K extends "offline" | "offSite">(
  key: K,
  media: readonly MediumView[],
): Partial<Record<K, { medium: string; ageSeconds: number }>> {
  const filled = media.filter((each) => each.ageSeconds !== undefined);
  const newest = filled.toSorted((a, b) => a.ageSeconds! - b.ageSeconds!)[0];
  if (newest === undefined) return {};
  const found = { medium: newest.medium, ageSeconds: newest.ageSeconds! };
  return { [key]: found } as Partial<Record<K, typeof found>>;
}

function roomOf(seen: MediumState | undefined): Pick<RotationView, "freeBytes" | "sizeBytes" | "written"> {
  const { freeBytes, sizeBytes, written } = seen ?? {};
  return {
    ...(freeBytes !== undefined && { freeBytes }),
    ...(sizeBytes !== undefined && { sizeBytes }),
    ...(written !== undefined && { written }),
  };
}

function endsSoon(listEnds: string, now: number): boolean {
  return Date.parse(listEnds) / 1000 - now < LIST_LEFT;
}

/** The recorded swaps of every rotation; undefined for one whose server cannot be asked. */
export async function readSwaps(operator: Operator): Promise<Record<string, SwapRecord[] | undefined>> {
  const rotations = Object.entries(operator.manifest.backups?.rotations ?? {});
  const read = await Promise.all(
    rotations.map(async ([target, { on }]) => [target, await swapsOn(operator, on, target)] as const),
  );
  return Object.fromEntries(read);
}

async function swapsOn(operator: Operator, server: string, target: string): Promise<SwapRecord[] | undefined> {
  if (operator.manifest.servers[server]?.ssh === undefined) return undefined;
  const file = `/var/lib/coldspare/media/${target}.swaps`;
  try {
    const { code, stdout } = await operator.ssh.run(server, ["cat", file], { timeoutSeconds: 15 });
    // Nobody has swapped anything yet.
    return code === 0 ? swapRecords(stdout) : [];
  } catch (error) {
    if (error instanceof SshError) return undefined;
    throw error;
  }
}

/** Lines `at=<ISO> medium=<label> action=attached|detached by=<who>`; a line that is none of them is left out. */
export function swapRecords(text: string): SwapRecord[] {
  return plainLines(`${text}\nend\n`).flatMap(({ at = "", medium, action, by = "" }) => {
    const time = Date.parse(at) / 1000;
    if (Number.isNaN(time) || medium === undefined || (action !== "attached" && action !== "detached")) return [];
    return [{ at: time, medium, action, by }];
  });
}

/** The loss of everything that is on line: the newest content of any medium that is not attached. Undefined: there is none. */
export function siteLossNow(
  views: readonly RotationView[],
): { target: string; medium: string; ageSeconds: number } | undefined {
  return views
    .flatMap(({ target, offline }) => (offline === undefined ? [] : [{ target, ...offline }]))
    .toSorted((a, b) => a.ageSeconds - b.ageSeconds)[0];
}
