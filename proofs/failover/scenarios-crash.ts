/** Commands that die after each of their steps, two at once, and a server that returns at the worst moment. */
import type { Check } from "../check";
import {
  ALL_ON_SRV1,
  AT_HOME,
  arrived,
  failover,
  keptDiverged,
  returns,
  runs,
  type Scenario,
  tail,
  upAfterReturn,
  writeAfter,
} from "./scenario";
import { type CommandRun, pause, type World } from "./world";

/** Ids of the steps that a command would take, from its dry run. */
async function stepsOf(world: World, check: Check, args: string[]): Promise<string[]> {
  const run = await world.cold([...args, "--dry-run", "--json"]);
  try {
    return (JSON.parse(run.stdout) as { steps: { id: string }[] }).steps.map(({ id }) => id);
  } catch {
    check.that("the dry run names its steps", false, tail(run));
    return [];
  }
}

/** Runs the command again and again; each time it is killed after the next of its steps. The last time it ends by itself. */
async function crashAfterEach(
  check: Check,
  steps: readonly string[],
  command: (env: Record<string, string>) => Promise<CommandRun>,
): Promise<CommandRun> {
  let killed = 0;
  for (const step of steps) {
    const run = await command({ COLDSPARE_CRASH_AFTER: step });
    if (run.code === 137) killed++;
    else if (run.code !== 0) check.that(`it goes on after step ${step}`, false, tail(run));
  }
  check.that("it was really killed in its course", killed >= Math.min(3, steps.length), `${killed} times`);
  check.figure(`killed after ${killed} of ${steps.length} steps`);
  return command({});
}

export const crashScenarios: Scenario[] = [
  {
    name: "failover is killed after each of its steps and run again",
    fencing: ["confirm", "power", "lease"],
    quick: ["confirm"],
    async run(world, check) {
      await writeAfter(world);
      await world.kill("srv2");
      const words = world.fencing === "confirm" ? ["--confirm-off", "srv2"] : [];
      const steps = await stepsOf(world, check, ["failover", "srv2", ...words]);
      const last = await crashAfterEach(check, steps, (env) => failover(world, [], env));
      await arrived(world, check, last);
      await returns(world, check);
      await upAfterReturn(world, check);
    },
  },
  {
    name: "srv2 is cut off, and failover is killed after each of its steps and run again",
    fencing: ["power", "lease"],
    async run(world, check) {
      await writeAfter(world);
      await world.split(["srv2"], ["srv1", "backup-1", "operator"]);
      await pause(1);
      const steps = await stepsOf(world, check, ["failover", "srv2"]);
      const last = await crashAfterEach(check, steps, (env) => failover(world, [], env));
      await arrived(world, check, last);
    },
  },
  {
    name: "failback is killed after each of its steps and run again",
    fencing: ["confirm"],
    async run(world, check) {
      await writeAfter(world);
      await world.kill("srv2");
      await arrived(world, check, await failover(world));
      await world.revive("srv2");
      await world.nodeReady("srv2");
      await pause(3);
      const args = ["failback", "srv2", "--diverged", "discard"];
      const steps = await stepsOf(world, check, args);
      const last = await crashAfterEach(check, steps, (env) => world.cold([...args, "--yes"], env));
      check.that("failback ends well", last.code === 0, tail(last));
      check.that("everything runs at home, once", await runs(world, AT_HOME, 60), world.running().join(", "));
      await upAfterReturn(world, check);
    },
  },
  {
    name: "srv2 returns in the middle of a failover, after each step in turn",
    fencing: ["confirm", "lease"],
    async run(world, check) {
      await writeAfter(world);
      await world.kill("srv2");
      const words = world.fencing === "confirm" ? ["--confirm-off", "srv2"] : [];
      const steps = await stepsOf(world, check, ["failover", "srv2", ...words]);
      // The worst moments: just confirmed, just blocked, just fenced, half of the guests started.
      for (const step of steps.filter((_, index) => index % 4 === 1).slice(0, 4)) {
        await failover(world, [], { COLDSPARE_CRASH_AFTER: step });
        await world.revive("srv2");
        await pause(4);
        const again = await failover(world);
        // Either it is too late for srv2, or srv2 has its guests back, or nothing was begun: and it says which.
        const ends = again.code === 0 || (again.code === 1 && /gone home|but it lives|srv2 is back/.test(again.text));
        check.that(`returned after '${step}': the command ends or says why it does not`, ends, tail(again));
        await world.kill("srv2");
      }
      await arrived(world, check, await failover(world));
    },
  },
  {
    name: "two failovers from two terminals at once",
    fencing: ["confirm", "power", "lease"],
    async run(world, check) {
      await writeAfter(world);
      await world.kill("srv2");
      const [first, second] = await Promise.all([
        failover(world, [], { COLDSPARE_STATE: `${world.folder}/operator-1`, COLDSPARE_BY: "anna@laptop" }),
        failover(world, [], { COLDSPARE_STATE: `${world.folder}/operator-2`, COLDSPARE_BY: "ben@desk" }),
      ]);
      const codes = [first.code, second.code].sort();
      check.that(
        "one of them does it, the other one stops or agrees",
        codes[0] === 0 && [0, 1].includes(codes[1]!),
        `${tail(first)}\n${tail(second)}`,
      );
      check.that("every guest runs once", await runs(world, ALL_ON_SRV1), world.running().join(", "));
      await keptDiverged(world, check);
    },
  },
];
