/** Fifteen servers with 120 guests of both types, as a firm has them that grew for ten years. */
import type { Domain } from "../../../lab/domain";
import type { WrittenGuest } from "../../../lab/prepare";
import type { LabTopology } from "../../../lab/topology";
import { backup, ct, type Kind, mac, onBridge, replicate, vm, write } from "./kind";

const SERVERS = 15;
const GUESTS = 120;
const names = Array.from({ length: SERVERS }, (_, index) => `pve${String(index + 1).padStart(2, "0")}`);
const DUTIES = ["web", "app", "db", "cache", "mail", "build", "files", "proxy"];

const topology: LabTopology = {
  cluster: "production",
  witnesses: [],
  addresses: Object.fromEntries(names.map((name, index) => [name, `10.20.0.${index + 11}/24`])),
  nodes: names.map((name, index) => ({
    name,
    cores: index % 3 === 0 ? 64 : 32,
    memoryGiB: index % 3 === 0 ? 512 : 256,
    bridges: ["vmbr0", "vmbr1"],
    storages: [
      { id: "local-zfs", type: "zfspool", pool: "rpool/data", sizeGiB: 3500, content: ["images", "rootdir"] },
      ...(index < 5
        ? [{ id: "fast", type: "lvmthin" as const, pool: "nvme", sizeGiB: 1800, content: ["images", "rootdir"] }]
        : []),
    ],
  })),
  shared: [
    { id: "ceph-vm", type: "rbd", sizeGiB: 40_000, content: ["images", "rootdir"] },
    {
      id: "nas-backup",
      type: "nfs",
      sizeGiB: 60_000,
      content: ["backup", "iso", "vztmpl"],
      server: "10.20.0.200",
      export: "/volume1/pve",
    },
  ],
};

/** Where the disks of the n-th guest lie: half on ZFS, a third on Ceph, the rest on thin LVM where the server has it. */
function storageOf(index: number): "local-zfs" | "ceph-vm" | "fast" {
  if (index % 3 === 1) return "ceph-vm";
  return index % SERVERS < 5 && index % 6 === 2 ? "fast" : "local-zfs";
}

function machine(index: number): WrittenGuest {
  const vmid = 100 + index;
  const storage = storageOf(index);
  const disks = 1 + (index % 3);
  const off = index % 20 === 7;
  return vm(
    names[index % SERVERS]!,
    vmid,
    {
      name: `${DUTIES[index % DUTIES.length]}-${vmid}`,
      cores: String([2, 4, 4, 8][index % 4]),
      cpu: index % 2 === 0 ? "host" : "x86-64-v2-AES",
      memory: String([2048, 4096, 8192, 16384][index % 4]),
      ostype: index % 5 === 0 ? "win11" : "l26",
      scsihw: "virtio-scsi-single",
      boot: "order=scsi0",
      agent: "1",
      ...(off ? {} : { onboot: "1" }),
      tags: index % 2 === 0 ? "production" : "production;web",
      ...Object.fromEntries(
        Array.from({ length: disks }, (_, disk) => [
          `scsi${disk}`,
          `${storage}:vm-${vmid}-disk-${disk},discard=on,iothread=1,size=${[32, 100, 250][disk]}G`,
        ]),
      ),
      net0: `virtio=${mac(vmid)},bridge=vmbr${index % 2},firewall=1${index % 2 === 1 ? ",tag=30" : ""}`,
    },
    { ...(off ? {} : { running: true as const }), ...(index % 10 === 0 ? { pool: "erp" } : {}) },
  );
}

function container(index: number): WrittenGuest {
  const vmid = 100 + index;
  const storage = storageOf(index);
  const volume = storage === "local-zfs" ? "subvol" : "vm";
  return ct(
    names[index % SERVERS]!,
    vmid,
    {
      hostname: `${DUTIES[index % DUTIES.length]}-${vmid}`,
      cores: String(1 + (index % 4)),
      memory: String([512, 1024, 2048][index % 3]),
      swap: "512",
      onboot: "1",
      unprivileged: "1",
      features: "nesting=1",
      tags: "container",
      rootfs: `${storage}:${volume}-${vmid}-disk-0,size=${8 + (index % 3) * 8}G`,
      net0: `name=eth0,bridge=vmbr0,firewall=1,hwaddr=${mac(vmid)},ip=dhcp,tag=40,type=veth`,
    },
    { running: true, ...(index % 10 === 4 ? { pool: "web" } : {}) },
  );
}

function addReplication(domain: Domain, guest: WrittenGuest, index: number): void {
  if (storageOf(index) !== "local-zfs" || index % 2 === 1) return;
  const target = names[(index + 1) % SERVERS]!;
  replicate(domain, `${guest.vmid}-0`, target, {
    schedule: index % 4 === 0 ? "*/15" : "*/30",
    ...(index % 24 === 0 ? { disable: "1" as const } : {}),
    ...(index % 36 === 18 ? { error: "command 'zfs send' failed: got signal 13" } : {}),
  });
}

function fill(domain: Domain): void {
  for (const [index, name] of names.entries()) onBridge(domain, name, `10.20.0.${index + 11}/24`, "10.20.0.1");
  domain.state.pools.erp = { comment: "ERP and what it needs", guests: [], storages: [] };
  domain.state.pools.web = { comment: "Web", guests: [], storages: [] };
  const guests = Array.from({ length: GUESTS }, (_, index) => (index % 4 === 3 ? container(index) : machine(index)));
  write(domain, guests);
  for (const [index, guest] of guests.entries()) addReplication(domain, guest, index);
  backup(domain, "backup-erp", {
    schedule: "21:00",
    storage: "nas-backup",
    pool: "erp",
    mode: "snapshot",
    compress: "zstd",
    "prune-backups": "keep-daily=7,keep-weekly=4,keep-monthly=6",
  });
  backup(domain, "backup-web", {
    schedule: "mon..fri 01:30",
    storage: "nas-backup",
    vmid: guests
      .filter((_, index) => index % 8 === 0)
      .map(({ vmid }) => vmid)
      .join(","),
    mode: "snapshot",
    compress: "zstd",
    "prune-backups": "keep-last=3",
  });
  backup(domain, "backup-old", { enabled: "0", schedule: "sun 03:00", storage: "local", all: "1", mode: "stop" });
  domain.state.haResources["vm:100"] = { sid: "vm:100", type: "vm", state: "started" };
  domain.state.haResources["vm:110"] = { sid: "vm:110", type: "vm", state: "ignored" };
}

export const large: Kind = { topology, fill };
