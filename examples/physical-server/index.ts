// What a program makes on one server: a bridge, a VLAN, a storage entry, an image, DNS and time.
import { defineSite, PhysicalServer, planSite } from "coldspare";

const plan = planSite(
  defineSite({
    site: { name: "office" },
    servers: {
      srv1: {
        roles: ["hypervisor"],
        cores: 12,
        memoryGiB: 32,
        address: "192.168.10.11",
        bridges: { vmbr1: { ports: ["eno2"], managed: true } },
        vlans: { backup: { interface: "vmbr1", tag: 50, address: "192.168.50.11/24" } },
        storages: {
          fast: { type: "zfspool", pool: "fast", sizeGiB: 900, content: ["images"], managed: true },
          local: { type: "dir", path: "/var/lib/vz", sizeGiB: 90, content: ["iso", "vztmpl", "import"] },
        },
        settings: { dnsServers: ["192.168.10.1"], dnsDomain: "office.internal", timeZone: "Europe/Paris" },
      },
    },
    images: {
      "debian-13": {
        kind: "disk-image",
        url: "https://cloud.debian.org/images/cloud/trixie/latest/debian-13-genericcloud-amd64.qcow2",
        fileName: "debian-13-genericcloud-amd64.qcow2",
      },
    },
  }),
);

const { srv1 } = plan.spec.servers;
if (srv1 === undefined) throw new Error("the plan has no srv1");
const server = new PhysicalServer("srv1", { server: srv1, images: plan.spec.images });

export const roles = server.roles;
