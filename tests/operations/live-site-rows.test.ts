/** Rows of Proxmox VE's answers, in every form that they come in, and what is seen of a change between two lists. */
import fc from "fast-check";
import { changesBetween } from "../../operations/live-site/changes";
import {
  backupJobEntry,
  guestEntry,
  networkEntry,
  nodeEntry,
  type Row,
  replicationEntry,
  storageEntry,
} from "../../operations/live-site/rows";

const NONE: ReadonlySet<number> = new Set();

describe("a backup job", () => {
  test.each<[string, Row, object]>([
    [
      "of all guests",
      { id: "a", all: 1, schedule: "22:30" },
      { all: true, enabled: true, exclude: [], schedule: "22:30" },
    ],
    ["with a list", { id: "a", vmid: "100,101" }, { vmids: [100, 101], all: false }],
    ["with exclusions", { id: "a", all: "1", exclude: "9,10" }, { all: true, exclude: [9, 10] }],
    ["of a pool", { id: "a", pool: "erp", enabled: 0 }, { pool: "erp", enabled: false }],
    ["from before 7.1", { id: "a", dow: "mon,tue", starttime: "02:15" }, { schedule: "mon,tue 02:15" }],
    [
      "from before 7.1, daily",
      { id: "a", dow: "mon,tue,wed,thu,fri,sat,sun", starttime: "1:00" },
      { schedule: "1:00" },
    ],
    [
      "with retention as text",
      { id: "a", "prune-backups": "keep-daily=7,keep-last=3" },
      { prune: { "keep-daily": 7, "keep-last": 3 } },
    ],
    ["with retention as an object", { id: "a", "prune-backups": { "keep-all": "1" } }, { prune: { "keep-all": 1 } }],
    ["with maxfiles", { id: "a", maxfiles: 4 }, { prune: { "keep-last": 4 } }],
    [
      "with more options",
      { id: "a", bwlimit: 1024, fleecing: { enabled: "1" } },
      { options: { bwlimit: "1024", fleecing: '{"enabled":"1"}' } },
    ],
  ])("%s", (_what, row, expected) => {
    expect(backupJobEntry(row)).toMatchObject(expected);
  });
});

test("a storage keeps no secret, only whether it has a key", () => {
  const secrets = { password: "geheim", keyring: "[client]", "master-pubkey": "AAAA", "encryption-key": "fe:dc:ba" };
  const entry = storageEntry({
    storage: "pbs",
    type: "pbs",
    content: "backup",
    datastore: "main",
    digest: "x",
    ...secrets,
  });
  expect(entry).toEqual({
    storage: "pbs",
    type: "pbs",
    content: ["backup"],
    shared: true,
    disabled: false,
    options: { datastore: "main", "encryption-key": "1" },
  });
});

test("booleans come as numbers, texts and booleans", () => {
  for (const yes of [1, "1", true]) expect(storageEntry({ storage: "a", type: "dir", shared: yes }).shared).toBe(true);
  for (const no of [0, "0", false, undefined, ""])
    expect(storageEntry({ storage: "a", type: "dir", disable: no }).disabled).toBe(false);
});

test("a replication job without a schedule has Proxmox VE's own", () => {
  expect(replicationEntry({ id: "100-0", guest: "100", target: "b" })).toEqual({
    id: "100-0",
    guest: 100,
    target: "b",
    schedule: "*/15",
    disabled: false,
  });
});

test("a server that is off has no sizes; another server's storages are not its own", () => {
  const storages = [
    { node: "a", storage: "tank", status: "available", maxdisk: 100, disk: 40 },
    { node: "b", storage: "tank", status: "unknown" },
  ];
  expect(nodeEntry({ node: "b", status: "offline" }, undefined, storages)).toEqual({
    name: "b",
    online: false,
    networks: [],
    storages: [{ storage: "tank", active: false, total: 0, used: 0 }],
  });
});

test("an interface has numbers and booleans where the snapshot says so", () => {
  const row = { iface: "vmbr0.20", type: "vlan", "vlan-id": "20", active: 1, comments: "Büro\n", families: ["inet"] };
  expect(networkEntry(row)).toEqual({ iface: "vmbr0.20", type: "vlan", "vlan-id": 20, active: true, comments: "Büro" });
});

describe("what happened between two lists", () => {
  const machine = { type: "qemu", vmid: 100, node: "a", name: "x", tags: "t", maxmem: 1, maxcpu: 1, maxdisk: 5 };
  const servers = [
    { type: "node", node: "a", status: "online" },
    { type: "node", node: "b", status: "online" },
  ];

  test.each<[string, Row[], Row[], { again: number[]; said: string[] }]>([
    ["nothing", [machine], [machine], { again: [], said: [] }],
    ["it moved", [machine], [{ ...machine, node: "b" }], { again: [100], said: ["guest 100 moved from a to b"] }],
    ["it is new", [], [machine], { again: [100], said: ["guest 100 is new"] }],
    ["it was removed", [machine], [], { again: [], said: ["guest 100 was removed"] }],
    ...(["name", "tags", "pool", "template", "maxcpu", "maxmem", "maxdisk"] as const).map(
      (key): [string, Row[], Row[], { again: number[]; said: string[] }] => [
        `its ${key}`,
        [machine],
        [{ ...machine, [key]: "7" }],
        { again: [100], said: ["guest 100 was changed"] },
      ],
    ),
    ["it stopped", [machine], [{ ...machine, status: "stopped" }], { again: [], said: [] }],
    ["it is locked", [machine], [{ ...machine, lock: "backup" }], { again: [], said: [] }],
    [
      "another kind under its id",
      [machine],
      [{ ...machine, type: "lxc" }],
      { again: [100], said: ["guest 100 was changed"] },
    ],
    [
      "a container's file system filled up",
      [{ ...machine, type: "lxc" }],
      [{ ...machine, type: "lxc", maxdisk: 6 }],
      { again: [], said: [] },
    ],
  ])("%s", (_what, before, now, expected) => {
    expect(changesBetween([...servers, ...before], [...servers, ...now], NONE)).toEqual(expected);
  });

  test("its server went off, and came back", () => {
    const off = [{ ...servers[0]!, status: "offline" }, servers[1]!];
    expect(changesBetween([...servers, machine], [...off, machine], NONE)).toEqual({
      again: [100],
      said: ["server a went off"],
    });
    expect(changesBetween([...off, machine], [...servers, machine], NONE).said).toEqual(["server a came back"]);
  });

  test("a guest that was not where the list said is read again", () => {
    expect(changesBetween([machine], [machine], new Set([100]))).toEqual({
      again: [100],
      said: ["guest 100 was not found on a"],
    });
  });

  test("property: the same list in another order is no change; every guest of the new list is known or read again", () => {
    const row = fc.record({
      type: fc.constantFrom("qemu", "lxc"),
      vmid: fc.integer({ min: 100, max: 110 }),
      node: fc.constantFrom("a", "b"),
      name: fc.constantFrom("x", "y", undefined),
    });
    const list = fc.uniqueArray(row, { selector: ({ vmid }) => vmid });
    fc.assert(
      fc.property(list, list, (before, now) => {
        expect(changesBetween(before, before.toReversed(), NONE).said).toEqual([]);
        const { again } = changesBetween(before, now, NONE);
        for (const guest of now) {
          const old = before.find(({ vmid }) => vmid === guest.vmid);
          expect(again.includes(guest.vmid)).toBe(JSON.stringify(old) !== JSON.stringify(guest));
        }
      }),
    );
  });
});

test("a guest of the list, with nothing read of it yet", () => {
  const row = { type: "qemu", vmid: "100", node: "a", template: 1, tags: "b;a", status: "stopped", lock: "" };
  expect(guestEntry(row)).toEqual({
    vmid: 100,
    type: "qemu",
    node: "a",
    status: "stopped",
    template: true,
    tags: ["b", "a"],
    pending: [],
    snapshots: [],
    firewall: { enabled: false, rules: 0 },
  });
});
