/** The end of a guard: it leaves when nobody relies on it any more. */
import { parseManifest } from "../../planning/manifest-text";
import { ConfigError } from "../pve/errors";
import { SshError, type SshRunner, type SshTarget } from "../ssh";
import { inTurn, surveyAll } from "./exchange";
import { readManifest, retire, uninstall } from "./install";
import { CONF_FOLDER, HOOKSCRIPT, peersOf, programFiles } from "./programs";
import { type Survey, survey } from "./survey";

/** What removal needs. */
export interface Removal {
  /** The way to the server itself; that to its peers is in the manifest on it. */
  own: SshTarget;
  make: (targets: Record<string, SshTarget>) => SshRunner;
  progress: (line: string) => void;
}

/**
 * Notes on the server that its resource is gone, and removes the guard from every server of which that is noted and on which no
 * other one relies: a server that still counts this one as a voter needs its answers, and its guests' hook scripts. So
 * the order in which the servers of a site are deleted does not matter.
 */
export function removeGuard(removal: Removal, server: string): Promise<void> {
  return inTurn(async () => {
    const first = removal.make({ [server]: removal.own });
    let own: Survey;
    let manifestText: string;
    try {
      own = await survey(first, server, []);
      await retire(first, server);
      manifestText = await readManifest(first, server);
    } catch (error) {
      if (!(error instanceof SshError) || error.kind !== "unreachable") throw error;
      // A server that is gone for good must not stand in the way; one that comes back goes on refusing, which is safe.
      removal.progress(`${error.message}. Its guard is left on it as it is`);
      return;
    } finally {
      await first.close();
    }
    const targets = { ...targetsOf(manifestText), [server]: removal.own };
    const ssh = removal.make(targets);
    try {
      // Peers to which no way is known cannot be asked either.
      const peers = peersOf(own.conf).map(({ name }) => name);
      await removeUnneeded(ssh, [...new Set([...Object.keys(targets), ...peers])], server, removal.progress);
    } finally {
      await ssh.close();
    }
  });
}

async function removeUnneeded(
  ssh: SshRunner,
  servers: readonly string[],
  server: string,
  progress: Removal["progress"],
): Promise<void> {
  const { found, silent } = await surveyAll(ssh, servers, []);
  const retired = Object.keys(found).filter((name) => found[name]?.isRetired);
  for (const name of retired) {
    const relying = Object.entries(found)
      .filter(
        ([other, { conf, isRetired }]) =>
          other !== name && !isRetired && peersOf(conf).some((peer) => peer.name === name),
      )
      .map(([other]) => other);
    // Who cannot be asked may rely on it.
    relying.push(...Object.keys(silent).filter((other) => other !== name));
    if (relying.length > 0) {
      if (name === server) progress(keptMessage(server, relying));
      continue;
    }
    const problems = await uninstall(ssh, name, hookedGuests(found[name]), installedPaths());
    if (problems.length > 0) {
      throw new ConfigError(
        `${name}: the guard cannot be removed while guests name it as their hook script: ${problems.join("; ")}. Fix: mend what they say, then run this again`,
      );
    }
    progress(`${name}: the guard is removed; its records in /var/lib/coldspare and its key in ${CONF_FOLDER} are kept`);
  }
}

function keptMessage(server: string, relying: readonly string[]): string {
  return (
    `${server}: the guard stays, as ${[...relying].sort().join(" and ")} may count ${server} as a voter. ` +
    `It leaves with the last of them; records in /var/lib/coldspare and keys in ${CONF_FOLDER} stay in any case`
  );
}

/** All that name the script, also those that were moved here or left the site: none of them could start without it. */
function hookedGuests(found: Survey | undefined): Map<number, "qemu" | "lxc"> {
  const hooked = [...(found?.guests ?? [])].filter(([, { hookscript }]) => hookscript === HOOKSCRIPT);
  return new Map(hooked.map(([vmid, { kind }]) => [vmid, kind]));
}

function installedPaths(): string[] {
  return [
    ...programFiles(true).map(({ path }) => path),
    ...["site.json", "node.conf", "known_hosts", "peers"].map((name) => `${CONF_FOLDER}/${name}`),
  ];
}

/** The way to the other servers of the site. A server that holds no manifest has no peers. */
function targetsOf(text: string): Record<string, SshTarget> {
  try {
    const { servers } = parseManifest(text);
    return Object.fromEntries(
      Object.entries(servers).flatMap(([name, { ssh }]) => (ssh === undefined ? [] : [[name, ssh]])),
    );
  } catch {
    return {};
  }
}
