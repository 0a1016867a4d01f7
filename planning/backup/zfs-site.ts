/** What coldspare-zfs on one server of a site needs, out of the site's manifest. No secrets and no clock. */
import type { SiteManifest } from "../manifest";
import { byName } from "../units";
import { replicaEnds, replicaJobs } from "./replica-jobs";
import { renderZfsConf, type ZfsEnd, type ZfsServer, type ZfsUnit, zfsJobs, zfsServer, zfsUnits } from "./zfs-conf";

/** A server's part in all jobs and replicas: undefined where it neither runs one nor lets anybody in. */
export function zfsPart(manifest: SiteManifest, server: string): ZfsServer | undefined {
  const { backups } = manifest;
  const ends = replicaEnds(manifest);
  // A replica whose other side cannot be reached is a finding of the plan (SERVER-NO-ENDPOINT).
  const replicas = replicaJobs(manifest, server).filter(({ sides }) =>
    sides.every((side) => Object.hasOwn(ends, side)),
  );
  const part = zfsServer(server, zfsJobs(manifest), replicas, ends, backups?.mail);
  return part.jobs.length + part.replicas.length + part.allow.length > 0 ? part : undefined;
}

/** Servers of the site that have a part, sorted. */
export function zfsServers(manifest: SiteManifest): string[] {
  return Object.keys(manifest.servers)
    .filter((server) => zfsPart(manifest, server) !== undefined)
    .sort(byName);
}

/** /etc/coldspare/zfs.conf and the pinned host keys of the peers; empty for a server without a part. */
export function zfsFiles(manifest: SiteManifest, server: string): { path: string; text: string }[] {
  const part = zfsPart(manifest, server);
  if (part === undefined) return [];
  return [
    { path: "/etc/coldspare/zfs.conf", text: renderZfsConf(part) },
    { path: "/etc/coldspare/zfs_known_hosts", text: part.peers.map((peer) => knownHosts(manifest, peer)).join("") },
  ];
}

/** systemd units of a server, by name. */
export function zfsUnitsOf(manifest: SiteManifest, server: string): ZfsUnit[] {
  const part = zfsPart(manifest, server);
  return part === undefined ? [] : zfsUnits(part, manifest.backups?.timeZone ?? "UTC");
}

/** Of a server of the site its pinned keys; of a host elsewhere those of the target that names it. */
function knownHosts(manifest: SiteManifest, { name, host, port = 22 }: ZfsEnd): string {
  const target = manifest.backups?.targets[name];
  const elsewhere = target?.kind === "zfs-receiver" ? target.hostKeys : [];
  const keys = manifest.servers[name]?.ssh?.hostKeys ?? elsewhere;
  const at = port === 22 ? host : `[${host}]:${port}`;
  return keys.map((key) => `${at} ${key.trim()}\n`).join("");
}
