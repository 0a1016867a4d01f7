import { noise, ZfsServers } from "./zfs-servers";

const JOB =
  "job nightly policy=nightly target=nas direction=push peer=srv1 datasets=tank/data into=tank/backup/srv2 recursive=1 keepsource=last:2 keeptarget=last:4 retries=0 pause=0";
const ALLOW = "allow srv2 below=tank/backup/srv2 do=list,receive,send,hold,destroy,rename,read";

// Hundreds of small programs: seconds here, minutes on a machine that others keep busy.
jest.setTimeout(300_000);

describe("a job of coldspare-zfs", () => {
  let site: ZfsServers;
  const data = "srv2/tank/data/file";
  const copy = () => {
    site.tool("srv1", "zfs", ["mount", "tank/backup/srv2/data"]);
    return site.bytes("srv1/tank/backup/srv2/data/file");
  };
  const points = () =>
    site
      .run("srv2", "points", "--plain")
      .stdout.split("\n")
      .filter((line) => line.startsWith("point="));

  beforeEach(() => {
    site = new ZfsServers();
    site.conf("srv2", JOB);
    site.conf("srv1", ALLOW);
    site.zfs("srv2", "create", "tank/data");
    site.put(data, noise(400_000));
  });
  afterEach(() => site.remove());

  it("sends in full, then what changed, and says what can be restored", () => {
    const first = site.run("srv2", "run", "nightly");
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(copy()).toEqual(noise(400_000));
    site.put(data, Buffer.concat([noise(400_000), Buffer.from("more")]));
    site.zfs("srv2", "create", "tank/data/below");
    const second = site.run("srv2", "run", "nightly");
    expect(second).toMatchObject({ code: 0, stderr: "" });
    const sent = /data@\S+: (\d+) bytes sent$/m.exec(second.stdout);
    expect(Number(sent?.[1])).toBeLessThan(150_000);
    expect(copy().subarray(-4).toString()).toBe("more");
    expect(site.snapshots("srv1", "tank/backup/srv2/data")).toEqual(site.snapshots("srv2", "tank/data"));
    expect(site.zfs("srv1", "get", "-H", "-o", "value", "readonly", "tank/backup/srv2/data")).toBe("on");
    expect(points()).toHaveLength(3);
    expect(points()[0]).toMatch(
      /^point=tank%2Fdata@coldspare-nightly-\d{8}T\d{6}Z job=nightly subject=dataset%3Asrv2%3Atank%2Fdata target=nas at=\S+Z bytes=\d+ verified=none verifiedat= medium=$/,
    );
    expect(site.run("srv2", "status", "--plain").stdout).toMatch(
      /^job=nightly kind=zfs policy=nightly target=nas state=ok at=\S+ began=\S+ seconds=\d+ bytes=\d+ newest=\S+Z error=\nend\n$/,
    );
  });

  it("holds the newest common snapshot on both sides, so that nobody breaks the chain", () => {
    site.run("srv2", "run", "nightly");
    site.run("srv2", "run", "nightly");
    const [old, newest] = site.snapshots("srv2", "tank/data");
    for (const [server, dataset] of [
      ["srv2", "tank/data"],
      ["srv1", "tank/backup/srv2/data"],
    ] as const) {
      expect(site.refused(server, "destroy", `${dataset}@${newest}`)).toBe(
        `cannot destroy snapshot ${dataset}@${newest}: dataset is busy`,
      );
      expect(site.zfs(server, "holds", "-H", `${dataset}@${newest}`)).toMatch(/\tcoldspare:nightly\t/);
      expect(site.zfs(server, "holds", "-H", `${dataset}@${old}`)).toBe("");
    }
  });

  it("removes by retention on both sides, never a snapshot of somebody else", () => {
    site.zfs("srv2", "snapshot", "tank/data@mine");
    for (let at = 0; at < 6; at++) site.run("srv2", "run", "nightly");
    const here = site.snapshots("srv2", "tank/data");
    expect(here).toHaveLength(3);
    expect(here[0]).toBe("mine");
    const there = site.snapshots("srv1", "tank/backup/srv2/data");
    expect(there).toHaveLength(4);
    expect(there.slice(-2)).toEqual(here.slice(-2));
  });

  it("goes on where the link was lost, with a token, and catches up all points after a day", () => {
    site.run("srv2", "run", "nightly");
    site.put(data, noise(900_000, 2));
    site.mode("srv1", "cut 500000");
    const cut = site.run("srv2", "run", "nightly");
    expect(cut.code).toBe(1);
    expect(cut.stderr).toContain("Partially received snapshot is saved");
    expect(site.run("srv2", "status", "--plain").stdout).toMatch(/state=failed .*newest=\S+Z error=\S+/);
    site.mode("srv1", "fail");
    for (let at = 0; at < 2; at++) {
      site.put(data, noise(900_000, 3 + at));
      expect(site.run("srv2", "run", "nightly")).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("srv1 does not answer: ssh: connect to host srv1 port 22: No route to host"),
      });
    }
    site.mode("srv1", "up");
    const after = site.run("srv2", "run", "nightly");
    expect(after).toMatchObject({ code: 0, stderr: "" });
    expect(after.stdout).toContain("an interrupted transfer is continued");
    expect(copy()).toEqual(noise(900_000, 4));
    // One from before, the one that was cut, two of the day without a link and today's: retention of the target keeps four.
    expect(points()).toHaveLength(4);
  });

  it("goes on after its server lost power in the middle", async () => {
    site.conf("srv2", `${JOB} rate=400000`);
    await site.killed("srv2", 1500, "run", "nightly");
    expect(site.run("srv2", "status", "--plain").stdout).toMatch(/state=failed .*error=the%20run%20was%20cut%20off/);
    site.conf("srv2", JOB);
    expect(site.run("srv2", "run", "nightly")).toMatchObject({ code: 0, stderr: "" });
    expect(copy()).toEqual(noise(400_000));
  });

  it("refuses without a common snapshot, names both newest ones, and begins anew beside with --full", () => {
    site.run("srv2", "run", "nightly");
    const [old] = site.snapshots("srv2", "tank/data");
    site.zfs("srv2", "release", "coldspare:nightly", `tank/data@${old}`);
    site.zfs("srv2", "destroy", `tank/data@${old}`);
    const refused = site.run("srv2", "run", "nightly");
    const [newest] = site.snapshots("srv2", "tank/data");
    expect(refused.code).toBe(3);
    expect(refused.stderr).toContain(`newest there: tank/data@${newest}; newest here: tank/backup/srv2/data@${old}`);
    expect(refused.stderr).toContain("coldspare-zfs run nightly --full");
    expect(site.snapshots("srv1", "tank/backup/srv2/data")).toEqual([old]);
    expect(site.run("srv2", "run", "nightly", "--full")).toMatchObject({ code: 0, stderr: "" });
    expect(copy()).toEqual(noise(400_000));
    const kept = site
      .zfs("srv1", "list", "-H", "-o", "name")
      .split("\n")
      .find((name) => name.includes("coldspare-kept-"));
    expect(site.snapshots("srv1", kept!)).toEqual([old]);
  });

  it("overwrites nothing that was changed on the copy", () => {
    site.run("srv2", "run", "nightly");
    site.zfs("srv1", "set", "readonly=off", "tank/backup/srv2/data");
    site.tool("srv1", "zfs", ["mount", "tank/backup/srv2/data"]);
    site.put("srv1/tank/backup/srv2/data/by-hand", "x");
    const refused = site.run("srv2", "run", "nightly");
    expect([refused.code, refused.stderr]).toEqual([3, expect.stringContaining("has been modified")]);
    expect(site.read("srv1/tank/backup/srv2/data/by-hand")).toBe("x");
  });

  it("says where room is lacking, and keeps what is there", () => {
    site.pool("srv1", "small", 64);
    site.conf("srv2", JOB.replace("into=tank", "into=small"));
    site.conf("srv1", ALLOW.replace("tank", "small"));
    site.zfs("srv1", "create", "-V", "31M", "small/filler");
    site.put(data, noise(2_000_000));
    const full = site.run("srv2", "run", "nightly");
    expect(full.code).toBe(1);
    expect(full.stderr).toMatch(/srv1 has no room for small\/backup\/srv2\/data: .*out of space\. Make room there/);
    site.zfs("srv1", "destroy", "small/filler");
    expect(site.run("srv2", "run", "nightly")).toMatchObject({ code: 0, stderr: "" });
  });

  it("verifies chains and bytes, and finds a damaged block", () => {
    site.run("srv2", "run", "nightly");
    expect(site.run("srv2", "verify", "nightly", "--bytes")).toMatchObject({ code: 0, stderr: "" });
    expect(points()[0]).toContain("verified=ok");
    const [newest] = site.snapshots("srv1", "tank/backup/srv2/data");
    const id = site.zfs("srv1", "get", "-H", "-o", "value", "objsetid", `tank/backup/srv2/data@${newest}`);
    const folder = site.zfs("srv1", "get", "-H", "-o", "value", "objsetid", "tank/backup/srv2/data");
    const block = `srv1/zfs/data/${folder}/${id}/file`;
    const bytes = site.bytes(block);
    bytes[100_000] = (bytes[100_000] ?? 0) ^ 1;
    site.put(block, bytes);
    const damaged = site.run("srv2", "verify", "nightly", "--bytes");
    expect([damaged.code, damaged.stderr]).toEqual([
      1,
      expect.stringContaining("has other bytes than tank/data on srv2"),
    ]);
    expect(points()[0]).toContain("verified=failed");
  });

  it("brings a point back into a new data set and never over an existing one", () => {
    site.run("srv2", "run", "nightly");
    site.put(data, "worse");
    site.run("srv2", "run", "nightly");
    const [old] = site.snapshots("srv1", "tank/backup/srv2/data");
    expect(site.run("srv2", "restore", "nightly", old!, "--to", "tank/data").code).toBe(3);
    expect(site.run("srv2", "restore", "nightly", `tank/data@${old}`, "--to", "tank/back")).toMatchObject({
      code: 0,
      stderr: "",
    });
    site.zfs("srv2", "mount", "tank/back");
    expect(site.bytes("srv2/tank/back/file")).toEqual(noise(400_000));
    expect(site.read(data)).toBe("worse");
    expect(site.run("srv2", "restore", "nightly", "coldspare-nightly-20200101T000000Z", "--to", "tank/x").code).toBe(2);
  });

  it("pulls, too: the receiver fetches", () => {
    site.conf("srv1", JOB.replace("direction=push peer=srv1", "direction=pull peer=srv2"));
    site.conf("srv2", "allow srv1 below=tank/data do=list,snapshot,send,hold,destroy,read");
    // The shim knows one peer: who asks.
    expect(site.run("srv1", "run", "nightly")).toMatchObject({ code: 0, stderr: "" });
    expect(copy()).toEqual(noise(400_000));
    site.put(data, "next");
    site.mode("srv2", "cutback 300");
    expect(site.run("srv1", "run", "nightly").code).toBe(1);
    site.mode("srv2", "up");
    expect(site.run("srv1", "run", "nightly")).toMatchObject({ code: 0, stderr: "" });
    expect(copy().toString()).toBe("next");
    expect(site.run("srv1", "verify", "nightly", "--bytes").code).toBe(0);
  });

  it("sends encrypted data sets raw: the receiver cannot read them, and refuses to send them in clear", () => {
    site.put("srv2/key", "a long pass phrase");
    site.zfs(
      "srv2",
      "create",
      "-o",
      "encryption=on",
      "-o",
      "keyformat=passphrase",
      "-o",
      "keylocation=file:///key",
      "tank/data/safe",
    );
    site.put("srv2/tank/data/safe/letter", "dear reader");
    const clear = site.run("srv2", "run", "nightly");
    expect([clear.code, clear.stderr]).toEqual([3, expect.stringContaining("would arrive on srv1 in clear")]);
    site.conf("srv2", `${JOB} raw=1`);
    expect(site.run("srv2", "run", "nightly")).toMatchObject({ code: 0, stderr: "" });
    const sealed = "tank/backup/srv2/data/safe";
    expect(site.zfs("srv1", "get", "-H", "-o", "value", "encryption,keystatus", sealed)).toBe(
      "aes-256-gcm\nunavailable",
    );
    expect(site.refused("srv1", "mount", sealed)).toBe(`cannot mount '${sealed}': encryption key not loaded`);
    expect(site.run("srv2", "verify", "nightly", "--bytes").stdout).toContain(
      "content not compared: its key is not loaded here",
    );
    expect(
      site.run(
        "srv2",
        "restore",
        "nightly",
        `tank/data/safe@${site.snapshots("srv1", sealed).at(-1)}`,
        "--to",
        "tank/opened",
      ).code,
    ).toBe(0);
    const loaded = site.tool("srv2", "zfs", ["load-key", "tank/opened"], "a long pass phrase");
    expect(loaded.stderr.toString()).toBe("");
    site.zfs("srv2", "mount", "tank/opened");
    expect(site.read("srv2/tank/opened/letter")).toBe("dear reader");
  });

  it("does one run at a time", async () => {
    site.conf("srv2", `${JOB} rate=100000`);
    const running = site.killed("srv2", 2000, "run", "nightly");
    await new Promise((done) => setTimeout(done, 800));
    const second = site.run("srv2", "run", "nightly");
    expect([second.code, second.stderr]).toEqual([3, expect.stringContaining("another run of nightly is under way")]);
    await running;
  });

  it("does for a peer what its lines allow, and nothing else", () => {
    site.zfs("srv1", "create", "tank/private");
    site.zfs("srv1", "snapshot", "tank/private@x");
    const serve = (...request: string[]) => site.asked("srv1", "srv2", ...request);
    const said = (answer: string) => decodeURIComponent(/text=(\S+)/.exec(answer)?.[1] ?? "");
    expect(said(serve("list", "tank/private"))).toContain("srv2 must not list tank/private here");
    expect(said(serve("list", "tank/backup/srv2x"))).toContain("must not list");
    expect(said(serve("destroy", "tank/backup/srv2/data@mine"))).toContain("is none of this program's snapshots");
    expect(said(serve("release", "somebody", "tank/backup/srv2/data@x"))).toContain("is no hold of this program's");
    expect(said(serve("rollback", "tank/backup/srv2/data", "x"))).toContain("must not rollback");
    expect(said(serve("snapshot", "coldspare-nightly-20261122T000000Z", "tank/backup/srv2/data"))).toContain(
      "must not snapshot",
    );
    expect(said(serve("hold", "-r", "tank/backup/srv2/data@x"))).toContain("is no word of a request");
    expect(said(serve("list", "-r"))).toContain("is no name of a data set");
    expect(said(serve("sh"))).toContain("there is no verb");
    expect(serve("receive", "tank/private/new", "0")).toContain("must not receive");
    expect(site.zfs("srv1", "list", "-H", "-o", "name", "-t", "all")).toBe("tank\ntank/private\ntank/private@x");
    site.conf("srv2", JOB.replace("into=tank/backup/srv2", "into=tank/private"));
    const refused = site.run("srv2", "run", "nightly");
    expect([refused.code, refused.stderr]).toEqual([
      3,
      expect.stringContaining("srv2 must not list tank/private/data here"),
    ]);
  });

  it("tells a person of a failure: target, newest good point, remedy", () => {
    const mail = "mail server=127.0.0.1 port=9 tls=none from=coldspare@example.org to=anna@example.org";
    site.conf("srv2", JOB, mail);
    site.run("srv2", "run", "nightly");
    const newest = /newest=(\S+)/.exec(site.run("srv2", "status", "--plain").stdout)?.[1];
    site.mode("srv1", "fail");
    expect(site.run("srv2", "run", "nightly").code).toBe(1);
    const [message] = site.files("srv2/var/lib/coldspare/mail");
    expect(message).toContain("Subject: coldspare: copy nightly to nas failed on srv2");
    expect(message).toContain("Target:   nas, tank/backup/srv2 on srv1");
    expect(message).toContain("No route to host");
    expect(message).toContain(`The newest good point is of ${decodeURIComponent(newest ?? "")}`);
    expect(message).toContain("To try now: coldspare-zfs run nightly");
  });
});
