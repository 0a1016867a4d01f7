/** A server dies: while idle, during a refresh, during an update, with the newest standby broken, with the storage full. */
import {
  AFTER,
  ALL_ON_SRV1,
  AT_HOME,
  arrived,
  failover,
  returns,
  runs,
  type Scenario,
  tail,
  upAfterReturn,
  upWhileDead,
  writeAfter,
} from "./scenario";
import { pause } from "./world";

export const lossScenarios: Scenario[] = [
  {
    name: "srv2 dies while idle, everything starts on srv1, srv2 returns",
    fencing: ["confirm", "power", "lease"],
    quick: ["confirm", "power", "lease"],
    async run(world, check) {
      check.that("the site runs at home first", await runs(world, AT_HOME), world.running().join(", "));
      await writeAfter(world);
      await world.kill("srv2");
      const status = await world.cold(["status"]);
      check.that(
        "coldspare status answers within 10 s and says that srv2 is down",
        status.seconds < 10 && /srv2.*(down|unreachable|dead)/i.test(status.text),
        tail(status),
      );
      const run = await failover(world);
      check.figure(`failover of 3 guests in ${run.seconds.toFixed(1)} s`);
      await arrived(world, check, run);
      await upWhileDead(world, check);
      check.that("the guests still run after coldspare up", await runs(world, ALL_ON_SRV1), world.running().join(", "));
      await returns(world, check);
      await upAfterReturn(world, check);
      check.that("and after pulumi up --refresh", await runs(world, ALL_ON_SRV1), world.running().join(", "));
    },
  },
  {
    name: "srv2 dies during a replication run and a restore",
    fencing: ["confirm"],
    async run(world, check) {
      await writeAfter(world);
      await world.control("POST", "/faults", { slowdown: 60 });
      const restore = world.cold(["refresh", `${world.folder}/site.yaml`, "--guest", "remote-app", "--force"]);
      await world.pve.post("/nodes/srv2/replication/113-0/schedule_now");
      await world.control("POST", "/clock/advance", { seconds: 61 });
      await pause(1);
      await world.kill("srv2");
      await world.control("POST", "/faults/clear", {});
      await restore;
      await arrived(world, check, await failover(world, ["--accept-stale"]));
      await returns(world, check);
      await upAfterReturn(world, check);
    },
  },
  {
    name: "srv2 dies during pulumi up",
    fencing: ["confirm"],
    async run(world, check) {
      await writeAfter(world);
      const grown = structuredClone(world.site);
      for (const name of ["sql-erp", "docker-1", "remote-app"]) grown.guests![name]!.priority = 61;
      grown.guests!["docker-1"]!.description = "changed while the server dies";
      grown.guests!["sql-erp"]!.description = "changed while the server dies";
      world.writeSite(grown);
      await world.control("POST", "/faults", { latencyMs: 300 });
      const up = world.stack.up("--continue-on-error");
      await pause(6);
      await world.kill("srv2");
      await up;
      await world.control("POST", "/faults/clear", {});
      // The update may have placed its manifest on a server before: then the one at hand is older, and the way out is named.
      const first = await failover(world);
      const from = /OPERATION-MANIFEST-OLD[\s\S]*--from (\S+)/.exec(first.text)?.[1];
      if (from !== undefined) check.figure(`the manifest that counts was fetched from a server`);
      await arrived(world, check, from === undefined ? first : await failover(world, ["--from", from]));
      await returns(world, check);
      await upAfterReturn(world, check);
    },
  },
  {
    name: "the newest standby is broken: the one before it starts",
    fencing: ["confirm"],
    async run(world, check) {
      await world.backUpAndRefresh("remote-app", "srv2", 112, "backup-nfs");
      await writeAfter(world);
      // A restore that broke leaves its lock behind.
      await world.control("POST", "/guests/9212/lock", { lock: "create" });
      await world.kill("srv2");
      const run = await failover(world);
      check.that("failover ends well", run.code === 0, tail(run));
      check.that(
        "the older standby is the active side",
        (await runs(world, ALL_ON_SRV1)) || world.running().includes("remote-app-spare on srv1"),
        world.running().join(", "),
      );
    },
  },
  {
    name: "the target storage is full: the refresh fails, the last good copy starts",
    fencing: ["confirm"],
    async run(world, check) {
      await world.control("POST", "/storage/fill", { node: "srv1", storage: "tank" });
      // The space of the older standby is free by then; the new backup is larger than that.
      await world.control("POST", "/faults/task", {
        type: "qmrestore",
        message: "zfs error: cannot create 'tank/vm-9112-disk-0': out of space",
      });
      const refreshed = await world.cold(["refresh", `${world.folder}/site.yaml`, "--guest", "remote-app", "--force"]);
      check.that("the refresh says that it failed", refreshed.code === 1, tail(refreshed));
      await writeAfter(world);
      await world.kill("srv2");
      await arrived(world, check, await failover(world));
    },
  },
  {
    name: "the whole site loses power and returns",
    fencing: ["confirm", "power", "lease"],

    async run(world, check) {
      await writeAfter(world);
      for (const server of ["srv1", "srv2", "backup-1"]) await world.kill(server);
      check.that("nothing runs", await runs(world, [], 5), world.running().join(", "));
      // The hypervisors come first and alone: nobody has a majority, so every start is refused, and tried again.
      await world.revive("srv2");
      await world.revive("srv1");
      await world.revive("backup-1");
      check.that(
        "everything starts again, at home, by itself",
        await runs(world, AT_HOME, 90),
        world.running().join(", "),
      );
      const data = await world.ask(113, "GET", "/data");
      check.that("with the data of the last moment", (data ?? "").includes(AFTER), data);
    },
  },
  {
    name: "srv2 dies, everything moves, then the whole site loses power and returns",
    fencing: ["confirm", "lease"],
    async run(world, check) {
      await writeAfter(world);
      await world.kill("srv2");
      await arrived(world, check, await failover(world));
      await world.kill("srv1");
      await world.kill("backup-1");
      await world.revive("srv2");
      await pause(5);
      check.that("srv2 alone starts nothing", world.running("srv2").length === 0, world.running().join(", "));
      await world.revive("srv1");
      await world.revive("backup-1");
      check.that("everything starts on srv1 again", await runs(world, ALL_ON_SRV1, 90), world.running().join(", "));
    },
  },
];
