import { networkChange } from "../../operations/network-change";

const card = { network: "office", mac: "BC:24:11:00:00:01", bridge: "vmbr1", vlan: 30 };

describe("networks of the other side", () => {
  test("a machine: bridge and VLAN are replaced, everything else stays; cloud-init gets the address", () => {
    const config = {
      net0: "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1,tag=20",
      ipconfig0: "ip=192.168.20.10/24,gw=192.168.20.1",
    };
    const cards = [{ ...card, address: "192.168.30.10/24", gateway: "192.168.30.1", dnsServers: ["192.168.30.2"] }];
    expect(networkChange({ kind: "qemu", cloudInit: true }, config, cards)).toEqual({
      net0: "virtio=BC:24:11:00:00:01,bridge=vmbr1,firewall=1,tag=30",
      ipconfig0: "ip=192.168.30.10/24,gw=192.168.30.1",
      nameserver: "192.168.30.2",
    });
    expect(networkChange({ kind: "qemu", cloudInit: false }, config, cards)).toEqual({
      net0: "virtio=BC:24:11:00:00:01,bridge=vmbr1,firewall=1,tag=30",
    });
  });

  test("a container: its address stands in the card; a VLAN that is gone is taken out", () => {
    const config = {
      net0: "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,ip=192.168.20.10/24,gw=192.168.20.1,tag=20,type=veth",
    };
    const { vlan: _, ...untagged } = card;
    const cards = [{ ...untagged, address: "192.168.30.10/24", gateway: "192.168.30.1" }];
    expect(networkChange({ kind: "lxc", cloudInit: false }, config, cards)).toEqual({
      net0: "name=eth0,bridge=vmbr1,hwaddr=BC:24:11:00:00:01,ip=192.168.30.10/24,gw=192.168.30.1,type=veth",
    });
  });

  test("nothing is changed where it fits already, and no card is invented", () => {
    const config = { net0: "virtio=BC:24:11:00:00:01,bridge=vmbr1,tag=30" };
    expect(networkChange({ kind: "qemu", cloudInit: false }, config, [card, card])).toEqual({});
  });
});
