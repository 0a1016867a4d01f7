/** One connection to the servers of a site, for everything that a preview reads there. */
import { type ManifestServer, type SitePlan, siteManifest } from "../planning";
import { ConfigError } from "../providers/pve/errors";
import { SshClient, SshError, type SshRunner } from "../providers/ssh";
import { accessOf } from "./access";
import type { StackSettings } from "./settings";

/** A server that does not answer must not hold a preview up. */
const PATIENCE_SECONDS = 5;

/** Ways to servers, by name. */
export type Targets = Record<string, NonNullable<ManifestServer["ssh"]>>;

/** What a server said; undefined when it could not be asked. */
export type Ask = (server: string, argv: readonly string[]) => Promise<{ code: number; stdout: string } | undefined>;

export interface SiteSsh {
  /** Servers that `coldspare:ssh` has a host key of. */
  servers: string[];
  ask: Ask;
  close(): Promise<void>;
}

/** `undefined` where the stack knows no way to any server. */
export function siteSsh(
  plan: SitePlan,
  settings: Pick<StackSettings, "endpoints" | "ssh">,
  connect: (targets: Targets) => SshRunner = (targets) =>
    new SshClient({
      targets,
      connectSeconds: PATIENCE_SECONDS,
      ...(settings.ssh?.keyFile === undefined ? {} : { keyFile: settings.ssh.keyFile }),
    }),
): SiteSsh | undefined {
  const manifest = siteManifest(plan, accessOf(settings));
  const targets: Targets = Object.fromEntries(
    Object.entries(manifest.servers).flatMap(([name, { ssh }]) => (ssh === undefined ? [] : [[name, ssh] as const])),
  );
  const servers = Object.keys(targets);
  if (servers.length === 0) return undefined;
  const ssh = connect(targets);
  return {
    servers,
    async ask(server, argv) {
      try {
        return await ssh.run(server, argv, { timeoutSeconds: 2 * PATIENCE_SECONDS });
      } catch (error) {
        if (error instanceof SshError || error instanceof ConfigError) return undefined;
        throw error;
      }
    },
    close: () => ssh.close(),
  };
}
