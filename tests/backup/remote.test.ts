/** Repositories elsewhere: SFTP over a link that breaks, and targets that do not let a server delete what it stored. */
import { mkdirSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { appendOnlyPolicy, canRest, canS3, canSftp, type Daemon, makeKey, restServer, S3, sshd } from "./daemons";
import { contentOf, Server } from "./server";

jest.setTimeout(300_000);

const PAGE = resolve(__dirname, "../../docs/backup-servers.md");
const where = (possible: boolean, what: string) => {
  if (!possible) process.stderr.write(`tests/backup: SKIPPED: ${what}\n`);
  return possible ? describe : describe.skip;
};

let server: Server;
const daemons: Daemon[] = [];
beforeEach(() => {
  server = new Server();
});
afterEach(async () => {
  for (const daemon of daemons.splice(0)) await daemon.kill();
  await server.end();
});

const docs = () => contentOf(server.path("srv/docs"));
const restored = async (point = "latest") => contentOf(join(await server.restore(point), server.path("srv/docs")));
const points = () => server.plain("points", "docs");

where(canSftp, "SFTP needs root and sshd")("SFTP", () => {
  let daemon: Daemon;
  let hostKey: string;

  async function prepared(): Promise<void> {
    mkdirSync(server.path("etc/coldspare/backup"), { recursive: true });
    const key = makeKey(server.path("etc/coldspare/backup_ed25519"));
    ({ daemon, hostKey } = await sshd(join(server.folder, "sshd"), key));
    daemons.push(await daemon.start());
    const repository = `sftp://root@127.0.0.1:${daemon.port}/${join(server.folder, "repository")}`;
    await server.start(...server.policy({ repository, keep: ["last:3"] }));
    pin(hostKey);
    server.fill("srv/docs", 4, 300_000);
  }
  const pin = (key: string) =>
    server.put("etc/coldspare/backup/cloud.known_hosts", `[127.0.0.1]:${daemon.port} ${key}\n`);

  test("stores over a key that can do nothing else, with the pinned host key alone", async () => {
    await prepared();
    await server.must("init", "cloud");
    await server.must("run", "docs");
    expect(await restored()).toEqual(docs());
    pin(makeKey(join(server.folder, "another")));
    expect(await server.run("run", "docs")).toMatchObject({ code: 1 });
    expect(server.sink.last.text).toMatch(/host key|cannot be reached/i);
  });

  test("a link that is lost in the middle and comes back is gone on with; one that stays away is told of", async () => {
    await prepared();
    await server.must("init", "cloud");
    await server.must("run", "docs");
    server.fill("srv/docs/more", 10, 2_000_000);
    const { end } = server.spawn(["run", "docs"]);
    await new Promise((done) => setTimeout(done, 1500));
    await daemon.kill();
    await new Promise((done) => setTimeout(done, 500));
    await daemon.start();
    await end;
    expect((await server.run("--wait", "60", "run", "docs")).code).toBe(0);
    expect(await restored()).toEqual(docs());
    await daemon.kill();
    expect(await server.run("run", "docs")).toMatchObject({ code: 1 });
    expect(server.sink.last.subject).toContain("Backup of docs to cloud failed");
    expect(server.sink.last.text).toContain("cannot be reached");
    await daemon.start();
    await server.must("run", "docs");
    await server.must("verify", "docs");
  });
});

where(canRest, "rclone, which serves repositories over REST, is not installed")(
  "a REST server that only appends",
  () => {
    test("takes backups, and no credentials of the server's delete any", async () => {
      const folder = join(server.folder, "rest");
      const daemon = await restServer(folder, "office", "p@ss word/1");
      daemons.push(await daemon.start());
      const repository = `rest:http://127.0.0.1:${daemon.port}/`;
      const target = { append: "1", user: "office", userpassword: "rest-office" };
      await server.start(...server.policy({ repository, keep: ["last:1"], target }));
      server.secret("rest-office", "p@ss word/1");
      server.fill("srv/docs", 2, 100_000);
      await server.must("init", "cloud");
      await server.must("run", "docs");
      await server.must("run", "docs");
      // Retention is not this server's to carry out.
      expect(await points()).toHaveLength(2);
      expect(await server.run("prune", "docs")).toMatchObject({
        code: 3,
        stderr: expect.stringContaining("append-only"),
      });
      const pack = readdirSync(join(folder, "data"), { recursive: true, encoding: "utf8" }).find((name) =>
        /[0-9a-f]{64}$/.test(name),
      );
      const authorization = `Basic ${Buffer.from("office:p@ss word/1").toString("base64")}`;
      const answer = await fetch(`http://127.0.0.1:${daemon.port}/data/${pack?.split("/").at(-1)}`, {
        method: "DELETE",
        headers: { authorization },
      });
      expect(answer.status).toBe(403);
      await server.must("verify", "docs");
      expect(await restored()).toEqual(docs());
      server.secret("rest-office", "another");
      const refused = await server.run("run", "docs");
      expect(refused.code).toBe(1);
      expect(JSON.stringify([refused, server.sink.messages])).not.toContain("another");
    });
  },
);

where(canS3, "no S3 server for tests was built")("S3 without the right to delete", () => {
  test("takes backups; the server's credentials delete nothing but locks, the pruner's remove what is due", async () => {
    const s3 = await S3.start(join(server.folder, "s3"));
    daemons.push(s3.daemon);
    const adder = { access: "AKIAOFFICE", secret: "office-secret" };
    const pruner = { access: "AKIAPRUNER", secret: "pruner-secret" };
    for (const { access, secret } of [adder, pruner]) s3.user(access, secret);
    s3.policy(appendOnlyPolicy(PAGE));
    const repository = `s3:http://127.0.0.1:${s3.daemon.port}/copies/office`;
    const target = { append: "1", access: "s3-access", secret: "s3-secret", region: "us-east-1" };
    await server.start(...server.policy({ repository, keep: ["last:1"], target }));
    server.secret("s3-access", adder.access);
    server.secret("s3-secret", adder.secret);
    server.fill("srv/docs", 2, 100_000);
    await server.must("init", "cloud");
    await server.must("run", "docs");
    await server.must("run", "docs");
    expect(await points()).toHaveLength(2);
    const [first] = await points();
    expect(s3.request("DELETE", `/copies/office/snapshots/${first?.point}`, "", adder)).toBe(403);
    // Nor can what is there be written over unseen: an interrupted run leaves a lock, and the next one removes it.
    await server.interrupted(["run", "docs"], 1200);
    await server.must("verify", "docs");
    expect((await points()).map(({ verified }) => verified)).not.toContain("failed");
    expect(await restored(first?.point)).toEqual(docs());
    // The server that prunes has credentials of its own.
    server.secret("s3-access-prune", pruner.access);
    server.secret("s3-secret-prune", pruner.secret);
    server.configure(...server.policy({ repository, keep: ["last:1"], target: { ...target, prune: "1" } }));
    await server.must("prune", "docs");
    expect(await points()).toHaveLength(1);
    expect(await restored()).toEqual(docs());
  });
});
