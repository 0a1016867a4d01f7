/** Paths in Proxmox VE's tree of permissions, for each scope of a site. */
import type { GuestPlan, SitePlan } from "../plan";
import type { Scope } from "./types";

export interface ScopePath {
  path: string;
  propagate: boolean;
}

/** Where a site's calls are checked. A scope without paths has no calls. */
export function pathsOf({ spec, guests, backups }: SitePlan): Record<Scope, ScopePath[]> {
  const all = Object.values(guests);
  const hypervisors = Object.entries(spec.servers).filter(([, { roles }]) => roles.includes("hypervisor"));
  const replicated = all.filter(({ replica }) => replica?.method === "storage-replication");
  const standbys = all.flatMap(({ replica }) => [...(replica?.standbyIds ?? [])]);
  const withSpare = all.filter(({ spare }) => spare !== undefined);
  const images = all.flatMap((guest) => imageOf(spec, guest));
  return {
    everything: below(["/"]),
    root: [{ path: "/", propagate: false }],
    "all-guests": below(["/vms"]),
    guests: below(all.map(({ id }) => `/vms/${id}`)),
    "guests-with-agent": below(all.filter(({ spec: { agent } }) => agent).map(({ id }) => `/vms/${id}`)),
    replicated: below(replicated.map(({ id }) => `/vms/${id}`)),
    standbys: below(standbys.map((id) => `/vms/${id}`)),
    copies: below(withSpare.flatMap(({ id }) => copiesOf(id)).map((id) => `/vms/${id}`)),
    "disk-storages": below(all.flatMap(diskStorages).map(storagePath)),
    "backup-storages": below(backupStorages(all, backups.policies).map(storagePath)),
    "image-storages": below(images.map(({ storage }) => storagePath(storage))),
    "image-servers": below(images.flatMap(({ servers }) => servers.map(serverPath))),
    "all-storages": below(["/storage"]),
    "managed-storages": hasManagedStorage(spec) ? below(["/storage"]) : [],
    bridges: below(all.flatMap(({ addresses }) => addresses.map(({ bridge }) => `/sdn/zones/localnetwork/${bridge}`))),
    "all-bridges": below(["/sdn/zones/localnetwork"]),
    hypervisors: below(hypervisors.map(([name]) => serverPath(name))),
    "managed-servers": below(hypervisors.filter(([, server]) => isManaged(server)).map(([name]) => serverPath(name))),
    "all-pools": below(["/pool"]),
    pools: below(all.flatMap(({ spec: { pool } }) => (pool === undefined ? [] : [`/pool/${pool}`]))),
  };
}

function below(paths: readonly string[]): ScopePath[] {
  return [...new Set(paths)].sort().map((path) => ({ path, propagate: true }));
}

const storagePath = (id: string): string => `/storage/${id}`;
const serverPath = (name: string): string => `/nodes/${name}`;

/** Ids of a guest's copies, as drills and `--diverged keep` give them: the first of each. */
function copiesOf(id: number): number[] {
  return [800_000_000, 900_000_000].map((first) => first + (id % 90_000_000));
}

function diskStorages({ spec, replica }: GuestPlan): string[] {
  return [...spec.disks.map(({ storage }) => storage), ...(replica?.storage === undefined ? [] : [replica.storage])];
}

function backupStorages(guests: readonly GuestPlan[], policies: SitePlan["backups"]["policies"]): string[] {
  return [
    ...guests.flatMap(({ spec }) => spec.coldReplica?.backupStorage ?? []),
    ...Object.values(policies).flatMap(({ storage }) => storage ?? []),
  ];
}

function imageOf(spec: SitePlan["spec"], { spec: guest, primary, spare }: GuestPlan) {
  const image = guest.image === undefined ? undefined : spec.images[guest.image];
  return image === undefined
    ? []
    : [{ storage: image.storage, servers: spare === undefined ? [primary] : [primary, spare] }];
}

function hasManagedStorage({ storages, servers, targets }: SitePlan["spec"]): boolean {
  return (
    Object.values(storages).some(({ managed }) => managed) ||
    Object.values(servers).some((server) => Object.values(server.storages).some(({ managed }) => managed)) ||
    Object.values(targets).some((target) => target.kind === "pbs")
  );
}

function isManaged({ bridges, vlans, settings }: SitePlan["spec"]["servers"][string]): boolean {
  return (
    [...Object.values(bridges), ...Object.values(vlans)].some(({ managed }) => managed) ||
    settings.dnsDomain !== undefined ||
    settings.timeZone !== undefined
  );
}
