import type * as pulumi from "@pulumi/pulumi";
import type { SiteManifest } from "../planning/manifest";
import { manifestText } from "../planning/manifest-text";
import { HandlerResource } from "./dynamic";
import { handOver, shortHash } from "./guard/handoff";
import { programsHash, siteFiles } from "./guard/programs";

/** Arguments of {@link ServerGuard}. */
export interface ServerGuardArgs {
  /** The server's name. A change replaces the resource. */
  server: string;
  /** The site's manifest, which holds this server and the way to it (`ssh`). */
  manifest: SiteManifest;
}

/**
 * The guard on one server: the programs that keep two sides of a guest from running at once, the site's manifest, the keys with
 * which servers ask one another, the units, and the hook script at each guest that has a spare.
 *
 * ```ts
 * new ServerGuard("srv1-guard", { server: "srv1", manifest }, { parent, dependsOn: machinesOfSrv1 });
 * ```
 *
 * Reached over SSH with the host keys of `coldspare:ssh`; only what differs is written. The private key that a server
 * asks its peers with is made there and never leaves it. In the state are hashes alone (1.6 KB, and 0.1 KB for each resource
 * that it waits for); the manifest's text goes to the handler by a file on this machine.
 *
 * A guest that a backup has locked gets its hook script from the agent, within a minute of the lock's end.
 *
 * Under a lease the agents begin when the guard is on every server that answers: whichever comes last starts them all.
 *
 * `pulumi refresh` finds what was changed behind our back (`drift`), and the next `pulumi up` repairs it. A server that
 * does not answer is left as it was recorded; creating and updating there fails, and `coldspare up` leaves it out.
 *
 * Deletion takes units and hook scripts away once no other server relies on this one as a voter; records and keys stay.
 */
export class ServerGuard extends HandlerResource {
  /** Number of the manifest on this server; it grows with each change. */
  declare readonly generation: pulumi.Output<number>;
  /** The server's own public key, type and key. */
  declare readonly publicKey: pulumi.Output<string>;
  /** What the last refresh found different from what was installed; empty when nothing was. */
  declare readonly drift: pulumi.Output<string[]>;

  constructor(name: string, args: ServerGuardArgs, opts?: pulumi.CustomResourceOptions) {
    const outputs = { generation: undefined, publicKey: undefined, drift: undefined };
    super("ServerGuard", "server-guard-handler", name, { ...serverGuardInputs(args), ...outputs }, opts);
  }
}

/** What the handler is given, and what is kept of it. Short names, as it is kept twice. */
export interface ServerGuardInputs {
  server: string;
  /** Way to the server, for a refresh, when there is no manifest at hand. Empty: the site does not say it. */
  host: string;
  port: number;
  user: string;
  /** It runs guests. A witness does not. */
  hypervisor: boolean;
  /** SHA-256 of site.json. */
  manifest: string;
  /** The beginnings of the SHA-256 of node.conf and of known_hosts, and of the programs of this release: state is dear. */
  conf: string;
  hosts: string;
  programs: string;
}

/** The resource's inputs; leaves the manifest for the handler. */
export function serverGuardInputs({ server, manifest }: ServerGuardArgs): ServerGuardInputs {
  const text = (end: string) =>
    shortHash(siteFiles(manifest, server).find(({ path }) => path.endsWith(end))?.text ?? "");
  const entry = manifest.servers[server];
  const hypervisor = entry?.roles.includes("hypervisor") ?? false;
  return {
    server,
    host: entry?.ssh?.host ?? "",
    port: entry?.ssh?.port ?? 22,
    user: entry?.ssh?.user ?? "root",
    hypervisor,
    manifest: handOver(manifestText(manifest)),
    conf: text("/node.conf"),
    hosts: text("/known_hosts"),
    programs: programsHash(hypervisor),
  };
}
