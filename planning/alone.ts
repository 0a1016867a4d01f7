import { makeFinding } from "./findings";
import type { Finding, SitePlan } from "./plan";
import { planSite } from "./plan-site";
import type { GuestSpecInput, NetworkSpecInput, SiteSpecInput } from "./schema";

/** Large enough that no capacity rule speaks about servers nobody has described. */
const UNKNOWN_SERVER = { cores: 4096, memoryGiB: 1_048_576 };
const UNKNOWN_STORAGE_GIB = 1_048_576;

/** An image as the section `images` of a specification has it. */
export type ImageSpecInput = NonNullable<SiteSpecInput["images"]>[string];

/** What a guest names that belongs to its site, by name. */
export interface GuestSurroundings {
  networks?: Record<string, NetworkSpecInput> | undefined;
  images?: Record<string, ImageSpecInput> | undefined;
}

/**
 * Plans one guest without its site: names, schedules, addresses and the replica's own rules are checked; whether the
 * loss of a server is survived cannot be known. The finding `SITE-PARTIAL` says so, so that nobody believes N-1 proved.
 */
export function planGuestAlone(
  name: string,
  guest: GuestSpecInput,
  { networks = {}, images = {} }: GuestSurroundings = {},
): SitePlan {
  const plan = planSite(surroundings(name, guest, networks, images));
  const partial = makeFinding(
    "SITE-PARTIAL",
    `guests.${name}`,
    "this guest is planned without its site: nothing proves that the loss of a server is survived",
    "pass the plan of the whole site as `site`, or build the guest through `Site`",
  );
  const given = ({ subject }: Finding) => /^(networks|images)\./.test(subject);
  // Commands may name servers that the site has and the guest does not.
  const unknown = ({ code }: Finding) => code === "COMMAND-SERVER-UNKNOWN";
  const own = plan.findings.filter(
    (finding) => finding.severity === "error" && !unknown(finding) && (concernsGuest(finding, name) || given(finding)),
  );
  return { ...plan, findings: [...own, partial], ok: own.length === 0 };
}

/** Whether a finding is about this guest, and not about one whose name only begins alike (sql, sql-erp). */
export function concernsGuest({ subject }: Finding, name: string): boolean {
  return subject === `guests.${name}` || subject.startsWith(`guests.${name}.`);
}

/** The smallest site that has everything the guest names. */
function surroundings(
  name: string,
  guest: GuestSpecInput,
  networks: Record<string, NetworkSpecInput>,
  images: Record<string, ImageSpecInput>,
): SiteSpecInput {
  const replica = guest.coldReplica;
  const servers = [guest.on, ...(replica ? [replica.on] : [])];
  const storages = [
    ...new Set([...guest.disks.map((disk) => disk.storage), ...(replica?.storage ? [replica.storage] : [])]),
  ];
  const bridges = [...new Set(Object.values(networks).map((network) => network.bridge ?? "vmbr0"))];
  const server = {
    roles: ["hypervisor" as const],
    ...UNKNOWN_SERVER,
    bridges: Object.fromEntries(bridges.map((bridge) => [bridge, {}])),
    storages: { ...imageStorages(images), ...diskStorages(storages, images) },
  };
  const backupStorage = replica?.backupStorage;
  return {
    site: { name: "partial", ...(replica?.method === "storage-replication" ? { cluster: "partial" } : {}) },
    servers: Object.fromEntries(servers.map((id) => [id, server])),
    storages: backupStorage
      ? {
          [backupStorage]: {
            type: "nfs",
            server: "unknown",
            export: "/",
            sizeGiB: UNKNOWN_STORAGE_GIB,
            content: ["backup"],
            managed: false,
          },
        }
      : {},
    networks,
    images,
    backups: backupStorage ? { all: { storage: backupStorage, schedule: "daily", guests: "all" } } : {},
    guests: { [name]: guest },
  };
}

type Storages = NonNullable<SiteSpecInput["servers"][string]["storages"]>;

const IMAGE_CONTENT = ["import" as const, "vztmpl" as const, "iso" as const];

function storageOf(image: ImageSpecInput): string {
  return image.storage ?? "local";
}

function imageStorages(images: Record<string, ImageSpecInput>): Storages {
  const directory = { type: "dir" as const, sizeGiB: UNKNOWN_STORAGE_GIB, content: IMAGE_CONTENT };
  return Object.fromEntries(Object.values(images).map((image) => [storageOf(image), directory]));
}

/** Storages that every method of a replica can use. */
function diskStorages(ids: readonly string[], images: Record<string, ImageSpecInput>): Storages {
  const withImages = Object.values(images).map(storageOf);
  const pool = (id: string) => ({
    type: "zfspool" as const,
    sizeGiB: UNKNOWN_STORAGE_GIB,
    content: ["images" as const, "rootdir" as const, ...(withImages.includes(id) ? IMAGE_CONTENT : [])],
  });
  return Object.fromEntries(ids.map((id) => [id, pool(id)]));
}
