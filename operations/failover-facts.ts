/** What a failover has to know beside the live state, read before anything is planned. Changes nothing. */
import type { ManifestGuest } from "../planning/manifest";
import { PveError } from "../providers/pve/errors";
import type { StorageVolume } from "../providers/pve/types";
import type { Operator } from "./context";
import type { OperationHistory } from "./journal";
import type { LiveSite } from "./live-types";
import { manifestFindings } from "./manifest-age";
import { chooseGuests, type FailoverFacts, type FailoverRequest } from "./plan-failover";
import { privilegesOn } from "./privileges";

/**
 * @param open Operations of the site that have not ended, without the one that this is part of.
 */
export async function failoverFacts(
  operator: Operator,
  live: LiveSite,
  request: FailoverRequest,
  open: readonly OperationHistory[],
): Promise<FailoverFacts> {
  const { manifest } = operator;
  const guests = chooseGuests(manifest, live, request).moving;
  const [privileges, backups, volumes] = await Promise.all([
    readPrivileges(operator, live, guests),
    entries(
      guests.filter(({ method }) => method === "restore" && request.toPoint !== undefined),
      (guest) => readBackups(operator, guest),
    ),
    entries(
      guests.filter(({ method }) => method === "storage-replication" && !request.planned),
      (guest) => readVolumes(operator, live, guest, guest.primary === request.server ? guest.spare! : guest.primary),
    ),
  ]);
  const names = new Set(guests.map(({ name }) => name));
  return {
    privileges: (path) => privileges.get(path),
    open: open.filter((history) => history.subject === request.server || concerns(history, names)),
    backups: Object.fromEntries(Object.entries(backups).map(([name, found]) => [name, found ?? []])),
    volumes,
    manifest: manifestFindings(manifest, live),
    hasSecret: (name) => operator.secret(name) !== undefined,
  };
}

async function entries<T>(
  guests: readonly ManifestGuest[],
  read: (guest: ManifestGuest) => Promise<T>,
): Promise<Record<string, T>> {
  return Object.fromEntries(await Promise.all(guests.map(async (guest) => [guest.name, await read(guest)] as const)));
}

/** Whether an operation is about one of these guests; one that does not say is taken to be. */
export function concerns({ plan }: Pick<OperationHistory, "plan">, names: ReadonlySet<string>): boolean {
  const guests = guestsOf(plan);
  return guests === undefined || guests.some((guest) => names.has(guest));
}

/** Guests that an operation's plan names, under the keys that plans of operations have. */
export function guestsOf(plan: unknown): string[] | undefined {
  if (typeof plan !== "object" || plan === null) return undefined;
  for (const key of ["moves", "guests", "returns"]) {
    const rows: unknown = Reflect.get(plan, key);
    if (!Array.isArray(rows)) continue;
    return rows.flatMap((row: unknown) => {
      if (typeof row === "string") return [row];
      if (typeof row !== "object" || row === null) return [];
      const name: unknown = Reflect.get(row, "guest") ?? Reflect.get(row, "name");
      return typeof name === "string" ? [name] : [];
    });
  }
  return undefined;
}

/** Privileges by path, asked of a server that answers. A path that could not be asked is left out. */
async function readPrivileges(
  operator: Operator,
  live: LiveSite,
  guests: readonly ManifestGuest[],
): Promise<Map<string, ReadonlySet<string>>> {
  const paths = new Set(
    guests.flatMap(({ vmid, standbyIds, standbyStorage }) => [
      ...[vmid, ...(standbyIds ?? [])].map((id) => `/vms/${id}`),
      ...(standbyStorage === undefined ? [] : [`/storage/${standbyStorage}`]),
    ]),
  );
  const server = Object.values(live.servers).find(({ api }) => api === "up")?.name;
  const pve = server === undefined ? undefined : operator.pveAt(server);
  const found = new Map<string, ReadonlySet<string>>();
  if (pve === undefined) return found;
  await Promise.all(
    [...paths].map(async (path) => {
      const held = await privilegesOn(pve, path);
      if (held !== undefined) found.set(path, held);
    }),
  );
  return found;
}

function notAsked(error: unknown): undefined {
  if (error instanceof PveError) return undefined;
  throw error;
}

async function readBackups(operator: Operator, guest: ManifestGuest): Promise<{ volid: string; time: string }[]> {
  const { spare, backupStorage, vmid, kind } = guest;
  const pve = operator.pveAt(spare!) ?? operator.pve;
  const volumes = await pve
    .get<StorageVolume[]>(`/nodes/${spare}/storage/${backupStorage}/content`, { content: "backup", vmid })
    .catch(notAsked);
  return (volumes ?? [])
    .filter((volume) => Number(volume.vmid ?? vmid) === vmid && (volume.subtype ?? kind) === kind)
    .map(({ volid, ctime = 0 }) => ({ volid, time: new Date(ctime * 1000).toISOString().replace(".000Z", "Z") }))
    .sort((a, b) => (a.time < b.time ? 1 : -1));
}

/** Volumes of a guest on the server that it goes to; `undefined` when that could not be asked. */
async function readVolumes(
  operator: Operator,
  live: LiveSite,
  { vmid, storages }: ManifestGuest,
  server: string,
): Promise<string[] | undefined> {
  const pve = operator.pveAt(server);
  if (pve === undefined || live.servers[server]?.api !== "up") return undefined;
  const lists = await Promise.all(
    storages.map((storage) =>
      pve.get<StorageVolume[]>(`/nodes/${server}/storage/${storage}/content`, { vmid }).catch(notAsked),
    ),
  );
  if (lists.some((list) => list === undefined)) return undefined;
  return lists.flatMap((list) => list!.map(({ volid }) => volid));
}
