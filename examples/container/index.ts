// One container with a powered-off spare. Both servers have the template already (physical-server/ shows how they get it).
import { Container } from "coldspare";

const wiki = new Container("wiki", {
  id: 510,
  os: "debian",
  image: "debian-13",
  on: "srv1",
  cores: 2,
  memoryGiB: 1,
  disks: [{ sizeGiB: 8, storage: "tank" }],
  networks: [{ network: "servers", address: "192.168.20.60" }],
  siteNetworks: { servers: { vlan: 20, subnet: "192.168.20.0/24", gateway: "192.168.20.1" } },
  siteImages: {
    "debian-13": {
      kind: "container-template",
      url: "http://download.proxmox.com/images/system/debian-13-standard_13.1-2_amd64.tar.zst",
      fileName: "debian-13-standard_13.1-2_amd64.tar.zst",
    },
  },
  coldReplica: { on: "srv2", method: "storage-replication", schedule: "*/15" },
});

export const guestId = wiki.guestId;
export const activeServer = wiki.activeServer;
