/** Rotated disks: real file systems with labels, attached, mistaken, pulled while they are written, full, failing. */
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Check } from "../check";
import type { Chance } from "../random";
import { digestOf, digestOfBytes, Ledger } from "./ledger";
import { Mailbox } from "./mailbox";
import type { Scenario, Surroundings } from "./scenario";
import { pause, plainLines, type Run, Server } from "./server";

const TARGET = "shelf";
const MOUNT = "/mnt/coldspare/shelf";
const DUMP = "/srv/dump";
const SUBJECT = "sql-erp";
const MEDIUM_BYTES = 48 * 2 ** 20;

interface Copy {
  point: string;
  medium: string;
  verified: string;
}

/** A backup server with a dock, and a shelf of disks. */
class MediaWorld {
  readonly server: Server;
  readonly ledger = new Ledger();
  private archives = 0;
  private attached: string | undefined;

  private constructor(
    readonly folder: string,
    readonly mailbox: Mailbox,
    private readonly chance: Chance,
  ) {
    this.server = new Server("backup-1", join(folder, "server"));
    mkdirSync(this.server.at(MOUNT), { recursive: true });
    mkdirSync(this.server.at(DUMP), { recursive: true });
  }

  /** With the disks A and B, both labelled, and one that belongs to somebody else. */
  static async open({ folder, chance }: Surroundings, keep = "last:3"): Promise<MediaWorld> {
    const world = new MediaWorld(folder, await Mailbox.open(), chance);
    const { port } = world.mailbox;
    world.server.write(
      "/etc/coldspare/backup.conf",
      `format 1
site proof
self backup-1
mail server=127.0.0.1 port=${port} tls=none from=coldspare%40example.org to=anna%40example.org
guest 113 ${SUBJECT}
rotation ${TARGET} mount=${MOUNT} grace=3600 source=${DUMP} ${keep === "" ? "" : `keep=${keep} `}notify=failure
medium ${TARGET} A set=weekly
medium ${TARGET} B set=weekly
`,
    );
    for (const label of ["A", "B", "foreign"]) {
      mkdirSync(world.disk(label), { recursive: true });
      mounted(["-t", "tmpfs", "-o", `size=${MEDIUM_BYTES}`, "proof", world.disk(label)]);
    }
    for (const label of ["A", "B"]) {
      world.expect(label);
      world.attach(label);
      const run = await world.run(["media", "init", TARGET, label]);
      if (run.code !== 0) throw new Error(`media init: ${run.err}`);
    }
    world.detach();
    return world;
  }

  private disk(label: string): string {
    return join(this.folder, "disks", label);
  }

  run(args: readonly string[]): Promise<Run> {
    return this.server.run("coldspare-backup", args);
  }

  /** The calendar says that this one is to be attached now, and since when: longer than the grace. */
  expect(label: string): void {
    const now = Math.floor(Date.now() / 1000);
    const other = label === "A" ? "B" : "A";
    const swaps = [
      `swap ${TARGET} ${now - 864_000} ${other} weekly -`,
      `swap ${TARGET} ${now - 86_400} ${label} weekly ${other}`,
    ];
    this.server.write("/etc/coldspare/media.swaps", `${swaps.join("\n")}\nuntil ${TARGET} ${now + 864_000}\n`);
  }

  attach(label: string): void {
    this.detach();
    mounted(["--bind", this.disk(label), this.server.at(MOUNT)]);
    this.attached = label;
  }

  /** Somebody takes it away, whatever is being written. */
  detach(): void {
    if (this.attached !== undefined) spawnSync("umount", ["--lazy", this.server.at(MOUNT)]);
    this.attached = undefined;
  }

  /** A new archive of vzdump, noted in the ledger. */
  archive(bytes = this.chance.between(1, 4) * 2 ** 20): string {
    const at = new Date(Date.UTC(2026, 9, 1, 22, 30) + 86_400_000 * this.archives++).toISOString();
    const stamp = `${at.slice(0, 10).replaceAll("-", "_")}-${at.slice(11, 19).replaceAll(":", "_")}`;
    const name = `vzdump-qemu-113-${stamp}.vma.zst`;
    const content = this.chance.bytes(bytes);
    this.server.write(`${DUMP}/${name}`, content);
    this.ledger.note(SUBJECT, [name], digestOfBytes(content));
    return name;
  }

  async copies(): Promise<Copy[]> {
    const run = await this.run(["media", "points", TARGET, "--plain"]);
    return plainLines(run.out).map(({ point, medium, verified }) => ({
      point: point!,
      medium: medium!,
      verified: verified!,
    }));
  }

  file({ medium, point }: Copy): string {
    return join(this.disk(medium), TARGET, point);
  }

  /** What is on a disk, byte for byte. */
  content(label: string): string {
    return digestOf(this.disk(label));
  }

  /** Every copy that is listed as good is on its disk, with the bytes of the archive. */
  async allGood(check: Check, when: string): Promise<number> {
    const good = (await this.copies()).filter(({ verified }) => verified === "ok");
    const wrong = good.filter((copy) => {
      const file = this.file(copy);
      return !existsSync(file) || digestOfBytes(readFileSync(file)) !== this.ledger.wanted(SUBJECT, copy.point);
    });
    check.that(
      `${when}: each of ${good.length} copies listed as good is there byte for byte`,
      wrong.length === 0,
      wrong.map(({ medium, point }) => `${point} on ${medium}`).join(", "),
    );
    return good.length;
  }

  mailed(check: Check, what: string, ...words: string[]): void {
    const whole = this.mailbox
      .about(TARGET, ...words)
      .filter(({ text }) => /^Point: /m.test(text) && /^What to do:\n\S/m.test(text));
    const seen = this.mailbox.mails.map(({ subject }) => subject).join(" | ");
    check.that(`${what}: a mail names target, point and remedy`, whole.length > 0, `mails: ${seen || "none"}`);
  }

  async end(): Promise<void> {
    this.detach();
    for (const label of ["A", "B", "foreign"]) spawnSync("umount", ["--lazy", this.disk(label)]);
    await this.mailbox.close();
  }
}

function mounted(args: readonly string[]): void {
  const { status, stderr } = spawnSync("mount", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`mount ${args.join(" ")}: ${stderr}`);
}

function whyNoMounts(): string | undefined {
  return process.getuid?.() === 0 ? undefined : "file systems can be mounted by root only";
}

async function inWorld(
  surroundings: Surroundings,
  work: (world: MediaWorld) => Promise<void>,
  keep?: string,
): Promise<void> {
  const world = await MediaWorld.open(surroundings, keep);
  try {
    await work(world);
  } finally {
    await world.end();
  }
}

export const mediaScenarios: Scenario[] = [
  {
    name: "the wrong disk, a stranger's disk, no disk: refused, told, and not a byte is written",
    part: "media",
    quick: true,
    whyNot: whyNoMounts,
    async run(surroundings) {
      const { check } = surroundings;
      await inWorld(surroundings, async (world) => {
        world.archive();
        world.expect("A");
        world.attach("A");
        const first = await world.run(["media", "run", TARGET]);
        check.that("the right disk is written", first.code === 0, first.err.trim());
        world.archive();
        world.expect("B");
        const before = world.content("A");
        const wrong = await world.run(["media", "run", TARGET]);
        check.equal("the wrong disk is refused", wrong.code, 3);
        check.that(
          "the message names the right one",
          /medium B is expected|Attach medium B/.test(wrong.err),
          wrong.err,
        );
        check.equal("nothing was written to the wrong disk", world.content("A"), before);
        world.mailed(check, "wrong disk", "wrong medium", "Attach medium B");
        world.attach("foreign");
        const empty = world.content("foreign");
        check.equal("a disk without label is refused", (await world.run(["media", "run", TARGET])).code, 3);
        world.detach();
        check.equal("no disk is refused", (await world.run(["media", "run", TARGET])).code, 3);
        check.equal("nothing was written to the stranger's disk", world.content("foreign"), empty);
        check.equal(
          "nothing was written below the empty dock",
          existsSync(world.server.at(`${MOUNT}/${TARGET}`)),
          false,
        );
        world.attach("B");
        const right = await world.run(["media", "run", TARGET]);
        check.that("the right disk is taken at once", right.code === 0, right.err.trim());
        await world.allGood(check, "afterwards");
      });
    },
  },
  {
    name: "disks are pulled and the copy is killed at random moments, over many swaps",
    part: "media",
    quick: true,
    whyNot: whyNoMounts,
    async run(surroundings) {
      const { check, chance, rounds } = surroundings;
      await inWorld(surroundings, async (world) => {
        let pulled = 0;
        for (let round = 0; round < rounds * 3; round++) {
          const label = chance.pick(["A", "B"]);
          world.archive();
          world.expect(label);
          world.attach(label);
          const running = world.server.start("coldspare-backup", ["media", "run", TARGET]);
          const way = chance.pick(["kill", "pull", "let"]);
          if (way !== "let") await pause(chance.between(1, 400));
          if (way === "pull") world.detach();
          if (way === "kill") running.kill();
          const { code } = await running.ended;
          if (code !== 0) pulled++;
        }
        world.detach();
        await world.allGood(check, "after all swaps");
        check.equal(
          "nothing was written below the empty dock",
          existsSync(world.server.at(`${MOUNT}/${TARGET}`)),
          false,
        );
        world.archive();
        for (const label of ["A", "B"]) {
          world.expect(label);
          world.attach(label);
          const run = await world.run(["--wait", "30", "media", "run", TARGET]);
          check.that(`the next run on ${label} ends well`, run.code === 0, run.err.trim());
        }
        const good = await world.allGood(check, "after whole runs");
        const points = new Set((await world.copies()).map(({ point }) => point));
        check.that(
          "retention counts the disks together: three archives, not three on each",
          points.size <= 3,
          `${points.size}`,
        );
        check.figure(`${pulled} of ${rounds * 3} runs ended early, ${good} copies compared`);
      });
    },
  },
  {
    name: "a copy rots on the shelf: read again, told, never counted, and copied anew",
    part: "media",
    quick: false,
    whyNot: whyNoMounts,
    async run(surroundings) {
      const { check, chance } = surroundings;
      await inWorld(surroundings, async (world) => {
        for (const label of ["A", "B"]) {
          world.archive();
          world.expect(label);
          world.attach(label);
          await world.run(["media", "run", TARGET]);
        }
        const victim = chance.pick((await world.copies()).filter(({ medium }) => medium === "B"));
        flip(world.file(victim), chance);
        const verify = await world.run(["media", "verify", TARGET]);
        check.that(
          "the verification fails and names the archive",
          verify.code === 1 && verify.err.includes(victim.point),
          verify.err,
        );
        world.mailed(check, "rot", "damaged", victim.point);
        await world.allGood(check, "after the verification");
        const again = await world.run(["media", "run", TARGET]);
        check.that("the next run ends well", again.code === 0, again.err.trim());
        const copies = await world.copies();
        const renewed = copies.find(({ point, medium }) => point === victim.point && medium === "B");
        check.equal("and has copied it anew", renewed?.verified, "ok");
        await world.allGood(check, "at the end");
      });
    },
  },
  {
    name: "a disk fills up: the newest archive finds room, the last good copy stays",
    part: "media",
    quick: false,
    whyNot: whyNoMounts,
    async run(surroundings) {
      const { check } = surroundings;
      await inWorld(
        surroundings,
        async (world) => {
          world.expect("A");
          world.attach("A");
          let newest = "";
          for (let made = 0; made < 8; made++) {
            newest = world.archive(6 * 2 ** 20);
            await world.run(["media", "run", TARGET]);
          }
          const good = (await world.copies()).filter(({ verified }) => verified === "ok").map(({ point }) => point);
          check.that("older ones made room for the newest", good.includes(newest) && good.length < 8, good.join(", "));
          await world.allGood(check, "when it is full");
          // Bigger than everything that the disk can hold.
          world.archive(40 * 2 ** 20);
          const run = await world.run(["media", "run", TARGET]);
          check.equal("one that cannot fit is told", run.code, 1);
          world.mailed(check, "full disk", "not enough room");
          const left = (await world.copies()).filter(({ verified }) => verified === "ok");
          check.that("and costs no last good copy", left.length > 0);
          await world.allGood(check, "after it");
        },
        "",
      );
    },
  },
];

function flip(file: string, chance: Chance): void {
  const bytes = readFileSync(file);
  const at = chance.between(0, bytes.length - 1);
  const handle = openSync(file, "r+");
  writeSync(handle, Buffer.from([bytes[at]! ^ 0x55]), 0, 1, at);
  closeSync(handle);
}
