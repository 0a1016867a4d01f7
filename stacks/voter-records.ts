/** Records of the active side, read on the voters over SSH. */
import { type ManifestServer, type SitePlan, siteManifest, votersOf } from "../planning";
import { ConfigError } from "../providers/pve/errors";
import { SshClient, SshError, type SshRunner } from "../providers/ssh";
import { accessOf } from "./access";
import type { ReadRecords, VoterRecord } from "./active-sides";
import type { StackSettings } from "./settings";

const PROGRAM = "/usr/local/sbin/coldspare-node";
/** A voter that does not answer must not hold a preview up. */
export const PATIENCE_SECONDS = 5;

/** Ways to servers, by name. */
export type Targets = Record<string, NonNullable<ManifestServer["ssh"]>>;

/** The servers that `coldspare:ssh` has a host key of. */
export function sshTargets(plan: SitePlan, settings: Pick<StackSettings, "endpoints" | "ssh">): Targets {
  const { servers } = siteManifest(plan, accessOf(settings));
  return Object.fromEntries(
    Object.entries(servers).flatMap(([name, { ssh }]) => (ssh === undefined ? [] : [[name, ssh] as const])),
  );
}

/**
 * A reader for the voters that `coldspare:ssh` has a host key of; `undefined` without any. A voter that cannot be asked, or
 * on which the guard is not installed yet, has no record: the hypervisors' own view is compared all the same.
 */
export function voterRecords(
  plan: SitePlan,
  settings: Pick<StackSettings, "endpoints" | "ssh">,
  connect: (targets: Targets) => SshRunner = (targets) =>
    new SshClient({
      targets,
      connectSeconds: PATIENCE_SECONDS,
      ...(settings.ssh?.keyFile === undefined ? {} : { keyFile: settings.ssh.keyFile }),
    }),
): ReadRecords | undefined {
  const targets = sshTargets(plan, settings);
  if (Object.keys(targets).length === 0) return undefined;
  return async (guests) => {
    const ssh = connect(targets);
    const records: Record<string, VoterRecord[]> = {};
    try {
      await Promise.all(
        Object.keys(targets).map(async (voter) => {
          const asked = guests.filter((guest) => votersOf(plan, guest).includes(voter)).map(({ name }) => name);
          for (const { guest, ...record } of await ask(ssh, voter, asked))
            if (asked.includes(guest)) records[guest] = [...(records[guest] ?? []), record];
        }),
      );
    } finally {
      await ssh.close();
    }
    return records;
  };
}

async function ask(
  ssh: SshRunner,
  voter: string,
  guests: readonly string[],
): Promise<(VoterRecord & { guest: string })[]> {
  if (guests.length === 0) return [];
  try {
    const options = { timeoutSeconds: 2 * PATIENCE_SECONDS };
    const { code, stdout } = await ssh.run(voter, [PROGRAM, "serve", "read", ...guests], options);
    return code === 0 ? parseRecords(voter, stdout) : [];
  } catch (error) {
    if (error instanceof SshError || error instanceof ConfigError) return [];
    throw error;
  }
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
