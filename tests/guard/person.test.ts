import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { APP, Servers, SQL } from "./servers";

const GUARD = join(__dirname, "../../guard");

// Each test runs dozens of short processes; a busy machine takes its time.
jest.setTimeout(30_000);

describe("on a server", () => {
  let site: Servers;
  afterEach(() => site.remove());
  const failedOver = (to = "srv1") => {
    site.claim("op", "sql-erp=2@" + to, "srv1", "backup-1");
  };

  describe("allow", () => {
    test("lets one start pass, tells the voters that it reaches, and is kept in the log", () => {
      site = new Servers();
      site.hook("srv2", 113);
      site.mode("srv2", "fail");
      site.mode("backup-1", "fail");
      expect(site.hook("srv1", 113).code).toBe(1);
      const allowed = site.run("srv1", ["allow", "sql-erp", "--because", "srv2 has no power"]);
      expect(allowed).toMatchObject({ code: 0, stderr: "" });
      expect(allowed.stdout).toContain("backup-1: could not be told (no answer)");
      expect(site.read("srv1/var/lib/coldspare/allowed")).toMatch(
        /allowed sql-erp on srv1 \(epoch 1\): srv2 has no power\n/,
      );
      expect(site.hook("srv1", 113)).toMatchObject({
        code: 0,
        stderr: expect.stringContaining("by a person's permission"),
      });
      site.run("srv1", ["hook", "113", "post-stop"]);
      expect(site.hook("srv1", 113).code).toBe(1);
      // with the witness told, the returning side has no majority
      site.mode("backup-1", "up");
      expect(site.run("srv1", ["allow", "113", "--because", "still none"]).stdout).toContain(
        "backup-1: knows that only srv1 may run it",
      );
      site.mode("srv2", "up");
      site.config("srv1", 113);
      expect(site.hook("srv2", 113).code).toBe(1);
    });

    test("is no permission against a server that answers and runs it", () => {
      site = new Servers();
      site.hook("srv2", 113);
      site.guest("srv2", 113);
      const refused = site.run("srv1", ["allow", "sql-erp", "--because", "I believe it is off"]);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain("srv2 answers, so it is not off, and says: 113 runs on srv2");
      expect(site.hook("srv1", 113).code).toBe(1);
      site.mode("srv2", "mute");
      const silent = site.run("srv1", ["allow", "sql-erp", "--because", "I believe it is off"]);
      expect(silent.code).toBe(1);
      expect(silent.stderr).toContain("srv2 answered a moment ago, so it is not off, and then no more (");
    });

    test("is over when the record changes: the other side came back and was given the guest, or a command blocked it", () => {
      site = new Servers({ servers: ["srv1", "srv2"], guests: [SQL.replace(",backup-1", "")] });
      site.run("srv2", ["reconcile"]);
      site.claim("op", "sql-erp=1@-", "srv1");
      site.mode("srv2", "fail");
      expect(site.run("srv1", ["allow", "sql-erp", "--because", "srv2 has no power"]).code).toBe(0);
      site.mode("srv2", "up");
      // the side that comes back learns of it, asks, and is given the guest
      expect(site.ask("srv1", "release", "guard@srv2", "srv2", "sql-erp=2")["sql-erp"]?.verdict).toBe("ok");
      site.mode("srv2", "fail");
      expect(site.hook("srv1", 113).code).toBe(1);
    });

    test("of a command is given on top of its own claim alone", () => {
      site = new Servers({ servers: ["srv1", "srv2"], guests: [SQL.replace(",backup-1", "")] });
      site.run("srv2", ["reconcile"]);
      site.claim("op@desk", "sql-erp=2@srv1", "srv1");
      site.mode("srv2", "fail");
      const allow = (epoch: string, by: string) =>
        site.run("srv1", ["allow", "sql-erp", "--because", "fenced", "--expect", epoch, by]);
      for (const [epoch, by] of [
        ["2", "op@other"],
        ["1", "op@desk"],
      ] as const) {
        const refused = allow(epoch, by);
        expect(refused.code).toBe(1);
        expect(refused.stderr).toContain("not the expected one any more, but epoch 2: srv1 may run it (by op@desk");
      }
      expect(site.exists("srv1/var/lib/coldspare/permits/sql-erp")).toBe(false);
      expect(site.run("srv1", ["allow", "sql-erp", "--because", "x", "--expect", "2"]).code).toBe(2);
      expect(allow("2", "op@desk")).toMatchObject({ code: 0, stderr: "" });
      expect(site.hook("srv1", 113).code).toBe(0);
    });

    test("is told on to voters that could not be reached, until a majority knows it", () => {
      site = new Servers();
      site.run("srv2", ["reconcile"]);
      site.mode("srv2", "fail");
      site.mode("backup-1", "fail");
      const { stdout } = site.run("srv1", ["allow", "sql-erp", "--because", "srv2 has no power"]);
      expect(stdout).toContain("Keep every other server of sql-erp off until\n");
      expect(site.run("srv1", ["status"]).stdout).toContain(
        "NO majority knows, keep the other servers of it off: srv1\n",
      );
      site.mode("backup-1", "up");
      expect(site.run("srv1", ["reconcile"]).stdout).toContain("backup-1 was told who may run sql-erp");
      expect(site.run("srv1", ["status"]).stdout).toContain("a majority knows: srv1, backup-1\n");
      site.mode("srv2", "up");
      site.config("srv1", 113);
      expect(site.hook("srv2", 113).code).toBe(1);
    });

    test("needs a reason, and is over after ten minutes", () => {
      site = new Servers();
      expect(site.run("srv1", ["allow", "sql-erp", "--because", " "]).code).toBe(1);
      expect(site.run("srv1", ["allow", "sql-erp"]).code).toBe(2);
      site.mode("srv2", "fail");
      site.mode("backup-1", "fail");
      site.clock("srv1", 100);
      expect(site.run("srv1", ["allow", "sql-erp", "--because", "off"]).code).toBe(0);
      site.clock("srv1", 701);
      expect(site.hook("srv1", 113).code).toBe(1);
    });
  });

  test("status says what is known, for people and for programs", () => {
    site = new Servers();
    site.hook("srv2", 113);
    site.config("srv2", 113, "onboot: 1\nlock: snapshot\ntags: a;b\n");
    site.guest("srv2", 113);
    expect(site.run("srv2", ["status"]).stdout).toMatch(
      /sql-erp: epoch 0: srv2 may run it\n {2}granted to srv2 for \d+(\.\d+)? s more\n {2}113: runs, starts with the server, locked \(snapshot\), tags a;b/,
    );
    expect(site.run("srv2", ["status", "--plain"]).stdout.split("\n")).toEqual([
      "guest=sql-erp vmid=113 running=1 config=1 onboot=1 lock=snapshot tags=a%3Bb epoch=0 server=srv2 by=- grants=1 fresh=0",
      "guest=remote-app vmid=112 running=0 config=0 onboot=0 lock= tags= epoch=0 server=srv2 by=- grants=0 fresh=1",
      "",
    ]);
  });

  describe("take-config", () => {
    const path = "srv1/etc/pve/nodes";
    beforeEach(() => {
      site = new Servers();
      site.put(`${path}/srv2/qemu-server/113.conf`, "memory: 512\n");
      site.put(`${path}/srv1/qemu-server/.keep`, "");
    });
    const take = () => site.run("srv1", ["take-config", "113", "srv2"]);

    test("moves it when the record says so; twice is once", () => {
      failedOver();
      const where = join(site.folder, `${path}/srv1/qemu-server/113.conf\n`);
      expect(take()).toEqual({ code: 0, stdout: where, stderr: "" });
      expect(take()).toEqual({ code: 0, stdout: where, stderr: "" });
      expect(site.read(`${path}/srv1/qemu-server/113.conf`)).toBe("memory: 512\n");
      expect(site.exists(`${path}/srv2/qemu-server/113.conf`)).toBe(false);
    });

    test("refuses while the record says another, or nobody", () => {
      expect(take().stderr).toContain("the record says that srv2 may run it, not srv1");
      failedOver("-");
      expect(take().stderr).toContain("the record says that no server may run it");
      expect(site.exists(`${path}/srv2/qemu-server/113.conf`)).toBe(true);
    });

    test("refuses while it runs here, when there are two, and when there is none", () => {
      failedOver();
      const guest = site.guest("srv1", 113);
      expect(take().stderr).toContain("113 runs here");
      guest.kill("SIGKILL");
      rmSync(join(site.folder, "srv1/run/qemu-server/113.pid"));
      site.put(`${path}/srv1/qemu-server/113.conf`, "other");
      expect(take().stderr).toContain("there are two configurations");
      rmSync(join(site.folder, path), { recursive: true });
      expect(take().stderr).toContain("/etc/pve is not mounted");
      expect(site.run("srv1", ["take-config", "112", "srv2"]).stderr).toContain("112 has no place on srv1");
      expect(site.run("srv1", ["take-config", "113", "../srv2"]).code).toBe(2);
    });

    test("says why it cannot be written and what to do", () => {
      failedOver();
      // no folder to move it to is what a read-only file system looks like to rename
      rmSync(join(site.folder, `${path}/srv1`), { recursive: true });
      expect(take().stderr).toContain("pvecm expected 1");
    });
  });

  test("journals are appended once, and listed", () => {
    site = new Servers();
    const append = (input: string) => site.run("srv1", ["journal", "append", "failover-srv2-1"], { input });
    expect(append('{"a":1}\n{"a":2}\n').code).toBe(0);
    expect(append('{"a":2}\n{"a":3}').code).toBe(0);
    expect(site.run("srv1", ["journal", "append", "undo-2"], { input: '{"b":1}\n' }).code).toBe(0);
    expect(site.run("srv1", ["journal", "list", "failover-srv2-1"]).stdout).toBe('{"a":1}\n{"a":2}\n{"a":3}\n');
    expect(site.run("srv1", ["journal", "list"]).stdout).toContain('{"b":1}\n');
    expect(append("no json").code).toBe(1);
    expect(site.run("srv1", ["journal", "append", "../x"], { input: "{}" }).code).toBe(2);
    site.put("srv1/var/lib/coldspare/journal/undo-2.jsonl", '{"b":1}\n{"b":');
    site.run("srv1", ["journal", "append", "undo-2"], { input: '{"b":2}\n' });
    expect(site.run("srv1", ["journal", "list", "undo-2"]).stdout).toBe('{"b":1}\n{"b":\n{"b":2}\n');
  });

  test("reconcile marks an old side and takes its autostart away, sets a missing hook script, and leaves the active side alone", () => {
    site = new Servers();
    site.hook("srv2", 112);
    site.hook("srv2", 113);
    site.config("srv2", 112, "onboot: 1\ntags: erp\n");
    site.config("srv2", 113, "onboot: 1\nhookscript: local:snippets/coldspare-guard\n");
    site.claim("op", "remote-app=1@srv1", "srv1", "backup-1");
    // A guest that is being backed up has its turn in a later round; one whose guard is being removed has none.
    site.config("srv2", 112, "lock: backup\nonboot: 1\ntags: erp\n");
    site.run("srv2", ["reconcile"]);
    expect(site.read("srv2/tool.log")).toBe("");
    site.config("srv2", 112, "onboot: 0\ntags: coldspare-diverged\n");
    site.put("srv2/etc/coldspare/retired", "");
    site.run("srv2", ["reconcile"]);
    expect(site.read("srv2/tool.log")).toBe("");
    rmSync(join(site.folder, "srv2/etc/coldspare/retired"));
    site.config("srv2", 112, "onboot: 1\ntags: erp\n");
    site.run("srv2", ["reconcile"]);
    expect(site.read("srv2/tool.log").trim().split("\n")).toEqual([
      expect.stringMatching(
        /qm set 112 --hookscript local:snippets\/coldspare-guard --onboot 0 --tags erp;coldspare-diverged$/,
      ),
    ]);
    expect(site.read("srv2/var/lib/coldspare/diverged/remote-app")).toMatch(/^vmid=112 epoch=1 server=srv1 /);
    // it also learnt what it had slept through
    expect(site.ask("srv2", "read", "remote-app")["remote-app"]).toMatchObject({ epoch: "1", server: "srv1" });
  });

  test("after a power cut everything that may run here starts in order, as soon as voters are back", async () => {
    const other =
      "third qemu primary=srv2 spare=srv1 voters=srv2,srv1,backup-1 ids=120@srv2,120@srv1 order=10 delay=0 onboot=1";
    site = new Servers({ guests: [APP, SQL, other], times: ["renew 0.1"] });
    for (const vmid of [112, 113, 120]) site.config("srv2", vmid, "onboot: 1\n");
    site.run("srv2", ["reconcile"]);
    site.put("srv2/tool.log", "");
    site.claim("op", "third=1@srv1", "srv1", "backup-1");
    site.config("srv1", 120);
    site.mode("srv1", "fail");
    site.mode("backup-1", "fail");
    const boot = site.runAside("srv2", ["boot"]);
    await new Promise((done) => setTimeout(done, 400));
    expect(site.read("srv2/tool.log")).toBe("");
    site.mode("srv1", "up");
    site.mode("backup-1", "up");
    expect(await boot).toMatchObject({ code: 0 });
    expect(site.read("srv2/started")).toBe("113\n112\n");
    // once per boot
    expect(site.run("srv2", ["boot"]).code).toBe(0);
    expect(site.read("srv2/started")).toBe("113\n112\n");
    // but what lost its lease since is tried again, and only that
    const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    site.put("srv2/run/coldspare/again/sql-erp", `boot=${bootId} at=1\n`);
    expect(site.run("srv2", ["boot"]).code).toBe(0);
    expect(site.read("srv2/started")).toBe("113\n112\n113\n");
    expect(site.exists("srv2/run/coldspare/again/sql-erp")).toBe(false);
  });

  test("after a failover to a standby that does not start with the server, the one that ran last is started", () => {
    site = new Servers({ guests: [APP], times: ["renew 0.1"] });
    site.claim("op", "remote-app=2@srv1", "srv1", "srv2", "backup-1");
    for (const vmid of [9112, 9212]) site.config("srv1", vmid, "onboot: 0\n");
    expect(site.hook("srv1", 9212).code).toBe(0);
    site.run("srv1", ["hook", "9212", "post-stop"]);
    site.run("srv1", ["boot"]);
    expect(site.read("srv1/started")).toBe("9212\n");
  });
});

const analyze = spawnSync("systemd-analyze", ["--version"]);
(analyze.status === 0 ? test : test.skip)("systemd finds nothing wrong with the units", () => {
  const folder = mkdtempSync(join(tmpdir(), "coldspare-units-"));
  for (const unit of ["coldspare-agent.service", "coldspare-boot.service"])
    cpSync(join(GUARD, unit), join(folder, unit));
  cpSync(join(GUARD, "coldspare-node"), join(folder, "usr/local/sbin/coldspare-node"));
  const verify = spawnSync(
    "systemd-analyze",
    [
      "verify",
      "--man=no",
      "--generators=no",
      join(folder, "coldspare-agent.service"),
      join(folder, "coldspare-boot.service"),
    ],
    { encoding: "utf8" },
  );
  rmSync(folder, { recursive: true });
  const complaints = `${verify.stdout}${verify.stderr}`
    .split("\n")
    .filter((line) => line.includes("coldspare") && !line.includes("is not executable"));
  expect(complaints).toEqual([]);
});
