/** `coldspare media`: the disks that are carried. What hangs where, what is to be swapped, and the calendar of it. */
import { writeFileSync } from "node:fs";
import { type RotationView, rotationOf, siteLossNow } from "../../operations/backups/media";
import { readRotations } from "../../operations/backups/read-status";
import { command as onServer } from "../../operations/backups/run-policy";
import type { Operator } from "../../operations/context";
import { swapCalendar } from "../../planning/backup/ical";
import type { ManifestRotation } from "../../planning/backup/manifest";
import { SshError } from "../../providers/ssh";
import { confirmed } from "../confirm";
import { exitCode, type Io, textWidth, UsageError, wantsColor } from "../io";
import { openSite, type SiteOptions } from "../open-site";
import { didYouMean } from "../suggest";
import { painter } from "../table";
import { mediaText } from "../text-media";

export interface MediaOptions extends SiteOptions {
  json?: boolean;
  yes?: boolean;
  strict?: boolean;
  by?: string;
  replace?: boolean;
  ics?: string;
  days?: number;
  color: boolean;
}

/** What `coldspare media --json` prints. Times are ISO texts or epoch seconds (`turn`, `next`, `since`). */
export interface MediaDocument {
  formatVersion: 1;
  site: string;
  at: string;
  ok: boolean;
  rotations: RotationView[];
  siteLoss?: { target: string; medium: string; ageSeconds: number };
}

interface Opened {
  operator: Operator;
  target: string;
  rotation: ManifestRotation;
}

/** Which disk should hang where. Answers the exit code. */
export async function mediaStatus(options: MediaOptions, io: Io): Promise<number> {
  const { operator, close } = await openSite(options, io);
  try {
    rotationNames(operator);
    const { at, rotations } = await readRotations(operator);
    const ok = rotations.every(({ state, error }) => (state === "right" || state === "due") && !error);
    const siteLoss = siteLossNow(rotations);
    const document: MediaDocument = {
      formatVersion: 1,
      site: operator.manifest.site,
      at,
      ok,
      rotations,
      ...(siteLoss && { siteLoss }),
    };
    if (options.json) io.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    else {
      const paint = painter(wantsColor(options.color, io.stdout, io.env));
      io.stdout.write(mediaText(rotations, at, textWidth(io.stdout), paint));
    }
    return options.strict && !ok ? exitCode.errors : exitCode.fine;
  } finally {
    await close();
  }
}

/** The whole swap at a terminal: unmount, carry, look whether the right one hangs there, write it down. */
export function mediaSwap(target: string, options: MediaOptions, io: Io): Promise<number> {
  return withRotation(target, options, io, async ({ operator, rotation }) => {
    const before = await viewOf(operator, target);
    const { turn, attached } = before;
    if (before.state === "unknown") return refused(before.text, io);
    if (attached === turn.medium) {
      io.stdout.write(`${before.text} Nothing is to be swapped.\n`);
      return exitCode.fine;
    }
    if (!io.ask)
      throw new UsageError(
        `a swap needs somebody at the disk: coldspare media eject ${target}, carry it, then coldspare media record ${target} attached ${turn.medium}`,
      );
    io.stderr.write(`${before.text}\n`);
    const mounted = attached !== undefined || before.state === "foreign";
    if (mounted && !(await confirmed(`Unmount ${attached ?? "what is attached"} on ${rotation.on}?`, options, io)))
      return exitCode.errors;
    if (mounted) await run(operator, rotation.on, ["eject", target], io);
    for (;;) {
      const answer = (
        await io.ask(
          `Attach ${turn.medium} to ${rotation.on} and mount it at ${rotation.mountPoint}. Then type 'done', or 'later': `,
        )
      )
        .trim()
        .toLowerCase();
      if (answer !== "done") {
        io.stderr.write(`when it hangs there: coldspare media record ${target} attached ${turn.medium}\n`);
        return exitCode.errors;
      }
      const now = await viewOf(operator, target);
      if (now.attached === turn.medium) break;
      io.stderr.write(`${now.text}\n`);
    }
    await run(operator, rotation.on, ["record", target, "attached", turn.medium, "--by", operator.by], io);
    io.stdout.write(`${turn.medium} of ${target} is attached to ${rotation.on}\n`);
    return exitCode.fine;
  });
}

/** Writes a swap down that somebody has made. */
export function mediaRecord(
  target: string,
  action: string,
  label: string,
  options: MediaOptions,
  io: Io,
): Promise<number> {
  if (action !== "attached" && action !== "detached") throw new UsageError(`${action}: write attached or detached`);
  return withRotation(target, options, io, async ({ operator, rotation }) => {
    knownLabel(rotation, label);
    const by = options.by ?? operator.by;
    await run(operator, rotation.on, ["record", target, action, label, "--by", by], io);
    io.stdout.write(`recorded: ${label} of ${target} ${action} by ${by}\n`);
    return exitCode.fine;
  });
}

/** Everything is on the disk, and it may be taken away. */
export function mediaEject(target: string, options: MediaOptions, io: Io): Promise<number> {
  return withRotation(target, options, io, async ({ operator, rotation }) => {
    if (!(await confirmed(`Unmount the medium of ${target} on ${rotation.on}?`, options, io))) return exitCode.errors;
    await run(operator, rotation.on, ["eject", target], io);
    return exitCode.fine;
  });
}

/** Gives an empty disk its label. */
export function mediaInit(target: string, label: string, options: MediaOptions, io: Io): Promise<number> {
  return withRotation(target, options, io, async ({ operator, rotation }) => {
    knownLabel(rotation, label);
    const question = options.replace
      ? `Label what is mounted at ${rotation.mountPoint} on ${rotation.on} as ${label}, and forget what the lost ${label} held?`
      : `Label what is mounted at ${rotation.mountPoint} on ${rotation.on} as ${label}?`;
    if (!(await confirmed(question, options, io))) return exitCode.errors;
    await run(operator, rotation.on, ["init", target, label, ...(options.replace ? ["--replace"] : [])], io);
    return exitCode.fine;
  });
}

const DAY = 86_400;

/** An iCalendar file of the swaps, for whoever carries the disks. Reaches nothing. */
export async function mediaCalendar(targets: readonly string[], options: MediaOptions, io: Io): Promise<number> {
  const { operator, close } = await openSite(options, io);
  try {
    const known = rotationNames(operator);
    for (const target of targets) if (!known.includes(target)) throw unknownTarget(target, known);
    const chosen = targets.length > 0 ? targets : known;
    if (chosen.length > 1 && options.ics !== undefined && options.ics !== "-")
      throw new UsageError(`--ics writes one file: name one of ${known.join(", ")}`);
    const now = Math.floor(operator.clock.now().getTime() / 1000);
    for (const target of chosen) {
      const { rotations, timeZone } = operator.manifest.backups!;
      const spec = rotations[target]!;
      const to = now + (options.days ?? 365) * DAY;
      const text = swapCalendar(rotationOf(spec, timeZone), { target, server: spec.on, from: now, to, stamp: now });
      if (options.ics === undefined || options.ics === "-") io.stdout.write(text);
      else writeCalendar(options.ics, text, io);
    }
    return exitCode.fine;
  } finally {
    await close();
  }
}

function writeCalendar(file: string, text: string, io: Io): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new UsageError(`--ics ${file} cannot be written: ${(error as NodeJS.ErrnoException).code ?? error}`);
  }
  io.stderr.write(`${file}: import it into the calendar of whoever carries the disks\n`);
}

async function withRotation(
  target: string,
  options: MediaOptions,
  io: Io,
  work: (opened: Opened) => Promise<number>,
): Promise<number> {
  const { operator, close } = await openSite(options, io);
  try {
    const known = rotationNames(operator);
    const rotation = operator.manifest.backups!.rotations[target];
    if (!known.includes(target) || rotation === undefined) throw unknownTarget(target, known);
    return await work({ operator, target, rotation });
  } catch (error) {
    if (error instanceof MediaFailed || error instanceof SshError) return refused(error.message, io);
    throw error;
  } finally {
    await close();
  }
}

/** What the program on the server refused, or failed in. */
class MediaFailed extends Error {}

/** @throws MediaFailed in the program's words */
async function run(operator: Operator, server: string, words: readonly string[], io: Io): Promise<void> {
  try {
    await onServer(operator, server, ["coldspare-backup", "media", ...words], (line) => io.stderr.write(`${line}\n`));
  } catch (error) {
    throw new MediaFailed(error instanceof Error ? error.message : String(error));
  }
}

function refused(text: string, io: Io): number {
  io.stderr.write(`${text}\n`);
  return exitCode.errors;
}

async function viewOf(operator: Operator, target: string): Promise<RotationView> {
  const { rotations } = await readRotations(operator);
  return rotations.find((each) => each.target === target)!;
}

function rotationNames({ manifest }: Operator): string[] {
  const known = Object.keys(manifest.backups?.rotations ?? {});
  if (known.length === 0)
    throw new UsageError(
      `${manifest.site} has no rotated media: write a target of kind offline-medium into the site file, then pulumi up`,
    );
  return known;
}

function unknownTarget(target: string, known: readonly string[]): UsageError {
  return new UsageError(
    `there is no rotation '${target}'${didYouMean(target, known) || `; there is ${known.join(", ")}`}`,
  );
}

function knownLabel({ sets }: ManifestRotation, label: string): void {
  const labels = sets.flatMap(({ media }) => media);
  if (!labels.includes(label))
    throw new UsageError(
      `there is no medium '${label}'${didYouMean(label, labels) || `; there are ${labels.join(", ")}`}`,
    );
}
