/** Random sites of two to four servers and up to six guests, for the oracle and the properties. */
import fc from "fast-check";
import type { PlanOptions, SiteSpecInput } from "../../planning";

export interface RandomSite {
  spec: SiteSpecInput;
  options: PlanOptions;
}

const serverNames = ["alfa", "bravo", "charlie", "delta"];
const guestNames = ["ant", "bee", "cat", "dog", "eel", "fox"];

type ServerInput = SiteSpecInput["servers"][string];
type GuestInput = NonNullable<SiteSpecInput["guests"]>[string];

const server: fc.Arbitrary<ServerInput> = fc.record({
  roles: fc.constantFrom<ServerInput["roles"]>(
    ["hypervisor"],
    ["hypervisor"],
    ["hypervisor"],
    ["hypervisor", "witness"],
    ["backup-server", "witness"],
    ["backup-server"],
  ),
  cores: fc.integer({ min: 2, max: 12 }),
  memoryGiB: fc.integer({ min: 8, max: 32 }),
  hostReserve: fc.record({ cores: fc.constantFrom(0, 1, 1.5), memoryGiB: fc.constantFrom(0, 2, 4) }),
  bridges: fc.constant({ vmbr0: {} }),
  storages: fc
    .record({
      tank: fc.integer({ min: 100, max: 600 }),
      fast: fc.option(fc.integer({ min: 50, max: 300 })),
      fill: fc.constantFrom(0.5, 0.85, 1),
    })
    .map(({ tank, fast, fill }) => ({
      tank: {
        type: "zfspool" as const,
        sizeGiB: tank,
        content: ["images" as const, "rootdir" as const],
        fillLimit: fill,
      },
      ...(fast !== null && {
        fast: {
          type: "dir" as const,
          path: "/srv",
          sizeGiB: fast,
          content: ["images" as const, "backup" as const, "import" as const],
        },
      }),
    })),
});

function guest(servers: readonly string[]): fc.Arbitrary<GuestInput> {
  const common = {
    on: fc.constantFrom(...servers),
    cores: fc.integer({ min: 1, max: 8 }),
    memoryGiB: fc.constantFrom(1, 2, 2.5, 4, 6, 8, 12),
    disks: fc.array(
      fc.record(
        {
          sizeGiB: fc.integer({ min: 1, max: 120 }),
          usedGiB: fc.integer({ min: 0, max: 60 }),
          storage: fc.constantFrom("tank", "tank", "fast", "share"),
        },
        { requiredKeys: ["sizeGiB", "storage"] },
      ),
      { minLength: 1, maxLength: 3 },
    ),
    boot: fc.record({
      order: fc.constantFrom(10, 20, 50),
      delaySeconds: fc.constantFrom(0, 30, 90),
      seconds: fc.constantFrom(20, 60, 200),
    }),
    priority: fc.constantFrom(10, 50, 50, 90),
    sheddable: fc.boolean(),
    started: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    image: fc.option(fc.constant("system"), { nil: undefined }),
    coldReplica: fc.option(
      fc.record({
        on: fc.constantFrom(...servers),
        method: fc.constantFrom("storage-replication" as const, "restore" as const, "zfs-sync" as const),
        schedule: fc.constantFrom("*/15", "02:00", "mon..fri 12:00", "sun", "no schedule"),
        storage: fc.option(fc.constantFrom("tank", "fast"), { nil: undefined }),
        backupStorage: fc.option(fc.constant("share"), { nil: undefined }),
      }),
      { nil: undefined, freq: 5 },
    ),
  };
  return fc.oneof(
    fc.record({ kind: fc.constant("vm" as const), os: fc.constant("linux" as const), ...common }),
    fc.record({ kind: fc.constant("container" as const), os: fc.constant("debian" as const), ...common }),
  ) as fc.Arbitrary<GuestInput>;
}

/** Removes what fast-check writes as undefined: absent and undefined are not the same to the specification. */
function clean<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

/** A random site with the record of its active sides. */
export const randomSite: fc.Arbitrary<RandomSite> = fc
  .record({ servers: fc.integer({ min: 2, max: 4 }), guests: fc.integer({ min: 0, max: 6 }) })
  .chain((count) => {
    const servers = serverNames.slice(0, count.servers);
    const guests = guestNames.slice(0, count.guests);
    return fc.record({
      servers: fc.tuple(...servers.map(() => server)),
      guests: fc.tuple(...guests.map(() => guest(servers))),
      sides: fc.tuple(...guests.map(() => fc.constantFrom("primary" as const, "primary" as const, "spare" as const))),
      cluster: fc.option(fc.constant("herd"), { nil: undefined }),
      share: fc.record({
        server: fc.constantFrom(...servers, "elsewhere.example"),
        export: fc.constantFrom("/srv", "/srv/share", "/srvother"),
        sizeGiB: fc.integer({ min: 100, max: 2000 }),
        content: fc.constant(["images", "backup", "import"]),
        mountedBy: fc.option(fc.subarray(servers), { nil: undefined }),
      }),
      backups: fc.array(
        fc.record({
          storage: fc.constantFrom("share", "share", "fast", "tank"),
          schedule: fc.constantFrom("01:00", "*/6:00", "sat 03:00"),
          guests: fc.oneof(fc.constant("all" as const), fc.subarray(guests)),
          keep: fc.constantFrom({ last: 2 }, { daily: 3, weekly: 2 }, {}, { last: 1, monthly: 6, yearly: 1 }),
          compressionRatio: fc.constantFrom(0.4, 0.6, 1),
        }),
        { maxLength: 3 },
      ),
      imageStorage: fc.constantFrom("fast", "share", "nowhere"),
      group: fc.option(
        fc.record({
          guests: fc.shuffledSubarray(guests, { minLength: Math.min(1, guests.length) }),
          order: fc.constantFrom(5, 20, 50),
          delaySeconds: fc.constantFrom(0, 45),
        }),
        { nil: undefined },
      ),
      policies: fc.record({
        coreOvercommit: fc.constantFrom(0.5, 1, 2, 3),
        memoryOverheadGiB: fc.constantFrom(0, 0.15, 0.25),
        allowShedding: fc.boolean(),
        confirmSeconds: fc.constantFrom(0, 300),
      }),
    });
  })
  .map((parts) => {
    const named = <T>(names: readonly string[], values: readonly T[]) =>
      Object.fromEntries(values.map((value, index) => [names[index] ?? `n${index}`, value]));
    const guests = named(guestNames, parts.guests as GuestInput[]);
    const active = named(guestNames, parts.sides as ("primary" | "spare")[]);
    const spec = {
      site: { name: "farm", cluster: parts.cluster },
      servers: named(serverNames, parts.servers as ServerInput[]),
      storages: { share: { type: "nfs", ...parts.share } },
      images: {
        system: {
          kind: "disk-image",
          url: "https://images.example/s",
          fileName: "s",
          sizeGiB: 3,
          storage: parts.imageStorage,
        },
      },
      guests,
      ...(parts.group !== undefined && parts.group.guests.length > 0 && { groups: { herd: parts.group } }),
      backups: named(["early", "late", "third"], parts.backups),
      policies: parts.policies,
    };
    return { spec: clean(spec) as unknown as SiteSpecInput, options: { active } };
  });
