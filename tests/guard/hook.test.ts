import { execFileSync } from "node:child_process";
import { rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { NODE_PROGRAM, Servers, type SiteOptions } from "./servers";

// Each test runs dozens of short processes; a busy machine takes its time.
jest.setTimeout(30_000);

describe("the hook", () => {
  let site: Servers;
  const make = (options: SiteOptions = {}) => {
    site = new Servers(options);
    return site;
  };
  afterEach(() => site.remove());

  test("lets the primary start on a new site, and remembers that it did", () => {
    make();
    expect(site.hook("srv2", 113)).toMatchObject({ code: 0, stderr: "" });
    const grants = ["srv1", "srv2", "backup-1"].map((server) =>
      Number(site.ask(server, "read", "sql-erp")["sql-erp"]?.grants),
    );
    expect(grants.filter((count) => count === 1).length).toBeGreaterThanOrEqual(2);
    expect(site.ask("srv2", "read", "sql-erp")["sql-erp"]).toMatchObject({
      epoch: "0",
      server: "srv2",
      holder: "srv2",
    });
  });

  test("refuses the spare while the primary runs it, and says who said what and what to do", () => {
    make();
    expect(site.hook("srv2", 113).code).toBe(0);
    site.guest("srv2", 113);
    const refused = site.hook("srv1", 113);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("srv1 must not start sql-erp (113): another server may run it");
    expect(refused.stderr).toMatch(/backup-1\s+epoch 0: srv2 may run it/);
    expect(refused.stderr).toContain("srv2 does not give it up: 113 runs on srv2");
    expect(refused.stderr).toContain("coldspare failback");
    expect(refused.stderr).toContain('coldspare-node allow sql-erp --because "');
  });

  test("takes over with the other side's consent when nothing runs there", () => {
    make();
    expect(site.hook("srv2", 113).code).toBe(0);
    expect(site.run("srv2", ["hook", "113", "post-stop"]).code).toBe(0);
    // Proxmox VE moved it: the cluster's files say so on the side that it left.
    site.put("srv2/etc/pve/nodes/srv1/qemu-server/113.conf", "");
    expect(site.hook("srv1", 113).code).toBe(0);
    for (const server of ["srv1", "srv2"]) {
      expect(site.ask(server, "read", "sql-erp")["sql-erp"]).toMatchObject({
        epoch: "1",
        server: "srv1",
        by: "guard@srv1",
      });
    }
    // and back, by the same way, once the start is over
    site.run("srv1", ["hook", "113", "post-stop"]);
    site.put("srv1/etc/pve/nodes/srv2/qemu-server/113.conf", "");
    expect(site.hook("srv2", 113).code).toBe(0);
  });

  test("no consent while what ran last was moved to a third server, where it may be running", () => {
    make();
    expect(site.hook("srv2", 113).code).toBe(0);
    site.run("srv2", ["hook", "113", "post-stop"]);
    site.put("srv2/etc/pve/nodes/srv3/qemu-server/113.conf", "");
    expect(site.hook("srv1", 113).stderr).toContain("113 did not move from srv2 to srv1");
  });

  test("an old side that comes back gets no consent from the side that took over, also while nothing runs there yet", () => {
    make();
    site.hook("srv2", 112);
    site.run("srv2", ["hook", "112", "post-stop"]);
    site.claim("op", "remote-app=1@-", "srv1", "backup-1");
    site.claim("op", "remote-app=2@srv1", "srv1", "backup-1");
    site.config("srv1", 9112, "onboot: 0\n");
    expect(site.hook("srv2", 112).stderr).toContain(
      "9112 did not move from srv1 to srv2; a planned switch is for the operator's command",
    );
    // the operator's command may ask for it
    expect(site.ask("srv1", "release", "op2", "srv2", "remote-app=2")["remote-app"]).toMatchObject({
      verdict: "ok",
      epoch: "3",
      server: "srv2",
    });
  });

  test("a start in progress is no moment to give the guest up", () => {
    make();
    // this process is the starter, and it lives
    expect(site.hook("srv2", 113).code).toBe(0);
    expect(site.hook("srv1", 113).stderr).toContain("a start of 113 is in progress on srv2");
  });

  test("starts with one of three voters dead, hung or cut off in the middle of its answer", async () => {
    make();
    site.run("srv2", ["reconcile"]);
    for (const mode of ["fail", "cut", "deaf"] as const) {
      site.mode("backup-1", mode);
      expect(site.hook("srv2", 113).code).toBe(0);
    }
    site.mode("backup-1", "hang");
    const began = Date.now();
    expect(site.hook("srv2", 113).code).toBe(0);
    expect(Date.now() - began).toBeLessThan(20_000);
  });

  test("two silent voters refuse it, each with its reason", () => {
    make();
    site.run("srv2", ["reconcile"]);
    site.mode("backup-1", "cut");
    site.mode("srv1", "fail");
    const refused = site.hook("srv2", 113);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("too few voters answer");
    expect(refused.stderr).toMatch(/srv1\s+no answer: ssh: connect to host srv1 port 22: No route to host/);
    expect(refused.stderr).toMatch(/backup-1\s+no answer: the answer was cut off/);
  });

  test("nobody starts what a switch has blocked; afterwards only the side that won", () => {
    make();
    site.hook("srv2", 113);
    site.claim("op", "sql-erp=1@-", "srv1", "backup-1");
    expect(site.hook("srv2", 113).stderr).toContain("a switch is under way");
    expect(site.hook("srv1", 113).stderr).toContain("a switch is under way");
    site.claim("op", "sql-erp=2@srv1", "srv1", "backup-1");
    site.config("srv1", 113);
    const old = site.hook("srv2", 113);
    expect(old.code).toBe(1);
    expect(old.stderr).toMatch(/srv1\s+epoch 2: srv1 may run it \(by op since 20/);
    expect(site.hook("srv1", 113).code).toBe(0);
  });

  test("two commands that claimed the same epoch make no majority together", () => {
    make();
    site.run("srv2", ["reconcile"]);
    site.claim("a", "sql-erp=1@srv1", "srv1");
    site.claim("b", "sql-erp=1@srv1", "backup-1");
    const refused = site.hook("srv1", 113);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("the voters do not agree");
  });

  test("a side that slept through its own return learns it from the majority", () => {
    make();
    site.hook("srv2", 113);
    site.claim("op", "sql-erp=4@srv2", "srv1", "backup-1");
    expect(site.hook("srv2", 113).code).toBe(0);
    expect(site.ask("srv2", "read", "sql-erp")["sql-erp"]).toMatchObject({ epoch: "4", by: "op" });
  });

  test("a voter without memory makes no majority with the old side", () => {
    make();
    site.hook("srv2", 113);
    site.claim("op", "sql-erp=1@-", "srv1", "backup-1");
    site.claim("op", "sql-erp=2@srv1", "srv1", "backup-1");
    rmSync(join(site.folder, "backup-1/var/lib/coldspare"), { recursive: true });
    site.mode("srv1", "fail");
    const refused = site.hook("srv2", 113);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("a voter has no memory of it yet");
    // with all voters there it learns what it forgot
    site.mode("srv1", "up");
    expect(site.run("srv2", ["reconcile"]).stdout).toContain("backup-1 was told who may run sql-erp");
    expect(site.ask("backup-1", "read", "sql-erp")["sql-erp"]).toMatchObject({ epoch: "2", server: "srv1", by: "op" });
  });

  test("two starts on one server: two ids of a guest never run side by side", async () => {
    make();
    site.claim("op", "remote-app=1@srv1", "srv1", "srv2", "backup-1");
    const both = await Promise.all([9112, 9212].map((vmid) => site.runAside("srv1", ["hook", `${vmid}`, "pre-start"])));
    expect(both.map((result) => result.code).sort()).toEqual([0, 1]);
    expect(both.find((result) => result.code === 1)?.stderr).toContain(
      "another copy of it runs or starts on this server already",
    );
  });

  test("two servers that start at once: one at most", async () => {
    make();
    const both = await Promise.all(
      ["srv1", "srv2"].map((server) => site.runAside(server, ["hook", "113", "pre-start"])),
    );
    expect(both.filter((result) => result.code === 0).length).toBeLessThanOrEqual(1);
  });

  test("migrations, backups of stopped guests and guests without a spare pass, whatever the voters say", () => {
    make();
    site.claim("op", "sql-erp=1@srv1", "srv1", "srv2", "backup-1");
    site.config("srv1", 113);
    expect(site.hook("srv2", 113, { PVE_MIGRATED_FROM: "srv1" }).code).toBe(0);
    site.config("srv2", 113, "lock: backup\n[snap]\nlock: snapshot\n");
    expect(site.hook("srv2", 113).code).toBe(0);
    site.config("srv2", 113, "memory: 512\n[snap]\nlock: backup\n");
    expect(site.hook("srv2", 113).code).toBe(1);
    expect(site.hook("srv2", 500).code).toBe(0);
  });

  test("what cannot be written is not promised: a full disk takes the vote away", () => {
    make();
    site.run("srv2", ["reconcile"]);
    site.mode("srv1", "fail");
    symlinkSync("/dev/full", join(site.folder, "backup-1/var/lib/coldspare/records/sql-erp.new"));
    const refused = site.hook("srv2", 113);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/backup-1 .*no vote: .*No space left on device/);
    expect(site.ask("backup-1", "claim", "x", "sql-erp=9@srv1")["sql-erp"]).toMatchObject({ verdict: "refused" });
    expect(site.ask("backup-1", "read", "sql-erp")["sql-erp"]).toMatchObject({ epoch: "0" });
  });

  test("a full disk of its own is named as what is to be mended, with the others in order", () => {
    make();
    site.run("srv2", ["reconcile"]);
    rmSync(join(site.folder, "srv2/var/lib/coldspare/records/sql-erp.new"), { force: true });
    symlinkSync("/dev/full", join(site.folder, "srv2/var/lib/coldspare/records/sql-erp.new"));
    const refused = site.hook("srv2", 113);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("this server's own record cannot be used");
    expect(refused.stderr).toMatch(/srv2 .*no vote: .*No space left on device/);
    expect(refused.stderr).toContain("What to do: Mend what the line of this server says.");
  });

  test("a broken record has no vote, and says so", () => {
    make();
    const torn = ["epoch=0 server=srv2 by=- since=- grants=\n", "epoch=0 server=srv2 by=-\n", "epo", ""];
    for (const text of torn) {
      site.put("srv2/var/lib/coldspare/records/sql-erp", text);
      expect(site.ask("srv2", "grant", "srv2", "start", "sql-erp=0")["sql-erp"]?.verdict).toBe("refused");
    }
    const refused = site.hook("srv2", 113);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("this server's own record cannot be used");
    expect(refused.stderr).toContain("Way out: remove the file");
  });

  test("without node.conf, or with a broken one, a guarded guest does not start", () => {
    make();
    site.configure("srv2", (text) => text.replace("format 1", "format 2"));
    expect(site.hook("srv2", 113).stderr).toContain("this program reads 1");
    rmSync(join(site.folder, "srv2/etc/coldspare/node.conf"));
    const refused = site.hook("srv2", 113);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("qm set 113 --delete hookscript");
    // stopping is never in question
    expect(site.run("srv2", ["hook", "113", "post-stop"]).code).toBe(0);
  });

  test("a server that is no voter refuses a guest that was moved to it", () => {
    make({ servers: ["srv1", "srv2", "srv3", "backup-1"] });
    expect(site.hook("srv3", 113).stderr).toContain("this server has no vote on it");
    expect(site.ask("srv3", "grant", "srv2", "start", "sql-erp=0")["sql-erp"]).toMatchObject({
      verdict: "refused",
      reason: "srv3%20has%20no%20vote%20on%20sql-erp",
    });
  });

  test("under leases nothing starts without an agent that renews", () => {
    make({ fencing: "lease" });
    const refused = site.hook("srv2", 113);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("systemctl start watchdog-mux coldspare-agent");
  });

  test("loads nothing but Perl's base modules", () => {
    make();
    const modules = ["Agent", "Batch", "Boot", "Hook", "Person", "Reconcile", "Serve"].map(
      (name) => `-MColdspare::${name}`,
    );
    const loaded = execFileSync(
      "perl",
      [`-I${join(NODE_PROGRAM, "../lib")}`, ...modules, "-e", "print join qq(\\n), values %INC"],
      { encoding: "utf8" },
    );
    const foreign = loaded
      .split("\n")
      .filter((file) => !file.includes("guard/lib/Coldspare/") && !file.includes("perl-base/"));
    expect(foreign).toEqual([]);
  });
});
