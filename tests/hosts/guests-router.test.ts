import { canRunHosts } from "../../lab/hosts";
import type { LabHosts } from "../../lab/hosts/types";
import { TrialLab, twoNodes } from "../lab/trial-lab";
import { guestProcesses } from "./guests-support";

const check = canRunHosts();
if (!check.ok) process.stderr.write(`tests/hosts: SKIPPED: ${check.why}\n`);
jest.setTimeout(60_000);
const here = check.ok ? describe : describe.skip;

const MAC = "BC:24:11:00:01:65";

here("the site's router", () => {
  let lab: TrialLab;
  let hosts: LabHosts;

  beforeAll(async () => {
    const topology = {
      ...twoNodes,
      addresses: { srv1: "192.168.10.11/24", srv2: "192.168.10.12/24", "backup-1": "192.168.10.13/24" },
      gateways: [
        { address: "192.168.10.1/24", bridge: "vmbr0", vlan: 10 },
        { address: "192.168.20.1/24", bridge: "vmbr0", vlan: 20 },
        { address: "192.168.30.1/24", bridge: "vmbr0", vlan: 30 },
      ],
      guestAddresses: { [MAC.toLowerCase()]: "192.168.30.21/24" },
      guestBootSeconds: { [MAC.toLowerCase()]: 0.2 },
    };
    lab = await TrialLab.start(topology, 20, undefined, { hosts: true });
    hosts = lab.lab.hosts!;
    const net = "virtio=BC:24:11:00:01:64,bridge=vmbr0,tag=20";
    await lab.createVm("srv1", 100, { name: "a", net0: net, ipconfig0: "ip=192.168.20.21/24,gw=192.168.20.1" });
    // What only the guest itself knows comes from the topology, its router too.
    await lab.createVm("srv2", 101, { name: "b", net0: `virtio=${MAC},bridge=vmbr0,tag=30` });
    await lab.control("POST", "/guests/100/boot-time", { seconds: 0.2 });
    await Promise.all([
      lab.task("srv1", "POST", "/nodes/srv1/qemu/100/status/start"),
      lab.task("srv2", "POST", "/nodes/srv2/qemu/101/status/start"),
    ]);
  }, 60_000);
  afterAll(() => lab?.remove(), 30_000);

  const shell = (node: string, text: string) => hosts.exec(node, ["bash", "-c", text]);
  const connects = async (node: string, address: string, seconds = 2) =>
    (await shell(node, `timeout ${seconds} bash -c 'exec 3<>/dev/tcp/${address}/80'`)).code === 0;
  const soon = (node: string, address: string) => lab.until(() => connects(node, address), Boolean);
  const pings = async (node: string, address: string, seconds: number) =>
    (await shell(node, `ping -c 1 -w ${seconds} ${address}`)).code === 0;

  it("leads from every host to the guests of all networks, whichever host they run on", async () => {
    for (const node of ["srv1", "srv2", "backup-1"])
      for (const address of ["192.168.20.21", "192.168.30.21"]) {
        await soon(node, address);
        expect(`${node} ${address} ${await pings(node, address, 4)}`).toBe(`${node} ${address} true`);
      }
    expect((await shell("srv1", "ip route show default")).stdout).toMatch(/^default via 192\.168\.10\.1 /);
  });

  it("leads from guest to guest between two networks", async () => {
    const from = "nsenter --net=/proc/$(cat /run/qemu-server/100.pid)/ns/net";
    expect((await shell("srv1", `${from} ping -c 1 -w 4 192.168.30.21`)).code).toBe(0);
  });

  it("is no way around a partition", async () => {
    await lab.control("POST", "/partition", { a: ["srv1"], b: ["srv2"] });
    expect(await Promise.all([pings("srv1", "192.168.10.12", 1), pings("srv2", "192.168.10.11", 1)])).toEqual([
      false,
      false,
    ]);
    // Only a machine with nftables can cut what is routed; elsewhere the lab says that it does not.
    if ((await hosts.probe(["nft", "list", "ruleset"])).code === 0)
      expect(await Promise.all([connects("srv1", "192.168.30.21"), connects("srv2", "192.168.20.21")])).toEqual([
        false,
        false,
      ]);
    expect(
      await Promise.all([
        connects("srv1", "192.168.20.21"),
        connects("srv2", "192.168.30.21"),
        connects("backup-1", "192.168.20.21"),
        connects("backup-1", "192.168.30.21"),
      ]),
    ).toEqual([true, true, true, true]);
    await lab.control("POST", "/heal");
    expect(await soon("srv1", "192.168.30.21")).toBe(true);
  });

  it("is there for a host that was off", async () => {
    await lab.control("POST", "/nodes/srv1/kill");
    await lab.control("POST", "/nodes/srv1/revive");
    expect(await soon("srv1", "192.168.30.21")).toBe(true);
    expect(guestProcesses(hosts, ["srv1", "srv2"])).toEqual(["coldspare-lab-guest 101 b srv2"]);
  });
});
