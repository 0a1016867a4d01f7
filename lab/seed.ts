import type { Domain } from "./domain";
import type { StorageEntry } from "./state";
import type { LabNode } from "./topology";

/** PVE's built-in roles that the lab checks privileges of. */
const AUDIT = ["Datastore.Audit", "Mapping.Audit", "Pool.Audit", "SDN.Audit", "Sys.Audit", "VM.Audit"];
const VM_ADMIN = [
  "VM.Allocate",
  "VM.Audit",
  "VM.Backup",
  "VM.Clone",
  "VM.Config.CDROM",
  "VM.Config.CPU",
  "VM.Config.Cloudinit",
  "VM.Config.Disk",
  "VM.Config.HWType",
  "VM.Config.Memory",
  "VM.Config.Network",
  "VM.Config.Options",
  "VM.Console",
  "VM.GuestAgent.Audit",
  "VM.GuestAgent.FileRead",
  "VM.GuestAgent.FileSystemMgmt",
  "VM.GuestAgent.FileWrite",
  "VM.GuestAgent.Unrestricted",
  "VM.Migrate",
  "VM.PowerMgmt",
  "VM.Snapshot",
  "VM.Snapshot.Rollback",
  "VM.Replicate",
];
const DATASTORE_ADMIN = [
  "Datastore.Allocate",
  "Datastore.AllocateSpace",
  "Datastore.AllocateTemplate",
  "Datastore.Audit",
];
const ADMIN = [
  ...VM_ADMIN,
  ...DATASTORE_ADMIN,
  ...AUDIT,
  "Group.Allocate",
  "Mapping.Modify",
  "Mapping.Use",
  "Permissions.Modify",
  "Pool.Allocate",
  "Realm.Allocate",
  "Realm.AllocateUser",
  "SDN.Allocate",
  "SDN.Use",
  "Sys.AccessNetwork",
  "Sys.Console",
  "Sys.Incoming",
  "Sys.Modify",
  "Sys.PowerMgmt",
  "Sys.Syslog",
  "User.Modify",
];

/** Roles that every PVE has and nobody can change. */
export const BUILT_IN_ROLES: Record<string, string[]> = {
  Administrator: [...new Set(ADMIN)].sort(),
  NoAccess: [],
  PVEAdmin: [
    ...new Set([...VM_ADMIN, ...DATASTORE_ADMIN, ...AUDIT, "Pool.Allocate", "SDN.Allocate", "SDN.Use"]),
  ].sort(),
  PVEAuditor: AUDIT,
  PVEDatastoreAdmin: DATASTORE_ADMIN,
  PVEDatastoreUser: ["Datastore.AllocateSpace", "Datastore.Audit"],
  PVEPoolAdmin: ["Pool.Allocate", "Pool.Audit"],
  PVEPoolUser: ["Pool.Audit"],
  PVESDNAdmin: ["SDN.Allocate", "SDN.Audit", "SDN.Use"],
  PVESDNUser: ["SDN.Audit", "SDN.Use"],
  PVESysAdmin: ["Sys.Audit", "Sys.Console", "Sys.Syslog"],
  PVETemplateUser: ["VM.Audit", "VM.Clone"],
  PVEUserAdmin: ["Group.Allocate", "Realm.AllocateUser", "User.Modify"],
  PVEVMAdmin: VM_ADMIN,
  PVEVMUser: ["VM.Audit", "VM.Backup", "VM.Config.CDROM", "VM.Config.Cloudinit", "VM.Console", "VM.PowerMgmt"],
};

function physicalInterface(): Record<string, string> {
  return {
    iface: "eno1",
    type: "eth",
    exists: "1",
    active: "1",
    method: "manual",
    method6: "manual",
    families: "inet",
    priority: "3",
  };
}

function bridge(iface: string, index: number): Record<string, string> {
  return {
    iface,
    type: "bridge",
    autostart: "1",
    active: "1",
    method: "manual",
    method6: "manual",
    families: "inet",
    bridge_ports: index === 0 ? "eno1" : "",
    bridge_stp: "off",
    bridge_fd: "0",
    priority: String(4 + index),
  };
}

/** Puts what the topology names into the state, leaving everything that is there already as it is. */
export function seedTopology(domain: Domain, nodes: LabNode[]): void {
  const { state, world } = domain;
  for (const node of nodes) {
    state.nodes[node.name] ??= {
      name: node.name,
      up: true,
      bootedAt: world.clock.now(),
      nextPid: 1200,
      interfaces: Object.fromEntries([
        ["eno1", physicalInterface()],
        ...node.bridges.map((name, index) => [name, bridge(name, index)] as const),
      ]),
      dns: { search: "lab.example", dns1: "192.0.2.53" },
      hosts: `127.0.0.1 localhost.localdomain localhost\n192.0.2.${10 + Object.keys(state.nodes).length} ${node.name}.lab.example ${node.name}\n`,
      timezone: "UTC",
      options: {},
    };
  }
  if (Object.keys(state.storages).length === 0) seedStorages(domain, nodes);
  state.roles = { ...BUILT_IN_ROLES, ...state.roles };
  state.users["root@pam"] ??= { userid: "root@pam", values: { enable: "1", expire: "0" }, tokens: {} };
}

function seedStorages(domain: Domain, nodes: LabNode[]): void {
  const { state, world } = domain;
  const put = (entry: StorageEntry) => {
    state.storages[entry.storage] = entry;
  };
  const localContent = world.topology.localContent ?? ["backup", "import", "iso", "vztmpl"];
  put({ storage: "local", type: "dir", path: "/var/lib/vz", content: localContent.join(",") });
  const names = nodes.map((node) => node.name);
  const ids = new Set(nodes.flatMap((node) => node.storages.map((storage) => storage.id)));
  for (const id of ids) {
    const holders = nodes.filter((node) => node.storages.some((storage) => storage.id === id));
    const storage = holders[0]!.storages.find((candidate) => candidate.id === id)!;
    const entry: StorageEntry = { storage: id, type: storage.type, content: storage.content.join(",") };
    if (storage.type === "zfspool") entry.pool = storage.pool ?? id;
    if (storage.type === "dir" || storage.type === "btrfs") entry.path = storage.path ?? `/mnt/pve/${id}`;
    if (storage.type === "lvmthin") Object.assign(entry, { vgname: storage.pool ?? "pve", thinpool: id });
    if (storage.type === "lvm") entry.vgname = storage.pool ?? id;
    if (holders.length < names.length) entry.nodes = holders.map((node) => node.name).join(",");
    put(entry);
  }
  for (const shared of world.topology.shared ?? []) {
    const entry: StorageEntry = { storage: shared.id, type: shared.type, content: shared.content.join(",") };
    if (shared.type === "nfs")
      Object.assign(entry, {
        server: shared.server ?? "192.0.2.1",
        export: shared.export ?? `/export/${shared.id}`,
        path: `/mnt/pve/${shared.id}`,
      });
    if (shared.type === "cifs")
      Object.assign(entry, {
        server: shared.server ?? "192.0.2.1",
        share: shared.export ?? shared.id,
        path: `/mnt/pve/${shared.id}`,
      });
    if (shared.type === "rbd") Object.assign(entry, { pool: shared.export ?? shared.id, krbd: "0" });
    if (shared.type === "cephfs") Object.assign(entry, { path: `/mnt/pve/${shared.id}` });
    if (shared.type === "iscsi")
      Object.assign(entry, {
        portal: shared.server ?? "192.0.2.1",
        target: shared.export ?? `iqn.2001-01:${shared.id}`,
      });
    if (shared.type === "dir") Object.assign(entry, { path: `/mnt/${shared.id}`, shared: "1" });
    const holders = shared.nodes?.filter((name) => names.includes(name));
    if (holders && holders.length < names.length) entry.nodes = holders.join(",");
    put(entry);
  }
}
