/** The real restic, driven by coldspare-backup: killed, damaged, filled up, re-keyed. */
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { POLICY, ResticWorld, TARGET, whyNoRestic } from "./restic-world";
import type { Scenario, Surroundings } from "./scenario";

async function inWorld(
  { folder, chance }: Surroundings,
  work: (world: ResticWorld) => Promise<void>,
  options: { keep?: string } = {},
): Promise<void> {
  const world = await ResticWorld.open(folder, chance, options);
  try {
    await work(world);
  } finally {
    await world.end();
  }
}

export const resticScenarios: Scenario[] = [
  {
    name: "backup, prune, verification and restore are killed at random points",
    part: "restic",
    quick: true,
    whyNot: whyNoRestic,
    async run(surroundings) {
      const { check, chance, rounds } = surroundings;
      await inWorld(surroundings, async (world) => {
        await world.must(["run", POLICY]);
        await world.note();
        let points = 0;
        let killed = 0;
        for (let round = 0; round < rounds * 2; round++) {
          world.change();
          const command = chance.pick([
            ["run", POLICY],
            ["run", POLICY],
            ["prune", POLICY],
            ["verify", POLICY],
            ["restore", POLICY, "latest", "--to", `${surroundings.folder}/half-${round}`],
          ]);
          const run = await world.killed(command, chance.between(5, 2500));
          if (run.code === 137) killed++;
          await world.note();
        }
        points = await world.allGood(check, "after the kills");
        const next = await world.run(["run", POLICY]);
        check.that("the next run ends well, whatever was left behind", next.code === 0, next.err.trim());
        await world.note();
        await world.allGood(check, "after the next run");
        check.that("retention keeps no more than its three", (await world.points()).length <= 3);
        check.figure(`${killed} of ${rounds * 2} commands killed, ${points} points compared`);
      });
    },
  },
  {
    name: "a pack is damaged: its points are named, the others stay good, and nothing good is pruned",
    part: "restic",
    quick: true,
    whyNot: whyNoRestic,
    async run(surroundings) {
      const { check, chance } = surroundings;
      await inWorld(surroundings, async (world) => {
        for (let made = 0; made < 3; made++) {
          world.change();
          await world.must(["run", POLICY]);
          await world.note();
        }
        damage(chance.pick(world.packs()), chance.between(0, 1_000_000));
        world.forgetCache();
        const verify = await world.run(["verify", POLICY]);
        check.that("the verification fails", verify.code === 1, `${verify.code} ${verify.out}${verify.err}`);
        world.mailed(check, "damage", ["Verification", "damaged"]);
        const before = await world.good();
        const wrong = [];
        for (const { id } of before) {
          world.forgetCache();
          if ((await world.compare(id)) !== undefined) wrong.push(id.slice(0, 8));
        }
        check.equal("those that are still listed as good restore byte for byte, from the repository alone", wrong, []);
        check.figure(`${before.length} of 3 points still good`);
        await world.run(["prune", POLICY]);
        const after = (await world.points()).map(({ id }) => id);
        check.equal(
          "retention removes no good copy while the repository is damaged",
          before.filter(({ id }) => !after.includes(id)),
          [],
        );
      });
    },
  },
  {
    name: "the password is changed, and the change is killed at random points",
    part: "restic",
    quick: false,
    whyNot: whyNoRestic,
    async run(surroundings) {
      const { check, chance, rounds } = surroundings;
      await inWorld(surroundings, async (world) => {
        await world.must(["run", POLICY]);
        await world.note();
        for (let round = 0; round < rounds; round++) {
          const next = `another password, number ${round}`;
          world.server.write(`/etc/coldspare/secrets/${TARGET}-password.next`, next, 0o600);
          await world.killed(["rekey", TARGET], chance.between(5, 4000));
          // A restic that outlived its parent still holds the lock for a moment.
          const again = await world.run(["--wait", "60", "rekey", TARGET]);
          const isOver = again.code === 3 && /no new password/.test(again.err);
          check.that(
            `change ${round + 1} ends well when it is run again`,
            again.code === 0 || isOver,
            again.err.trim(),
          );
          const now = readFileSync(world.server.at(`/etc/coldspare/secrets/${TARGET}-password`), "utf8");
          check.equal(`the new password is the one in use (${round + 1})`, now.trim(), next);
        }
        world.change();
        await world.must(["run", POLICY]);
        await world.note();
        await world.allGood(check, "after the changes");
      });
    },
  },
  {
    name: "the wrong password: told, never shown, and nothing is lost",
    part: "restic",
    quick: false,
    whyNot: whyNoRestic,
    async run(surroundings) {
      const { check } = surroundings;
      await inWorld(surroundings, async (world) => {
        await world.must(["run", POLICY]);
        await world.note();
        const secret = `/etc/coldspare/secrets/${TARGET}-password`;
        const right = readFileSync(world.server.at(secret));
        world.server.write(secret, "not the password", 0o600);
        const wrong = await world.run(["run", POLICY]);
        check.that("a wrong password ends the run", wrong.code === 1, `${wrong.code}`);
        check.that("the password is in no output", !`${wrong.out}${wrong.err}`.includes("not the password"));
        world.mailed(check, "wrong password", ["password"]);
        world.server.write(secret, right, 0o600);
        await world.must(["run", POLICY]);
        await world.note();
        await world.allGood(check, "with the right one again");
      });
    },
  },
];

/** Turns one byte of a file over. */
function damage(file: string, seed: number): void {
  chmodSync(file, 0o600);
  const bytes = readFileSync(file);
  const at = seed % bytes.length;
  bytes[at] = bytes[at]! ^ 0xff;
  writeFileSync(file, bytes);
}
