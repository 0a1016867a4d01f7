import type { SitePlan } from "../planning";
import type { LabBackupServer, LabMedium } from "./topology";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const DEFAULT_GIB = 1000;

/**
 * The backup servers of a plan's `pbs` targets, as they are before the first `pulumi up`: with the datastores that are there
 * already (targets without a `path`), and with disks for those that the program makes.
 */
export function backupServersOf(plan: SitePlan): { backupServers: LabBackupServer[]; media: LabMedium[] } {
  const servers = new Map<string, LabBackupServer>();
  const media: LabMedium[] = [];
  for (const { spec, server: on, host, sizeGiB: planned } of Object.values(plan.backups.targets)) {
    if (spec?.kind !== "pbs") continue;
    const name = on ?? host ?? spec.on ?? spec.host ?? "";
    const address = plan.spec.servers[name]?.address ?? spec.host;
    const sizeGiB = planned > 0 ? planned : DEFAULT_GIB;
    const server = servers.get(name) ?? { name, ...(address ? { address } : {}), datastores: [], disks: [] };
    servers.set(name, server);
    const uuid = spec.removableDevice;
    if (uuid !== undefined && UUID.test(uuid)) {
      if (!media.some((medium) => medium.uuid === uuid)) media.push({ uuid, sizeGiB, server: name });
    } else if (spec.path !== undefined) server.disks!.push({ path: spec.path, sizeGiB });
    else if (!server.datastores.some((store) => store.name === spec.datastore))
      server.datastores.push({ name: spec.datastore, sizeGiB });
  }
  return { backupServers: [...servers.values()], media };
}
