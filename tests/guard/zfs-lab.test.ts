/** The lab's zfs by itself: what it promises to those who test against it. Texts of errors are those of libzfs 2.3. */
import { noise, ZfsServers } from "./zfs-servers";

// Hundreds of small programs: seconds here, minutes on a machine that others keep busy.
jest.setTimeout(300_000);

describe("the lab's zfs", () => {
  let site: ZfsServers;
  const zfs = (...words: string[]) => site.zfs("srv2", ...words);
  const refused = (...words: string[]) => site.refused("srv2", ...words);
  const stream = (...words: string[]) => site.tool("srv2", "zfs", ["send", ...words]).stdout;
  const receive = (input: Buffer, ...words: string[]) => {
    const { status, stderr } = site.tool("srv2", "zfs", ["receive", ...words], input);
    return { status, said: stderr.toString().trimEnd() };
  };
  const value = (property: string, name: string) => zfs("get", "-Hp", "-o", "value", property, name);
  const device = (name: string) => `srv2/dev/zvol/${name}`;

  beforeEach(() => {
    site = new ZfsServers(["srv2"]);
    zfs("create", "tank/data");
    site.put("srv2/tank/data/file", noise(200_000));
    zfs("snapshot", "tank/data@a");
  });
  afterEach(() => site.remove());

  it("speaks as ZFS does when something is wrong", () => {
    zfs("create", "-V", "1M", "-s", "tank/vol");
    zfs("clone", "tank/data@a", "tank/clone");
    zfs("snapshot", "tank/data@b");
    zfs("hold", "keep", "tank/data@b");
    const cases: [string[], string][] = [
      [["list", "tank/none"], "cannot open 'tank/none': dataset does not exist"],
      [["create", "tank/data"], "cannot create 'tank/data': dataset already exists"],
      [["create", "tank/x/y"], "cannot create 'tank/x/y': parent does not exist"],
      [["create", "-V", "2G", "tank/big"], "cannot create 'tank/big': out of space"],
      [
        ["snapshot", "tank/data@a"],
        "cannot create snapshot 'tank/data@a': dataset already exists\nno snapshots were created",
      ],
      [["destroy", "tank/data@b"], "cannot destroy snapshot tank/data@b: dataset is busy"],
      [["hold", "keep", "tank/data@b"], "cannot hold snapshot 'tank/data@b': tag already exists on this dataset"],
      [
        ["release", "other", "tank/data@b"],
        "cannot release hold from snapshot 'tank/data@b': no such tag on this dataset",
      ],
      [
        ["destroy", "tank/data@a"],
        "cannot destroy 'tank/data@a': snapshot has dependent clones\nuse '-R' to destroy the following datasets:\ntank/clone",
      ],
      [
        ["destroy", "tank/data"],
        "cannot destroy 'tank/data': filesystem has children\nuse '-r' to destroy the following datasets:\ntank/data@a\ntank/data@b",
      ],
      [
        ["rollback", "tank/data@a"],
        "cannot rollback to 'tank/data@a': more recent snapshots or bookmarks exist\nuse '-r' to force deletion of the following snapshots and bookmarks:\ntank/data@b",
      ],
      [["set", "guid=1", "tank/data"], "cannot set property for 'tank/data': 'guid' is readonly"],
      [["rename", "tank/data", "tank/clone"], "cannot rename 'tank/data': dataset already exists"],
      [["promote", "tank/data"], "cannot promote 'tank/data': not a cloned filesystem"],
      [["receive", "-A", "tank/data"], "'tank/data' does not have any resumable receive state to abort"],
    ];
    for (const [words, text] of cases) expect(refused(...words)).toBe(text);
    expect(site.tool("srv2", "zfs", ["list", "-Q"]).status).toBe(2);
    expect(site.tool("srv2", "zpool", ["list", "none"]).stderr.toString()).toBe("cannot open 'none': no such pool\n");
  });

  it("refuses streams that do not fit, and says why", () => {
    zfs("snapshot", "tank/data@b");
    expect(receive(stream("tank/data@a"), "tank/copy")).toEqual({ status: 0, said: "" });
    expect(receive(stream("tank/data@a"), "tank/copy").said).toBe(
      "cannot receive new filesystem stream: destination 'tank/copy' exists\nmust specify -F to overwrite it",
    );
    zfs("snapshot", "tank/data@c");
    expect(receive(stream("-i", "@b", "tank/data@c"), "tank/copy").said).toBe(
      "cannot receive incremental stream: most recent snapshot of tank/copy does not\nmatch incremental source",
    );
    site.put("srv2/tank/copy/stray", "x");
    expect(receive(stream("-i", "@a", "tank/data@b"), "tank/copy").said).toBe(
      "cannot receive incremental stream: destination tank/copy has been modified\nsince most recent snapshot",
    );
    expect(receive(stream("-i", "@a", "tank/data@b"), "-F", "tank/copy").status).toBe(0);
    expect(site.read("srv2/tank/copy/stray")).toBe("");
    expect(receive(stream("-i", "@b", "tank/data@c"), "tank/none").said).toBe(
      "cannot receive incremental stream: destination 'tank/none' does not exist",
    );
    expect(receive(Buffer.alloc(0), "tank/none").said).toBe("cannot receive: failed to read from stream");
    expect(receive(noise(100), "tank/none").said).toBe("cannot receive: invalid stream (bad magic number)");
    const damaged = stream("tank/data@a");
    damaged[100_000] = (damaged[100_000] ?? 0) ^ 1;
    expect(receive(damaged, "tank/damaged").said).toBe("cannot receive new filesystem stream: checksum mismatch");
    expect(refused("list", "tank/damaged")).toContain("does not exist");
  });

  it("keeps what came of a broken stream and goes on with its token, wherever it broke", () => {
    site.put("srv2/tank/data/more", noise(700_000, 2));
    zfs("snapshot", "tank/data@b");
    const whole = stream("tank/data@b");
    for (const share of [0.1, 0.5, 0.95]) {
      const cut = receive(whole.subarray(0, Math.floor(whole.length * share)), "-s", "tank/part");
      expect(cut.said).toContain("Partially received snapshot is saved.");
      const token = value("receive_resume_token", "tank/part");
      expect(cut.said).toContain(`zfs send -t ${token}`);
      expect(receive(whole, "-s", "tank/part").said).toContain("destination 'tank/part' exists");
      const rest = stream("-t", token);
      expect(rest.length).toBeLessThan(whole.length * (1.05 - share) + 140_000);
      expect(receive(rest, "-s", "tank/part").status).toBe(0);
      expect(site.bytes("srv2/tank/part/more").equals(noise(700_000, 2))).toBe(true);
      expect(value("guid", "tank/part@b")).toBe(value("guid", "tank/data@b"));
      zfs("destroy", "-r", "tank/part");
    }
    receive(whole.subarray(0, 400_000), "-s", "tank/part");
    const token = value("receive_resume_token", "tank/part");
    zfs("destroy", "tank/data@b");
    expect(refused("send", "-t", token)).toBe(
      "cannot resume send: 'tank/data@b' used in the initial send no longer exists",
    );
    zfs("receive", "-A", "tank/part");
    expect(refused("list", "tank/part")).toContain("does not exist");
  });

  it("sends trees with all snapshots, clones and properties", () => {
    zfs("create", "-o", "org:owner=anna", "tank/data/below");
    zfs("create", "-V", "2M", "-s", "tank/data/disk");
    zfs("snapshot", "-r", "tank/data@b");
    site.put(device("tank/data/disk"), Buffer.concat([noise(60_000, 4), Buffer.alloc(2 * 1024 * 1024 - 60_000)]));
    zfs("snapshot", "-r", "tank/data@c");
    expect(receive(stream("-R", "tank/data@c"), "tank/all").status).toBe(0);
    expect(zfs("list", "-H", "-r", "-t", "all", "-o", "name", "tank/all").split("\n")).toEqual(
      ["", "@a", "@b", "@c", "/below", "/below@b", "/below@c", "/disk", "/disk@b", "/disk@c"].map(
        (end) => `tank/all${end}`,
      ),
    );
    expect(zfs("get", "-H", "-o", "value,source", "org:owner", "tank/all/below")).toBe("anna\treceived");
    expect(site.bytes(device("tank/all/disk")).equals(site.bytes(device("tank/data/disk")))).toBe(true);
    zfs("destroy", "-r", "tank/data@b");
    zfs("snapshot", "-r", "tank/data@d");
    expect(receive(stream("-R", "-I", "@c", "tank/data@d"), "-F", "tank/all").status).toBe(0);
    expect(site.snapshots("srv2", "tank/all/disk")).toEqual(["c", "d"]);
  });

  it("goes on from a bookmark when the snapshot itself is gone", () => {
    receive(stream("tank/data@a"), "tank/copy");
    zfs("bookmark", "tank/data@a", "tank/data#a");
    zfs("destroy", "tank/data@a");
    site.put("srv2/tank/data/file", "short");
    zfs("snapshot", "tank/data@b");
    expect(receive(stream("-i", "tank/data#a", "tank/data@b"), "tank/copy").status).toBe(0);
    expect(site.read("srv2/tank/copy/file")).toBe("short");
  });

  it("counts space block by block: what a snapshot alone holds is free when it goes", () => {
    const used = () => Number(value("used", "tank/data"));
    const before = used();
    site.put("srv2/tank/data/file", noise(200_000, 7));
    expect(Number(value("written", "tank/data"))).toBeGreaterThan(190_000);
    expect(used()).toBeGreaterThan(before + 190_000);
    zfs("destroy", "tank/data@a");
    expect(used()).toBeLessThan(before + 5_000);
    zfs("create", "-V", "500M", "tank/thick");
    zfs("create", "-V", "500M", "-s", "tank/thin");
    expect(Number(value("used", "tank/thick"))).toBe(500 * 1024 * 1024);
    expect(Number(value("used", "tank/thin"))).toBe(0);
    expect(refused("create", "-V", "500M", "tank/other")).toContain("out of space");
  });

  it("promotes a clone, and what it was made of can go", () => {
    zfs("clone", "tank/data@a", "tank/clone");
    site.put("srv2/tank/clone/file", "other");
    zfs("promote", "tank/clone");
    expect(value("origin", "tank/data")).toBe("tank/clone@a");
    zfs("destroy", "tank/data");
    zfs("rollback", "tank/clone@a");
    expect(site.bytes("srv2/tank/clone/file").equals(noise(200_000))).toBe(true);
  });

  it("destroys ranges, and marks for later what is held", () => {
    for (const name of ["b", "c", "d"]) zfs("snapshot", `tank/data@${name}`);
    zfs("hold", "keep", "tank/data@d");
    expect(zfs("destroy", "-nv", "tank/data@a%c")).toMatch(/^would destroy tank\/data@a\nwould destroy tank\/data@b\n/);
    zfs("destroy", "tank/data@b%c");
    expect(site.snapshots("srv2", "tank/data")).toEqual(["a", "d"]);
    zfs("destroy", "-d", "tank/data@d");
    expect(value("defer_destroy", "tank/data@d")).toBe("on");
    zfs("release", "keep", "tank/data@d");
    expect(site.snapshots("srv2", "tank/data")).toEqual(["a"]);
  });

  it("finds a damaged block in a scrub, and does not send it", () => {
    const ids = [value("objsetid", "tank/data"), value("objsetid", "tank/data@a")];
    const block = `srv2/zfs/data/${ids.join("/")}/file`;
    const bytes = site.bytes(block);
    bytes[150_000] = (bytes[150_000] ?? 0) ^ 1;
    site.put(block, bytes);
    expect(refused("send", "tank/data@a")).toBe("warning: cannot send 'tank/data@a': Input/output error");
    site.lab("srv2", "zpool", "scrub", "tank");
    expect(site.lab("srv2", "zpool", "status", "tank")).toContain("errors: 1 data errors");
  });

  it("keeps its state through a receiver that is killed in the middle", () => {
    const whole = stream("tank/data@a");
    const cut = receive(whole.subarray(0, 180_000), "tank/copy");
    expect(cut.said).toBe("cannot receive new filesystem stream: incomplete stream");
    expect(refused("list", "tank/copy")).toContain("does not exist");
    expect(receive(whole, "tank/copy").status).toBe(0);
  });
});
