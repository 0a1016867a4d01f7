/** The real syncoid and sanoid (Debian's package sanoid) against the lab's zfs. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { renderSanoidConf } from "../../planning/backup/sanoid";
import { noise, ZfsServers } from "./zfs-servers";

/** Where both programs are: installed, named by COLDSPARE_SANOID, or unpacked from the package, whose dependency zfsutils is not to be had. */
function findSanoid(folder: string): { programs: string; defaults: string } | { why: string } {
  const modules = spawnSync("perl", ["-MConfig::IniFiles", "-MCapture::Tiny", "-e", "1"]);
  if (modules.status !== 0) return { why: "apt-get install libconfig-inifiles-perl libcapture-tiny-perl" };
  const of = (root: string) => ({
    programs: join(root, "usr/sbin"),
    defaults: join(root, "usr/share/sanoid/sanoid.defaults.conf"),
  });
  for (const root of [process.env.COLDSPARE_SANOID, "/"])
    if (root !== undefined && existsSync(join(root, "usr/sbin/syncoid"))) return of(root);
  spawnSync("apt-get", ["-qq", "download", "sanoid"], { cwd: folder, timeout: 30_000 });
  const file = readdirSync(folder).find((name) => name.endsWith(".deb"));
  if (file === undefined) return { why: "Debian's package sanoid could not be downloaded (apt-get download sanoid)" };
  const unpacked = spawnSync("dpkg-deb", ["-x", file, "."], { cwd: folder });
  return unpacked.status === 0 ? of(folder) : { why: "dpkg-deb could not unpack sanoid" };
}

// Hundreds of small programs: seconds here, minutes on a machine that others keep busy.
jest.setTimeout(300_000);

const folder = mkdtempSync(join(tmpdir(), "sanoid-"));
const found = findSanoid(folder);
if ("why" in found) process.stderr.write(`tests/guard/zfs-syncoid: SKIPPED: ${found.why}\n`);
const withSanoid = "why" in found ? describe.skip : describe;

withSanoid("the real syncoid and sanoid", () => {
  const { programs, defaults } = found as { programs: string; defaults: string };
  let site: ZfsServers;
  /** An unpacked sanoid looks for its defaults where the package would have put them: that path alone is changed. */
  const program = (name: string) => {
    const text = readFileSync(join(programs, name), "utf8");
    site.put(`bin/${name}.pl`, text.replaceAll("/usr/share/sanoid/sanoid.defaults.conf", defaults));
    return join(site.folder, "bin", `${name}.pl`);
  };
  const perl = (name: string, ...words: string[]) => {
    const env = { ...site.environment("srv2"), COLDSPARE_ROOT: join(site.folder, "srv2"), TZ: "UTC" };
    const options = { env, encoding: "utf8" as const, timeout: 250_000 };
    return spawnSync("perl", [program(name), ...words], options);
  };
  // It names its snapshots by the second: two runs within one collide.
  let ranAt = 0;
  const syncoid = (...words: string[]) => {
    while (Math.floor(Date.now() / 1000) === ranAt) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
    const { status, stdout, stderr } = perl("syncoid", "--no-command-checks", "--compress=none", ...words);
    ranAt = Math.floor(Date.now() / 1000);
    return { status, said: stdout + stderr };
  };

  beforeEach(() => {
    site = new ZfsServers();
    site.zfs("srv2", "create", "tank/data");
    site.zfs("srv2", "create", "tank/copies");
    site.put("srv2/tank/data/a", noise(300_000));
    site.put("srv2/tank/data/folder/b c", "second");
  });
  afterEach(() => site.remove());
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const same = (one: string, other: string) =>
    spawnSync("diff", ["-r", join(site.folder, "srv2", `${one}/.`), join(site.folder, "srv2", `${other}/.`)]);

  it("replicate a tree through it, byte for byte, in full and then what changed", () => {
    site.zfs("srv2", "create", "tank/data/below");
    site.put("srv2/tank/data/below/c", noise(50_000, 2));
    expect(syncoid("--recursive", "tank/data", "tank/copies/data")).toMatchObject({ status: 0 });
    expect(same("tank/data", "tank/copies/data").stdout.toString()).toBe("");
    site.put("srv2/tank/data/a", Buffer.concat([noise(300_000), noise(10, 3)]));
    site.put("srv2/tank/data/below/d", "new");
    const second = syncoid("--recursive", "tank/data", "tank/copies/data");
    expect(second).toMatchObject({
      status: 0,
      said: expect.stringContaining("Sending incremental tank/data@syncoid_"),
    });
    expect(same("tank/data", "tank/copies/data").stdout.toString()).toBe("");
    expect(same("tank/data/below", "tank/copies/data/below").stdout.toString()).toBe("");
    expect(site.snapshots("srv2", "tank/data")).toEqual(site.snapshots("srv2", "tank/copies/data"));
  });

  it("go on with the token of a receive that was cut off", () => {
    site.zfs("srv2", "snapshot", "tank/data@first");
    const stream = site.tool("srv2", "zfs", ["send", "tank/data@first"]).stdout;
    site.tool("srv2", "zfs", ["receive", "-s", "tank/copies/data"], stream.subarray(0, 200_000));
    expect(site.zfs("srv2", "get", "-H", "-o", "value", "receive_resume_token", "tank/copies/data")).toMatch(/^1-/);
    const resumed = syncoid("tank/data", "tank/copies/data");
    expect(resumed).toMatchObject({
      status: 0,
      said: expect.stringMatching(/Resuming interrupted zfs send\/receive/i),
    });
    expect(same("tank/data", "tank/copies/data").stdout.toString()).toBe("");
  });

  it("put a copy that was written to back to the common snapshot, as syncoid is known for", () => {
    syncoid("tank/data", "tank/copies/data");
    site.put("srv2/tank/copies/data/stray", "x");
    expect(syncoid("tank/data", "tank/copies/data").status).toBe(0);
    expect(same("tank/data", "tank/copies/data").stdout.toString()).toBe("");
  });

  it("refuse without a common snapshot", () => {
    syncoid("tank/data", "tank/copies/data");
    for (const name of site.snapshots("srv2", "tank/data")) site.zfs("srv2", "destroy", `tank/data@${name}`);
    const refused = syncoid("tank/data", "tank/copies/data");
    expect(refused.status).not.toBe(0);
    expect(refused.said).toContain("but has no snapshots matching with tank/data");
  });

  it("accept the sanoid.conf that we render, and take snapshots by it on the source alone", () => {
    const conf = renderSanoidConf([
      { dataset: "tank/data", keep: { hourly: 2, daily: 3 }, recursive: true, role: "source" },
      { dataset: "tank/copies", keep: { last: 1, daily: 7, monthly: 6 }, recursive: true, role: "receiver" },
    ]);
    site.put("etc/sanoid.conf", conf);
    const sanoid = (...words: string[]) => {
      const dirs = ["configdir", "cache-dir", "run-dir"].map((name) => `--${name}=${join(site.folder, "etc")}`);
      const { status, stdout, stderr } = perl("sanoid", ...dirs, ...words);
      return { status, said: stdout + stderr };
    };
    const checked = sanoid("--readonly", "--debug", "--take-snapshots");
    expect(checked.status).toBe(0);
    expect(checked.said).toContain("template_source_hourly2_daily3");
    expect(checked.said).not.toMatch(/FATAL|WARNING/);
    for (const [rule, count] of [
      ["hourly", 2],
      ["daily", 3],
    ] as const)
      expect(checked.said).toMatch(new RegExp(`'${rule}' => '${count}'`));
    expect(site.snapshots("srv2", "tank/data")).toEqual([]);
    expect(sanoid("--take-snapshots", "--force-update").status).toBe(0);
    expect(
      site
        .snapshots("srv2", "tank/data")
        .map((name) => name.replace(/^.*_/, ""))
        .sort(),
    ).toEqual(["daily", "hourly"]);
    expect(site.snapshots("srv2", "tank/copies")).toEqual([]);
  });

  it("say what is wrong with a setting that sanoid does not have", () => {
    site.put(
      "etc/sanoid.conf",
      `${renderSanoidConf([{ dataset: "tank/data", keep: { daily: 1 }, recursive: false, role: "source" }])}dayly = 3\n`,
    );
    const { status, stdout, stderr } = perl(
      "sanoid",
      `--configdir=${join(site.folder, "etc")}`,
      "--readonly",
      "--take-snapshots",
    );
    expect([status === 0, stdout + stderr]).toEqual([false, expect.stringContaining("dayly")]);
  });
});
