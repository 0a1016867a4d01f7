/** `coldspare status`: which side of every guest is active, and how good its spare is. */
import { renameSync, writeFileSync } from "node:fs";
import { readBackupStatus } from "../../operations/backups/read-status";
import { readLive } from "../../operations/live";
import { type SiteStatus, siteStatus } from "../../operations/status";
import { statusMetrics } from "../../operations/status-metrics";
import { exitCode, type Io, textWidth, UsageError, wantsColor } from "../io";
import { openSite, type SiteOptions } from "../open-site";
import { painter } from "../table";
import { statusText } from "../text-status";

export interface StatusOptions extends SiteOptions {
  json?: boolean;
  /** A file that the metrics are written into; true: printed. */
  metrics?: string | true;
  /** Seconds between two looks, or true for the default. */
  watch?: string | true;
  strict?: boolean;
  color: boolean;
}

const WATCH_SECONDS = 10;

export async function status(options: StatusOptions, io: Io): Promise<number> {
  const every = watchSeconds(options.watch);
  if (options.metrics === true && options.json)
    throw new UsageError("--json and --metrics both print: give --metrics a file, or leave one of them out");
  const { operator, close } = await openSite(options, io);
  const show = async (): Promise<SiteStatus> => {
    const [live, copies] = await Promise.all([readLive(operator), readBackupStatus(operator)]);
    const now = siteStatus(live, operator.manifest, copies);
    if (options.metrics !== undefined) showMetrics(now, options.metrics, io);
    if (options.metrics === true) return now;
    if (options.json) io.stdout.write(`${JSON.stringify(now, null, every === undefined ? 2 : 0)}\n`);
    else {
      const paint = painter(wantsColor(options.color, io.stdout, io.env));
      // Clears the terminal as `watch` does; a file gets one table after the other.
      const clear = every !== undefined && io.stdout.isTTY ? "\u001b[2J\u001b[H" : "";
      io.stdout.write(`${clear}${statusText(now, textWidth(io.stdout), paint)}`);
    }
    return now;
  };
  try {
    let now = await show();
    if (every !== undefined) now = await watch(every, show, now);
    return options.strict && !now.ok ? exitCode.errors : exitCode.fine;
  } finally {
    await close();
  }
}

/** Written beside and renamed: the exporter never reads half a file. */
function showMetrics(now: SiteStatus, file: string | true, io: Io): void {
  const text = statusMetrics(now);
  if (file === true) return void io.stdout.write(text);
  try {
    writeFileSync(`${file}.new`, text, { mode: 0o644 });
    renameSync(`${file}.new`, file);
  } catch (error) {
    throw new UsageError(`--metrics ${file} cannot be written: ${(error as NodeJS.ErrnoException).code ?? error}`);
  }
}

function watchSeconds(option: string | true | undefined): number | undefined {
  if (option === undefined) return undefined;
  const seconds = option === true ? WATCH_SECONDS : Number(option);
  if (!Number.isFinite(seconds) || seconds < 1) throw new UsageError(`--watch ${option}: write seconds, at least 1`);
  return seconds;
}

/** Until somebody ends it. */
async function watch(seconds: number, show: () => Promise<SiteStatus>, first: SiteStatus): Promise<SiteStatus> {
  let last = first;
  let wake = () => {};
  let ended = false;
  const end = () => {
    ended = true;
    wake();
  };
  process.once("SIGINT", end).once("SIGTERM", end);
  try {
    while (!ended) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, seconds * 1000);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      if (!ended) last = await show();
    }
  } finally {
    process.off("SIGINT", end).off("SIGTERM", end);
  }
  return last;
}
