/** The small firm as somebody would have built it by hand: two servers, ZFS, a NAS, a third vote. */
import type { Domain } from "../../../lab/domain";
import type { LabTopology } from "../../../lab/topology";
import { backup, ct, type Kind, mac, onBridge, replicate, vm, write } from "./kind";

const topology: LabTopology = {
  cluster: "smb",
  witnesses: ["backup-1"],
  localContent: ["backup", "import", "iso", "snippets", "vztmpl"],
  addresses: { srv1: "192.168.10.11/24", srv2: "192.168.10.12/24", "backup-1": "192.168.10.13/24" },
  nodes: [
    { name: "srv1", cores: 6, memoryGiB: 32 },
    { name: "srv2", cores: 12, memoryGiB: 32 },
  ].map((node) => ({
    ...node,
    bridges: ["vmbr0"],
    storages: [{ id: "tank", type: "zfspool", sizeGiB: 1800, content: ["images", "rootdir"] }],
    localGiB: 90,
  })),
  shared: [
    {
      id: "backup-nfs",
      type: "nfs",
      sizeGiB: 5400,
      content: ["backup"],
      server: "192.168.10.13",
      export: "/srv/vzdump",
    },
  ],
};

function windows(vmid: number, name: string, cores: number, memory: number, sizes: number[], boot: string) {
  const first = name === "dc-1" ? 2 : 0;
  const disks = sizes.map(
    (size, index) =>
      [
        `scsi${index}`,
        `tank:vm-${vmid}-disk-${index + first},discard=on,iothread=1,size=${size}G${index > 0 ? ",ssd=1" : ""}`,
      ] as const,
  );
  return {
    name,
    cores: String(cores),
    cpu: "x86-64-v2-AES",
    memory: String(memory),
    machine: "pc-q35-10.1",
    ostype: "win11",
    scsihw: "virtio-scsi-single",
    boot: "order=scsi0",
    agent: "1",
    onboot: "1",
    startup: boot,
    tags: "windows",
    ...Object.fromEntries(disks),
    net0: `virtio=${mac(vmid)},bridge=vmbr0,firewall=1,tag=20`,
  };
}

function fill(domain: Domain): void {
  onBridge(domain, "srv1", "192.168.10.11/24", "192.168.10.1");
  onBridge(domain, "srv2", "192.168.10.12/24", "192.168.10.1");
  const dc = {
    ...windows(110, "dc-1", 2, 4096, [80], "order=10,up=60"),
    bios: "ovmf",
    efidisk0: "tank:vm-110-disk-0,efitype=4m,pre-enrolled-keys=1,size=1M",
    tpmstate0: "tank:vm-110-disk-1,size=4M,version=v2.0",
  };
  const docker = {
    name: "docker-1",
    description: "Reverse proxy, chat, ITSM",
    cores: "2",
    cpu: "host",
    memory: "4096",
    balloon: "2048",
    ostype: "l26",
    scsihw: "virtio-scsi-single",
    boot: "order=scsi0;net0",
    onboot: "1",
    startup: "order=50",
    tags: "linux",
    scsi0: "tank:vm-114-disk-0,discard=on,iothread=1,size=40G",
    scsi1: "tank:vm-114-disk-1,discard=on,iothread=1,size=100G",
    ide2: "tank:vm-114-cloudinit,media=cdrom",
    ciuser: "admin",
    ipconfig0: "ip=192.168.20.14/24,gw=192.168.20.1",
    nameserver: "192.168.20.10",
    net0: `virtio=${mac(114)},bridge=vmbr0,tag=20`,
    serial0: "socket",
  };
  const monitoring = {
    hostname: "monitoring",
    cores: "1",
    memory: "1024",
    swap: "512",
    onboot: "1",
    unprivileged: "1",
    features: "nesting=1",
    rootfs: "tank:subvol-115-disk-0,size=16G",
    mp0: "tank:subvol-115-disk-1,mp=/var/lib/prometheus,backup=1,size=50G",
    net0: `name=eth0,bridge=vmbr0,gw=192.168.20.1,hwaddr=${mac(115)},ip=192.168.20.15/24,tag=20,type=veth`,
    startup: "order=60",
  };
  write(domain, [
    vm("srv1", 110, dc, { running: true }),
    vm("srv1", 111, windows(111, "files-1", 2, 4096, [80, 600], "order=20"), { running: true }),
    vm("srv2", 112, windows(112, "remote-app", 4, 6144, [120], "order=40"), { running: true }),
    vm("srv2", 113, windows(113, "sql-erp", 4, 8192, [100, 200], "order=30,up=30"), { running: true }),
    vm("srv2", 114, docker, { running: true }),
    ct("srv1", 115, monitoring, { running: true }),
  ]);
  for (const [vmid, target, schedule] of [
    [110, "srv2", "*/15"],
    [111, "srv2", "*/15"],
    [113, "srv1", "*/5"],
    [114, "srv1", undefined],
  ] as const)
    replicate(domain, `${vmid}-0`, target, schedule ? { schedule } : {});
  backup(domain, "backup-5f0c1d2e-9a4b", {
    schedule: "22:30",
    storage: "backup-nfs",
    all: "1",
    mode: "snapshot",
    compress: "zstd",
    "prune-backups": "keep-daily=5,keep-weekly=3",
    "notes-template": "{{guestname}}",
  });
}

export const smb: Kind = { topology, fill };
