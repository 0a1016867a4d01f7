/** What needs more than one server: the generation, the keys, and when guards may begin to ask one another. */
import type { SiteManifest } from "../../planning/manifest";
import { SshError, type SshRunner } from "../ssh";
import { authorize, type Problem, reconcile, startAgent } from "./install";
import { AGENT, guardedIds, NODE_PROGRAM } from "./programs";
import { type Survey, survey } from "./survey";

/** Looks at servers at once; those that do not answer are in `silent`, with the reason. */
export async function surveyAll(
  ssh: SshRunner,
  servers: readonly string[],
  paths: readonly string[],
): Promise<{ found: Record<string, Survey>; silent: Record<string, SshError> }> {
  const found: Record<string, Survey> = {};
  const silent: Record<string, SshError> = {};
  const look = async (server: string) => {
    try {
      found[server] = await survey(ssh, server, paths);
    } catch (error) {
      if (!(error instanceof SshError)) throw error;
      silent[server] = error;
    }
  };
  await Promise.all(servers.map(look));
  return { found, silent };
}

/**
 * The number under which a manifest is installed: that of the newest one on any server that answers, if it is the same text, else
 * one more. Also an older text that comes back gets a new number: what is newer is decided by when it was installed.
 */
export function nextGeneration(found: readonly Survey[], hash: string): { number: number; hash: string } {
  const generations = found.flatMap(({ generation }) => generation ?? []);
  const newest = Math.max(0, ...generations.map(({ number }) => number));
  const isThere = generations.some((each) => each.number === newest && each.hash === hash);
  return { number: isThere ? newest : newest + 1, hash };
}

/** One after the other: servers of a cluster share one file of keys, and two writers would lose each other's lines. */
let turn: Promise<unknown> = Promise.resolve();
export function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const mine = turn.then(work, work);
  turn = mine.catch(() => undefined);
  return mine;
}

/**
 * Makes this server's key known to the peers and theirs to it. A peer that is down, or has no key yet, does the same from its
 * side when its turn comes.
 */
export async function exchangeKeys(
  ssh: SshRunner,
  server: string,
  own: Survey,
  peers: Readonly<Record<string, Survey>>,
): Promise<void> {
  const lets = (found: Survey, name: string, key: string) =>
    found.authorized[name] === key && found.known[name] === key;
  const missing: Record<string, string> = {};
  for (const [name, { publicKey }] of Object.entries(peers)) {
    if (publicKey !== undefined && !lets(own, name, publicKey)) missing[name] = publicKey;
  }
  await authorize(ssh, server, missing);
  const key = own.publicKey;
  for (const [name, peer] of Object.entries(peers)) {
    if (key !== undefined && !lets(peer, server, key)) await authorize(ssh, name, { [server]: key });
  }
}

/**
 * Starts the agents once the guard is on every server that answers: an agent whose peers cannot answer yet would find no
 * majority for the guests that run, and under a lease stop them. Whichever server is ready last starts them all.
 *
 * @returns what did not work on `server`, and the peers that are still waited for
 */
export async function startAgents(
  ssh: SshRunner,
  manifest: SiteManifest,
  server: string,
  options: { own: Survey; peers: Readonly<Record<string, Survey>>; reload: boolean },
): Promise<{ problems: Problem[]; waitsFor: string[] }> {
  const { own, peers, reload } = options;
  const waitsFor = Object.entries(peers)
    .filter(([, peer]) => peer.conf === "" || peer.files[NODE_PROGRAM] === undefined)
    .map(([name]) => name)
    .sort();
  if (waitsFor.length > 0) return { problems: [], waitsFor };
  const problems: Problem[] = [];
  for (const [name, found] of Object.entries({ ...peers, [server]: own })) {
    if (!manifest.servers[name]?.roles.includes("hypervisor")) continue;
    const isOwn = name === server;
    const isActive = found.units[AGENT]?.active === true;
    if (isActive && !(isOwn && reload)) continue;
    const failed = [...(await startAgent(ssh, name, isActive)), ...(await reconcile(ssh, name))];
    // What fails on a peer is that peer's resource to tell.
    if (isOwn) problems.push(...failed);
  }
  return { problems, waitsFor: [] };
}

/** Hook scripts to set and to take away on a server. Scripts of somebody else are left, and told of. */
export function hookChanges(
  server: string,
  conf: string,
  found: Survey,
  hookscript: string,
): { hook: Map<number, "qemu" | "lxc">; unhook: Map<number, "qemu" | "lxc">; foreign: Map<number, string> } {
  const guarded = guardedIds(conf, server);
  const before = guardedIds(found.conf, server);
  const hook = new Map<number, "qemu" | "lxc">();
  const unhook = new Map<number, "qemu" | "lxc">();
  const foreign = new Map<number, string>();
  for (const [vmid, { hookscript: script }] of found.guests) {
    const kind = guarded.get(vmid);
    if (kind !== undefined && script === "") hook.set(vmid, kind);
    else if (kind !== undefined && script !== hookscript) foreign.set(vmid, script);
    else if (kind === undefined && script === hookscript) {
      // The guard lets guests that it does not know start, but a script that is removed some day would not.
      const was = before.get(vmid);
      if (was !== undefined) unhook.set(vmid, was);
    }
  }
  return { hook, unhook, foreign };
}
