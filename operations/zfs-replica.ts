/** Replicas by `zfs-sync`, as `coldspare-zfs` on the servers tells of them and moves them. See docs/zfs.md. */
import type { ManifestGuest } from "../planning/manifest";
import type { Operator } from "./context";
import type { LiveZfsSide } from "./live-types";
import { keyValues } from "./voters";

/** Where the program lies on a server. */
export const ZFS_PROGRAM = "/usr/local/sbin/coldspare-zfs";

/** Shell commands that print what a server says of all its replicas: lines for {@link replicasIn}. */
export const READ_REPLICAS = `if [ -r /etc/coldspare/zfs.conf ] && [ -x ${ZFS_PROGRAM} ]; then
${ZFS_PROGRAM} replica status --plain 2>/dev/null
sed -n 's/^replica \\([^ ]*\\) .*/\\1/p' /etc/coldspare/zfs.conf | while read -r guest; do ${ZFS_PROGRAM} replica points "$guest" --plain 2>/dev/null; done
fi`;

/** What a server has of each guest, by guest. A guest without a line is in no zfs.conf there. */
export function replicasIn(lines: readonly string[]): Record<string, LiveZfsSide> {
  const sides: Record<string, LiveZfsSide> = {};
  const sideOf = (guest: string): LiveZfsSide => {
    const known = sides[guest] ?? { points: [] };
    sides[guest] = known;
    return known;
  };
  for (const line of lines) {
    const values = wordsOf(line);
    const { guest, point, at, state } = values;
    if (guest === undefined) continue;
    if (point === undefined) {
      const error = values.error === undefined || values.error === "" ? {} : { error: values.error };
      if (state !== undefined) sideOf(guest).sync = { state, ...(isTime(at) && { at }), ...error };
    } else if (values.complete === "yes" && isTime(at))
      sideOf(guest).points.push({ id: point, at, common: values.common === "yes" });
  }
  for (const { points } of Object.values(sides)) points.sort((a, b) => (a.at < b.at ? 1 : -1));
  return sides;
}

function isTime(text: string | undefined): text is string {
  return text !== undefined && !Number.isNaN(Date.parse(text));
}

function wordsOf(line: string): Record<string, string> {
  const values = keyValues(line.trim().split(/\s+/));
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, decoded(value)]));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A first run sends a whole disk: it may take a day. */
const REPLICA_SECONDS = 24 * 3600;

/** What `coldspare-zfs replica …` ended with: the words of its last line. */
export type ReplicaDone = Readonly<Record<string, string>>;

/**
 * Runs one command of the program on a server.
 *
 * @param words As after `coldspare-zfs replica`: `["activate", "sql-erp"]`
 * @throws Error with what the program said
 */
export async function runReplica(operator: Operator, server: string, words: readonly string[]): Promise<ReplicaDone> {
  const argv = [ZFS_PROGRAM, "replica", ...words];
  const answer = await operator.ssh.run(server, argv, { timeoutSeconds: REPLICA_SECONDS });
  if (answer.code !== 0) {
    const said = (answer.stderr || answer.stdout).trim() || `it ended with ${answer.code} and said nothing`;
    throw new Error(`\`coldspare-zfs replica ${words.join(" ")}\` on ${server}: ${said}`);
  }
  const done = answer.stdout
    .split("\n")
    .filter((line) => line.startsWith("done "))
    .at(-1);
  return done === undefined ? {} : wordsOf(done);
}

/** Names under which data was set aside; none where nothing had to be. */
export function keptIn({ kept }: ReplicaDone): string[] {
  return kept === undefined || kept === "-" || kept === "" ? [] : kept.split(",");
}

/** What to tell of data that was set aside. */
export function keptWords(server: string, { name }: Pick<ManifestGuest, "name">, kept: readonly string[]): string {
  return (
    `what only ${server} had of ${name} is kept there as ${kept.join(", ")}: look at it with \`zfs list -o name,used ${kept.join(" ")}\`, ` +
    `below /dev/zvol/; \`zfs destroy -r\` removes what nobody needs`
  );
}
