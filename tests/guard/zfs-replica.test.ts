import { noise, ZfsServers } from "./zfs-servers";

const DISKS = ["tank/vm-113-disk-0", "tank/vm-113-disk-1"] as const;
const REPLICA = `replica sql-erp sides=srv2,srv1 volumes=${DISKS.join(",")} keep=3 retries=0`;
const ALLOW = `below=${DISKS.join(",")} do=list,snapshot,send,receive,hold,destroy,rename,rollback,read`;

// Hundreds of small programs: seconds here, minutes on a machine that others keep busy.
jest.setTimeout(300_000);

describe("replicas of coldspare-zfs", () => {
  let site: ZfsServers;
  const device = (server: string, disk: string) => `${server}/dev/zvol/${disk}`;
  /** Writes as a guest does: a block in the middle of each disk. */
  const write = (server: string, seed: number) => {
    for (const [at, disk] of DISKS.entries()) {
      const bytes = site.bytes(device(server, disk));
      noise(40_000, seed * 10 + at).copy(bytes, 65_536 * seed);
      site.put(device(server, disk), bytes);
    }
  };
  const same = (seedHere: string, there: string) => {
    for (const disk of DISKS)
      expect(site.bytes(device(seedHere, disk)).equals(site.bytes(device(there, disk)))).toBe(true);
  };
  const has = (server: string, seed: number) =>
    DISKS.every((disk, at) =>
      site
        .bytes(device(server, disk))
        .subarray(65_536 * seed, 65_536 * seed + 40_000)
        .equals(noise(40_000, seed * 10 + at)),
    );
  const sync = (server: string) => {
    const ended = site.run(server, "replica", "sync", "sql-erp");
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    return /^done guest=sql-erp point=(\S+) bytes=\d+ volumes=2$/m.exec(ended.stdout)![1]!;
  };
  const command = (server: string, ...words: string[]) => {
    const ended = site.run(server, "replica", ...words);
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    return ended.stdout.trimEnd().split("\n").at(-1)!;
  };
  const points = (server: string) =>
    site
      .run(server, "replica", "points", "sql-erp", "--plain")
      .stdout.split("\n")
      .filter((line) => line.startsWith("point="));

  beforeEach(() => {
    site = new ZfsServers();
    site.conf("srv2", REPLICA, `allow srv1 ${ALLOW}`);
    site.conf("srv1", REPLICA, `allow srv2 ${ALLOW}`);
    for (const disk of DISKS) site.zfs("srv2", "create", "-s", "-V", "4M", disk);
    write("srv2", 1);
  });
  afterEach(() => site.remove());

  it("keep so many points on both sides, each of all disks at one moment", () => {
    for (let seed = 2; seed < 5; seed++) {
      sync("srv2");
      write("srv2", seed);
    }
    const newest = sync("srv2");
    same("srv2", "srv1");
    for (const server of ["srv1", "srv2"]) {
      expect(points(server)).toHaveLength(3);
      expect(points(server)[0]).toMatch(
        new RegExp(
          `^point=${newest} guest=sql-erp at=\\S+Z server=${server} volumes=2 of=2 complete=yes bytes=\\d+ common=yes$`,
        ),
      );
      expect(points(server)[1]).toMatch(/ complete=yes bytes=\d+ common=no$/);
    }
    const txg = DISKS.map((disk) => site.zfs("srv2", "get", "-Hp", "-o", "value", "createtxg", `${disk}@${newest}`));
    expect(txg[0]).toBe(txg[1]);
    expect(site.zfs("srv1", "get", "-H", "-o", "value", "readonly", DISKS[0])).toBe("on");
    expect(site.run("srv2", "replica", "status", "--plain").stdout).toMatch(
      /^guest=sql-erp server=srv2 peer=srv1 state=ok at=\S+ began=\S+ seconds=\d+ bytes=\d+ newest=\S+Z error=\nend\n$/,
    );
  });

  it("fail over to the newest complete point when the last one came half, and lose no disk's consistency", () => {
    const whole = sync("srv2");
    write("srv2", 2);
    // The second disk's stream is cut; the first one's came through.
    site.mode("srv1", "cut 60000");
    const cut = site.run("srv2", "replica", "sync", "sql-erp");
    expect(cut.code).toBe(1);
    expect(command("srv1", "activate", "sql-erp")).toBe(`done guest=sql-erp point=${whole} kept=-`);
    expect([has("srv1", 1), has("srv1", 2)]).toEqual([true, false]);
    expect(site.zfs("srv1", "get", "-H", "-o", "value", "readonly,receive_resume_token", DISKS[0])).toBe("off\n-");
    write("srv1", 5);
    // Asked for once more it must not put back what the guest has written since.
    expect(command("srv1", "activate", "sql-erp")).toMatch(/^done guest=sql-erp point=\S+ kept=-$/);
    expect(has("srv1", 5)).toBe(true);
  });

  it("refuse to send over a side that has gone on, and say the way out", () => {
    sync("srv2");
    command("srv1", "activate", "sql-erp");
    write("srv1", 3);
    write("srv2", 4);
    const refused = site.run("srv2", "replica", "sync", "sql-erp");
    expect([refused.code, refused.stderr]).toEqual([
      3,
      expect.stringContaining("coldspare-zfs replica reverse sql-erp"),
    ]);
    expect(has("srv1", 3)).toBe(true);
  });

  it("send only from the side that the guard's record names", () => {
    site.put("srv2/var/lib/coldspare/records/sql-erp", "epoch=3 server=srv1 by=x since=- grants=0\n");
    const refused = site.run("srv2", "replica", "sync", "sql-erp");
    expect([refused.code, refused.stderr]).toEqual([3, expect.stringContaining("srv1 may run it (epoch 3)")]);
    expect(site.snapshots("srv2", DISKS[0])).toEqual([]);
  });

  it("go home after a failover, and what the old side had stays under another name", () => {
    const common = sync("srv2");
    write("srv2", 2);
    command("srv1", "activate", "sql-erp");
    write("srv1", 3);
    const last = command("srv1", "reverse", "sql-erp");
    const kept = /^done guest=sql-erp from=(\S+) point=\S+ kept=(\S+) bytes=\d+$/.exec(last);
    expect(kept?.[1]).toBe(common);
    const names = decodeURIComponent(kept![2]!).split(",");
    expect(names).toHaveLength(2);
    for (const name of names) expect(name).toMatch(/^tank\/coldspare-kept-\d{8}T\d{6}Z-vm-113-disk-\d$/);
    same("srv1", "srv2");
    expect([has("srv2", 3), has("srv2", 2)]).toEqual([true, false]);
    // What srv2 had written after the last point, and nobody else has.
    const diverged = site.bytes(device("srv2", names[0]!));
    expect(diverged.subarray(131_072, 171_072).equals(noise(40_000, 20))).toBe(true);
    write("srv1", 4);
    sync("srv1");
    command("srv1", "passive", "sql-erp");
    command("srv2", "activate", "sql-erp");
    expect(has("srv2", 4)).toBe(true);
    write("srv2", 5);
    sync("srv2");
    same("srv2", "srv1");
    // Nobody needs the diverged data any more.
    site.zfs("srv2", "destroy", "-r", names[0]!);
  });

  it("give the old side's data up where that is asked for", () => {
    sync("srv2");
    write("srv2", 2);
    command("srv1", "activate", "sql-erp");
    write("srv1", 3);
    expect(command("srv1", "reverse", "sql-erp", "--discard")).toMatch(/ kept=- /);
    expect(site.zfs("srv2", "list", "-H", "-o", "name")).not.toContain("coldspare-kept");
    same("srv1", "srv2");
  });

  it("put the spare to an earlier point and keep the newer one", () => {
    const first = sync("srv2");
    write("srv2", 2);
    sync("srv2");
    const done = command("srv1", "rollback", "sql-erp", first);
    const kept = decodeURIComponent(/ kept=(\S+)$/.exec(done)![1]!).split(",");
    expect([has("srv1", 1), has("srv1", 2)]).toEqual([true, false]);
    expect(site.bytes(device("srv1", kept[0]!)).subarray(131_072, 171_072).equals(noise(40_000, 20))).toBe(true);
    expect(command("srv1", "activate", "sql-erp")).toBe(`done guest=sql-erp point=${first} kept=-`);
    expect(site.run("srv1", "replica", "rollback", "sql-erp", "coldspare-replica-20200101T000000Z").code).toBe(2);
  });

  it("are not touched while a guest runs on them", () => {
    const point = sync("srv2");
    write("srv2", 2);
    sync("srv2");
    site.put("srv1/run/qemu-server/113.pid", `${process.pid}\n`);
    const refused = site.run("srv1", "replica", "rollback", "sql-erp", point);
    expect([refused.code, refused.stderr]).toEqual([3, expect.stringContaining("guest 113 runs here")]);
    expect(has("srv1", 2)).toBe(true);
  });

  it("finish a volume that was renamed when the power went, and nothing of it is lost", () => {
    const common = sync("srv2");
    command("srv1", "activate", "sql-erp");
    write("srv1", 3);
    write("srv2", 2);
    // As `reverse` leaves it in the worst moment: renamed on srv2, not cloned yet.
    site.zfs("srv2", "rename", DISKS[0], "tank/coldspare-kept-20261122T000000Z-vm-113-disk-0");
    expect(command("srv1", "reverse", "sql-erp")).toMatch(new RegExp(`^done guest=sql-erp from=${common} `));
    same("srv1", "srv2");
  });
});
