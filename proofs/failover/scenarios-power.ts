/** The whole site off and on again by command: the servers' own shutdown, their BMCs, and guests that are where they were. */
import { ALL_ON_SRV1, arrived, failover, runs, type Scenario, tail, writeAfter } from "./scenario";
import { pause, type World } from "./world";

const HYPERVISORS = ["srv1", "srv2"];

export const powerScenarios: Scenario[] = [
  {
    name: "failed over, the old server is back: the site is shut down and started by command",
    fencing: ["power"],
    async run(world, check) {
      await writeAfter(world);
      await world.kill("srv2");
      await arrived(world, check, await failover(world));
      await world.revive("srv2");
      await world.nodeReady("srv2");
      await pause(3);
      const down = await world.cold(["shutdown", "--yes", "--stop-seconds", "30"]);
      check.that("coldspare shutdown ends well", down.code === 0, tail(down));
      check.that("no guest runs any more", await runs(world, [], 30), world.running().join(", "));
      check.equal("the hypervisors have switched themselves off", await upAfter(world, 60, []), []);
      const starting = world.cold(["start", "--yes"]);
      // It has no BMC: somebody walks to its button, and everything else waits for the vote that it keeps.
      await pause(3);
      await world.revive("backup-1");
      const up = await starting;
      check.that("coldspare start ends well", up.code === 0, tail(up));
      check.equal("the hypervisors are on, by their BMCs", await upAfter(world, 5, HYPERVISORS), HYPERVISORS);
      check.that(
        "every guest runs once, on the side that was active",
        await runs(world, ALL_ON_SRV1, 60),
        world.running().join(", "),
      );
      const status = await world.cold(["status", "--json"]);
      const { guests } = JSON.parse(status.stdout) as { guests: Record<string, { runsOn: unknown[] }> };
      const wrong = Object.keys(guests).filter((name) => guests[name]!.runsOn.length !== 1);
      check.equal("status sees each guest on one server", wrong, []);
    },
  },
];

/** Hypervisors that are up, once they are the wanted ones or so many seconds have passed. */
async function upAfter(world: World, seconds: number, wanted: readonly string[]): Promise<string[]> {
  const look = () => HYPERVISORS.filter((server) => world.hosts.isUp(server));
  for (let left = seconds * 2; left > 0 && look().join() !== wanted.join(); left--) await pause(0.5);
  return look();
}
