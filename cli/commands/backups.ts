/** `coldspare backups`: what copies there are, and whether they are as new as promised. */
import type { Copies, Point } from "../../operations/backups/copies";
import { readCopies } from "../../operations/backups/read-copies";
import { type SubjectSummary, summarise } from "../../operations/backups/summary";
import type { SiteManifest } from "../../planning/manifest";
import { exitCode, type Io, textWidth, UsageError, wantsColor } from "../io";
import { openSite, type SiteOptions } from "../open-site";
import { didYouMean } from "../suggest";
import { painter } from "../table";
import { pointsTable, summaryTable, unaskedLines } from "../text-copies";

export interface BackupsOptions extends SiteOptions {
  target?: string[];
  json?: boolean;
  good?: boolean;
  color: boolean;
}

/** What `coldspare backups --json` prints. Keys are only added. */
export interface BackupsDocument {
  formatVersion: 1;
  site: string;
  at: string;
  /** Every subject has a good copy as new as promised. With --good: false exactly when the exit code is 1. */
  ok: boolean;
  subjects: SubjectSummary[];
  points: Point[];
  /** What could not be asked; copies there are missing above. */
  unasked: Copies["unasked"];
  foreign: number;
}

/** Answers the exit code. */
export async function backups(subjects: readonly string[], options: BackupsOptions, io: Io): Promise<number> {
  const { operator, close } = await openSite(options, io);
  try {
    const { manifest } = operator;
    requireBackups(manifest);
    const copies = onlyTargets(await readCopies(operator), manifest, options.target);
    const summaries = chosen(summarise(copies, manifest), subjects);
    const names = new Set(summaries.map(({ subject }) => subject));
    const points = copies.points.filter(({ subject }) => subjects.length === 0 || names.has(subject));
    const ok = summaries.every(({ state }) => state === "kept");
    if (options.json) {
      const { at, unasked, foreign } = copies;
      const document: BackupsDocument = {
        formatVersion: 1,
        site: manifest.site,
        at,
        ok,
        subjects: summaries,
        points,
        unasked,
        foreign,
      };
      io.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    } else {
      const paint = painter(wantsColor(options.color, io.stdout, io.env));
      const width = textWidth(io.stdout);
      // Without a subject one wants to know how things are; with one, what there is to choose from.
      const table = subjects.length > 0 ? pointsTable(points, copies.at, width, paint) : [];
      const parts = [summaryTable(summaries, copies.at, width, paint), table, unaskedLines(copies, width, paint)];
      io.stdout.write(
        `${parts
          .filter((lines) => lines.length > 0)
          .map((lines) => lines.join("\n"))
          .join("\n\n")}\n`,
      );
    }
    return options.good && !ok ? exitCode.errors : exitCode.fine;
  } finally {
    await close();
  }
}

/** @throws UsageError where the manifest knows nothing of copies */
export function requireBackups({ backups, site }: SiteManifest): void {
  if (backups !== undefined && Object.keys(backups.policies).length > 0) return;
  throw new UsageError(
    `the manifest of ${site} knows no backup policy: write targets and backups into the site file, then pulumi up (or fetch a newer manifest with --from)`,
  );
}

/** With `--target`, as if there were no others. */
function onlyTargets(copies: Copies, { backups }: SiteManifest, wanted: readonly string[] | undefined): Copies {
  if (wanted === undefined || wanted.length === 0) return copies;
  const known = Object.keys(backups!.targets);
  for (const name of wanted)
    if (!known.includes(name)) throw new UsageError(`--target ${name}: there is none${didYouMean(name, known)}`);
  return {
    ...copies,
    points: copies.points.filter(({ target }) => wanted.includes(target)),
    jobs: copies.jobs.filter(({ target }) => target !== undefined && wanted.includes(target)),
    unasked: copies.unasked.filter(({ targets }) => targets.some((each) => wanted.includes(each))),
  };
}

/** @throws UsageError for a subject that no policy takes */
function chosen(summaries: readonly SubjectSummary[], subjects: readonly string[]): SubjectSummary[] {
  const known = summaries.map(({ subject }) => subject);
  for (const name of subjects)
    if (!known.includes(name)) throw new UsageError(`no policy backs '${name}' up${didYouMean(name, known)}`);
  return summaries.filter(({ subject }) => subjects.length === 0 || subjects.includes(subject));
}
