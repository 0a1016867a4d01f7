// How far a build is and how long it still takes. Pure, but for the clock that is handed in.
import { formatDuration } from "./log.mjs";

/** Linking starts when everything is compiled and says nothing; measured on two cores for the largest binary. */
const LINK_SECONDS = 8;
/** Before this much has been seen, a number would be a guess. */
const LEAST_SECONDS = 8;
const LEAST_SHARE = 0.04;

/**
 * The remaining time in seconds, or undefined while it cannot be known honestly.
 * @param {{ total: number, done: number, elapsed: number, tail?: number }} state work in any unit (bytes of source)
 */
export function remainingSeconds({ total, done, elapsed, tail = LINK_SECONDS }) {
  if (total <= 0) return tail;
  if (elapsed < LEAST_SECONDS || done / total < LEAST_SHARE) return undefined;
  return (elapsed / done) * Math.max(0, total - done) + tail;
}

/**
 * Follows `go build -v`, which names each package when its compilation starts.
 * @param {Map<string, number>} weights bytes of source of each package that is not compiled yet
 */
export function buildProgress(weights, now = Date.now) {
  const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
  const start = now();
  const left = new Map(weights);
  let done = 0;
  let compiled = 0;
  return {
    /** Takes a line of output; true when it named a package. */
    see(line) {
      const name = line.trim();
      if (!left.has(name)) return false;
      done += left.get(name);
      left.delete(name);
      compiled++;
      return true;
    },
    text() {
      const elapsed = (now() - start) / 1000;
      if (weights.size === 0) return `everything is compiled already; linking, ${formatDuration(elapsed)} so far`;
      const remaining = remainingSeconds({ total, done, elapsed });
      const rest = remaining === undefined ? "time left not known yet" : `about ${formatDuration(remaining)} left`;
      const linking = left.size === 0 ? ", linking" : "";
      return `${compiled} of ${weights.size} packages${linking}, ${formatDuration(elapsed)} so far, ${rest}`;
    },
  };
}
