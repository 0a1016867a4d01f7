/** What the servers say before anything is registered: which answer, how large disks are, and where guests are active. */
import * as pulumi from "@pulumi/pulumi";
import { residence } from "../components/guest-inputs";
import {
  adoptedGone,
  containerElsewhere,
  type Finding,
  type GuestPlan,
  guestIdTaken,
  makeFinding,
  orderFindings,
  type SitePlan,
  serverUnreachable,
  votersOf,
} from "../planning";
import { PveClient } from "../providers/pve/client";
import { ConfigError, PveError } from "../providers/pve/errors";
import type { ClusterRow } from "../providers/pve/types";
import { compareActiveSides, type GuestRow, type ReadRecords } from "./active-sides";
import type { StackSettings } from "./settings";

/** What was read. */
export interface Deployed {
  /** An endpoint that answers: the first of the config that does, or simply the first. */
  endpoint: string;
  /** GiB by guest and disk index, also of disks beyond the specification's; 0 where there is none. */
  disks: Record<string, number[]>;
  findings: Finding[];
}

/** Seconds that a server which does not answer may cost a preview. */
const PATIENCE_SECONDS = 5;

/**
 * Reads what the plan is compared with. A site that cannot be reached is planned all the same, with the warning
 * `SITE-UNREACHABLE`: a preview must be possible from a train.
 *
 * @param records What the guests' voters hold. Default: only the hypervisors' own view is compared
 * @throws RunError for a token that is wrong or a certificate that is not trusted: every later call would fail alike
 */
export async function readDeployed(plan: SitePlan, settings: StackSettings, records?: ReadRecords): Promise<Deployed> {
  try {
    return await read(plan, settings, records);
  } catch (error) {
    throw readable(error);
  }
}

async function read(plan: SitePlan, settings: StackSettings, records: ReadRecords | undefined): Promise<Deployed> {
  const { ca, fingerprints } = settings;
  const client = (endpoints: Record<string, string>, apiToken: string) =>
    new PveClient({
      endpoints,
      apiToken,
      fingerprints,
      timeoutSeconds: PATIENCE_SECONDS,
      connectSeconds: PATIENCE_SECONDS,
      retry: { attempts: 1 },
      ...(ca ? { ca } : {}),
    });
  const apiToken = await plainValue(settings.apiToken);
  const live = await firstLive(settings.endpoints, (endpoints) => client(endpoints, apiToken));
  if ("finding" in live) {
    const fallback = Object.values(settings.endpoints)[0] ?? "";
    return { endpoint: fallback, disks: {}, findings: [live.finding] };
  }
  const pve = client(settings.endpoints, apiToken);
  try {
    const own = waysOf(plan, settings, (endpoints) => client(endpoints, apiToken), pve);
    return { endpoint: live.endpoint, ...(await readGuests(pve, plan, records, own)) };
  } catch (error) {
    return { endpoint: live.endpoint, disks: {}, findings: [unreachable((error as Error).message)] };
  } finally {
    pve.close();
  }
}

async function firstLive(
  endpoints: Record<string, string>,
  connect: (endpoints: Record<string, string>) => PveClient,
): Promise<{ endpoint: string } | { finding: Finding }> {
  const reasons: string[] = [];
  for (const [server, endpoint] of Object.entries(endpoints)) {
    const pve = connect({ [server]: endpoint });
    try {
      await pve.get("/version", {}, { doing: "ask for the version" });
      return { endpoint };
    } catch (error) {
      // A wrong token or an untrusted certificate is no dead server: every call would fail in the same way.
      if (!(error instanceof PveError) || error.status === 401 || isTrustError(error)) throw error;
      reasons.push(error.message);
    } finally {
      pve.close();
    }
  }
  return { finding: unreachable(reasons.join("; ")) };
}

function isTrustError(error: PveError): boolean {
  return /certificate/i.test(error.reason);
}

/** Shown as it is, without a stack trace: it says which server, which call, and what to do. */
function readable(error: unknown): unknown {
  return error instanceof PveError || error instanceof ConfigError ? new pulumi.RunError(error.message) : error;
}

function unreachable(reason: string): Finding {
  return makeFinding(
    "SITE-UNREACHABLE",
    "servers",
    `the hypervisors could not be read, so the plan was not compared with what is deployed: ${reason}`,
    "check coldspare:endpoints and the network; `pulumi up` will need an endpoint that answers",
  );
}

/** Ways by which the lists of guests are read: one for a cluster, one for each server that is in none. */
type Ways = { server?: string; pve: PveClient; close(): void }[];

function waysOf(
  { site, servers }: SitePlan,
  { endpoints }: StackSettings,
  connect: (endpoints: Record<string, string>) => PveClient,
  any: PveClient,
): Ways {
  const hypervisors = Object.values(servers).filter(({ roles }) => roles.includes("hypervisor"));
  if (site.cluster !== undefined || hypervisors.length < 2) return [{ pve: any, close: () => undefined }];
  return hypervisors.flatMap(({ name }) => {
    const endpoint = endpoints[name];
    if (endpoint === undefined) return [];
    const pve = connect({ [name]: endpoint });
    return [{ server: name, pve, close: () => pve.close() }];
  });
}

/** All guests that are listed, and the servers of their own that do not answer. */
async function guestRows(ways: Ways): Promise<{ rows: GuestResource[]; silent: string[] }> {
  const rows: GuestResource[] = [];
  const silent: string[] = [];
  await Promise.all(
    ways.map(async ({ server, pve, close }) => {
      try {
        rows.push(...(await pve.get<GuestResource[]>("/cluster/resources", { type: "vm" })));
      } catch (error) {
        if (server === undefined || !(error instanceof PveError) || !error.isServerDown) throw error;
        silent.push(server);
      } finally {
        close();
      }
    }),
  );
  return { rows, silent };
}

interface GuestResource extends GuestRow {
  type: "qemu" | "lxc";
  name?: string;
}

/** Reads the disks of every guest that exists, and where each is active; what cannot be read costs only itself. */
async function readGuests(
  pve: PveClient,
  plan: SitePlan,
  records: ReadRecords | undefined,
  own: Ways,
): Promise<Pick<Deployed, "disks" | "findings">> {
  const guests = Object.values(plan.guests);
  const { rows: resources, silent } = await guestRows(own);
  const ours = resources.filter(
    (row) => !guests.some((guest) => row.vmid === guest.id && isForeign(row, guest, guests)),
  );
  const [{ disks, findings }, held] = await Promise.all([
    readDisks(pve, guests, resources, silent),
    records?.(guests.filter(({ spare }) => spare !== undefined)) ?? {},
  ]);
  const compare = (rows: readonly GuestRow[]) =>
    compareActiveSides(guests, rows, held, (guest) => votersOf(plan, guest));
  const sides = compare(ours);
  const current = sides.length === 0 ? sides : compare(await asTheyRun(pve, guests, ours, sides));
  return { disks, findings: orderFindings([...findings, ...current]) };
}

/**
 * The cluster's list says some seconds late whether a guest runs, and of a server that has just died it says what was. Guests
 * of which it shows another side than recorded are asked for on their servers, so that the finding is about now.
 */
async function asTheyRun(
  pve: PveClient,
  guests: readonly GuestPlan[],
  rows: readonly GuestResource[],
  sides: readonly Finding[],
): Promise<GuestRow[]> {
  const doubtful = guests.filter(({ name }) => sides.some(({ subject }) => subject === `guests.${name}`));
  const ids = new Set(doubtful.flatMap(({ id, replica }) => [id, ...(replica?.standbyIds ?? [])]));
  return Promise.all(
    rows.map(async (row) => {
      if (!ids.has(row.vmid)) return row;
      const path = `/nodes/${row.node}/${row.type}/${row.vmid}/status/current`;
      try {
        return { ...row, status: (await pve.get<{ status: string }>(path)).status };
      } catch (error) {
        if (error instanceof PveError) return { ...row, status: "unknown" };
        throw error;
      }
    }),
  );
}

async function readDisks(
  pve: PveClient,
  guests: GuestPlan[],
  resources: readonly GuestResource[],
  silent: readonly string[],
): Promise<Pick<Deployed, "disks" | "findings">> {
  const disks: Deployed["disks"] = {};
  const findings: Finding[] = [];
  const dead = new Map<string, string[]>([...(await serversOff(pve)), ...silent].map((server) => [server, []]));
  await Promise.all(
    guests.map(async (guest) => {
      const seen = resources.filter(({ vmid }) => vmid === guest.id);
      // A guest by zfs-sync is on both servers; the one that the program makes is on its primary.
      const found = seen.find(({ node }) => node === residence(guest).nodeName) ?? seen[0];
      if (found === undefined) {
        if (guest.spec.adopted && silent.length === 0) findings.push(adoptedGone(guest.name, guest.id));
        return;
      }
      if (isForeign(found, guest, guests)) return void findings.push(foreignGuest(found, guest));
      const { node } = found;
      if (isElsewhere(found, guest)) findings.push(movedContainer(found, guest));
      try {
        disks[guest.name] = diskSizes(guest, await pve.get(`/nodes/${node}/${found.type}/${guest.id}/config`));
      } catch (error) {
        if (!(error instanceof PveError)) throw error;
        if (error.status === 595) dead.set(node, [...(dead.get(node) ?? []), guest.name]);
        else findings.push(unreadGuest(guest, error));
      }
    }),
  );
  const unread = [...dead].sort().map(([server, names]) => serverUnreachable(server, names.sort()));
  return { disks, findings: orderFindings([...findings, ...unread]) };
}

/** For example one that has just been moved to another server, or that the token may not see. */
function unreadGuest({ name }: GuestPlan, { server, reason, fix }: PveError): Finding {
  return makeFinding(
    "SITE-UNREACHABLE",
    `guests.${name}`,
    `${name} could not be read on ${server}, so its disks were not compared with what is deployed: ${reason}`,
    fix,
  );
}

/** The engine moves machines; a container's changed server is ignored, while its replica would follow. */
function isElsewhere(found: GuestResource, guest: GuestPlan): boolean {
  return guest.kind === "container" && found.node !== residence(guest).nodeName;
}

function movedContainer({ node }: GuestResource, guest: GuestPlan): Finding {
  const finding = containerElsewhere(guest.name, guest.id, node, residence(guest).nodeName);
  const isSpare = guest.replica?.method === "storage-replication" && node === guest.standbyServer;
  if (!isSpare) return finding;
  const side = guest.activeSide === "primary" ? "spare" : "primary";
  // Where its other side is, a failover is what most likely brought it there.
  const record = `If ${guest.name} failed over, record it: \`pulumi config set --path 'coldspare:active.${guest.name}' ${side}\`.`;
  return { ...finding, fix: `${record} ${finding.fix}` };
}

/** The bridged provider takes any guest of the right id for its own, so whose it is must be known before. */
function isForeign(found: GuestResource, guest: GuestPlan, guests: readonly GuestPlan[]): boolean {
  if ((found.type === "qemu") !== (guest.kind === "vm")) return true;
  // A server that has just come back shows its guests without names for a moment.
  if (found.name === undefined || found.name === "" || found.name === guest.hostname) return false;
  // A guest without a name is listed under its id.
  if (guest.spec.adopted && [`VM ${found.vmid}`, `CT${found.vmid}`].includes(found.name)) return false;
  const tags = (found.tags ?? "").split(";");
  // One that coldspare made may have been renamed; a standby, or another guest of this site, was not.
  const renamed = tags.includes("coldspare") && !tags.includes("coldspare-spare");
  return !renamed || guests.some(({ hostname }) => hostname === found.name);
}

function foreignGuest(found: GuestResource, guest: GuestPlan): Finding {
  const kind = found.type === "qemu" ? "vm" : "container";
  return guestIdTaken(guest, { name: found.name ?? `guest ${found.vmid}`, kind, server: found.node });
}

/** Servers that the cluster knows to be off: what is made or changed there in this run fails. */
async function serversOff(pve: PveClient): Promise<string[]> {
  try {
    const rows = await pve.get<ClusterRow[]>("/cluster/status");
    return rows.filter((row) => row.type === "node" && row.online === 0).map((row) => row.name);
  } catch (error) {
    // A token without Sys.Audit may not ask; whatever else is wrong, the plan does not need the answer.
    if (error instanceof PveError) return [];
    throw error;
  }
}

/**
 * Sizes of a guest's disks by their place: scsi0, scsi1 … or the root file system, mp0, mp1 …, as far as there are any,
 * so that the plan sees a disk that was taken out of the specification. A disk that is not there yet counts as 0. Where
 * the specification names the disks' interfaces, their place is that in its list.
 */
function diskSizes(guest: GuestPlan, config: Record<string, unknown>): number[] {
  const { disks } = guest.spec;
  const sizes: number[] = disks.map(() => 0);
  const named = disks.some((disk) => disk.interface !== undefined);
  for (const [key, volume] of Object.entries(config)) {
    const index = disks.findIndex((disk, each) => (disk.interface ?? usualInterface(guest.kind, each)) === key);
    const place = index >= 0 ? index : named ? undefined : diskPlace(guest.kind, key);
    const text = String(volume);
    if (place === undefined || /(^|,)media=cdrom(,|$)/.test(text)) continue;
    while (sizes.length < place) sizes.push(0);
    sizes[place] = sizeGiB(text);
  }
  return sizes;
}

function usualInterface(kind: GuestPlan["kind"], index: number): string {
  if (kind === "vm") return `scsi${index}`;
  return index === 0 ? "rootfs" : `mp${index - 1}`;
}

/** The place of a configuration key in the specification's list of disks, if it is one of a disk. */
function diskPlace(kind: GuestPlan["kind"], key: string): number | undefined {
  if (kind === "container" && key === "rootfs") return 0;
  const number = (kind === "vm" ? /^scsi(\d+)$/ : /^mp(\d+)$/).exec(key)?.[1];
  if (number === undefined) return undefined;
  return kind === "vm" ? Number(number) : Number(number) + 1;
}

/** The `size=` of a volume as Proxmox VE writes it: 512M, 40G, 1T. */
export function sizeGiB(volume: string): number {
  const match = /(?:^|,)size=(\d+(?:\.\d+)?)([KMGT]?)/.exec(volume);
  if (!match) return 0;
  const unit = { "": 2 ** -30, K: 2 ** -20, M: 2 ** -10, G: 1, T: 1024 }[match[2] ?? ""] ?? 1;
  return Number(match[1]) * unit;
}

/** The plain value of a secret, before any resource exists. It goes into a request header and nowhere else. */
function plainValue<T>(output: pulumi.Output<T>): Promise<T> {
  return new Promise((resolve) => output.apply((value) => resolve(value as T)));
}
