/** The last drill of every guest, as the servers keep it: for the stack's outputs. */
import type { SitePlan } from "../planning";
import { ConfigError } from "../providers/pve/errors";
import { SshClient, SshError, type SshRunner } from "../providers/ssh";
import type { StackSettings } from "./settings";
import { PATIENCE_SECONDS, sshTargets, type Targets } from "./voter-records";

/** A guest's last drill. */
export interface LastDrill {
  /** ISO time. */
  at: string;
  ok: boolean;
  /** The planned recovery time, with the boot that was measured in place of the planned one. */
  recoveryTimeSeconds?: number;
  /** Why it failed. */
  reason?: string;
}

/** As `coldspare drill` writes them: one JSON document per guest. */
const READ = `for f in /var/lib/coldspare/drills/*.json; do test -f "$f" && { tr -d '\\n' <"$f"; echo; }; done; true`;

/**
 * Asks every server that `coldspare:ssh` has a host key of; the newest drill of a guest counts. A server that cannot be asked
 * costs some seconds and its drills.
 */
export async function lastDrills(
  plan: SitePlan,
  settings: Pick<StackSettings, "endpoints" | "ssh">,
  connect: (targets: Targets) => SshRunner = (targets) =>
    new SshClient({
      targets,
      connectSeconds: PATIENCE_SECONDS,
      ...(settings.ssh?.keyFile === undefined ? {} : { keyFile: settings.ssh.keyFile }),
    }),
): Promise<Record<string, LastDrill>> {
  const targets = sshTargets(plan, settings);
  if (Object.keys(targets).length === 0) return {};
  const ssh = connect(targets);
  try {
    const texts = await Promise.all(Object.keys(targets).map((server) => ask(ssh, server)));
    const found = texts.flatMap(parseDrills).filter(({ guest }) => Object.hasOwn(plan.guests, guest));
    found.sort((a, b) => (a.at < b.at ? -1 : 1));
    const newest = new Map(found.map(({ guest, ...drill }) => [guest, drill]));
    return Object.fromEntries([...newest].sort(([a], [b]) => (a < b ? -1 : 1)));
  } finally {
    await ssh.close();
  }
}

async function ask(ssh: SshRunner, server: string): Promise<string> {
  try {
    return (await ssh.run(server, ["sh", "-c", READ], { timeoutSeconds: 2 * PATIENCE_SECONDS })).stdout;
  } catch (error) {
    if (error instanceof SshError || error instanceof ConfigError) return "";
    throw error;
  }
}

/** A line that was cut off is no result. */
function parseDrills(text: string): (LastDrill & { guest: string })[] {
  return text.split("\n").flatMap((line) => {
    try {
      const { guest, at, ok, recoveryTimeSeconds, reason } = JSON.parse(line) as Record<string, unknown>;
      if (typeof guest !== "string" || typeof at !== "string" || typeof ok !== "boolean") return [];
      return [
        {
          guest,
          at,
          ok,
          ...(typeof recoveryTimeSeconds === "number" && { recoveryTimeSeconds }),
          ...(typeof reason === "string" && { reason }),
        },
      ];
    } catch {
      return [];
    }
  });
}
