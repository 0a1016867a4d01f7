/** The cluster itself: votes, servers, room and storages; and what is easily forgotten. */
import { list } from "../units";
import { type Facts, sees, toGiB } from "./live-facts";
import { loadNow, votesWithout } from "./live-loss";
import type { LiveStorage } from "./live-types";
import { bySize, type Check, live, named, some, toolOf } from "./live-words";

const FILLING = 0.85;
const FULL = 0.95;

export const noQuorum: Check = ({ facts }) => {
  const { snapshot, nodes } = facts;
  if (snapshot.cluster === undefined || snapshot.quorate || facts.isUnread(/cluster's status/)) return [];
  const votes = votesWithout(facts);
  const off = nodes.filter(({ online }) => !online).map(({ name }) => name);
  return [
    live("LIVE-NO-QUORUM", {
      subject: "cluster",
      message: `The cluster ${snapshot.cluster} has no quorum${votes ? ` (${votes.votes} of ${votes.expected} votes, ${votes.needed} are needed)` : ""}: nothing can be started or changed, and HA restarts nothing.`,
      fix: `Bring back ${list(off) || "the servers that are away"}. Only where they are certainly off: \`pvecm expected ${votes?.votes ?? 1}\` on a server that is left.`,
    }),
  ];
};

export const serversOff: Check = ({ losses }) =>
  losses
    .filter(({ online }) => !online)
    .map(({ server, guests }) =>
      live("LIVE-SERVER-OFF", {
        subject: `server ${server}`,
        guests,
        message: `${server} is off or cut off${guests.length === 0 ? "" : `; ${some(guests.length, "is", "are")} down with it: ${named(guests)}`}. The next loss is the second one.`,
        fix: `Bring ${server} back. If it is gone for good: bring its guests up elsewhere, then \`pvecm delnode ${server}\`.`,
      }),
    );

export const oneServer: Check = ({ facts }) =>
  facts.nodes.length !== 1
    ? []
    : [
        live("LIVE-ONE-SERVER", {
          subject: "cluster",
          message: `${facts.nodes[0]?.name} is the only server: there is nowhere to start anything when it is lost.`,
          fix: "Add a second server that is large enough for the guests that must not wait; with a third, small one as witness it makes a cluster.",
        }),
      ];

/** Votes after the loss of a server. Two nodes are a case of their own, with an answer of their own. */
export const votesLost: Check = ({ facts, losses }) => {
  const without = losses.filter(({ online, quorum }) => online && quorum !== undefined && !quorum.quorate);
  if (without.length === 0 || !facts.snapshot.quorate) return [];
  const [first] = without;
  const { votes = 0, expected = 0, needed = 0, unsure = false } = first?.quorum ?? {};
  const ha = facts.guests.some((guest) => guest.ha && guest.running);
  const reset = ha ? " Where HA is in use, the servers that are left reset themselves." : "";
  const not = unsure ? " Whether a QDevice votes could not be read." : "";
  const message = `Without ${list(
    without.map(({ server }) => server),
    "or",
  )} the cluster keeps ${votes} of ${expected} votes and needs ${needed}: nothing starts any more on the others.${reset}${not}`;
  const two = facts.nodes.length === 2;
  return [
    live(two ? "QUORUM-NO-THIRD-VOTE" : "LIVE-QUORUM-LOST", {
      subject: "cluster",
      message,
      fix: two
        ? "Add a QDevice on a third machine that is no guest of this cluster: `pvecm qdevice setup <address>`."
        : "Bring back the servers that are off; with an even number of servers add a QDevice: `pvecm qdevice setup <address>`.",
    }),
  ];
};

export const noRoom: Check = ({ losses }) =>
  losses
    .filter(({ online }) => online)
    .flatMap(({ server, room, guests }) => {
      const moved = guests.filter(({ fate }) => /ha|shared|replica/.test(fate));
      if (moved.length === 0) return [];
      const lacks = room.filter((each) => each.takes > 0 && each.memoryGiB > each.memoryLimitGiB);
      const busy = room.filter((each) => each.takes > 0 && each.cores > each.coreLimit);
      const number = (value: number) => String(Math.round(value * 100) / 100);
      const memory = lacks.map(
        (each) => `${each.server} lacks ${number(each.memoryGiB - each.memoryLimitGiB)} GiB of memory`,
      );
      const cores = busy.map(
        (each) => `${each.server} has ${each.cores} virtual cores for at most ${number(each.coreLimit)}`,
      );
      const fix = "Give it more, move guests away, or decide now which ones stay off.";
      const away = moved.filter(({ comesBack }) => !comesBack);
      return [
        ...(memory.length === 0
          ? []
          : [
              live("CAPACITY-MEMORY", {
                subject: `server ${server}`,
                guests: away,
                message: `Without ${server}, with all that comes back: ${list(memory)}.${away.length === 0 ? "" : ` No room for ${named(away)}.`}`,
                fix,
              }),
            ]),
        // Too many virtual cores make guests slow; they start.
        ...(cores.length === 0
          ? []
          : [
              {
                ...live("CAPACITY-CORES", {
                  subject: `server ${server}`,
                  message: `Without ${server}: ${list(cores)}.`,
                  fix,
                }),
                severity: "warning" as const,
              },
            ]),
      ];
    });

/** Before anything is lost: memory that guests were promised and that is not there, and processors that are worn out. */
export const overNow: Check = ({ facts }) =>
  loadNow(facts).flatMap(({ server, memoryGiB, memoryLimitGiB, cores, coreLimit }) => {
    const number = (value: number) => String(Math.round(value * 100) / 100);
    const over = [
      ...(memoryGiB > memoryLimitGiB
        ? [
            live("CAPACITY-MEMORY", {
              subject: `server ${server}`,
              message: `The guests that run on ${server} may take ${number(memoryGiB)} GiB of memory, and it has ${number(memoryLimitGiB)} GiB for them.`,
              fix: "Give it more memory or the guests less, or move some away: when all want theirs, guests are killed.",
            }),
          ]
        : []),
      ...(cores > coreLimit
        ? [
            live("CAPACITY-CORES", {
              subject: `server ${server}`,
              message: `The guests that run on ${server} have ${cores} virtual cores, and it should carry ${number(coreLimit)} at most.`,
              fix: "Give guests fewer cores, or move some away: they wait for one another.",
            }),
          ]
        : []),
    ];
    // So it is and works, more or less.
    return over.map((finding) => ({ ...finding, severity: "warning" as const }));
  });

export const haLocal: Check = ({ facts }) => {
  const guests = facts.guests.filter(({ ha, running, volumes = [], id }) => {
    const replicated = facts.jobs.some((job) => job.guest === id && !job.disabled);
    return (
      ha && running && !replicated && volumes.some(({ storage }) => facts.stores.get(storage ?? "")?.shared !== true)
    );
  });
  if (guests.length === 0) return [];
  return [
    live("LIVE-HA-LOCAL", {
      subject: "HA",
      guests,
      message: `HA is to restart ${named(guests)}, whose disks lie on a storage of one server and are not replicated: HA moves the configuration to a server without the disks, and fails there.`,
      fix: "Replicate them to every server that HA may choose, move their disks to a shared storage, or take them out of HA.",
    }),
  ];
};

export const bound: Check = ({ facts, losses }) => {
  const ids = new Set(
    losses.flatMap(({ guests }) =>
      guests.filter(({ fate }) => fate === "shared" || fate === "replica").map(({ id }) => id),
    ),
  );
  const guests = facts.guests.filter(({ id, bound: parts }) => ids.has(id) && parts.length > 0);
  if (guests.length === 0) return [];
  return [
    live("LIVE-BOUND-TO-SERVER", {
      subject: "guests",
      guests,
      message: `Guests with disks elsewhere that do not start there as they are: ${list(guests.slice(0, 5).map((guest) => `${named([guest])} has ${list(guest.bound)}`))}${guests.length > 5 ? ` and ${guests.length - 5} more` : ""}.`,
      fix: "Take the CD out (`qm set <id> --ide2 none,media=cdrom`); map devices that other servers have too (Datacenter, Resource Mappings).",
    }),
  ];
};

/** Every storage with what is used of it and what is promised to disks. */
export function storagesOf(facts: Facts): LiveStorage[] {
  const seen = new Set<string>();
  return facts.nodes.flatMap((node) =>
    node.storages.flatMap(({ storage, total, used, active }): LiveStorage[] => {
      const store = facts.stores.get(storage);
      if (store === undefined || store.entry.disabled) return [];
      if (store.shared && (seen.has(storage) || !active)) return [];
      if (store.shared) seen.add(storage);
      const disks = facts.guests
        .filter((guest) => store.shared || guest.node === node.name)
        .flatMap(({ volumes = [] }) => volumes.filter((volume) => volume.storage === storage));
      return [
        {
          storage,
          ...(!store.shared && { server: node.name }),
          type: store.entry.type,
          totalGiB: toGiB(total),
          usedGiB: toGiB(used),
          promisedGiB: toGiB(disks.reduce((sum, { gib }) => sum + gib, 0) * 1024 ** 3),
          active,
        },
      ];
    }),
  );
}

const placeOf = ({ storage, server }: LiveStorage) => (server === undefined ? storage : `${storage} on ${server}`);
const percent = (share: number) => `${Math.floor(share * 100)} %`;

export const fullStorages: Check = ({ facts }) =>
  storagesOf(facts)
    .filter(({ active, totalGiB, usedGiB }) => active && totalGiB > 0 && usedGiB / totalGiB > FILLING)
    .map((storage) => {
      const share = storage.usedGiB / storage.totalGiB;
      return live(share > FULL ? "LIVE-STORAGE-FULL" : "LIVE-STORAGE-FILLING", {
        subject: `storage ${placeOf(storage)}`,
        message: `${placeOf(storage)} is ${percent(share)} full (${Math.round(storage.usedGiB)} of ${Math.round(storage.totalGiB)} GiB).`,
        fix: "Remove old snapshots and backups, move disks elsewhere, or make it larger: guests stop when it is full, and ZFS slows down before.",
      });
    });

export const thinPools: Check = ({ facts }) =>
  storagesOf(facts)
    .filter(
      ({ type, totalGiB, promisedGiB }) =>
        /^(lvmthin|zfspool|zfs|rbd)$/.test(type) && totalGiB > 0 && promisedGiB > totalGiB,
    )
    .map((storage) =>
      live("LIVE-THIN-OVERCOMMITTED", {
        subject: `storage ${placeOf(storage)}`,
        message: `${placeOf(storage)} promises ${Math.round(storage.promisedGiB)} GiB to disks and has ${Math.round(storage.totalGiB)} GiB: when they fill up, all guests on it stop at once.`,
        fix: "Watch it with an alarm at 80 %, switch `discard` on so that guests give back what they delete, or move disks away.",
      }),
    );

export const inactiveStorages: Check = ({ facts }) => {
  const places = facts.nodes
    .filter(({ online }) => online)
    .flatMap(({ name, storages }) =>
      storages
        .filter(({ storage, active }) => !active && facts.stores.get(storage)?.entry.disabled === false)
        .map(({ storage }) => `${storage} on ${name}`),
    );
  if (places.length === 0) return [];
  return [
    live("LIVE-STORAGE-INACTIVE", {
      subject: "storages",
      message: `Storages that are configured and not there: ${list(places.length > 8 ? [...places.slice(0, 8), `${places.length - 8} more`] : places)}.`,
      fix: "Bring them back, or restrict the storage to the servers that have it (Datacenter, Storage, Nodes): a restart or restore that needs it fails.",
    }),
  ];
};

export const lentStorages: Check = ({ facts }) =>
  [...facts.stores.values()].flatMap(({ entry: { storage }, hostServer, hostGuest }) => {
    if (hostServer === undefined && hostGuest === undefined) return [];
    const lender = facts.guests.find(({ id }) => id === hostGuest);
    const guests = facts.guests.filter(
      ({ running, id, node, volumes = [] }) =>
        running &&
        id !== hostGuest &&
        node !== (hostServer ?? lender?.node) &&
        volumes.some((volume) => volume.storage === storage),
    );
    if (guests.length === 0) return [];
    return [
      live("STORAGE-SINGLE-POINT", {
        subject: `storage ${storage}`,
        guests,
        message: `${named(guests)} ${guests.length === 1 ? "stops" : "stop"} with ${hostServer ?? `${lender?.title} (${hostGuest})`}, which lends ${guests.length === 1 ? "it" : "them"} the storage ${storage}.`,
        fix: "Move their disks to a storage of their own server with a replica, or to one that no single server carries.",
      }),
    ];
  });

export const snapshots: Check = ({ facts }) => {
  const guests = facts.guests.filter(({ snapshot }) => snapshot.snapshots.length > 0).sort(bySize);
  if (guests.length === 0) return [];
  return [
    live("LIVE-SNAPSHOTS", {
      subject: "guests",
      guests,
      message: `${some(guests.length, "carries", "carry")} snapshots: ${named(guests)}. They grow with every write, and are no backup.`,
      fix: "Remove those that nobody needs (`qm listsnapshot <id>`, `qm delsnapshot <id> <name>`; the same with `pct`).",
    }),
  ];
};

export const templates: Check = ({ facts }) => {
  const guests = facts.guests.filter(({ template, node, volumes = [] }) => {
    const local = volumes.some(({ storage }) => facts.stores.get(storage ?? "")?.shared !== true);
    return template && local && sees(facts, node, volumes[0]?.storage ?? "");
  });
  if (guests.length === 0) return [];
  return [
    live("LIVE-TEMPLATE-ONCE", {
      subject: "guests",
      guests,
      message: `Templates on one server's own storage: ${named(guests)}. Linked clones of them stop with that server.`,
      fix: "Back them up once, or keep them on a shared storage.",
    }),
  ];
};

export const notAtBoot: Check = ({ facts }) => {
  const guests = facts.guests.filter(
    ({ running, ha, snapshot: { config } }) => running && !ha && config !== undefined && config.onboot !== "1",
  );
  if (guests.length === 0) return [];
  const [first] = guests;
  return [
    live("LIVE-NOT-AT-BOOT", {
      subject: "guests",
      guests,
      message: `${some(guests.length, "runs and does", "run and do")} not start with the server: after a power cut ${named(guests)} ${guests.length === 1 ? "stays" : "stay"} off.`,
      fix: `Where that is not meant: \`${first ? toolOf(first) : "qm"} set ${first?.id} --onboot 1\`, and so on.`,
    }),
  ];
};

export const locked: Check = ({ facts }) => {
  const guests = facts.guests.filter(({ snapshot }) => snapshot.lock !== undefined);
  if (guests.length === 0) return [];
  return [
    live("LIVE-LOCKED", {
      subject: "guests",
      guests,
      message: `${some(guests.length, "is", "are")} locked: ${list(guests.slice(0, 5).map((guest) => `${named([guest])} by ${guest.snapshot.lock}`))}. Backups and starts of locked guests fail.`,
      fix: "Wait for what is at work on them. A lock that was left behind goes with `qm unlock <id>` or `pct unlock <id>`.",
    }),
  ];
};

export const unread: Check = ({ facts }) => {
  const guests = facts.guests.filter(({ volumes, running }) => running && volumes === undefined);
  const parts = [...facts.snapshot.unread, ...(facts.copies?.unread ?? [])];
  const what = [
    ...(facts.copies === undefined ? ["which backups exist and how replication last ran"] : []),
    ...parts.map((part) => `${part.what} (${part.why.trim()})`),
    ...(guests.length === 0 ? [] : [`the configuration of ${named(guests)}`]),
  ];
  if (what.length === 0) return [];
  return [
    live("LIVE-UNREAD", {
      subject: "report",
      guests,
      message: `Not read, and so not judged: ${list(what.length > 6 ? [...what.slice(0, 6), `${what.length - 6} more`] : what)}.`,
      fix: "Give the token the role PVEAuditor on /; to list backups Proxmox VE asks for Datastore.AllocateSpace on the storage and VM.Backup on the guests as well.",
    }),
  ];
};
