/** Guests on a Proxmox Backup Server (lab): chunks that rot, servers that die, disks that fill, links that are lost. */
import { PbsWorld, VAULT, VMID } from "./pbs-world";
import type { Scenario, Surroundings } from "./scenario";
import { pause } from "./server";

async function inWorld({ folder, chance }: Surroundings, work: (world: PbsWorld) => Promise<void>): Promise<void> {
  const world = await PbsWorld.open(folder, chance);
  try {
    await work(world);
  } finally {
    await world.end();
  }
}

function whyNoSchema(): string | undefined {
  return process.env.COLDSPARE_PBS_SCHEMA ? undefined : "the published API of Proxmox Backup Server is not there";
}

const STORE = "/backup-servers/pbs1/datastores/main";

export const pbsScenarios: Scenario[] = [
  {
    name: "a chunk rots: its points are found, and the next backup mends what it can",
    part: "pbs",
    quick: true,
    whyNot: whyNoSchema,
    async run(surroundings) {
      const { check } = surroundings;
      await inWorld(surroundings, async (world) => {
        for (let made = 0; made < 3; made++) {
          await world.change();
          const run = await world.backUp();
          check.that(`backup ${made + 1} ends well`, run.code === 0, run.err.slice(-300));
        }
        await world.allGood(check, "before");
        await world.lab.control("POST", `${STORE}/corrupt`);
        await world.lab.task("pbs1", "POST", "/admin/datastore/main/verify", { "ignore-verified": false });
        const points = await world.points();
        const failed = points.filter(({ verified }) => verified === "failed");
        check.that("points that the chunk was part of are listed as broken", failed.length > 0, JSON.stringify(points));
        const broken = failed[0];
        if (broken) {
          const refused = await world.cold([
            "restore",
            "erp",
            "--point",
            broken.id,
            "--as",
            "broken",
            "--to",
            "srv2",
            "--yes",
          ]);
          check.that("a broken point is not restored without a word", refused.code !== 0, refused.out.slice(-300));
        }
        await world.change();
        const next = await world.backUp();
        check.that("the next backup ends well", next.code === 0, next.err.slice(-300));
        await world.allGood(check, "after it");
      });
    },
  },
  {
    name: "every newer copy rots: the last good one survives a retention of one",
    part: "pbs",
    quick: true,
    whyNot: whyNoSchema,
    async run(surroundings) {
      const { check } = surroundings;
      await inWorld(surroundings, async (world) => {
        await world.backUp();
        const [first] = await world.points();
        await world.change();
        await world.backUp();
        // The newest part of the newest copy.
        await world.lab.control("POST", `${STORE}/corrupt`);
        await world.lab.task("pbs1", "POST", "/admin/datastore/main/verify", { "ignore-verified": false });
        const states = (await world.points()).map(({ verified }) => verified);
        check.equal("the newest is found to be broken, the first is good", states, ["failed", "ok"]);
        const keep = await world.cold(["backups", "keep"]);
        const said = `${keep.out}${keep.err}`;
        check.that(
          "the last good one is protected",
          keep.code === 0 && /last good copy of erp/.test(said),
          said.slice(-300),
        );
        await world.lab.task("pbs1", "POST", "/admin/datastore/main/prune-datastore", { "keep-last": 1 });
        const left = await world.points();
        check.that(
          "a retention of one copy does not remove it",
          left.some(({ id }) => id === first?.id),
          JSON.stringify(left),
        );
        await world.allGood(check, "after the retention");
        await world.change();
        const next = await world.backUp();
        check.that("the next good copy lets it go", /protected no longer/.test(next.err), next.err.slice(-300));
      });
    },
  },
  {
    name: "the backup server dies in the middle of backup, verification, garbage collection and restore",
    part: "pbs",
    quick: false,
    whyNot: whyNoSchema,
    async run(surroundings) {
      const { check, chance, rounds } = surroundings;
      await inWorld(surroundings, async (world) => {
        await world.backUp();
        // Long enough to die in.
        await world.lab.control("POST", "/links/slow", { a: "srv1", b: "pbs1", bytesPerSecond: 2_000_000 });
        let failed = 0;
        for (let round = 0; round < rounds; round++) {
          await world.change();
          const work = chance.pick([
            async () => (await world.lab.backup("srv1", VMID, VAULT)).exit,
            async () => (await world.lab.backup("srv1", VMID, VAULT)).exit,
            async () => (await world.lab.task("pbs1", "POST", "/admin/datastore/main/verify", {})).exit,
            async () => (await world.lab.task("pbs1", "POST", "/admin/datastore/main/gc", {})).exit,
          ]);
          const running = work().catch((error: Error) => error.message);
          await pause(chance.between(5, 250));
          await world.lab.control("POST", "/backup-servers/pbs1/kill");
          await pause(100);
          await world.lab.control("POST", "/backup-servers/pbs1/revive");
          if ((await running) !== "OK") failed++;
          await world.note();
        }
        await world.lab.control("POST", "/faults/clear");
        await world.allGood(check, "after all deaths");
        await world.change();
        const last = await world.backUp();
        check.that("the next backup ends well", last.code === 0, last.err.slice(-300));
        const points = await world.allGood(check, "after it");
        check.figure(`${failed} of ${rounds} commands failed, ${points} points compared`);
      });
    },
  },
  {
    name: "the datastore is full: told by name, what is there stays, and there is a way out",
    part: "pbs",
    quick: false,
    whyNot: whyNoSchema,
    async run(surroundings) {
      const { check } = surroundings;
      await inWorld(surroundings, async (world) => {
        await world.backUp();
        await world.lab.control("POST", `${STORE}/fill`, { leaveBytes: 0 });
        await world.change();
        const full = await world.cold(["backups", "run", "nightly", "--yes"]);
        const said = `${full.out}${full.err}`;
        check.that("the command fails", full.code === 1, `${full.code}`);
        check.that(
          "and names guest, target and reason",
          /erp/.test(said) && /vault/.test(said) && /space|full/i.test(said),
          said.slice(-400),
        );
        await world.allGood(check, "while it is full");
        await world.lab.control("POST", `${STORE}/empty`);
        const next = await world.backUp();
        check.that("with room again the backup ends well", next.code === 0, next.err.slice(-300));
      });
    },
  },
  {
    name: "a second data centre: the link is away for a day, the synchronised copies restore",
    part: "pbs",
    quick: false,
    whyNot: whyNoSchema,
    async run(surroundings) {
      const { check } = surroundings;
      await inWorld(surroundings, async (world) => {
        const { lab } = world;
        const { address, fingerprint, token } = lab.lab.backupServers.pbs1!;
        const [authId, password] = [token.slice(0, token.indexOf(":")), token.slice(token.indexOf(":") + 1)];
        await lab.ask("pbs2", "POST", "/config/remote", {
          name: "pbs1",
          host: address,
          fingerprint,
          "auth-id": authId,
          password,
        });
        await lab.ask("pbs2", "POST", "/config/sync", {
          id: "s-main",
          store: "offsite",
          remote: "pbs1",
          "remote-store": "main",
          "remove-vanished": false,
        });
        const sync = () => lab.task("pbs2", "POST", "/admin/sync/s-main/run");
        await world.backUp();
        await lab.task("pbs1", "POST", "/admin/datastore/main/verify", {});
        check.equal("the copies are fetched", (await sync()).exit, "OK");
        const read = (await world.points()).map(({ target, verified }) => `${target}: ${verified}`).sort();
        check.equal("what was read at the source is not read here", read, ["elsewhere: none", "vault: ok"]);
        await lab.task("pbs2", "POST", "/admin/datastore/offsite/verify", { "ignore-verified": false });
        const again = (await world.points()).map(({ target, verified }) => `${target}: ${verified}`).sort();
        check.equal("until it is", again, ["elsewhere: ok", "vault: ok"]);
        for (let day = 0; day < 2; day++) {
          await world.change();
          await world.backUp();
        }
        await lab.control("POST", "/backup-servers/pbs1/kill");
        check.that("without the link the sync fails", (await sync()).exit !== "OK");
        await world.allGood(check, "while the first server is away, there", "elsewhere");
        await lab.control("POST", "/backup-servers/pbs1/revive");
        check.equal("with it the missing ones come", (await sync()).exit, "OK");
        const points = (await world.points()).filter(({ target }) => target !== VAULT);
        check.equal("all three are there", points.length, 3);
        await world.allGood(check, "in the other data centre", "elsewhere");
      });
    },
  },
];
