/** What comes after a failover: failback, undo, commit, maintenance, drills and backups while failed over, and the times. */
import {
  AFTER,
  ALL_ON_SRV1,
  AT_HOME,
  answered,
  arrived,
  failover,
  GUESTS_OF_SRV2,
  idOnSpare,
  runs,
  type Scenario,
  tail,
  upAfterReturn,
  writeAfter,
} from "./scenario";
import { pause, type World } from "./world";

const ON_SPARE = "written on the spare";

async function failedOverAndBack(world: World, check: Parameters<Scenario["run"]>[1]): Promise<void> {
  await writeAfter(world);
  await world.kill("srv2");
  await arrived(world, check, await failover(world));
  for (const { name } of GUESTS_OF_SRV2) await world.ask(await idOnSpare(world, name), "POST", "/write", ON_SPARE);
  await world.revive("srv2");
  await world.nodeReady("srv2");
  await pause(3);
}

export const returnScenarios: Scenario[] = [
  {
    name: "failback brings everything home with what was written on the spare",
    fencing: ["confirm", "power", "lease"],
    quick: ["confirm"],
    async run(world, check) {
      await failedOverAndBack(world, check);
      const asks = await world.cold(["failback", "srv2", "--yes"]);
      check.that(
        "without a word about the diverged volumes failback refuses",
        asks.code === 1 && asks.text.includes("--diverged"),
        tail(asks),
      );
      const run = await world.cold(["failback", "srv2", "--diverged", "keep", "--yes"]);
      check.that("failback ends well", run.code === 0, tail(run));
      check.figure(`failback of 3 guests in ${run.seconds.toFixed(0)} s`);
      check.that("everything runs at home, once", await runs(world, AT_HOME, 60), world.running().join(", "));
      for (const { name, home } of GUESTS_OF_SRV2) {
        const data = (await answered(world, home)) ?? "";
        check.that(`${name} has what was written on the spare`, data.includes(ON_SPARE), data.slice(0, 200));
      }
      const names = (await world.pve.get<{ name?: string; node: string }[]>("/cluster/resources", { type: "vm" })).map(
        ({ name }) => name ?? "",
      );
      for (const { name } of GUESTS_OF_SRV2)
        check.that(
          `the diverged data of ${name} is kept as a guest of its own`,
          names.includes(`${name}-diverged`),
          names.join(", "),
        );
      await upAfterReturn(world, check);
    },
  },
  {
    name: "undo throws the spare's changes away",
    fencing: ["confirm"],
    async run(world, check) {
      await failedOverAndBack(world, check);
      const run = await world.cold(["undo", "srv2", "--yes", "--accept-loss"]);
      check.that("undo ends well", run.code === 0, tail(run));
      check.that("everything runs at home, once", await runs(world, AT_HOME, 60), world.running().join(", "));
      for (const { name, home } of GUESTS_OF_SRV2) {
        const data = (await answered(world, home)) ?? "";
        check.that(
          `${name} is as it was when srv2 died`,
          data.includes(AFTER) && !data.includes(ON_SPARE),
          data.slice(0, 200),
        );
      }
      await upAfterReturn(world, check);
    },
  },
  {
    name: "maintenance: everything away, everything back, nothing lost",
    fencing: ["confirm", "lease"],
    async run(world, check) {
      await writeAfter(world);
      const begin = await world.cold(["maintenance", "srv2", "--begin", "--yes"]);
      check.that("maintenance begins", begin.code === 0, tail(begin));
      check.that("everything runs on srv1", await runs(world, ALL_ON_SRV1, 60), world.running().join(", "));
      for (const { name } of GUESTS_OF_SRV2) {
        const data = (await answered(world, await idOnSpare(world, name))) ?? "";
        check.that(`${name} has lost nothing`, data.includes(AFTER), data.slice(0, 200));
      }
      const end = await world.cold(["maintenance", "srv2", "--end", "--yes", "--diverged", "discard"]);
      check.that("maintenance ends", end.code === 0, tail(end));
      check.that("everything runs at home", await runs(world, AT_HOME, 60), world.running().join(", "));
    },
  },
  {
    name: "backup of stopped guests, and evacuation, while failed over",
    fencing: ["confirm"],
    async run(world, check) {
      await failedOverAndBack(world, check);
      // The old primary of a restored guest is a stopped guest: the guard must let its backup through.
      await world.pve.task(
        "srv2",
        "POST",
        "/nodes/srv2/vzdump",
        { vmid: 112, storage: "backup-nfs", mode: "stop" },
        {},
      );
      check.that(
        "backing up a stopped old side starts nothing",
        await runs(world, ALL_ON_SRV1, 5),
        world.running().join(", "),
      );
      await world.pve.task(
        "srv1",
        "POST",
        "/nodes/srv1/vzdump",
        { vmid: 113, storage: "backup-nfs", mode: "snapshot" },
        {},
      );
      const away = await world.cold(["failover", "srv1", "--planned", "--guest", "dc-1", "--yes"]);
      check.that("a guest of srv1 is switched to srv2 meanwhile", away.code === 0, tail(away));
      check.that(
        "and runs there, once",
        await runs(world, [...ALL_ON_SRV1.filter((line) => !line.startsWith("dc-1")), "dc-1 on srv2"], 30),
        world.running().join(", "),
      );
    },
  },
  {
    name: "drills of all guests: copies start in isolation, and are gone afterwards",
    fencing: ["confirm"],
    quick: ["confirm"],
    async run(world, check) {
      const before = await inventory(world);
      const run = await world.cold(["drill", "--all", "--yes", "--json"]);
      check.that("the drill passes", run.code === 0, tail(run));
      check.that("the site runs on, untouched", await runs(world, AT_HOME, 5), world.running().join(", "));
      check.equal("nothing of it is left", await inventory(world), before);
      const status = await world.cold(["status", "--json"]);
      check.that("status knows the drill", /"lastDrill"/.test(status.stdout), tail(status));
      const metrics = await world.cold(["status", "--metrics"]);
      const passed = /^coldspare_guest_drill_success\{.*guest="sql-erp".*\} 1$/m;
      check.that("so do the metrics", passed.test(metrics.stdout), tail(metrics));
      const up = await world.stack.up();
      const { drills } = await world.stack.outputs<{ drills: Record<string, { ok: boolean }> }>();
      check.that("so do the outputs of the next pulumi up", drills["sql-erp"]?.ok === true, up.log.slice(-300));
    },
  },
  {
    name: "recovery time: planned and measured with a boot of 240 s",
    fencing: ["confirm"],
    async run(world, check) {
      const slow = structuredClone(world.site);
      slow.guests!["sql-erp"]!.boot = { order: 30, delaySeconds: 0, seconds: 240 };
      world.writeSite(slow);
      const up = await world.stack.up();
      check.that("the new boot time is planned", up.code === 0, up.log.slice(-400));
      const outputs = await world.stack.outputs<{
        losses: Record<string, { restarts: { guest: string; recoveryTimeSeconds: number }[] }>;
        manifest: unknown;
      }>();
      world.keepManifest(outputs.manifest);
      const planned = outputs.losses.srv2!.restarts.find(({ guest }) => guest === "sql-erp")!.recoveryTimeSeconds;
      await world.control("POST", "/guests/113/boot-time", { seconds: 240 });
      await world.kill("srv2");
      const started = Date.now();
      // The person of the plan takes this long to decide.
      await pause(slow.policies?.confirmSeconds ?? 0);
      const run = await failover(world, ["--guest", "sql-erp"]);
      check.that("failover ends well", run.code === 0, tail(run));
      await world.answers(113, 320);
      const measured = (Date.now() - started) / 1000;
      check.figure(`planned ${planned.toFixed(0)} s, measured ${measured.toFixed(0)} s`);
      check.that(
        "they agree within 10 %",
        Math.abs(measured - planned) <= planned / 10,
        `planned ${planned} s, measured ${measured} s`,
      );
    },
  },
];

/** Guests and volumes of the site, as the API lists them. */
async function inventory(world: World): Promise<string[]> {
  const guests = await world.pve.get<{ vmid: number; name?: string; node: string }[]>("/cluster/resources", {
    type: "vm",
  });
  const volumes = await Promise.all(
    ["srv1", "srv2"].map((node) => world.pve.get<{ volid: string }[]>(`/nodes/${node}/storage/tank/content`)),
  );
  return [
    ...guests.map(({ vmid, name, node }) => `${vmid} ${name} ${node}`),
    ...volumes.flat().map(({ volid }) => volid),
  ].sort();
}
