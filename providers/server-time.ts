import { about } from "./about";
import type { PveClient } from "./pve/client";

/**
 * Unix time on a server: the clock that its tasks, backups and replications are stamped with. `undefined` when it does not say;
 * ages are then not judged, as the clock of the machine that runs the program may be another.
 */
export async function timeOn(
  pve: PveClient,
  server: string,
  guest: { guest: string; vmid: number },
): Promise<number | undefined> {
  const asked = about("ask the time for the spare of", guest);
  const answer = await pve.get<{ time: number }>(`/nodes/${server}/time`, {}, asked).catch(() => undefined);
  return answer?.time;
}

/** ISO 8601, UTC, to the second. */
export function timeText(unixSeconds: number): string {
  return new Date(unixSeconds * 1000).toISOString().replace(".000Z", "Z");
}
