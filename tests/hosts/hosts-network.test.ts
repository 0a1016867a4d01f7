import type { LabHosts } from "../../lab/hosts";
import { bootedHosts, on, ssh, withHosts } from "./hosts-support";

/** Until the first answer, for as many seconds as follow. */
const PING = ["ping", "-c", "1", "-w"];

withHosts("the network of real hosts", () => {
  let hosts: LabHosts;
  let end: () => Promise<void>;

  beforeAll(async () => {
    ({ hosts, end } = await bootedHosts({ unreachable: "closed" }));
  });
  afterAll(() => end());
  afterEach(() => hosts.heal());

  const ADDRESS: Record<string, string> = { srv1: "192.168.10.11", srv2: "192.168.10.12", "backup-1": "192.168.10.13" };
  // An answer may take until the next ARP request, a second after one that was lost.
  const reaches = async (from: string, to: string) =>
    (await hosts.exec(from, [...PING, "4", ADDRESS[to] ?? to])).code === 0;
  const misses = async (from: string, to: string) =>
    (await hosts.exec(from, [...PING, "1", ADDRESS[to] ?? to])).code !== 0;

  /** A guest: a namespace of its own on a bridge of the host. @returns whether it reaches an address */
  const guest = async (host: string, bridge: string, address: string) => {
    const name = `g${address.split(".").at(-1)}`;
    const pid = await on(hosts, host, "unshare --net sleep 1000 >/dev/null 2>&1 & sleep 0.05; echo $!");
    await on(
      hosts,
      host,
      `ip link add name ${name} type veth peer name eth0 netns ${pid} && ip link set ${name} master ${bridge} up &&
       nsenter --net=/proc/${pid}/ns/net sh -c 'ip link set lo up; ip addr add ${address}/24 dev eth0; ip link set eth0 up'`,
    );
    return async (to: string, seconds = "4") =>
      (await hosts.exec(host, ["nsenter", `--net=/proc/${pid}/ns/net`, ...PING, seconds, to])).code === 0;
  };

  test("all reach all, and the probe on the switch reaches them too", async () => {
    for (const from of Object.keys(ADDRESS))
      for (const to of Object.keys(ADDRESS))
        expect(`${from} ${to} ${await reaches(from, to)}`).toBe(`${from} ${to} true`);
    expect((await hosts.probe([...PING, "4", "192.168.10.13"])).code).toBe(0);
  });

  test("a split cuts two hosts from each other and nobody else, until it heals", async () => {
    await hosts.split(["srv1"], ["srv2"]);
    expect(hosts.connected("srv1", "srv2")).toBe(false);
    expect(await Promise.all([misses("srv1", "srv2"), misses("srv2", "srv1")])).toEqual([true, true]);
    expect(await Promise.all([reaches("srv1", "backup-1"), reaches("srv2", "backup-1")])).toEqual([true, true]);
    expect((await hosts.probe([...PING, "4", "192.168.10.11"])).code).toBe(0);
    expect(await ssh(hosts, "srv1", "hostname")).toBe("srv1\n");
    await hosts.heal();
    expect(await Promise.all([reaches("srv1", "srv2"), reaches("srv2", "srv1")])).toEqual([true, true]);
  });

  test("a host that boots during a split stays split", async () => {
    await hosts.split(["srv2"], ["srv1", "backup-1"]);
    await hosts.cut("srv2");
    await hosts.boot("srv2");
    expect(
      await Promise.all([misses("srv2", "srv1"), misses("srv2", "backup-1"), reaches("srv1", "backup-1")]),
    ).toEqual([true, true, true]);
    await hosts.heal();
    expect(await reaches("srv2", "backup-1")).toBe(true);
  });

  test("the operator is cut from one host only, with the connections that stand", async () => {
    const standing = ssh(hosts, "srv1", "sleep 100");
    const ended = expect(standing).rejects.toThrow();
    await ssh(hosts, "srv1", "true");
    await hosts.split(["operator"], ["srv1"]);
    await ended;
    await expect(ssh(hosts, "srv1", "true")).rejects.toThrow();
    expect(await ssh(hosts, "srv2", "hostname")).toBe("srv2\n");
    expect(await reaches("srv2", "srv1")).toBe(true);
    await hosts.heal();
    expect(await ssh(hosts, "srv1", "hostname")).toBe("srv1\n");
  });

  test("guests reach each other across hosts on their own VLAN, and a split cuts them as well", async () => {
    const [one, two] = [await hosts.bridge("srv1", "vmbr0", 20), await hosts.bridge("srv2", "vmbr0", 20)];
    expect([one, two]).toEqual(["vmbr0v20", "vmbr0v20"]);
    expect(await hosts.bridge("srv1", "vmbr0", 20)).toBe("vmbr0v20");
    const first = await guest("srv1", one, "192.168.20.1");
    const second = await guest("srv2", two, "192.168.20.2");
    const other = await guest("srv2", await hosts.bridge("srv2", "vmbr0", 30), "192.168.20.3");
    await hosts.probeJoin("vmbr0", 20, "192.168.20.250/24");
    expect(await Promise.all([first("192.168.20.2"), second("192.168.20.1"), second("192.168.20.250")])).toEqual([
      true,
      true,
      true,
    ]);
    expect((await hosts.probe([...PING, "4", "192.168.20.1"])).code).toBe(0);
    // The same network by address, but another VLAN; and no way round over the probe, which has both.
    expect(await other("192.168.20.1", "1")).toBe(false);
    await hosts.split(["srv1"], ["srv2"]);
    expect(await first("192.168.20.2", "1")).toBe(false);
    expect(await second("192.168.20.250")).toBe(true);
  });

  test("guests on the hosts' own bridge are in the management network", async () => {
    const lan = await guest("srv1", await hosts.bridge("srv1", "vmbr0"), "192.168.10.50");
    expect(await Promise.all([lan("192.168.10.11"), lan("192.168.10.12")])).toEqual([true, true]);
    expect(await reaches("backup-1", "192.168.10.50")).toBe(true);
  });

  test("nothing leaves an isolated bridge", async () => {
    const [one, two] = [
      await hosts.bridge("srv1", "vmbr9", undefined, { isolated: true }),
      await hosts.bridge("srv2", "vmbr9", undefined, { isolated: true }),
    ];
    const first = await guest("srv1", one, "192.168.10.61");
    const beside = await guest("srv1", one, "192.168.10.62");
    await guest("srv2", two, "192.168.10.63");
    expect(
      await Promise.all([
        first("192.168.10.62"),
        beside("192.168.10.61"),
        first("192.168.10.63"),
        first("192.168.10.12"),
      ]),
    ).toEqual([true, true, false, false]);
    await expect(hosts.bridge("srv1", "vmbr9")).rejects.toThrow("bridge vmbr9 is isolated already");
  });
});
