/** Three servers that people configured in unusual ways for years: no ZFS, foreign names, every controller, every oddity. */
import type { Domain } from "../../../lab/domain";
import type { LabTopology } from "../../../lab/topology";
import { oddContainers, oddMachines } from "./by-hand-guests";
import { backup, type Kind, onBridge, replicate, write } from "./kind";

const topology: LabTopology = {
  cluster: "Altbau-Cluster",
  witnesses: [],
  localContent: ["backup", "images", "iso", "rootdir", "vztmpl"],
  addresses: { PVE1: "10.0.0.1/8", "pve-alt": "10.0.0.2/8", hv3: "10.0.0.3/8" },
  nodes: [
    {
      name: "PVE1",
      cores: 8,
      memoryGiB: 64,
      bridges: ["vmbr0", "vmbr1", "vmbr99"],
      localGiB: 400,
      storages: [
        { id: "local-lvm", type: "lvmthin", pool: "pve", sizeGiB: 800, content: ["images", "rootdir"] },
        {
          id: "Daten_SSD",
          type: "dir",
          path: "/mnt/Daten SSD",
          sizeGiB: 1900,
          content: ["images", "rootdir", "backup"],
        },
      ],
    },
    {
      name: "pve-alt",
      cores: 4,
      memoryGiB: 16,
      bridges: ["vmbr0"],
      storages: [
        { id: "local-lvm", type: "lvmthin", pool: "pve", sizeGiB: 300, content: ["images", "rootdir"] },
        { id: "thick", type: "lvm", pool: "vg_old", sizeGiB: 500, content: ["images"] },
      ],
    },
    {
      name: "hv3",
      cores: 12,
      memoryGiB: 96,
      bridges: ["vmbr0", "vmbr1"],
      storages: [{ id: "btr", type: "btrfs", path: "/srv/btr", sizeGiB: 1000, content: ["images", "rootdir", "iso"] }],
    },
  ],
  shared: [
    {
      id: "nas.old",
      type: "nfs",
      sizeGiB: 8000,
      content: ["backup", "images", "iso"],
      server: "10.0.0.50",
      export: "/volume1/vm",
    },
    { id: "ceph", type: "rbd", sizeGiB: 6000, content: ["images", "rootdir"] },
    { id: "san", type: "iscsi", sizeGiB: 2000, content: ["images"], server: "10.0.0.60" },
    { id: "backup-smb", type: "cifs", sizeGiB: 3000, content: ["backup"], server: "10.0.0.51", export: "Sicherung" },
  ],
};

/** Cards in a bond, a bridge on it without VLANs, a VLAN interface, and a bridge without any port. */
function wire(domain: Domain): void {
  const { interfaces } = domain.state.nodes.PVE1!;
  interfaces.eno2 = { ...interfaces.eno1!, iface: "eno2", priority: "8" };
  interfaces.bond0 = {
    iface: "bond0",
    type: "bond",
    slaves: "eno1 eno2",
    bond_mode: "active-backup",
    active: "1",
    autostart: "1",
    method: "manual",
    method6: "manual",
    families: "inet",
    priority: "9",
  };
  interfaces.vmbr0!.bridge_ports = "bond0";
  interfaces.vmbr1!.bridge_ports = "bond0.20";
  interfaces["bond0.20"] = {
    iface: "bond0.20",
    type: "vlan",
    "vlan-raw-device": "bond0",
    "vlan-id": "20",
    active: "1",
    autostart: "1",
    method: "manual",
    method6: "manual",
    families: "inet",
    priority: "10",
  };
  interfaces.vmbr99!.comments = "Testnetz, nicht anfassen";
  onBridge(domain, "PVE1", "10.0.0.1/8", "10.255.255.254", false);
  onBridge(domain, "pve-alt", "10.0.0.2/8", "10.255.255.254", false);
  onBridge(domain, "hv3", "10.0.0.3/8", "10.255.255.254", true);
}

function addStorages(domain: Domain): void {
  const { storages } = domain.state;
  storages["nas.old"]!["prune-backups"] = "keep-last=3,keep-weekly=2";
  storages["gone-nfs"] = {
    storage: "gone-nfs",
    type: "nfs",
    content: "backup",
    server: "10.0.0.99",
    export: "/x",
    path: "/mnt/pve/gone-nfs",
  };
  storages.off = { storage: "off", type: "dir", content: "images", path: "/mnt/off", disable: "1" };
  storages["pbs-office"] = {
    storage: "pbs-office",
    type: "pbs",
    content: "backup",
    server: "10.0.0.52",
    datastore: "main",
    username: "backup@pbs!pve",
    fingerprint: Array.from({ length: 32 }, () => "ab").join(":"),
  };
}

function addJobs(domain: Domain): void {
  // Two jobs for one guest, one that is off, one that fails: of a time when these servers had ZFS.
  replicate(domain, "100-0", "hv3", { schedule: "*/15" });
  replicate(domain, "100-1", "pve-alt", { schedule: "22:00", rate: "12.5", comment: "nachts" });
  replicate(domain, "305-0", "PVE1", { disable: "1" });
  replicate(domain, "1000000-0", "pve-alt", {
    error: "no common base snapshot on volume(s) local-lvm:vm-1000000-disk-0",
  });
  backup(domain, "backup-all", {
    schedule: "sat 02:00",
    storage: "nas.old",
    all: "1",
    exclude: "999,305",
    mode: "snapshot",
    compress: "zstd",
    "prune-backups": "keep-all=1",
    comment: "Alles ausser Test",
  });
  backup(domain, "9c2a1b77-0d1e-4f7a-9d3e-0123456789ab", {
    schedule: "*/2:00",
    storage: "pbs-office",
    pool: "Buchhaltung",
    mode: "suspend",
  });
  backup(domain, "backup-list", {
    schedule: "mon,wed 04:15",
    storage: "backup-smb",
    vmid: "100,201,4711",
    mode: "stop",
    compress: "lzo",
    bwlimit: "51200",
  });
  backup(domain, "backup-node", { schedule: "05:00", storage: "local", all: "1", node: "hv3", mode: "snapshot" });
  backup(domain, "backup-off", { enabled: "0", schedule: "22:00", storage: "gone-nfs", all: "1", mode: "snapshot" });
}

function addFirewall(domain: Domain): void {
  const empty = () => ({ options: {}, rules: [], aliases: {}, ipset: {} });
  domain.state.firewall.cluster = {
    options: { enable: "1", policy_in: "DROP" },
    rules: [
      { type: "in", action: "ACCEPT", proto: "tcp", dport: "22", source: "10.0.0.0/8", enable: "1" },
      { type: "in", action: "ACCEPT", proto: "tcp", dport: "8006", enable: "1" },
    ],
    aliases: { buero: { name: "buero", cidr: "10.1.0.0/16" } },
    ipset: { admins: { comment: "Admins", entries: {} } },
  };
  domain.state.firewallGroups.webserver = {
    rules: [{ type: "in", action: "ACCEPT", proto: "tcp", dport: "443", enable: "1" }],
  };
  domain.state.firewall["guest/100"] = {
    ...empty(),
    options: { enable: "1" },
    rules: [{ type: "group", action: "webserver", enable: "1" }],
  };
}

function fill(domain: Domain): void {
  wire(domain);
  addStorages(domain);
  domain.state.pools.Buchhaltung = { comment: "DATEV & Co.", guests: [], storages: ["nas.old"] };
  domain.state.pools.leer = { guests: [], storages: [] };
  write(domain, [...oddMachines, ...oddContainers]);
  addJobs(domain);
  addFirewall(domain);
  domain.state.haResources["vm:100"] = { sid: "vm:100", type: "vm", state: "started", max_restart: "2" };
  domain.state.haResources["ct:205"] = { sid: "ct:205", type: "ct", state: "stopped" };
}

export const byHand: Kind = { topology, fill, locks: { 301: "backup", 205: "snapshot" } };
