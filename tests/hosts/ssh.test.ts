/** The SSH client against a real sshd on the loopback address. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SshClient, SshError, type SshTarget } from "../../providers/ssh";

// Seconds on a quiet machine.
jest.setTimeout(40_000);

const possible = process.getuid?.() === 0 && existsSync("/usr/sbin/sshd");
if (!possible) console.warn("skipped: a real sshd needs root and OpenSSH's server");
const when = possible ? describe : describe.skip;

when("with a real sshd", () => {
  let folder: string;
  let sshd: ChildProcess;
  let target: SshTarget;
  let ssh: SshClient;

  const key = (name: string) => {
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", join(folder, name)]);
    return readFileSync(join(folder, `${name}.pub`), "utf8")
      .split(" ")
      .slice(0, 2)
      .join(" ");
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "coldspare-sshd-"));
    const hostKey = key("host");
    key("other");
    key("user");
    copyFileSync(join(folder, "user.pub"), join(folder, "authorized"));
    const port = await freePort();
    mkdirSync("/run/sshd", { recursive: true });
    writeFileSync(
      join(folder, "config"),
      [
        `Port ${port}`,
        "ListenAddress 127.0.0.1",
        `HostKey ${folder}/host`,
        `AuthorizedKeysFile ${folder}/authorized`,
        "StrictModes no",
        "UsePAM no",
        "PermitRootLogin prohibit-password",
        `PidFile ${folder}/pid`,
        "",
      ].join("\n"),
    );
    sshd = spawn("/usr/sbin/sshd", ["-D", "-e", "-f", join(folder, "config")], { stdio: ["ignore", "ignore", "pipe"] });
    await new Promise<void>((resolve, reject) => {
      sshd.stderr?.on("data", (chunk: Buffer) => String(chunk).includes("listening") && resolve());
      sshd.on("exit", () => reject(new Error("sshd did not start")));
    });
    target = { host: "127.0.0.1", port, user: "root", hostKeys: [hostKey] };
    ssh = client(target);
  });

  afterAll(async () => {
    await ssh?.close();
    sshd?.kill();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  const client = (to: SshTarget, keyFile = join(folder, "user")) =>
    new SshClient({ targets: { srv1: to }, keyFile, connectSeconds: 3 });

  const failure = async (to: SshTarget, keyFile?: string): Promise<SshError> => {
    const other = client(to, keyFile);
    const error = await other.run("srv1", ["true"]).catch((thrown: unknown) => thrown);
    await other.close();
    expect(error).toBeInstanceOf(SshError);
    return error as SshError;
  };

  test("commands run, with their input, output and exit codes, many at once", async () => {
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        ssh.run("srv1", ["sh", "-c", 'cat; printf "%s" "$1"; exit "$2"', "sh", "it's $HOME", String(index)], {
          input: "in ",
        }),
      ),
    );
    expect(results).toEqual(results.map((_, index) => ({ code: index, stdout: "in it's $HOME", stderr: "" })));
    expect((await ssh.run("srv1", ["sh", "-c", "exit 255"])).code).toBe(255);
  });

  test("a key that is not pinned, a key that is not let in, and a port where nobody listens are told apart", async () => {
    const otherKey = readFileSync(join(folder, "other.pub"), "utf8");
    expect(await failure({ ...target, hostKeys: [otherKey] })).toMatchObject({ kind: "host-key" });
    expect(await failure(target, join(folder, "other"))).toMatchObject({ kind: "denied" });
    expect(await failure({ ...target, port: await freePort() })).toMatchObject({
      kind: "unreachable",
      reason: expect.stringContaining("Connection refused"),
    });
  });

  test("a server that takes connections and says nothing costs its seconds, not more", async () => {
    const silent = createServer(() => undefined).listen(0, "127.0.0.1");
    await new Promise((resolve) => silent.once("listening", resolve));
    const { port } = silent.address() as { port: number };
    const begun = Date.now();
    expect(await failure({ ...target, port })).toMatchObject({ kind: "unreachable" });
    expect(Date.now() - begun).toBeLessThan(10_000);
    silent.close();
  });

  test("a connection that is killed under a command is an error, and the next command connects anew", async () => {
    const error = await ssh.run("srv1", ["sh", "-c", "kill -9 $PPID; sleep 20"]).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ kind: "unreachable", reason: expect.stringContaining("may or may not") });
    expect((await ssh.run("srv1", ["echo", "back"])).stdout).toBe("back\n");
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
