/** Waiting: with jitter, and ended at once by an abort. */
import type { BrokenCall } from "./connection";

/** How often and how patiently a call is repeated. */
export interface RetryPolicy {
  /** Calls in all, the first included. Default 6. */
  attempts: number;
  /** Seconds before the second call; doubles each time, up to 16 times this. Default 0.5. */
  baseSeconds: number;
}

/** Half to the whole of the doubling wait, so that callers that failed together do not come back together. */
export function backoffSeconds(policy: RetryPolicy, attempt: number, random: () => number = Math.random): number {
  const whole = policy.baseSeconds * 2 ** Math.min(attempt, 4);
  return whole * (0.5 + random() / 2);
}

/** Sleeps; rejects with the signal's reason when aborted. */
export function sleep(seconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, seconds * 1000);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** Whether a connection broke under a call that may be made again: it was not taken yet, or does no harm when done twice. */
export function isHarmlessReset(method: string, { code, sent }: BrokenCall): boolean {
  const isReset = code === "ECONNRESET" || code === "EPIPE" || code === "ECONNABORTED";
  return isReset && (method === "GET" || method === "PUT" || sent === false);
}
