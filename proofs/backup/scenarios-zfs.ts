/** Snapshots sent by coldspare-zfs between servers whose `zfs` is the lab's stand-in: cut, killed, a day without link, damaged. */
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { checkout } from "../../tests/engine/engine";
import { type Ended, ZfsServers } from "../../tests/guard/zfs-servers";
import type { Check } from "../check";
import type { Chance } from "../random";
import { digestOfBytes, Ledger } from "./ledger";
import { Mailbox } from "./mailbox";
import type { Scenario, Surroundings } from "./scenario";
import { endOf, plainLines, type Run } from "./server";

const JOB =
  "job nightly policy=nightly target=nas direction=push peer=srv1 datasets=tank/data into=tank/backup/srv2 recursive=1 retries=0 pause=0";
const ALLOW = "allow srv2 below=tank/backup/srv2 do=list,receive,send,hold,destroy,rename,read";
const FILE = "srv2/tank/data/file";
const SUBJECT = "tank/data";

/** A server with data, a NAS, and the ledger of what each snapshot must hold. */
class ZfsWorld {
  readonly servers = new ZfsServers();
  readonly ledger = new Ledger();
  private restored = 0;

  constructor(
    private readonly chance: Chance,
    readonly mailbox: Mailbox,
    keep: string,
  ) {
    const mail = `mail host=127.0.0.1 port=${mailbox.port} tls=none from=coldspare%40example.org to=anna%40example.org`;
    this.servers.conf("srv2", mail, `${JOB} ${keep} onfailure=1`);
    this.servers.conf("srv1", ALLOW);
    this.servers.zfs("srv2", "create", "tank/data");
    this.change();
  }

  change(): void {
    this.servers.put(FILE, this.chance.bytes(this.chance.between(100_000, 600_000)));
  }

  private now(): string {
    return digestOfBytes(this.servers.bytes(FILE));
  }

  /** Snapshots on either side that came since the last look hold what the file holds now. */
  note(): void {
    const there = this.servers.tool("srv1", "zfs", [
      "list",
      "-H",
      "-t",
      "snapshot",
      "-o",
      "name",
      "tank/backup/srv2/data",
    ]);
    const names = [
      ...this.servers.snapshots("srv2", SUBJECT),
      ...there.stdout
        .toString()
        .split("\n")
        .flatMap((line) => line.split("@")[1] ?? []),
    ];
    this.ledger.note(SUBJECT, names, this.now());
  }

  run(...args: string[]): Ended {
    const ended = this.servers.run("srv2", ...args);
    this.note();
    return ended;
  }

  /** The same while this process goes on, so that its mailbox answers. */
  async runAside(...args: string[]): Promise<Run> {
    const program = join(checkout, "backup/coldspare-zfs");
    const child = spawn(program, args, { env: this.servers.environment("srv2"), stdio: ["ignore", "pipe", "pipe"] });
    const run = await endOf(child);
    this.note();
    return run;
  }

  good(): string[] {
    const { stdout } = this.servers.run("srv2", "points", "--plain");
    return plainLines(stdout).flatMap(({ point, verified }) => (verified === "failed" ? [] : [point!]));
  }

  /** Every point that is listed as good, brought back from the NAS and compared. */
  allGood(check: Check, when: string): number {
    const points = this.good();
    const wrong: string[] = [];
    for (const point of points) {
      const name = `tank/back-${++this.restored}`;
      const run = this.servers.run("srv2", "restore", "nightly", point, "--to", name);
      this.servers.tool("srv2", "zfs", ["mount", name]);
      const wanted = this.ledger.wanted(SUBJECT, point.split("@")[1]!);
      if (run.code !== 0) wrong.push(`${point}: ${run.stderr.trim()}`);
      else if (digestOfBytes(this.servers.bytes(`srv2/${name}/file`)) !== wanted) wrong.push(`${point}: other bytes`);
      this.servers.tool("srv2", "zfs", ["destroy", "-r", name]);
    }
    check.that(
      `${when}: each of ${points.length} points listed as good restores byte for byte`,
      points.length > 0 && wrong.length === 0,
      wrong.join("; ") || "no point is left",
    );
    return points.length;
  }
}

async function inWorld(
  { chance }: Surroundings,
  work: (world: ZfsWorld) => Promise<void>,
  keep = "keepsource=last:3 keeptarget=last:5",
): Promise<void> {
  const mailbox = await Mailbox.open();
  const world = new ZfsWorld(chance, mailbox, keep);
  try {
    await work(world);
  } finally {
    world.servers.remove();
    await mailbox.close();
  }
}

function whyNoPerl(): string | undefined {
  return spawnSync("perl", ["-MJSON::PP", "-e1"]).status === 0 ? undefined : "perl is not installed";
}

export const zfsScenarios: Scenario[] = [
  {
    name: "sends are cut and killed at random points, and the link is away for a day",
    part: "zfs",
    quick: true,
    whyNot: whyNoPerl,
    async run(surroundings) {
      const { check, chance, rounds } = surroundings;
      await inWorld(surroundings, async (world) => {
        const first = world.run("run", "nightly");
        check.that("the first run ends well", first.code === 0, first.stderr.trim());
        let broken = 0;
        for (let round = 0; round < rounds * 3; round++) {
          world.change();
          const way = chance.pick(["cut", "kill", "fail", "up"]);
          world.servers.mode(
            "srv1",
            way === "cut" ? `cut ${chance.between(1, 500_000)}` : way === "fail" ? "fail" : "up",
          );
          if (way === "kill") await world.servers.killed("srv2", chance.between(50, 900), "run", "nightly");
          else if (world.servers.run("srv2", "run", "nightly").code !== 0) broken++;
          world.note();
        }
        // A day of hourly runs without the link.
        world.servers.mode("srv1", "fail");
        for (let hour = 0; hour < 5; hour++) {
          world.change();
          world.run("run", "nightly");
        }
        world.servers.mode("srv1", "up");
        world.allGood(check, "while the newest are still missing there");
        const last = world.run("run", "nightly");
        check.that("the next run catches up", last.code === 0, last.stderr.trim());
        const points = world.allGood(check, "after it");
        const verify = world.run("verify", "nightly", "--bytes");
        check.that("chains and bytes are the same on both sides", verify.code === 0, verify.stderr.trim());
        check.figure(`${broken} of ${rounds * 3} runs failed, ${points} points compared`);
      });
    },
  },
  {
    name: "a block rots on the receiver: found, told, never counted",
    part: "zfs",
    quick: false,
    whyNot: whyNoPerl,
    async run(surroundings) {
      const { check, chance } = surroundings;
      await inWorld(surroundings, async (world) => {
        for (let made = 0; made < 3; made++) {
          world.change();
          world.run("run", "nightly");
        }
        const newest = world.servers.snapshots("srv1", "tank/backup/srv2/data").at(-1)!;
        rot(world, newest, chance);
        const verify = await world.runAside("verify", "nightly", "--bytes");
        check.that(
          "the verification fails and names the point",
          verify.code === 1 && verify.err.includes(newest),
          verify.err,
        );
        const told = world.mailbox.about("nas", newest);
        check.that("a mail names target and point, and says what to do", told.length > 0, seenBy(world.mailbox));
        check.that(
          "it is not listed as good",
          !world.good().some((point) => point.endsWith(newest)),
          world.good().join(", "),
        );
        world.allGood(check, "the others");
        world.change();
        const next = world.run("run", "nightly");
        check.that("the next run ends well", next.code === 0, next.stderr.trim());
        world.allGood(check, "after it");
      });
    },
  },
  {
    name: "retention on both sides, with no link in between, never breaks the chain or removes the last copy",
    part: "zfs",
    quick: false,
    whyNot: whyNoPerl,
    async run(surroundings) {
      const { check, chance, rounds } = surroundings;
      await inWorld(
        surroundings,
        async (world) => {
          world.run("run", "nightly");
          let least = Number.POSITIVE_INFINITY;
          for (let round = 0; round < rounds * 2; round++) {
            world.change();
            world.servers.mode("srv1", chance.pick(["up", "fail"]));
            world.run("run", "nightly");
            world.servers.mode("srv1", "up");
            least = Math.min(least, world.good().length);
          }
          check.that("there was a good copy at every moment", least >= 1, `${least}`);
          const last = world.run("run", "nightly");
          check.that("every run goes on from what both sides have", last.code === 0, last.stderr.trim());
          world.allGood(check, "at the end");
        },
        "keepsource=last:1 keeptarget=last:1",
      );
    },
  },
];

function seenBy({ mails }: Mailbox): string {
  return `mails: ${mails.map(({ text }) => text).join("\n---\n") || "none"}`;
}

/** Turns one byte of a snapshot's content over, in the file that holds it. */
function rot(world: ZfsWorld, snapshot: string, chance: Chance): void {
  const id = (name: string) => world.servers.zfs("srv1", "get", "-H", "-o", "value", "objsetid", name);
  const dataset = "tank/backup/srv2/data";
  const file = `srv1/zfs/data/${id(dataset)}/${id(`${dataset}@${snapshot}`)}/file`;
  const bytes = world.servers.bytes(file);
  const at = chance.between(0, bytes.length - 1);
  bytes[at] = bytes[at]! ^ 0x55;
  world.servers.put(file, bytes);
}
