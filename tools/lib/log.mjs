// What setup, start and test print: whole lines, and one passing status line that never floods a log file.

/** 5 s, 1 min 05 s, 12 min: short enough for a status line. */
export function formatDuration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s`;
  return `${Math.round(s / 60)} min`;
}

/** Without a terminal, a passing status is printed this often (seconds). */
const STATUS_EVERY_SECONDS = 15;

/**
 * A logger: `log(text)` prints a line, `log.status(text)` shows a passing state.
 * @param {{ stream?: NodeJS.WriteStream, prefix?: string, now?: () => number }} options
 */
export function createLog({ stream = process.stderr, prefix = "", now = Date.now } = {}) {
  let open = false;
  let lastStatus = Number.NEGATIVE_INFINITY;
  const clear = () => {
    if (open) stream.write("\r\x1b[K");
    open = false;
  };
  const log = (text) => {
    clear();
    stream.write(`${prefix}${text}\n`);
  };
  log.status = (text) => {
    if (stream.isTTY) {
      clear();
      stream.write(`${prefix}${text}`.slice(0, (stream.columns ?? 80) - 1));
      open = true;
    } else if (now() - lastStatus >= STATUS_EVERY_SECONDS * 1000) {
      lastStatus = now();
      stream.write(`${prefix}${text}\n`);
    }
  };
  return log;
}

/** Numbered stages with their elapsed time. */
export function createStages(log, total, now = Date.now) {
  let current = 0;
  return async function stage(title, work) {
    const number = ++current;
    const start = now();
    log(`[${number}/${total}] ${title}`);
    const result = await work();
    log(`[${number}/${total}] ${title}: done in ${formatDuration((now() - start) / 1000)}`);
    return result;
  };
}
