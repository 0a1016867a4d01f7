/** Records of the active side, read on the voters over SSH. */
import { type SitePlan, votersOf } from "../planning";
import type { ReadRecords, VoterRecord } from "./active-sides";
import type { Ask, SiteSsh } from "./site-ssh";

const PROGRAM = "/usr/local/sbin/coldspare-node";

/**
 * A reader for the voters that can be reached. One that cannot be asked, or on which the guard is not installed yet, has no
 * record: the hypervisors' own view is compared all the same.
 */
export function voterRecords(plan: SitePlan, { servers, ask }: Pick<SiteSsh, "servers" | "ask">): ReadRecords {
  return async (guests) => {
    const records: Record<string, VoterRecord[]> = {};
    await Promise.all(
      servers.map(async (voter) => {
        const asked = guests.filter((guest) => votersOf(plan, guest).includes(voter)).map(({ name }) => name);
        for (const { guest, ...record } of await recordsAt(ask, voter, asked))
          if (asked.includes(guest)) records[guest] = [...(records[guest] ?? []), record];
      }),
    );
    return records;
  };
}

async function recordsAt(
  ask: Ask,
  voter: string,
  guests: readonly string[],
): Promise<(VoterRecord & { guest: string })[]> {
  if (guests.length === 0) return [];
  const answer = await ask(voter, [PROGRAM, "serve", "read", ...guests]);
  return answer?.code === 0 ? parseRecords(voter, answer.stdout) : [];
}

/** Lines `<guest> ok epoch=5 server=srv1 …`, then `end`: without it the answer was cut off and counts for nothing. */
export function parseRecords(voter: string, text: string): (VoterRecord & { guest: string })[] {
  const lines = text.trim().split("\n");
  if (lines.pop()?.trim() !== "end") return [];
  return lines.flatMap((line) => {
    const [guest = "", verdict, ...words] = line.trim().split(/\s+/);
    const values = new Map(words.map((word) => [word.split("=")[0], word.slice(word.indexOf("=") + 1)] as const));
    const [epoch, server] = [Number(values.get("epoch")), values.get("server")];
    // A voter that was made anew remembers nothing.
    if (verdict !== "ok" || !Number.isInteger(epoch) || server === undefined || values.get("fresh") === "1") return [];
    return [{ guest, voter, epoch, server }];
  });
}
