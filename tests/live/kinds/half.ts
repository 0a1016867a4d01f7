/** Six servers of which three are off, without a third vote: no quorum, and half of the guests nobody answers for. */
import type { Domain } from "../../../lab/domain";
import type { LabTopology } from "../../../lab/topology";
import { backup, ct, type Kind, mac, onBridge, replicate, vm, write } from "./kind";

const names = ["node-a", "node-b", "node-c", "node-d", "node-e", "node-f"];

const topology: LabTopology = {
  cluster: "half",
  witnesses: [],
  addresses: Object.fromEntries(names.map((name, index) => [name, `172.16.0.${index + 1}/24`])),
  nodes: names.map((name) => ({
    name,
    cores: 16,
    memoryGiB: 64,
    bridges: ["vmbr0"],
    storages: [{ id: "rpool", type: "zfspool", sizeGiB: 900, content: ["images", "rootdir"] }],
  })),
  shared: [],
};

function fill(domain: Domain): void {
  for (const [index, name] of names.entries()) {
    onBridge(domain, name, `172.16.0.${index + 1}/24`, "172.16.0.254", false);
    const [first, second] = [200 + index * 10, 201 + index * 10];
    write(domain, [
      vm(
        name,
        first,
        {
          name: `app-${name}`,
          cores: "4",
          memory: "8192",
          ostype: "l26",
          scsihw: "virtio-scsi-pci",
          scsi0: `rpool:vm-${first}-disk-0,size=64G`,
          net0: `virtio=${mac(first)},bridge=vmbr0`,
          onboot: "1",
        },
        { running: true },
      ),
      ct(
        name,
        second,
        {
          hostname: `side-${name}`,
          cores: "1",
          memory: "512",
          swap: "0",
          unprivileged: "1",
          rootfs: `rpool:subvol-${second}-disk-0,size=8G`,
          net0: `name=eth0,bridge=vmbr0,hwaddr=${mac(second)},ip=dhcp,type=veth`,
        },
        { running: true },
      ),
    ]);
  }
  for (const [index, name] of names.entries())
    replicate(domain, `${200 + index * 10}-0`, names[(index + 3) % 6]!, name === "node-b" ? {} : { schedule: "*/10" });
  backup(domain, "backup-all", { schedule: "02:00", storage: "local", all: "1", mode: "snapshot", compress: "zstd" });
}

export const half: Kind = { topology, fill, off: ["node-d", "node-e", "node-f"] };
