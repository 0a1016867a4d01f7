/** coldspare-backup with the real restic and a repository in a folder: what a run does, what faults leave, who is told. */
import { chmodSync, cpSync, readdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { words } from "../../planning/backup/conf-words";
import { contentOf, Server } from "./server";

jest.setTimeout(300_000);

let server: Server;
beforeEach(() => {
  server = new Server();
});
afterEach(() => server.end());

/** A server with a repository and some files. */
async function prepared(options: Partial<Parameters<Server["policy"]>[0]> = {}): Promise<string> {
  const repository = join(server.folder, "repository");
  await server.start(...server.policy({ repository, ...options }));
  server.fill("srv/docs/letters", 3, 200_000);
  server.put("srv/docs/it's a file, ümlaut.txt", "hello\n");
  await server.must("init", "cloud");
  return repository;
}

/** The largest pack, as it holds files and no folders. */
function largestPack(repository: string): string {
  const packs = readdirSync(join(repository, "data"), { recursive: true, encoding: "utf8" })
    .map((name) => join(repository, "data", name))
    .filter((path) => /[0-9a-f]{64}$/.test(path));
  return packs.sort((a, b) => readFileSync(b).length - readFileSync(a).length)[0] ?? "";
}

function corrupt(file: string): void {
  chmodSync(file, 0o600);
  const bytes = readFileSync(file);
  bytes[1000] = (bytes[1000] ?? 0) ^ 0xff;
  writeFileSync(file, bytes);
}

/** Restores every point that is not listed as damaged, and compares it with what was there when it was made. */
async function restoresAll(known: Record<string, Record<string, string>>): Promise<number> {
  const points = (await server.plain("points", "docs")).filter(({ verified }) => verified !== "failed");
  for (const { point = "" } of points) {
    const content = known[point];
    const to = await server.restore(point);
    const found = contentOf(join(to, server.path("srv/docs")));
    if (content !== undefined) expect(found).toEqual(content);
  }
  return points.length;
}

const newestPoint = async () => (await server.plain("points", "docs")).at(-1)?.point ?? "";
const docs = () => contentOf(server.path("srv/docs"));

describe("a run", () => {
  test("makes a point that is listed, verified, and restored byte for byte", async () => {
    await prepared();
    expect(await server.job("docs")).toMatchObject({ state: "never", kind: "restic", policy: "docs", target: "cloud" });
    await server.must("run", "docs");
    const [point] = await server.plain("points", "docs");
    expect(point).toMatchObject({
      job: "docs",
      subject: "folder:srv3:/srv/docs",
      target: "cloud",
      verified: "none",
      bytes: "600006",
    });
    expect(await server.job("docs")).toMatchObject({ state: "ok", newest: point?.at, error: "" });
    await server.must("verify", "docs");
    expect((await server.plain("points", "docs"))[0]).toMatchObject({ verified: "ok" });
    const to = await server.restore("latest");
    expect(contentOf(join(to, server.path("srv/docs")))).toEqual(docs());
    const part = await server.restore("latest", "--path", "/srv/docs/letters");
    expect(Object.keys(contentOf(join(part, server.path("srv/docs"))))).toHaveLength(3);
    // Nobody has to be told of what works.
    expect(server.sink.messages).toEqual([]);
  });

  test("says what is wrong use, and what there is", async () => {
    await prepared();
    expect(await server.run("run", "nothing")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("there is: docs"),
    });
    expect(await server.run("frobnicate")).toMatchObject({ code: 2 });
    expect(await server.run("restore", "docs", "latest")).toMatchObject({ code: 2 });
    expect(await server.run("init", "cloud")).toMatchObject({ code: 0, stdout: expect.stringContaining("is there") });
  });

  test("restores over nothing unless that is asked for", async () => {
    await prepared();
    await server.must("run", "docs");
    server.put("home/keep", "mine");
    const refused = await server.run("restore", "docs", "latest", "--to", server.path("home"));
    expect(refused).toMatchObject({ code: 3, stderr: expect.stringContaining("is not empty (keep)") });
    await server.must("restore", "docs", "latest", "--to", server.path("home"), "--overwrite");
    expect(server.read("home/keep")).toBe("mine");
  });

  test("keeps what the rules keep, and the newest good point in any case", async () => {
    await prepared({ keep: ["last:2"] });
    for (let round = 0; round < 4; round++) {
      server.put("srv/docs/changing", `round ${round}`);
      await server.must("run", "docs");
    }
    expect(await server.plain("points", "docs")).toHaveLength(2);
    await server.must("verify", "docs");
  });

  test("runs hooks around it, those after it also when it fails", async () => {
    const log = () => server.read("hooks").trim().split("\n");
    const hook = (name: string, code = 0) => [
      "sh",
      "-c",
      `echo ${name} $COLDSPARE_POLICY >>${server.path("hooks")}; exit ${code}`,
    ];
    const extra = [
      `before docs ${words("", { a: hook("before") }).slice(3)}`,
      `after docs ${words("", { a: hook("after") }).slice(3)}`,
    ];
    await prepared({ extra });
    await server.must("run", "docs");
    expect(log()).toEqual(["before docs", "after docs"]);
    server.configure(`before docs ${words("", { a: hook("second", 7) }).slice(3)}`);
    expect(await server.run("run", "docs")).toMatchObject({ code: 1 });
    expect(log().slice(2)).toEqual(["before docs", "second docs", "after docs"]);
    expect(await server.plain("points", "docs")).toHaveLength(1);
    expect(server.sink.last.text).toMatch(/hook .*ended with 7/s);
  });

  test("names the files that it could not read, and counts no such point as good", async () => {
    if (process.getuid?.() === 0) return;
    await prepared();
    chmodSync(server.path("srv/docs/letters/file-1.bin"), 0);
    expect(await server.run("run", "docs")).toMatchObject({ code: 1, stderr: expect.stringContaining("file-1.bin") });
    expect((await server.plain("points", "docs"))[0]).toMatchObject({ verified: "failed" });
  });

  test("fails by name when a folder is gone, as an unmounted disk would leave it", async () => {
    await prepared();
    rmSync(server.path("srv/docs"), { recursive: true });
    expect(await server.run("run", "docs")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/srv\/docs cannot be read/),
    });
    expect(await server.plain("points", "docs")).toEqual([]);
  });

  test("does not begin while another one works on the target", async () => {
    await prepared({ extra: [`before docs ${words("", { a: ["sleep", "2"] }).slice(3)}`] });
    const first = server.spawn(["run", "docs"]);
    await new Promise((done) => setTimeout(done, 700));
    expect((await server.job("docs")).state).toBe("running");
    expect(await server.run("run", "docs")).toMatchObject({ code: 3, stderr: expect.stringContaining("another run") });
    expect(await server.run("--wait", "60", "verify", "docs")).toMatchObject({ code: 0 });
    expect((await first.end).code).toBe(0);
  });

  test("saves a Docker volume from its mountpoint, never the empty folder of one that is not mounted", async () => {
    await prepared({ extra: [words("volume docs", { subject: "volume:srv3:shop", volume: "shop" })] });
    server.fill("volumes/shop", 2, 1000);
    const inspect = (options: object) =>
      JSON.stringify([{ Name: "shop", Driver: "local", Mountpoint: server.path("volumes/shop"), Options: options }]);
    const bin = join(server.folder, "bin");
    cpSync("/bin/true", join(bin, "docker"));
    const docker = (options: object) =>
      writeFileSync(join(bin, "docker"), `#!/bin/sh\ncat <<'END'\n${inspect(options)}\nEND\n`);
    const run = () => server.spawn(["run", "docs"], { PATH: `${bin}:${process.env.PATH}` }).end;
    docker({});
    expect(await run()).toMatchObject({ code: 0 });
    expect((await server.plain("points", "docs")).map(({ subject }) => subject)).toContain("volume:srv3:shop");
    docker({ type: "nfs", device: ":/export" });
    expect(await run()).toMatchObject({ code: 1, stderr: expect.stringContaining("only while a container uses it") });
  });
});

describe("faults", () => {
  test("a corrupt pack is named with the points that it hurts; they count no more, and are mended by the next backup", async () => {
    const repository = await prepared({ keep: ["last:1"] });
    await server.must("run", "docs");
    const first = await newestPoint();
    const pack = largestPack(repository);
    const name = pack.split("/").at(-1) ?? "";
    corrupt(pack);
    const result = await server.run("verify", "docs");
    expect(result.code).toBe(1);
    expect(result.stderr).toContain(`pack ${name} is damaged. It hurts the points ${first.slice(0, 8)}`);
    expect((await server.plain("points", "docs"))[0]).toMatchObject({ point: first, verified: "failed" });
    const { subject, text } = server.sink.last;
    expect(subject).toContain("Verification of docs to cloud failed");
    expect(text).toContain(repository);
    expect(text).toContain(first.slice(0, 8));
    expect(text).toContain("restic rebuild-index");
    // The next point rests on the same pack: it is damaged as well until the pack is made anew.
    await server.must("run", "docs");
    expect(await server.plain("points", "docs")).toHaveLength(2);
    await server.run("verify", "docs");
    expect((await server.plain("points", "docs")).map(({ verified }) => verified)).toEqual(["failed", "failed"]);
    expect((await server.job("docs.verify")).newest).toBe("");
    unlinkSync(pack);
    await resticOf(repository, "rebuild-index");
    await server.must("run", "docs");
    await server.must("verify", "docs");
    expect((await server.plain("points", "docs")).map(({ verified }) => verified)).toEqual(["ok", "ok", "ok"]);
    expect(server.sink.last.subject).toContain("works again");
    const to = await server.restore("latest");
    expect(contentOf(join(to, server.path("srv/docs")))).toEqual(docs());
  });

  test("retention does not let damaged points take the place of the last good one", async () => {
    await prepared();
    await server.must("run", "docs");
    const good = await newestPoint();
    await server.must("run", "docs");
    const later = await newestPoint();
    // As a run that could not read everything leaves it.
    const marks = "var/lib/coldspare/backup/marks/cloud";
    server.put(
      marks,
      `${server.read(marks)}bad=${later} part=incomplete at=2026-11-22T00:00:00Z error=lacks%20files\n`,
    );
    server.configure(words("policy docs", { target: "cloud", keep: ["last:1"] }));
    await server.must("prune", "docs");
    expect((await server.plain("points", "docs")).map(({ point }) => point)).toEqual([good, later]);
    const to = await server.restore("latest");
    expect(contentOf(join(to, server.path("srv/docs")))).toEqual(docs());
  });

  test("a repository that is gone is not begun anew by itself", async () => {
    const repository = await prepared();
    await server.must("run", "docs");
    renameSync(repository, `${repository}.away`);
    expect(await server.run("run", "docs")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("coldspare-backup init cloud"),
    });
    expect((await server.job("docs")).newest).toMatch(/^20/);
    const points = await server.run("points", "--plain", "docs");
    expect(points).toMatchObject({ code: 1, stdout: expect.stringMatching(/^point=/) });
    expect(points.stdout).not.toContain("end\n");
    expect(await server.plain("points", "--cached", "docs")).toHaveLength(1);
    renameSync(`${repository}.away`, repository);
    await server.must("run", "docs");
  });

  test("a full target is told of with its remedy; what was there stays good", async () => {
    await prepared();
    await server.must("run", "docs");
    const before = { [await newestPoint()]: docs() };
    server.fill("srv/docs/big", 1, 3_000_000);
    // No file may grow over 1 MiB, so that no pack can be written.
    const limited = server.spawn(["run", "docs"], { PATH: `${limitedRestic()}:${process.env.PATH}` });
    expect((await limited.end).code).toBe(1);
    expect(server.sink.last.text).toMatch(/The target is full/);
    expect(await restoresAll(before)).toBeGreaterThan(0);
    await server.must("run", "docs");
    await server.must("verify", "docs");
  });

  test("killed at random moments in backup, prune, check and restore, the next run goes on and every good point restores", async () => {
    await prepared({ keep: ["last:3"] });
    const known: Record<string, Record<string, string>> = {};
    let hits = 0;
    for (let round = 0; round < 6; round++) {
      server.fill("srv/docs/letters", 3, 700_000);
      const argv =
        [
          ["run", "docs"],
          ["verify", "docs"],
          ["prune", "docs"],
        ][round % 3] ?? [];
      if (await server.interrupted(argv, 100 + Math.random() * 2500)) hits++;
      expect((await server.job("docs")).state).not.toBe("running");
      await server.must("run", "docs");
      known[await newestPoint()] = docs();
    }
    const to = join(server.folder, "half");
    if (await server.interrupted(["restore", "docs", "latest", "--to", to], 300)) hits++;
    // The same command goes on, over nothing but what it left itself.
    await server.must("restore", "docs", "latest", "--to", to);
    expect(contentOf(join(to, server.path("srv/docs")))).toEqual(docs());
    expect(hits).toBeGreaterThan(2);
    expect(await restoresAll(known)).toBe(3);
    await server.must("verify", "docs");
    expect(server.sink.messages).toEqual([]);
  });

  test("a message that cannot be sent waits, and comes with the next", async () => {
    const repository = await prepared();
    const port = server.sink.port;
    await server.sink.end();
    renameSync(repository, `${repository}.away`);
    expect((await server.run("run", "docs")).code).toBe(1);
    await server.sink.start(port);
    renameSync(`${repository}.away`, repository);
    await server.must("run", "docs");
    expect(server.sink.messages.map(({ subject }) => subject)).toEqual([
      "[coldspare] smb: Backup of docs to cloud failed on srv3",
      "[coldspare] smb: Backup of docs to cloud works again on srv3",
    ]);
    expect(server.sink.messages[0]).toMatchObject({ from: "srv3@smb.test", to: ["it@smb.test"] });
  });
});

describe("the password", () => {
  const opens = (repository: string, password: string) =>
    resticOf(repository, "cat", "config", { password }).then(
      () => true,
      () => false,
    );

  test("is changed; the old one opens nothing any more, and all points are there", async () => {
    const repository = await prepared();
    await server.must("run", "docs");
    expect(await server.run("rekey", "cloud")).toMatchObject({ code: 3 });
    server.secret("repository.next", "second password");
    await server.must("rekey", "cloud");
    expect(server.read("etc/coldspare/secrets/repository")).toBe("second password");
    expect(server.read("etc/coldspare/secrets/repository.next")).toBe("");
    expect([await opens(repository, "first password"), await opens(repository, "second password")]).toEqual([
      false,
      true,
    ]);
    const to = await server.restore("latest");
    expect(contentOf(join(to, server.path("srv/docs")))).toEqual(docs());
  });

  test("can be interrupted at any moment: what is on the server opens the repository, and the next try ends it", async () => {
    const repository = await prepared();
    await server.must("run", "docs");
    server.secret("repository.next", "second password");
    for (const milliseconds of [300, 900, 1500, 2100, 2700, 3300])
      await server.interrupted(["rekey", "cloud"], milliseconds);
    expect([0, 3]).toContain((await server.run("rekey", "cloud")).code);
    expect([await opens(repository, "first password"), await opens(repository, "second password")]).toEqual([
      false,
      true,
    ]);
    await server.must("run", "docs");
  });

  test("is never on a command line or in what is printed", async () => {
    await prepared();
    server.secret("repository", "wrong");
    const result = await server.run("run", "docs");
    expect(result).toMatchObject({ code: 1, stderr: expect.stringContaining("The secret is not the one") });
    expect(JSON.stringify([result, server.sink.messages])).not.toContain("first password");
  });
});

/** restic under a limit of file sizes, as a full disk would stop it. */
function limitedRestic(): string {
  const bin = join(server.folder, "limited");
  cpSync("/bin/true", join(bin, "restic"));
  // SIGXFSZ is ignored, so that the write fails as one on a full disk does.
  writeFileSync(join(bin, "restic"), `#!/bin/bash\ntrap '' XFSZ\nulimit -f 1024\nexec /usr/bin/restic "$@"\n`);
  return bin;
}

async function resticOf(repository: string, ...words: (string | { password: string })[]): Promise<void> {
  const { execFileSync } = await import("node:child_process");
  const options = words.find((word) => typeof word === "object");
  const argv = words.filter((word) => typeof word === "string");
  execFileSync("restic", ["-r", repository, ...argv], {
    env: {
      ...process.env,
      RESTIC_PASSWORD: options?.password ?? "first password",
      RESTIC_CACHE_DIR: join(server.folder, "cache"),
    },
    stdio: "pipe",
  });
}
