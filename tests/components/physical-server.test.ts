import { PhysicalServer } from "../../components";
import { siteSpec } from "../../planning";
import { record } from "./recorder";

/** One server of a specification, with the defaults filled in. */
function server(input: object) {
  const spec = siteSpec.parse({ site: { name: "s" }, servers: { srv1: { cores: 4, memoryGiB: 16, ...input } } });
  const found = spec.servers.srv1;
  if (!found) throw new Error("the schema lost the server");
  return found;
}

describe("PhysicalServer", () => {
  it("makes what is managed, and takes the rest as it is", async () => {
    const spec = server({
      roles: ["hypervisor"],
      bridges: {
        vmbr0: { ports: ["eno1"], address: "192.168.10.11/24" },
        vmbr1: { ports: ["eno2"], managed: true, address: "10.0.0.1/24" },
      },
      vlans: { storage: { interface: "vmbr1", tag: 99, address: "10.9.9.1/24" }, there: { tag: 5, managed: false } },
      storages: {
        tank: { type: "zfspool", sizeGiB: 100, content: ["images"], managed: true },
        fast: { type: "lvmthin", pool: "vg0/thin", sizeGiB: 100, content: ["images"], managed: true },
        iso: { type: "dir", path: "/srv/iso", sizeGiB: 10, content: ["iso"], managed: true },
        local: { type: "dir", path: "/var/lib/vz", sizeGiB: 10, content: ["iso"] },
      },
      settings: { dnsDomain: "smb.internal", dnsServers: ["192.168.10.1"], timeZone: "Europe/Paris" },
    });
    const { recorder } = await record(() => new PhysicalServer("srv1", { server: spec }));
    expect(recorder.identities()).toEqual([
      "coldspare:index:PhysicalServer::srv1",
      "proxmoxve:index/dnsLegacy:DnsLegacy::srv1-dns",
      "proxmoxve:index/timeLegacy:TimeLegacy::srv1-time",
      "proxmoxve:network/linux/bridge:Bridge::srv1-bridge-vmbr1",
      "proxmoxve:network/linux/vlan:Vlan::srv1-vlan-storage",
      "proxmoxve:storage/directory:Directory::srv1-storage-iso",
      "proxmoxve:storage/lvmthin:Lvmthin::srv1-storage-fast",
      "proxmoxve:storage/zfspool:Zfspool::srv1-storage-tank",
    ]);
    expect(recorder.one("srv1-bridge-vmbr1").inputs).toEqual({
      nodeName: "srv1",
      name: "vmbr1",
      ports: ["eno2"],
      vlanAware: true,
      address: "10.0.0.1/24",
    });
    expect(recorder.one("srv1-vlan-storage").inputs).toEqual({
      nodeName: "srv1",
      name: "vmbr1.99",
      comment: "storage",
      address: "10.9.9.1/24",
    });
    expect(recorder.one("srv1-storage-fast").inputs).toEqual({
      resourceId: "fast",
      nodes: ["srv1"],
      contents: ["images"],
      volumeGroup: "vg0",
      thinPool: "thin",
    });
  });

  it("leaves storage entries to the site where a cluster has one entry for all", async () => {
    const spec = server({
      roles: ["hypervisor"],
      storages: { tank: { type: "zfspool", sizeGiB: 100, content: ["images"], managed: true } },
    });
    const { recorder } = await record(() => new PhysicalServer("srv1", { server: spec, storageEntries: false }));
    expect(recorder.identities()).toEqual(["coldspare:index:PhysicalServer::srv1"]);
  });

  it("registers nothing of its own for a server that is no hypervisor", async () => {
    const spec = server({
      roles: ["backup-server", "witness"],
      settings: { timeZone: "Europe/Paris" },
      storages: { vzdump: { type: "dir", sizeGiB: 100, content: ["backup"], managed: true } },
    });
    const { recorder } = await record(() => new PhysicalServer("srv1", { server: spec }));
    expect(recorder.identities()).toEqual(["coldspare:index:PhysicalServer::srv1"]);
  });
});
