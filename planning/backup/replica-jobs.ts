/** Guests by `zfs-sync` that a server has a side of, as `coldspare-zfs` takes them. Pure. */
import type { SiteManifest } from "../manifest";
import { byName } from "../units";
import type { ZfsEnd, ZfsReplica } from "./zfs-conf";

/** Replicas with a side on this server, by name. Both sides have the same ones: the guard's record says which of the two sends. */
export function replicaJobs(manifest: SiteManifest, server: string): ZfsReplica[] {
  return Object.values(manifest.guests)
    .flatMap(({ name, primary, spare, zfs }): ZfsReplica[] => {
      if (zfs === undefined || spare === undefined || ![primary, spare].includes(server)) return [];
      const { datasets, points, schedule, rateMBps } = zfs;
      return [
        {
          guest: name,
          sides: [primary, spare],
          volumes: datasets,
          keep: points,
          schedule,
          ...(rateMBps !== undefined && { rateMBps }),
        },
      ];
    })
    .sort((a, b) => byName(a.guest, b.guest));
}

/** How the servers reach one another: every one with a side of a replica that the manifest knows a way to. */
export function replicaEnds(manifest: SiteManifest): Record<string, ZfsEnd> {
  const names = Object.values(manifest.guests).flatMap(({ zfs, primary, spare }) =>
    zfs === undefined || spare === undefined ? [] : [primary, spare],
  );
  const ends = [...new Set(names)].sort(byName).flatMap((name) => {
    const { address, ssh } = manifest.servers[name] ?? {};
    const host = address ?? ssh?.host;
    if (host === undefined) return [];
    // The operator's way may be another one than that of the servers among themselves.
    const port = ssh !== undefined && ssh.host === host && ssh.port !== 22 ? { port: ssh.port } : {};
    return [[name, { name, host, ...port }] as const];
  });
  return Object.fromEntries(ends);
}
