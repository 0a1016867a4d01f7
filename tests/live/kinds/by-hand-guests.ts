/** Guests that somebody wrote by hand, each odd in its own way. */
import type { WrittenGuest } from "../../../lab/prepare";
import { ct, mac, vm } from "./kind";

const cards = (vmid: number) => ({
  net0: `virtio=${mac(vmid)},bridge=vmbr0,firewall=1`,
  net2: `e1000=${mac(vmid, 1)},bridge=vmbr1,link_down=1`,
  net5: `vmxnet3=${mac(vmid, 2)},bridge=vmbr0,tag=7,trunks=20;30;100-110,rate=12.5,queues=4,mtu=1400`,
});

/** Every bus with gaps, an EFI and a TPM volume, unused ones, a disk handed through, sizes of no whole GiB. */
const everyDisk = vm(
  "PVE1",
  100,
  {
    name: "Server.Haupt.example.LOCAL",
    description: "Hauptserver\n\nPasswort steht im Tresor: ä ö ü €",
    bios: "ovmf",
    machine: "pc-q35-9.0+pve1",
    cpu: "host,flags=+aes;-pcid",
    sockets: "2",
    cores: "3",
    vcpus: "4",
    numa: "1",
    memory: "12288",
    balloon: "6144",
    shares: "2000",
    ostype: "win10",
    localtime: "1",
    scsihw: "virtio-scsi-pci",
    boot: "order=virtio3;ide2;net0",
    virtio3: "local-lvm:vm-100-disk-0,cache=writeback,discard=on,size=33G",
    scsi1: "local-lvm:vm-100-disk-1,size=1550M",
    scsi30: "Daten_SSD:100/vm-100-disk-0.qcow2,backup=0,replicate=0,size=524289K",
    sata5: "/dev/disk/by-id/ata-WDC_WD40EFRX-68N32N0_WD-WCC7K0000001,size=3907018584K",
    ide0: "Daten_SSD:100/vm-100-disk-1.raw,size=10G",
    ide2: "nas.old:iso/virtio-win-0.1.271.iso,media=cdrom,size=708140K",
    efidisk0: "local-lvm:vm-100-disk-2,efitype=4m,pre-enrolled-keys=1,size=4M",
    tpmstate0: "local-lvm:vm-100-disk-3,size=4M,version=v2.0",
    unused0: "local-lvm:vm-100-disk-9",
    unused3: "Daten_SSD:100/vm-100-disk-4.qcow2",
    hostpci0: "0000:01:00.0,pcie=1,x-vga=1",
    usb0: "host=046d:c52b",
    args: "-device vmcoreinfo",
    hookscript: "local:snippets/gpu.pl",
    ...cards(100),
    onboot: "1",
    startup: "order=1,up=120,down=300",
    protection: "1",
    tags: "haupt;production;windows",
    agent: "1,fstrim_cloned_disks=1",
    vga: "virtio,memory=64",
  },
  { running: true, pool: "Buchhaltung" },
);

/** The same name twice, IDE only, no SCSI controller named, an emulated card, an empty drive. */
const twins = ["PVE1", "pve-alt"].map((node, index) =>
  vm(
    node,
    201 + index,
    {
      name: "web",
      memory: "1024",
      ide0: `local-lvm:vm-${201 + index}-disk-0,size=8G`,
      ide2: "none,media=cdrom",
      net0: `e1000=${mac(201 + index)},bridge=vmbr0`,
    },
    { running: true },
  ),
);

/** It has changes that wait for its next start. */
const waiting = vm(
  "hv3",
  300,
  {
    name: "app-waiting",
    cores: "8",
    memory: "16384",
    ostype: "l26",
    scsihw: "virtio-scsi-single",
    scsi0: "ceph:vm-300-disk-0,iothread=1,size=64G",
    scsi1: "ceph:vm-300-disk-1,size=10G",
    ide2: "ceph:vm-300-cloudinit,media=cdrom",
    ciuser: "root",
    cipassword: "$5$hidden",
    ipconfig0: "ip=10.3.0.0/8,gw=10.255.255.254",
    net0: `virtio=${mac(300)},bridge=vmbr0,tag=300`,
    machine: "q35",
  },
  {
    running: { cores: "4", memory: "8192", machine: undefined, vga: "std" },
  },
);

export const oddMachines: WrittenGuest[] = [
  everyDisk,
  ...twins,
  waiting,
  // Nobody gave it a name; a backup holds it.
  vm("PVE1", 301, {
    memory: "512",
    scsi0: "local-lvm:vm-301-disk-0,size=4G",
    net0: `rtl8139=${mac(301)},bridge=vmbr99`,
  }),
  // Without disk, without card.
  vm("hv3", 302, { name: "boots-from-net", memory: "256", boot: "order=net0" }),
  vm(
    "pve-alt",
    303,
    {
      name: "Alt-Daten",
      memory: "2048",
      sata0: "thick:vm-303-disk-0,size=120G",
      net0: `virtio=${mac(303)},bridge=vmbr0`,
    },
    { running: true },
  ),
  vm(
    "hv3",
    304,
    {
      name: "on-btrfs",
      cores: "2",
      memory: "2048",
      scsi0: "btr:304/vm-304-disk-0.raw,size=20G",
      net0: `virtio=${mac(304)},bridge=vmbr1`,
    },
    { running: true, snapshots: ["before", "after-update"] },
  ),
  vm("hv3", 305, {
    name: "lun-direct",
    memory: "4096",
    scsi0: "san:0.0.1.scsi-3600140500000001,size=500G",
    net0: `virtio=${mac(305)},bridge=vmbr0`,
  }),
  // Templates, one with a linked clone.
  vm("hv3", 900, {
    name: "debian-13-vorlage",
    memory: "1024",
    template: "1",
    ostype: "l26",
    scsi0: "ceph:base-900-disk-0,size=3584M",
    ide2: "ceph:vm-900-cloudinit,media=cdrom",
    net0: `virtio=${mac(900)},bridge=vmbr0`,
  }),
  vm(
    "hv3",
    901,
    {
      name: "clone-of-900",
      memory: "1024",
      ostype: "l26",
      scsi0: "ceph:base-900-disk-0/vm-901-disk-0,size=3584M",
      net0: `virtio=${mac(901)},bridge=vmbr0`,
    },
    { running: true },
  ),
  // Test, with the shared NFS as qcow2, and a disk whose storage is off.
  vm("pve-alt", 999, {
    name: "TEST",
    memory: "1000",
    cores: "1",
    virtio0: "nas.old:999/vm-999-disk-0.qcow2,size=15G",
    virtio15: "off:999/vm-999-disk-1.raw,size=1G",
    net0: `virtio=${mac(999)},bridge=vmbr0`,
  }),
  vm(
    "PVE1",
    1_000_000,
    {
      name: "huge-id",
      memory: "65536",
      cores: "16",
      scsi0: "local-lvm:vm-1000000-disk-0,size=100G",
      net0: `virtio=${mac(1_000_000)},bridge=vmbr0`,
      onboot: "1",
    },
    { running: true, snapshots: ["s1"] },
  ),
];

export const oddContainers: WrittenGuest[] = [
  ct(
    "PVE1",
    205,
    {
      hostname: "Mail.example.org",
      memory: "2048",
      swap: "0",
      rootfs: "local-lvm:vm-205-disk-0,size=12G",
      mp0: "local-lvm:vm-205-disk-1,mp=/var/vmail,acl=1,quota=1,size=200G",
      mp7: "/mnt/Daten SSD/share,mp=/srv/share,ro=1",
      net0: `name=eth0,bridge=vmbr0,firewall=1,gw=10.255.255.254,hwaddr=${mac(205)},ip=10.4.0.5/8,ip6=auto,type=veth`,
      net3: `name=lan,bridge=vmbr1,hwaddr=${mac(205, 1)},type=veth`,
      features: "mount=nfs;cifs,nesting=1",
      onboot: "1",
      nameserver: "10.0.0.53 9.9.9.9",
      searchdomain: "example.org",
      description: "Postfix\n",
    },
    { snapshots: ["vor-upgrade"], pool: "Buchhaltung" },
  ),
  // Privileged, without core limit, with lines that LXC reads itself.
  ct(
    "hv3",
    4711,
    {
      hostname: "plex",
      ostype: "ubuntu",
      memory: "4096",
      swap: "4096",
      rootfs: "btr:4711/vm-4711-disk-0.raw,size=9G",
      net0: `name=eth0,bridge=vmbr0,hwaddr=${mac(4711)},ip=dhcp,type=veth`,
      "lxc.cgroup2.devices.allow": "c 226:0 rwm",
      "lxc.mount.entry": "/dev/dri dev/dri none bind,optional,create=dir",
      dev0: "/dev/dri/renderD128,gid=104",
      tags: "media",
    },
    { running: true },
  ),
  ct(
    "pve-alt",
    4712,
    {
      hostname: "web",
      ostype: "alpine",
      memory: "128",
      swap: "128",
      cores: "1",
      unprivileged: "1",
      rootfs: "local-lvm:vm-4712-disk-0,size=512M",
      cmode: "shell",
    },
    {
      running: { cmode: undefined },
    },
  ),
  ct("hv3", 4799, {
    hostname: "debian-vorlage",
    memory: "512",
    template: "1",
    rootfs: "ceph:base-4799-disk-0,size=4G",
    unprivileged: "1",
  }),
];
