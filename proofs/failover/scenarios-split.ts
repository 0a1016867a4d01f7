/** Networks that split while the primary goes on running, and witnesses that are lost. */
import {
  ALL_ON_SRV1,
  AT_HOME,
  arrived,
  failover,
  runs,
  type Scenario,
  tail,
  upAfterReturn,
  writeAfter,
} from "./scenario";
import { pause } from "./world";

const REST = ["srv1", "backup-1", "operator"];

export const splitScenarios: Scenario[] = [
  {
    name: "srv2 is cut off and goes on running: it is stopped before its guests start on srv1",
    fencing: ["power", "lease"],
    quick: ["lease"],
    async run(world, check) {
      await writeAfter(world);
      await world.split(["srv2"], REST);
      await pause(1);
      check.that(
        "the guests of srv2 go on running there at first",
        world.running("srv2").length > 0,
        world.running().join(", "),
      );
      const run = await failover(world);
      check.figure(`failover in ${run.seconds.toFixed(1)} s, fencing included`);
      await arrived(world, check, run);
      await world.heal();
      await world.revive("srv2");
      await world.nodeReady("srv2");
      await pause(4);
      check.that(
        "after the network is back nothing starts twice",
        await runs(world, ALL_ON_SRV1, 15),
        world.running().join(", "),
      );
      await upAfterReturn(world, check);
    },
  },
  {
    name: "srv2 is cut off, nobody fails over: with a lease its guests stop, and start again when it is back",
    fencing: ["lease"],
    async run(world, check) {
      await world.split(["srv2"], REST);
      const home = AT_HOME.filter((line) => line.endsWith("srv1"));
      check.that(
        "the guests of srv2 stop when their lease ends",
        await runs(world, home, 40),
        world.running().join(", "),
      );
      await world.heal();
      check.that("they start again by themselves", await runs(world, AT_HOME, 60), world.running().join(", "));
    },
  },
  {
    name: "srv2 is cut off and a person has not confirmed: refused; switched off and confirmed: done",
    fencing: ["confirm"],
    async run(world, check) {
      await writeAfter(world);
      await world.split(["srv2"], REST);
      const refused = await world.cold(["failover", "srv2", "--yes"]);
      check.that("without the confirmation failover refuses", refused.code === 1, tail(refused));
      check.that("and says which word is missing", refused.text.includes("--confirm-off srv2"), tail(refused));
      check.that("and changes nothing", await runs(world, AT_HOME, 5), world.running().join(", "));
      await world.kill("srv2");
      await arrived(world, check, await failover(world));
      await world.heal();
      await world.revive("srv2");
      await world.nodeReady("srv2");
      await pause(3);
      check.that(
        "after its return srv2 starts nothing",
        await runs(world, ALL_ON_SRV1, 10),
        world.running().join(", "),
      );
    },
  },
  {
    name: "the power switch lies, refuses or is dead: failover refuses and starts nothing",
    fencing: ["power"],
    quick: ["power"],
    async run(world, check) {
      await world.split(["srv2"], REST);
      for (const fault of ["refuse", "ignore", "denied", "dead"] as const) {
        world.hosts.bmc("srv2", { fault });
        const run = await failover(world);
        check.that(`BMC '${fault}': refused`, run.code === 1, tail(run));
        check.that(
          `BMC '${fault}': nothing runs twice`,
          world.running("srv1").length === 2,
          world.running().join(", "),
        );
      }
      world.hosts.bmc("srv2", {});
      await arrived(world, check, await failover(world));
    },
  },
  {
    name: "the witness is lost first: failover refuses, and goes on when it is back",
    fencing: ["confirm", "power", "lease"],
    async run(world, check) {
      await writeAfter(world);
      await world.kill("backup-1");
      await world.kill("srv2");
      const refused = await failover(world);
      check.that("with one voter of three failover refuses", refused.code === 1, tail(refused));
      check.that("it names the witness", refused.text.includes("backup-1"), tail(refused));
      check.that("nothing was started", world.running("srv1").length === 2, world.running().join(", "));
      await world.revive("backup-1");
      await pause(3);
      await arrived(world, check, await failover(world));
    },
  },
  {
    name: "the witness is lost while everything is failed over: nothing stops, nothing starts twice",
    fencing: ["confirm", "lease"],
    async run(world, check) {
      await writeAfter(world);
      await world.kill("srv2");
      await arrived(world, check, await failover(world));
      await world.revive("srv2");
      await world.nodeReady("srv2");
      await pause(4);
      await world.kill("backup-1");
      await pause(15);
      check.that("the guests go on running on srv1", await runs(world, ALL_ON_SRV1, 5), world.running().join(", "));
    },
  },
];
