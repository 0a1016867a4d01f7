/** Rotated media: folders that a list of mounts says are mounted; and, where this user may, real small file systems. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { words } from "../../planning/backup/conf-words";
import { contentOf, type Line, type Result, Server } from "./server";

jest.setTimeout(120_000);

const DAY = 86_400;
const MOUNT = "/mnt/shelf";

let server: Server;
beforeEach(() => {
  server = new Server();
});
afterEach(() => server.end());

const iso = (seconds: number) => new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");
const now = () => Math.floor(Date.now() / 1000);

/** A rotation of the media a and b; a's turn is now, unless told. */
async function prepared(
  options: { keep?: string[]; turns?: [number, string, string][]; ends?: number } = {},
): Promise<void> {
  await server.start(
    "guest 100 sql-erp",
    words("rotation shelf", { mount: MOUNT, grace: 2 * DAY, source: "/srv/backup", keep: options.keep }),
    ...["a", "b"].map((label) => words(`medium shelf ${label}`, { set: "weekly" })),
  );
  turns(
    options.turns ?? [
      [-3 * DAY, "a", "b"],
      [4 * DAY, "b", "a"],
    ],
    options.ends,
  );
  mkdirSync(server.path("srv/backup/dump"), { recursive: true });
}

/** @param list when (seconds from now), which medium, and the one before */
function turns(list: readonly [number, string, string][], ends = 300 * DAY): void {
  const lines = list.map(([at, label, before]) => `swap shelf ${now() + at} ${label} weekly ${before}`);
  server.put("etc/coldspare/media.swaps", `${[...lines, `until shelf ${now() + ends}`].join("\n")}\n`);
}

/** What is on the shelf lies beside the server. */
const shelf = (label: string) => join(server.folder, `shelf-${label}`);

function attach(label: string): void {
  mkdirSync(server.path("mnt"), { recursive: true });
  if (existsSync(shelf(label))) renameSync(shelf(label), server.path(MOUNT));
  else mkdirSync(server.path(MOUNT));
  server.put("proc/self/mountinfo", `36 35 8:1 / ${server.path(MOUNT)} rw - ext4 /dev/sdb1 rw\n`);
}

function detach(label: string): void {
  renameSync(server.path(MOUNT), shelf(label));
  mkdirSync(server.path(MOUNT));
  rmSync(server.path(MOUNT), { recursive: true });
  server.put("proc/self/mountinfo", "");
}

async function labelled(...labels: string[]): Promise<void> {
  for (const label of labels) {
    attach(label);
    await server.must("media", "init", "shelf", label);
    detach(label);
  }
}

/** An archive as vzdump writes it, so many days ago, with its notes and its log. */
function archive(days: number, bytes = 50_000, vmid = 100): string {
  const stamp = iso(now() - days * DAY)
    .replaceAll("-", "_")
    .replace("T", "-")
    .replaceAll(":", "_")
    .slice(0, 19);
  const base = `vzdump-qemu-${vmid}-${stamp}`;
  server.put(`srv/backup/dump/${base}.vma.zst`, Buffer.alloc(bytes, `${vmid} ${days}`));
  server.put(`srv/backup/dump/${base}.vma.zst.notes`, "sql-erp\n");
  server.put(`srv/backup/dump/${base}.log`, "INFO: done\n");
  return `${base}.vma.zst`;
}

const run = () => server.run("media", "run", "shelf");
const points = () => server.plain("media", "points", "shelf");
const status = async (): Promise<Line> => (await server.plain("media", "status"))[0] ?? {};

/** Every copy that is listed as good is there, byte for byte. */
async function listedAreGood(sources: Record<string, string>, folderOf = shelf): Promise<number> {
  const good = (await points()).filter(({ verified }) => verified === "ok");
  for (const { point = "", medium = "" } of good)
    expect(contentOf(join(folderOf(medium), "shelf"))[point]).toBe(sources[point]);
  return good.length;
}

describe("a medium", () => {
  test("gets its label only where nothing else is, and is known by it", async () => {
    await prepared();
    expect(await server.run("media", "init", "shelf", "a")).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("nothing is mounted"),
    });
    attach("a");
    server.put(`${MOUNT}/holiday.jpg`, "of somebody");
    expect(await server.run("media", "init", "shelf", "a")).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("not empty (holiday.jpg)"),
    });
    rmSync(server.path(`${MOUNT}/holiday.jpg`));
    expect(await server.run("media", "init", "shelf", "c")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("it has: a, b"),
    });
    await server.must("media", "init", "shelf", "a");
    expect(server.read(`${MOUNT}/.coldspare-medium`)).toMatch(/^site smb\ntarget shelf\nmedium a\nid [0-9a-f-]{36}\n$/);
    expect(await server.run("media", "init", "shelf", "b")).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("labelled already"),
    });
    expect(await status()).toMatchObject({ attached: "a", expected: "a", state: "ok", next: "b" });
  });

  test("takes new archives with their notes and logs, each read again, and lists them when it is on the shelf", async () => {
    await prepared();
    await labelled("a", "b");
    const names = [archive(3), archive(2), archive(1, 70_000, 101)];
    const sources = contentOf(server.path("srv/backup/dump"));
    attach("a");
    expect(await run()).toMatchObject({ code: 0 });
    expect(
      Object.keys(contentOf(join(server.path(MOUNT), "shelf"))).filter((name) => name.startsWith("vzdump")),
    ).toHaveLength(9);
    execFileSync("sha256sum", ["--check", "--quiet", "SHA256SUMS"], { cwd: join(server.path(MOUNT), "shelf") });
    detach("a");
    expect(
      (await points()).map(({ point, subject, medium, verified }) => ({ point, subject, medium, verified })),
    ).toEqual(
      names.map((point, index) => ({ point, subject: index === 2 ? "101" : "sql-erp", medium: "a", verified: "ok" })),
    );
    expect(await listedAreGood(sources)).toBe(3);
    expect(await server.job("shelf")).toMatchObject({ kind: "media", state: "ok", bytes: "170000" });
    expect(server.sink.messages).toEqual([]);
  });

  test("is refused when it is the wrong one, has no label, is a copy, or is none at all; a mail says which to attach", async () => {
    await prepared();
    await labelled("a", "b");
    archive(1);
    const refused = async (what: RegExp, state: string) => {
      expect(await run()).toMatchObject({ code: 3, stderr: expect.stringMatching(what) });
      expect(server.sink.last.text).toMatch(what);
      expect(server.sink.last.text).toContain("Attach medium a to srv3 and mount it at /mnt/shelf");
      expect((await status()).state).toBe(state);
    };
    await refused(/no medium is mounted/, "none");
    attach("b");
    await refused(/the wrong medium is attached: b; medium a is expected until 20/, "late");
    expect(existsSync(join(server.path(MOUNT), "shelf"))).toBe(false);
    detach("b");
    attach("new");
    await refused(/has no label/, "unlabelled");
    detach("new");
    cpSync(shelf("a"), shelf("twin"), { recursive: true });
    const label = join(shelf("twin"), ".coldspare-medium");
    writeFileSync(label, readFileSync(label, "utf8").replace(/id .*/, "id 00000000-0000-0000-0000-000000000000"));
    attach("twin");
    await refused(/a second disk with the label a/, "wrong");
    expect(await points()).toEqual([]);
  });

  test("may be late for the time of grace, and no longer; when the list of turns has ended, any of its media is taken", async () => {
    await prepared({
      turns: [
        [-DAY, "b", "a"],
        [6 * DAY, "a", "b"],
      ],
    });
    await labelled("a", "b");
    archive(1);
    attach("a");
    expect(await run()).toMatchObject({ code: 0 });
    expect((await status()).state).toBe("due");
    turns([
      [-3 * DAY, "b", "a"],
      [4 * DAY, "a", "b"],
    ]);
    expect(await run()).toMatchObject({ code: 3 });
    expect((await status()).state).toBe("late");
    turns([[-30 * DAY, "b", "a"]], -DAY);
    expect(await run()).toMatchObject({ code: 0 });
    expect((await status()).error).toContain("run `pulumi up`");
  });

  test("is counted with the others: the rules hold over all media, and the newest good copy is never removed", async () => {
    await prepared({ keep: ["daily:2"] });
    await labelled("a", "b");
    const [oldest, older] = [archive(5), archive(4)];
    attach("a");
    await server.must("media", "run", "shelf");
    detach("a");
    const newest = archive(1);
    turns([
      [-3 * DAY, "b", "a"],
      [4 * DAY, "a", "b"],
    ]);
    attach("b");
    await server.must("media", "run", "shelf");
    detach("b");
    // Two days are kept, wherever their copies lie; a is on the shelf and keeps what it has until it is back.
    const listed = async () => (await points()).map(({ point, medium }) => `${medium} ${point}`).sort();
    expect(await listed()).toEqual([`a ${oldest}`, `a ${older}`, `b ${older}`, `b ${newest}`].sort());
    turns([
      [-3 * DAY, "a", "b"],
      [4 * DAY, "b", "a"],
    ]);
    attach("a");
    await server.must("media", "run", "shelf");
    expect(await listed()).toEqual([`a ${older}`, `a ${newest}`, `b ${older}`, `b ${newest}`].sort());
    // The last copies of a guest that is gone stay, however old.
    rmSync(server.path("srv/backup/dump"), { recursive: true });
    mkdirSync(server.path("srv/backup/dump"));
    await server.must("media", "run", "shelf");
    expect(await listed()).toHaveLength(4);
  });

  test("that lost bits is told of; the damaged copy counts no more and is made anew", async () => {
    await prepared();
    await labelled("a");
    const name = archive(1);
    const sources = contentOf(server.path("srv/backup/dump"));
    attach("a");
    await server.must("media", "run", "shelf");
    const copy = join(server.path(MOUNT), "shelf", name);
    const bytes = readFileSync(copy);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    writeFileSync(copy, bytes);
    expect(await server.run("media", "verify", "shelf")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`${name} of sql-erp is damaged on a`),
    });
    expect((await points())[0]).toMatchObject({ verified: "failed" });
    expect(server.sink.last.text).toContain(name);
    await server.must("media", "run", "shelf");
    expect(await listedAreGood(sources, () => server.path(MOUNT))).toBe(1);
  });

  test("killed at random moments, what is listed is whole, and the next run goes on", async () => {
    await prepared({ keep: ["last:3"] });
    await labelled("a");
    attach("a");
    for (let round = 6; round > 0; round--) {
      archive(round, 20_000_000);
      const sources = contentOf(server.path("srv/backup/dump"));
      await server.interrupted(["media", "run", "shelf"], 50 + Math.random() * 400);
      await listedAreGood({ ...sources }, () => server.path(MOUNT));
    }
    await server.must("media", "run", "shelf");
    expect(await listedAreGood(contentOf(server.path("srv/backup/dump")), () => server.path(MOUNT))).toBe(3);
    expect(readdirSync(join(server.path(MOUNT), "shelf")).filter((name) => name.endsWith(".part"))).toEqual([]);
  });

  test("is noted when it is carried, by whom", async () => {
    await prepared();
    await server.must("media", "record", "shelf", "attached", "a", "--by", "Mrs. Miller");
    expect(server.read("var/lib/coldspare/media/shelf.swaps")).toMatch(
      /^at=20\S+Z medium=a action=attached by=Mrs.%20Miller\n$/,
    );
    expect(await server.run("media", "record", "shelf", "attached", "a")).toMatchObject({ code: 2 });
  });
});

const isRoot = process.getuid?.() === 0;
if (!isRoot) process.stderr.write("tests/backup: SKIPPED: media on real file systems need root\n");

(isRoot ? describe : describe.skip)("on a real file system", () => {
  let space: ChildProcess;
  const inside = (...argv: string[]) =>
    execFileSync("nsenter", ["-m", "-t", String(space.pid), ...argv], { stdio: "pipe", encoding: "utf8" });
  const start = (argv: readonly string[], env: Line = {}): Promise<Result> =>
    server.spawn(argv, env, ["nsenter", "-m", "-t", String(space.pid)]).end;
  const must = async (...argv: string[]) => {
    const result = await start(argv);
    if (result.code !== 0) throw new Error(`${argv.join(" ")}: ${result.stderr}`);
    return result;
  };

  beforeEach(async () => {
    await prepared();
    mkdirSync(server.path(MOUNT), { recursive: true });
    space = spawn("unshare", ["-m", "--propagation", "private", "sleep", "600"], { stdio: "ignore" });
    await new Promise((done) => setTimeout(done, 300));
    inside("mount", "-t", "tmpfs", "-o", "size=40m", "medium", server.path(MOUNT));
    await must("media", "init", "shelf", "a");
  });
  afterEach(() => {
    space.kill("SIGKILL");
  });

  test("as many copies stay as fit: the oldest makes room, and one that cannot fit is told of", async () => {
    const names = [archive(4, 8_000_000), archive(3, 8_000_000), archive(2, 8_000_000)];
    await must("media", "run", "shelf");
    expect((await points()).length).toBeGreaterThan(0);
    names.push(archive(1, 9_000_000));
    await must("media", "run", "shelf");
    const listed = (await points()).map(({ point }) => point);
    expect(listed).toContain(names[3]);
    expect(listed).not.toContain(names[0]);
    archive(0, 60_000_000);
    const full = await start(["media", "run", "shelf"]);
    expect(full).toMatchObject({ code: 1, stderr: expect.stringContaining("not enough room on a") });
    expect(server.sink.last.text).toContain("The target is full");
    expect((await points()).map(({ point }) => point)).toContain(names[3]);
  });

  test("pulled in the middle of a copy: nothing is written below the mount point, and only what was whole is listed", async () => {
    const first = archive(2, 1_000_000);
    await must("media", "run", "shelf");
    const next = archive(1, 10_000_000);
    const half = join("/proc", String(space.pid), "root", server.path(MOUNT), "shelf", `${next}.part`);
    // Before a copy is read again, dd drops what the kernel still has of it: here it takes its time.
    const bin = join(server.folder, "bin");
    mkdirSync(bin);
    writeFileSync(join(bin, "dd"), "#!/bin/sh\nsleep 3\n", { mode: 0o755 });
    let isOver = false;
    const end = start(["media", "run", "shelf"], { PATH: `${bin}:${process.env.PATH}` }).finally(() => {
      isOver = true;
    });
    while (!isOver && !existsSync(half)) await new Promise((done) => setTimeout(done, 10));
    expect(isOver).toBe(false);
    inside("umount", "-l", server.path(MOUNT));
    expect(await end).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/medium a is not attached any more/),
    });
    expect(server.sink.last.text).toContain("Attach medium a again");
    expect(readdirSync(server.path(MOUNT))).toEqual([]);
    expect((await points()).map(({ point }) => point)).toEqual([first]);
    expect(await start(["media", "run", "shelf"])).toMatchObject({ code: 3 });
    // What somebody else mounts there is not written to either.
    inside("mount", "-t", "tmpfs", "-o", "size=40m", "other", server.path(MOUNT));
    expect(await start(["media", "run", "shelf"])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("no label"),
    });
    expect(inside("ls", "-A", server.path(MOUNT))).toBe("");
  });

  test("is let go when everything is on the disk", async () => {
    const { stdout } = await must("media", "eject", "shelf");
    expect(stdout).toContain("Take a away now. a belongs here until");
    expect(inside("cat", "/proc/self/mountinfo")).not.toContain(server.path(MOUNT));
    expect(server.read("var/lib/coldspare/media/shelf.swaps")).toContain("medium=a action=detached by=eject");
  });
});
