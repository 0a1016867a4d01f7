/** Whether the manifest at hand is the one that the servers have. Pure. */
import type { Finding } from "../planning";
import type { SiteManifest } from "../planning/manifest";
import { manifestHash } from "../planning/manifest-text";
import { list } from "../planning/units";
import type { LiveSite } from "./live-types";
import { refusal } from "./refusals";

/**
 * A manifest that a server has replaced is refused, and so is one that no server has ever had, while servers have another:
 * what the guards there go by would be another site than what is shown here.
 */
export function manifestFindings(manifest: SiteManifest, live: LiveSite): Finding[] {
  const own = manifestHash(manifest);
  const servers = Object.values(live.servers).flatMap(({ name, node }) => (node?.hash ? [{ name, ...node }] : []));
  if (servers.length === 0 || servers.some(({ hash, history }) => hash === own && !isBehind(servers, history, hash)))
    return [];
  const newest = servers.reduce((best, each) => (each.generation > best.generation ? each : best));
  // The manifest at hand knows the way and the host keys, if it has ever reached that server.
  const from = manifest.servers[newest.name]?.ssh === undefined ? `root@${newest.name}` : newest.name;
  const older = servers.filter(({ history }) => history.some(({ hash }) => hash === own));
  const generation = older.flatMap(({ history }) => history.filter(({ hash }) => hash === own))[0]?.generation;
  const short = (hash: string) => hash.slice(0, 12);
  const message =
    older.length > 0
      ? `the manifest at hand (${short(own)}, generation ${generation}) is older than the one on ${list(older.map(({ name }) => name))} (${short(newest.hash)}, generation ${newest.generation})`
      : `the manifest at hand (${short(own)}) is not on any server: they have ${list(servers.map(({ name, hash, generation: count }) => `${name}: ${short(hash)}, generation ${count}`))}. It is newer and was never placed, or of another stack`;
  return [
    refusal(
      "OPERATION-MANIFEST-OLD",
      manifest.site,
      message,
      `fetch the one that counts: the same command with --from ${from} (later commands find it by themselves if neither COLDSPARE_MANIFEST nor ./coldspare.manifest.json names the old one)${older.length > 0 ? "" : "; or place this one: `pulumi up`"}`,
    ),
  ];
}

/** A server that was off during an update has an old one itself: another server then knows that it was replaced. */
function isBehind(
  servers: readonly { hash: string; history: readonly { hash: string }[] }[],
  own: readonly { hash: string }[],
  hash: string,
): boolean {
  return servers.some(
    ({ hash: other, history }) =>
      other !== hash && history.some((each) => each.hash === hash) && !own.some((each) => each.hash === other),
  );
}
