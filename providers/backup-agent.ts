import { createHmac } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import { backupSecrets } from "../planning/backup/backup-conf";
import type { SiteManifest } from "../planning/manifest";
import { manifestText } from "../planning/manifest-text";
import { backupFiles, backupPrograms, hashOf } from "./backup/programs";
import { HandlerResource } from "./dynamic";
import { handOver } from "./guard/handoff";

/** Arguments of {@link BackupAgent}. */
export interface BackupAgentArgs {
  /** The server's name. A change replaces the resource. */
  server: string;
  /** The site's manifest, which holds this server, the way to it (`ssh`) and its `backups`. */
  manifest: SiteManifest;
  /** Values of the secrets that the targets name, so that a changed one is noticed; the handler reads them from the stack's config. */
  secrets?: Record<string, pulumi.Input<string>>;
}

/**
 * What makes copies on one server: coldspare-backup with its configuration, secrets, pinned host keys and timers.
 *
 * ```ts
 * new BackupAgent("srv3-backups", { server: "srv3", manifest, secrets }, { parent, dependsOn: guard });
 * ```
 *
 * Reached over SSH like the guard, on whose modules the programs rest. Creating it also makes repositories that are not there yet. A changed
 * password of a repository is put in use there first (`rekey`); the old one counts until the new one is seen to open.
 *
 * In the state are hashes alone, that of the secrets keyed and encrypted. The list of swaps of rotated media is renewed by any
 * `pulumi up` in the second half of its 400 days.
 *
 * Deletion takes programs, timers and secrets away; copies, and what is known of them in /var/lib/coldspare, stay.
 */
export class BackupAgent extends HandlerResource {
  /** Public key with which the server reaches SFTP repositories; empty where it has none. */
  declare readonly publicKey: pulumi.Output<string>;
  /** What the last refresh found different from what was installed; empty when nothing was. */
  declare readonly drift: pulumi.Output<string[]>;

  constructor(name: string, args: BackupAgentArgs, opts?: pulumi.CustomResourceOptions) {
    const outputs = { publicKey: undefined, drift: undefined, swapsUntil: undefined };
    super(
      "BackupAgent",
      "backup-agent-handler",
      name,
      { ...backupAgentInputs(args), secrets: secretsHash(args), ...outputs },
      pulumi.mergeOptions(opts, { additionalSecretOutputs: ["secrets"] }),
    );
  }
}

/** What the handler is given, and what is kept of it. */
export interface BackupAgentInputs {
  server: string;
  host: string;
  port: number;
  user: string;
  /** SHA-256 of site.json. A new one alone changes nothing. */
  manifest: string;
  /** Beginnings of the SHA-256 of configuration and units, and of the programs of this release. */
  conf: string;
  programs: string;
  /** Keyed hash of the secrets' values; a secret itself. */
  secrets: string;
  /** It has rotated media, and so a list of swaps. */
  media: boolean;
}

/** The resource's inputs but for the secrets; leaves the manifest for the handler. */
export function backupAgentInputs({ server, manifest }: BackupAgentArgs): Omit<BackupAgentInputs, "secrets"> {
  const ssh = manifest.servers[server]?.ssh;
  return {
    server,
    host: ssh?.host ?? "",
    port: ssh?.port ?? 22,
    user: ssh?.user ?? "root",
    manifest: handOver(manifestText(manifest)),
    conf: hashOf(backupFiles(manifest, server)),
    programs: hashOf(backupPrograms()),
    media: Object.values(manifest.backups?.rotations ?? {}).some(({ on }) => on === server),
  };
}

function secretsHash({ server, manifest, secrets = {} }: BackupAgentArgs): pulumi.Output<string> {
  const given = backupSecrets(manifest, server).flatMap((name) =>
    Object.hasOwn(secrets, name) ? [pulumi.all([name, secrets[name]])] : [],
  );
  return pulumi.secret(pulumi.all(given).apply((pairs) => hashOfSecrets(manifest.site, server, pairs)));
}

/** Keyed by site and server, so that equal secrets of two servers do not look alike. */
export function hashOfSecrets(
  site: string,
  server: string,
  pairs: readonly (readonly (string | undefined)[])[],
): string {
  if (pairs.length === 0) return "";
  const hmac = createHmac("sha256", `coldspare-backup ${site} ${server}`);
  return hmac.update(JSON.stringify(pairs)).digest("hex").slice(0, 32);
}
