import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import type { CheckReport } from "../../cli/report";
import { coldspare, smallSite } from "./run";

const reportOf = (text: string): CheckReport => JSON.parse(text);

describe("coldspare check smb-site", () => {
  test("says who runs where, who stands by, and that the site survives", async () => {
    const { code, out, err } = await coldspare(["check", "smb-site"]);
    expect(err).toBe("");
    expect(code).toBe(0);
    const lines = out.split("\n");
    expect(lines[0]).toMatch(/^Site smb: /);
    expect(lines[1]).toBe("smb survives the loss of any one server");
    expect(out).toMatch(/^sql-erp +availability +113 +srv2 +srv1 +srv2 +8 GiB +4 +192\.168\.20\.13$/m);
    expect(out).toMatch(/^sql-erp +storage-replication +\*\/5 +\d.* 10 min +\d.* 20 min/m);
    expect(out).toMatch(/^Loss of srv1: survived$/m);
    expect(out).toMatch(/^ +dc-1 +starts on srv2 +answers after \d+/m);
    expect(out).toMatch(/^Loss of backup-1: nothing stops$/m);
    expect(out).toMatch(/^Loss of the whole site$/m);
  });

  test("says how full each target becomes, what 3-2-1-1-0 counts and how old the media are", async () => {
    const { out } = await coldspare(["check", "smb-site"]);
    expect(out).toMatch(/^backup-nfs +backup-1 +3465\.6 +3465\.6 +3898\.8 +4860 +no +1 d 2 h +2 h 41 min$/m);
    expect(out).toMatch(/^3-2-1-1-0: three copies \d+ of \d+, two kinds of media /m);
    expect(out).toMatch(/^Media of offline-disks \(weekly disk-a, disk-b; .*\): the newest on the/m);
    const full = await coldspare(["check", "smb-site", "--set", "storages.backup-nfs.sizeGiB=1000"]);
    expect(full.out).toMatch(/^backup-nfs .* day \d /m);
  });

  test("fits 100 columns, and has no colours where nobody sees them", async () => {
    const { out } = await coldspare(["check", "smb-site-too-large"]);
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
    expect(out).toBe(stripVTControlCharacters(out));
  });

  test("--json has findings, guests with both servers and RPO, servers before and after each loss", async () => {
    const { code, out } = await coldspare(["check", "smb-site", "--json"]);
    expect(code).toBe(0);
    const report = reportOf(out);
    expect(report).toMatchObject({ formatVersion: 1, source: "smb-site", site: { name: "smb", fencing: "confirm" } });
    expect(report.ok).toBe(true);
    expect(report.findings.filter(({ severity }) => severity === "error")).toEqual([]);
    expect(report.guests["remote-app"]).toMatchObject({
      primary: "srv2",
      spare: "srv1",
      activeServer: "srv2",
      method: "restore",
      recoveryPoint: { seconds: expect.any(Number), promisedSeconds: expect.any(Number) },
      recoveryTime: { seconds: expect.any(Number) },
    });
    const srv1 = report.servers.srv1!.capacity;
    expect(srv1.before.guests.toSorted()).toEqual(["dc-1", "files-1"]);
    expect(srv1.afterLossOf.srv2!.guests.toSorted()).toEqual(["dc-1", "docker-1", "files-1", "remote-app", "sql-erp"]);
    expect(srv1.afterLossOf.srv2!.memoryGiB).toBeGreaterThan(srv1.before.memoryGiB);
  });

  test("the same command prints the same bytes", async () => {
    const [one, other] = [
      await coldspare(["check", "smb-site", "--json"]),
      await coldspare(["check", "smb-site", "--json"]),
    ];
    expect(one.out).toBe(other.out);
  });
});

describe("a site that does not fit", () => {
  test("the layout that is too large is refused with what is missing where", async () => {
    const { code, out } = await coldspare(["check", "smb-site-too-large"]);
    expect(code).toBe(1);
    expect(out.split("\n")[1]).toMatch(/^smb does not survive the loss of srv\d: .*(GiB|core|room)/);
    expect(out).toMatch(/^ +fix: /m);
    // The verdict says memory and cores itself; one guest with too many cores and one full storage are the others.
    const verdict = out.split("\n").slice(1, 4).join(" ");
    expect(verdict).toMatch(/lacks .* virtual cores; and 2 more errors, below /);
  });

  test("a finding of the variant names the line of the layout that it is made from", async () => {
    const { out } = await coldspare(["check", "smb-site-too-large"]);
    const full = reportOf((await coldspare(["check", "smb-site-too-large", "--json"])).out);
    const finding = full.findings.find(({ code }) => code === "STORAGE-FULL");
    expect(finding?.at).toEqual({ line: expect.any(Number), column: expect.any(Number), source: "smb-site" });
    expect(out).toContain(`${finding?.subject}  (smb-site:${finding?.at?.line}:${finding?.at?.column})`);
  });

  test("--set asks 'what if'", async () => {
    const { code, out } = await coldspare(["check", "smb-site", "--set", "guests.sql-erp.memoryGiB=24", "--json"]);
    expect(code).toBe(1);
    const { ok, findings, servers, losses } = reportOf(out);
    expect(ok).toBe(false);
    expect(losses.srv2!.survives).toBe(false);
    expect(servers.srv1!.capacity.afterLossOf.srv2!.fits).toBe(false);
    expect(findings[0]!.severity).toBe("error");
  });

  test("--set repeats, and a smaller wish makes room again", async () => {
    const set = ["--set", "guests.sql-erp.memoryGiB=18", "--set", "guests.remote-app.memoryGiB=1"];
    expect((await coldspare(["check", "smb-site", ...set.slice(0, 2)])).code).toBe(1);
    const { out } = await coldspare(["check", "smb-site", ...set, "--json"]);
    const { before, afterLossOf } = reportOf(out).servers.srv1!.capacity;
    // 4 + 4 GiB here; 18 + 1 + 4 GiB more without srv2, where it was 18 + 6 + 4.
    expect(afterLossOf.srv2!.memoryGiB - before.memoryGiB).toBeCloseTo(23 + 3 * 0.15);
  });

  test("a guest that is normally off is shown as off, and nobody starts it", async () => {
    const { out } = await coldspare(["check", "smb-site", "--set", "guests.sql-erp.started=false"]);
    expect(out).toMatch(/^sql-erp +availability +113 +srv2 +srv1 +off /m);
    expect(out).not.toMatch(/^ +sql-erp +starts on/m);
  });

  test("a guest on a shared storage loses no data, and somebody has to start it", async () => {
    const rbd = 'storages.ceph={"type":"rbd","sizeGiB":9000,"content":["images"],"managed":false}';
    const disks = 'guests.docker-1.disks=[{"sizeGiB":40,"storage":"ceph"}]';
    const { out } = await coldspare([
      "check",
      "smb-site",
      "--set",
      rbd,
      "--set",
      disks,
      "--set",
      "guests.docker-1.coldReplica=null",
    ]);
    expect(out).toMatch(/^ {2}stays off until started by hand, its disks are there: docker-1$/m);
  });

  test("a guest without a spare is named in the verdict, and where it stays off", async () => {
    const { code, out } = await coldspare(["check", "smb-site", "--set", "guests.docker-1.coldReplica=null"]);
    expect(code).toBe(0);
    expect(out).toMatch(/^smb does not survive the loss of srv2: docker-1 cannot run$/m);
    expect(out).toMatch(/^Loss of srv2: NOT survived\n {2}sql-erp[\s\S]*\n {2}stays off, no spare: docker-1$/m);
    expect(out).toMatch(/^what if: --set guests\.docker-1\.coldReplica=null$/m);
  });

  test("a spare that nothing ever filled loses everything", async () => {
    const { code, out } = await coldspare(["check", "smb-site", "--set", "backups={}"]);
    expect(code).toBe(1);
    expect(out).toMatch(/^remote-app +restore +\S+ +unlimited/m);
    expect(out).toMatch(/^ {2}remote-app +starts on srv1 .* loses everything$/m);
  });

  test("a cluster without a third vote stands still", async () => {
    const { code, out } = await coldspare(["check", "smb-site", "--set", 'servers.backup-1.roles=["backup-server"]']);
    expect(code).toBe(1);
    expect(out).toMatch(/^smb does not survive the loss of srv1: the cluster keeps 1 of 2 votes and needs 2/m);
  });

  test("--active shows the site after a failover", async () => {
    const { out } = await coldspare(["check", "smb-site", "--active", "sql-erp=spare", "--json"]);
    const { guests, servers } = reportOf(out);
    expect(guests["sql-erp"]).toMatchObject({
      primary: "srv2",
      spare: "srv1",
      activeSide: "spare",
      activeServer: "srv1",
    });
    expect(servers.srv1!.capacity.before.guests).toContain("sql-erp");
  });
});

describe("site files", () => {
  const home = process.cwd();
  let folder: string;
  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), "coldspare-check-")));
    process.chdir(folder);
  });
  afterEach(() => {
    process.chdir(home);
    rmSync(folder, { recursive: true, force: true });
  });

  test("site.yaml of this folder is the default", async () => {
    writeFileSync("site.yaml", smallSite);
    const { code, out, err } = await coldspare(["check"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toContain("site.yaml");
  });

  test("without one, says what to do", async () => {
    const { code, out, err } = await coldspare(["check"]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(/there is no site\.yaml in this folder.*\n.*coldspare check smb-site/);
  });

  test("a folder stands for the site file in it, JSON is read as well", async () => {
    mkdirSync("office");
    writeFileSync("office/site.json", JSON.stringify({ site: { name: "empty" }, servers: {} }));
    const { out } = await coldspare(["check", "./office", "--json"]);
    expect(reportOf(out)).toMatchObject({ source: "office/site.json", site: { name: "empty" } });
  });

  test("a finding names the line of the file", async () => {
    writeFileSync("site.yaml", smallSite.replace("on: two", "on: one"));
    const { code, out } = await coldspare(["check", "--json"]);
    expect(code).toBe(1);
    const finding = reportOf(out).findings.find(({ subject }) => subject.startsWith("guests.web.coldReplica"));
    const line = smallSite.split("\n").findIndex((text) => text.includes("coldReplica")) + 1;
    expect(finding?.at?.line).toBe(line);
    expect((await coldspare(["check"])).out).toContain(`(site.yaml:${line}:`);
  });

  test("with --set too, except of what was replaced", async () => {
    writeFileSync("site.yaml", smallSite);
    const set = ["--set", "guests.web.coldReplica.on=one", "--set", "guests.web.networks[0].address=192.168.21.10"];
    const { findings } = reportOf((await coldspare(["check", "--json", ...set])).out);
    const at = (subject: string) => findings.find((finding) => finding.subject === subject)?.at;
    expect(findings.map(({ subject }) => subject)).toContain("guests.web.coldReplica.on");
    expect(at("guests.web.coldReplica.on")).toBeUndefined();
    expect(at("guests.web")?.line).toBe(smallSite.split("\n").indexOf("  web:") + 2);
  });

  test("YAML that cannot be read: file, line, column, every mistake", async () => {
    writeFileSync("site.yaml", "site: { name: small }\nservers:\n  one: { cores: 1\n  two: [\n");
    const { code, err } = await coldspare(["check"]);
    expect(code).toBe(2);
    expect(err).toMatch(/site\.yaml:\d+:\d+: /);
    writeFileSync("site.yaml", "site: { name: a }\nsite: { name: b }\n");
    expect((await coldspare(["check"])).err).toMatch(/site\.yaml:2:1: Map keys must be unique/);
  });

  test("an unknown key is a finding with the nearest known one; the rest is planned", async () => {
    writeFileSync("site.yaml", smallSite.replace("cores: 2", "cores: 2\n    memroyGiB: 4"));
    const { code, out } = await coldspare(["check"]);
    expect(code).toBe(1);
    expect(out).toMatch(/^small survives .*, but the specification has 1 error$/m);
    expect(out).toMatch(/memroyGiB[\s\S]*fix: .*memoryGiB/);
  });

  test("what cannot be planned is reported all the same", async () => {
    writeFileSync("site.yaml", smallSite.replace("roles: [witness], cores: 1", "cores: one"));
    const { code, out } = await coldspare(["check"]);
    expect(code).toBe(1);
    expect(out).toMatch(/^site\.yaml cannot be planned: 2 errors in the specification$/m);
    const report = reportOf((await coldspare(["check", "--json"])).out);
    expect(report).toMatchObject({ ok: false, site: null, siteLoss: null, guests: {}, servers: {} });
    expect(report.findings.map(({ subject }) => subject)).toEqual(["servers.vote.cores", "servers.vote.roles"]);
  });

  test("--quiet prints findings only, --strict fails on warnings", async () => {
    writeFileSync("site.yaml", smallSite);
    const plan = reportOf((await coldspare(["check", "--json"])).out);
    expect(plan.findings.map(({ severity }) => severity)).not.toContain("error");
    // The small site has no backups, which is worth a warning.
    const quiet = await coldspare(["check", "--quiet"]);
    expect(quiet).toMatchObject({ code: 0, out: expect.stringMatching(/^FINDINGS: [\s\S]*warning.*guests\.web/) });
    expect(quiet.out).not.toContain("WHO RUNS WHERE");
    const strict = await coldspare(["check", "--strict", "--json"]);
    expect(strict.code).toBe(1);
    expect(reportOf(strict.out).ok).toBe(false);
  });
});

describe("wrong use ends with 2 and a way on", () => {
  test.each([
    [["check", "smb-sit"], /no layout and no file 'smb-sit'; did you mean 'smb-site'/],
    [["check", "./nowhere.yaml"], /there is no file .*nowhere\.yaml/],
    [["check", "smb-site", "--jsn"], /unknown option '--jsn'[\s\S]*--json/],
    [["chek", "smb-site"], /unknown command 'chek'[\s\S]*check/],
    [["smb-site"], /coldspare check smb-site/],
    [["check", "smb-site", "more"], /too many arguments/],
    [["check", "smb-site", "--active", "sql=spare"], /no guest 'sql'/],
    [["check", "smb-site", "--active", "sql-erp=other"], /sql-erp=spare or sql-erp=primary/],
    [["check", "smb-site", "--set", "guests.sql-erp.memoryGiB"], /--set/],
    [["check", "package.toml"], /no file|ends in/],
  ])("%j", async (args, message) => {
    const { code, out, err } = await coldspare(args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(message);
  });
});

describe("colours", () => {
  const colored = (text: string) => text !== stripVTControlCharacters(text);
  test.each([
    ["a terminal", [], {}, true, true],
    ["a pipe", [], {}, false, false],
    ["--no-color", ["--no-color"], {}, true, false],
    ["NO_COLOR", [], { NO_COLOR: "1" }, true, false],
    ["a terminal without colours", [], { TERM: "dumb" }, true, false],
    ["FORCE_COLOR", [], { FORCE_COLOR: "1" }, false, true],
  ])("%s", async (_name, args, env, tty, expected) => {
    const { out } = await coldspare(["check", "smb-site", ...args], env, tty);
    expect(colored(out)).toBe(expected);
  });
});
