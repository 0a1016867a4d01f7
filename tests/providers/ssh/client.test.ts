import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ConfigError } from "../../../providers/pve";
import { quote, SshClient, SshError, type SshTarget } from "../../../providers/ssh";
import { FakeSsh } from "./fake-ssh";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZha2VrZXlmYWtla2V5ZmFrZWtleWZha2VrZXlmYWtlMDE=";
const target = (host: string): SshTarget => ({ host, port: 2222, user: "root", hostKeys: [KEY] });

let fake: FakeSsh;
let ssh: SshClient;
beforeEach(() => {
  fake = new FakeSsh(["a.test", "b.test"]);
  ssh = new SshClient({ targets: { srv1: target("a.test"), srv2: target("b.test") }, connectSeconds: 1 });
});
afterEach(async () => {
  await ssh.close();
  fake.end();
});

const failure = (work: Promise<unknown>): Promise<SshError> =>
  work.then(
    () => Promise.reject(new Error("it did not fail")),
    (error: unknown) => error as SshError,
  );

describe("a command", () => {
  test("reaches the program word by word, whatever is in the words", async () => {
    const words = ["a b", "it's", "$HOME", "`id`", "a\nb", "", "*", "-x", 'say "x"', "\\", "ä"];
    const { code, stdout } = await ssh.run("srv1", ["printf", "[%s]", ...words]);
    expect(code).toBe(0);
    expect(stdout).toBe(words.map((word) => `[${word}]`).join(""));
    expect(() => quote(["a\0b"])).toThrow(RangeError);
  });

  test("gets its input, and answers with output, messages and its own exit code", async () => {
    const result = await ssh.run("srv1", ["sh", "-c", "cat; echo oops >&2; exit 3"], { input: "secret text" });
    expect(result).toEqual({ code: 3, stdout: "secret text", stderr: "oops\n" });
    expect(fake.calls.join("\n")).not.toContain("secret text");
    expect((await ssh.run("srv1", ["cat"])).stdout).toBe("");
    // An exit code that ssh uses itself is the command's own as long as the connection stands.
    expect((await ssh.run("srv1", ["sh", "-c", "exit 255"])).code).toBe(255);
    // Input that nobody reads is no error.
    expect((await ssh.run("srv1", ["true"], { input: "x".repeat(1_000_000) })).code).toBe(0);
  });

  test("shares one connection with the others, which are not more than sshd allows", async () => {
    const work = "echo > run.$$; ls run.* | wc -l; sleep 0.03; rm run.$$";
    const results = await Promise.all(Array.from({ length: 20 }, () => ssh.run("srv1", ["sh", "-c", work])));
    const atOnce = Math.max(...results.map(({ stdout }) => Number(stdout)));
    expect(atOnce).toBeGreaterThan(1);
    expect(atOnce).toBeLessThanOrEqual(8);
    expect(fake.connections).toBe(1);
  });

  test("goes over a connection that trusts the pinned keys alone and asks for no password", async () => {
    await ssh.run("srv1", ["true"]);
    expect(fake.read("known_hosts")).toBe(`srv1 ${KEY}\nsrv2 ${KEY}\n`);
    for (const call of fake.calls) {
      for (const option of [
        "StrictHostKeyChecking=yes",
        "GlobalKnownHostsFile=/dev/null",
        "HostKeyAlias=srv1",
        "BatchMode=yes",
        "PasswordAuthentication=no",
        "ConnectTimeout=1",
        "ForwardAgent=no",
        "KnownHostsCommand=none",
      ]) {
        expect(call).toContain(`-o ${option}`);
      }
      expect(call).toContain("-p 2222 -l root -- a.test");
      expect(call).not.toContain("IdentitiesOnly");
    }
    const keyed = new SshClient({ targets: { srv1: target("a.test") }, keyFile: "/keys/one" });
    await keyed.run("srv1", ["true"]);
    await keyed.close();
    expect(fake.calls.at(-1)).toContain("-i /keys/one -o IdentitiesOnly=yes");
  });

  test("leaves nothing behind", async () => {
    await ssh.run("srv1", ["true"]);
    const path = fake.calls[0]?.match(/ControlPath=(\S+)/)?.[1] ?? "";
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
    expect(path.length).toBeLessThan(80);
    const pid = Number(fake.read("pid") || (await ssh.run("srv1", ["cat", path])).stdout);
    await ssh.close();
    expect(existsSync(dirname(path))).toBe(false);
    await gone(pid);
    // And the client still works.
    expect((await ssh.run("srv1", ["true"])).code).toBe(0);
  });
});

async function gone(pid: number): Promise<void> {
  for (let count = 0; count < 100; count++) {
    // One that nobody has asked for yet, a zombie, is gone, too.
    const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, "utf8") : "";
    if (stat === "" || / Z /.test(stat)) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`process ${pid} is still there`);
}

describe("a server that cannot be used", () => {
  test.each([
    [
      "ssh: connect to host a.test port 2222: Connection timed out",
      "unreachable",
      /a\.test port 2222 does not answer over SSH \(ssh: connect.*timed out\)\. Fix: look whether srv1 runs/,
    ],
    ["ssh: connect to host a.test port 2222: Connection refused", "unreachable", /Connection refused/],
    ["kex_exchange_identification: Connection closed by remote host", "unreachable", /closed by remote host/],
    [
      "root@a.test: Permission denied (publickey,password).",
      "denied",
      /does not let 'root' in with a key of your agent or of ~\/\.ssh \(.*publickey,password\)\)\. Fix: put the public key into ~root\/\.ssh\/authorized_keys on srv1/,
    ],
    [
      "@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@\nHost key verification failed.",
      "host-key",
      /not pinned for srv1.*Fix: fetch its key with `ssh-keyscan -p 2222 -t ed25519 a\.test`, compare it with \/etc\/ssh\/ssh_host_ed25519_key\.pub on the console of srv1/,
    ],
    ["No ED25519 host key is known for srv1 and you have requested strict checking.", "host-key", /not pinned/],
  ])("%s", async (said, kind, message) => {
    fake.says("a.test", `cat >&2 <<'X'\n${said}\nX\nexit 255`);
    const error = await failure(ssh.run("srv1", ["true"]));
    expect(error).toBeInstanceOf(SshError);
    expect(error).toMatchObject({ server: "srv1", kind });
    expect(error.message).toMatch(/^srv1: /);
    expect(error.message).toMatch(message);
    expect(error.message).toContain(error.fix);
    // It is asked again next time, and the others are not concerned.
    fake.says("a.test", "");
    expect((await ssh.run("srv1", ["true"])).code).toBe(0);
    expect((await ssh.run("srv2", ["true"])).code).toBe(0);
  });

  test("costs its seconds once, however many commands begin together", async () => {
    fake.says("a.test", "sleep 0.1; echo 'ssh: connect to host a.test port 2222: No route to host' >&2; exit 255");
    const errors = await Promise.all(Array.from({ length: 5 }, () => failure(ssh.run("srv1", ["true"]))));
    expect(errors.map(({ kind }) => kind)).toEqual(Array(5).fill("unreachable"));
    expect(fake.connections).toBe(1);
  });

  test("that is not known, or has no pinned key, is not asked at all", async () => {
    expect(await failure(ssh.run("srv9", ["true"]))).toMatchObject({
      kind: "denied",
      reason: "it is not known how to reach srv9 over SSH (known: srv1, srv2)",
    });
    const unpinned = new SshClient({ targets: { srv1: { ...target("a.test"), hostKeys: [] } } });
    expect(await failure(unpinned.run("srv1", ["true"]))).toMatchObject({ kind: "host-key" });
    expect(fake.calls).toEqual([]);
  });

  test("that dies in the middle is said to have been at work", async () => {
    await ssh.run("srv1", ["true"]);
    const path = fake.calls[0]?.match(/ControlPath=(\S+)/)?.[1] ?? "";
    const error = await failure(ssh.run("srv1", ["sh", "-c", `kill -9 $(cat ${path}); exit 255`]));
    expect(error.kind).toBe("unreachable");
    expect(error.reason).toContain("it may or may not have been carried out");
    expect((await ssh.run("srv1", ["true"])).code).toBe(0);
    expect(fake.connections).toBe(2);
  });

  test("that does not come to an end is given up, with everything we started", async () => {
    const begun = Date.now();
    const error = await failure(ssh.run("srv1", ["sh", "-c", "echo $$ > pid; sleep 60; true"], { timeoutSeconds: 1 }));
    expect(error).toMatchObject({ kind: "timeout", server: "srv1" });
    expect(error.reason).toContain("did not end within 1 s");
    expect(Date.now() - begun).toBeLessThan(5000);
    const pid = Number(fake.read("a.test/pid"));
    expect(pid).toBeGreaterThan(1);
    await gone(pid);
  });

  test("a flood is cut off", async () => {
    const error = await failure(ssh.run("srv1", ["head", "-c", "40000000", "/dev/zero"]));
    expect(error).toMatchObject({ kind: "timeout", reason: expect.stringContaining("said more than can be kept") });
  });

  test("without the program, what to install", async () => {
    const path = process.env.PATH;
    process.env.PATH = "/nowhere";
    const error = await failure(ssh.run("srv1", ["true"]));
    process.env.PATH = path;
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toContain("apt install openssh-client");
  });
});

test("what a killed command left is removed by a later one, and nothing that may be in use", async () => {
  const left = (pid: number, days: number) => {
    const folder = mkdtempSync(join(tmpdir(), `csp-${pid}-`));
    const seconds = Date.now() / 1000 - days * 86_400;
    utimesSync(folder, seconds, seconds);
    return folder;
  };
  // No process has an id above the kernel's limit.
  const folders = [left(9_999_999, 2), left(9_999_999, 0), left(process.ppid, 2)];
  await ssh.run("srv1", ["true"]);
  expect(folders.map((folder) => existsSync(folder))).toEqual([false, true, true]);
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
