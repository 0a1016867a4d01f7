import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import fc from "fast-check";
import { NODE_PROGRAM, Servers } from "./servers";

// Each test runs dozens of short processes; a busy machine takes its time.
jest.setTimeout(30_000);

describe("a voter", () => {
  let site: Servers;
  beforeEach(() => {
    site = new Servers({ times: ["term 60"] });
    site.clock("srv1", 1000, "11111111-1111");
  });
  afterEach(() => site.remove());
  const read = () => site.ask("srv1", "read", "sql-erp")["sql-erp"];

  test("holds what it granted on its own clock since boot, and for a term after it restarted", () => {
    site.claim("-", "sql-erp=0@srv2", "srv1");
    expect(site.ask("srv1", "grant", "srv2", "start", "sql-erp=0")["sql-erp"]).toMatchObject({
      verdict: "ok",
      grants: "1",
      hold: "60",
    });
    site.clock("srv1", 1045);
    expect(read()).toMatchObject({ hold: "15", holder: "srv2" });
    site.clock("srv1", 1061);
    expect(read()?.hold).toBe("0");
    // a renewal holds, and counts nothing up
    expect(site.ask("srv1", "grant", "srv2", "renew", "sql-erp=0")["sql-erp"]).toMatchObject({
      grants: "1",
      hold: "60",
    });
    site.clock("srv1", 20, "22222222-2222");
    expect(read()).toMatchObject({ hold: "40", holder: "srv2", grants: "1" });
    site.clock("srv1", 61);
    expect(read()?.hold).toBe("0");
    // a hold that the power cut tore counts as one of the boot before
    site.put("srv1/var/lib/coldspare/holds/sql-erp", "boot=2222");
    site.clock("srv1", 5, "33333333-3333");
    expect(read()).toMatchObject({ hold: "55", holder: "unknown" });
  });

  test("knows servers by names with capital letters, and tells them apart by them", () => {
    const [primary, spare, third] = ["PVE-One", "Srv2", "vault"] as const;
    const guest = `mail qemu primary=${primary} spare=${spare} voters=${primary},${spare},${third} ids=101@${primary},101@${spare} order=1 delay=0 onboot=1`;
    const capital = new Servers({ servers: [primary, spare, third], guests: [guest] });
    try {
      capital.claim("-", `mail=0@${primary}`, ...capital.names);
      expect(capital.ask(third, "read", "mail").mail).toMatchObject({ server: primary });
      expect(capital.ask(third, "claim", "op/1", "mail=1@pve-one").mail).toMatchObject({ verdict: "refused" });
      expect(capital.ask(third, "claim", "op/1", `mail=1@${spare}`).mail).toMatchObject({
        verdict: "ok",
        server: spare,
      });
    } finally {
      capital.remove();
    }
  });

  test("answers for many guests in one request, each for itself", () => {
    const answers = site.ask(
      "srv1",
      "claim",
      "op 1".replace(" ", "/"),
      "sql-erp=3@srv1",
      "remote-app=0@srv1",
      "nobody=1@srv1",
      "sql-erp=4@srv9",
    );
    expect(answers["remote-app"]).toMatchObject({ verdict: "ok", server: "srv1" });
    expect(answers.nobody).toMatchObject({
      verdict: "refused",
      reason: "nobody%20is%20not%20in%20node.conf%20of%20srv1",
    });
    expect(answers["sql-erp"]).toMatchObject({ verdict: "refused", reason: "srv9%20is%20no%20server%20of%20sql-erp" });
    expect(read()).toMatchObject({ epoch: "3", server: "srv1", by: "op%2F1" });
  });

  test("an older or an equal claim loses, the same one again does not", () => {
    site.claim("a", "sql-erp=3@srv1", "srv1");
    expect(site.ask("srv1", "claim", "b", "sql-erp=3@srv1")["sql-erp"]).toMatchObject({ verdict: "denied", by: "a" });
    expect(site.ask("srv1", "claim", "b", "sql-erp=2@srv2")["sql-erp"]?.verdict).toBe("denied");
    expect(site.ask("srv1", "claim", "a", "sql-erp=3@srv1")["sql-erp"]?.verdict).toBe("ok");
    expect(site.ask("srv1", "grant", "srv2", "start", "sql-erp=3")["sql-erp"]?.verdict).toBe("denied");
    expect(site.ask("srv1", "grant", "srv1", "start", "sql-erp=2")["sql-erp"]?.verdict).toBe("denied");
  });

  test.each([
    ["claim x sql-erp=1@srv1;reboot"],
    ["claim x ../../etc/passwd=1@srv1"],
    ["claim x sql-erp=-1@srv1"],
    ["grant srv1 again sql-erp=1"],
    ["grant - start sql-erp=1"],
    ["release x $(id) sql-erp=1"],
    ["claim x"],
    ["sh -c id"],
    [""],
  ])("does nothing for a request that is none: %s", (request) => {
    const answer = site.run("srv1", ["serve"], { env: { SSH_ORIGINAL_COMMAND: request } });
    expect(answer.code).toBe(1);
    expect(answer.stdout).toMatch(/^error \S+\nend\n$/);
    expect(site.exists("srv1/var/lib/coldspare/records/sql-erp")).toBe(false);
  });

  test("says who it is", () => {
    site.put("srv1/etc/coldspare/generation", "7 abcdef\n");
    const pong = site.run("srv1", ["serve"], { env: { SSH_ORIGINAL_COMMAND: "ping" } }).stdout;
    expect(pong).toBe("pong self=srv1 boot=11111111-1111 uptime=1000 generation=7 hash=abcdef version=1\nend\n");
  });

  test("without memory grants nothing, and for a term after its boot holds what it may have granted", () => {
    expect(site.ask("srv1", "grant", "srv2", "start", "sql-erp=0")["sql-erp"]?.verdict).toBe("denied");
    expect(site.ask("srv1", "grant", "srv2", "renew", "sql-erp=0")["sql-erp"]?.verdict).toBe("denied");
    expect(read()).toMatchObject({ fresh: "1", grants: "0", hold: "0", holder: "-" });
    site.clock("srv1", 20, "22222222-2222");
    expect(read()).toMatchObject({ hold: "40", holder: "unknown" });
    // What it is told of the record does not tell it what it had granted.
    site.claim("-", "sql-erp=0@srv2", "srv1");
    expect(read()).toMatchObject({ hold: "40", holder: "unknown" });
    site.clock("srv1", 60);
    expect(read()).toMatchObject({ hold: "0", holder: "-" });
  });

  test("the primary that it starts from is kept, when the plan names another one later", () => {
    site.claim("-", "sql-erp=0@srv2", "srv1");
    site.configure("srv1", (text) => text.replace("primary=srv2 spare=srv1", "primary=srv1 spare=srv2"));
    expect(read()).toMatchObject({ epoch: "0", server: "srv2" });
  });
});

/** The batch mode as a function, in one process. */
class Batch {
  private readonly child: ChildProcessByStdio<Writable, Readable, null>;
  private readonly waiting: ((line: string) => void)[] = [];
  constructor(mode: string) {
    this.child = spawn(NODE_PROGRAM, [mode], { stdio: ["pipe", "pipe", "inherit"] });
    createInterface(this.child.stdout).on("line", (line) => this.waiting.shift()?.(line));
  }
  ask(line: string): Promise<string> {
    return new Promise((done) => {
      this.waiting.push(done);
      this.child.stdin.write(`${line}\n`);
    });
  }
  end(): Promise<void> {
    this.child.stdin.end();
    return new Promise((done) => this.child.on("exit", () => done()));
  }
}

describe("three voters and any operations in any order", () => {
  const servers = ["srv1", "srv2", "-"];
  const operation = fc.oneof(
    fc.record({
      op: fc.constant("claim"),
      epoch: fc.integer({ min: 0, max: 6 }),
      server: fc.constantFrom(...servers),
      by: fc.constantFrom("x", "y"),
    }),
    fc.record({
      op: fc.constant("grant"),
      epoch: fc.integer({ min: 0, max: 6 }),
      server: fc.constantFrom(...servers),
      kind: fc.constantFrom("start", "renew"),
      now: fc.constant(10),
      term: fc.constant(60),
    }),
    fc.record({
      op: fc.constant("release"),
      self: fc.constantFrom("srv1", "srv2"),
      to: fc.constantFrom("srv1", "srv2"),
      epoch: fc.integer({ min: 0, max: 6 }),
      by: fc.constantFrom("x", "y"),
      running: fc.constantFrom(0, 1),
      starting: fc.constantFrom(0, 1),
    }),
    fc.record({ op: fc.constant("boot"), term: fc.constant(60) }),
  );

  test("never grant one epoch to two servers, and never forget an epoch", async () => {
    const apply = new Batch("apply");
    let granted = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(2), operation, fc.nat(2)), { minLength: 5, maxLength: 40 }),
        async (steps) => {
          const voters = ["srv1", "srv2", "backup-1"].map(
            () => "epoch=0 server=srv2 by=- grants=0 holder=- until=0 fresh=0",
          );
          const majorities = new Map<string, Set<number>>();
          for (const [voter, wish, other] of steps) {
            const before = voters[voter] as string;
            // Mostly what another voter says at that moment, so that grants and claims often fit together.
            const [, epochThere, serverThere] = /epoch=(\d+) server=(\S+)/.exec(voters[other] as string) ?? [];
            const step: Record<string, string | number> = { ...wish };
            if (wish.op === "grant" && other !== voter) Object.assign(step, { epoch: epochThere, server: serverThere });
            if (wish.op === "claim" && other !== voter) step.epoch = Number(epochThere) + (wish.epoch % 2);
            const words = Object.entries(step).map(([key, value]) => `${key}=${value}`);
            const answer = await apply.ask(`${before} | ${words.join(" ")}`);
            const [verdict, after] = [answer.slice(0, answer.indexOf(" ")), answer.slice(answer.indexOf(" ") + 1)];
            if (verdict !== "ok") expect(after).toBe(before);
            const epoch = (text: string) => Number(/epoch=(\d+)/.exec(text)?.[1]);
            expect(epoch(after)).toBeGreaterThanOrEqual(epoch(before));
            if (step.op === "grant" && verdict === "ok") {
              expect(step.server).not.toBe("-");
              const record = /epoch=\d+ server=\S+ by=\S+/.exec(after)?.[0] as string;
              majorities.set(record, (majorities.get(record) ?? new Set()).add(voter));
            }
            voters[voter] = after;
          }
          const epochs = [...majorities].filter(([, set]) => set.size >= 2).map(([record]) => record.split(" ")[0]);
          granted += epochs.length;
          expect(new Set(epochs).size).toBe(epochs.length);
        },
      ),
      { numRuns: 150, seed: 4 },
    );
    await apply.end();
    // the property is not empty
    expect(granted).toBeGreaterThan(10);
  });

  test("never let two servers start from what they say at one moment", async () => {
    const decide = new Batch("decide");
    const record = fc.option(
      fc.tuple(fc.nat(3), fc.constantFrom(...servers), fc.constantFrom("x", "y"), fc.constantFrom("", ":fresh")),
      { nil: undefined },
    );
    await fc.assert(
      fc.asyncProperty(fc.tuple(record, record, record), async (records) => {
        const answers = records.flatMap((said, index) =>
          said ? [`${["srv1", "srv2", "backup-1"][index]}:${said[0]}:${said[1]}:${said[2]}${said[3]}`] : [],
        );
        const asked = ["srv1", "srv2"].map((self) =>
          decide.ask(`self=${self} voters=srv1,srv2,backup-1 answers=${answers.join(",")}`),
        );
        const verdicts = await Promise.all(asked);
        expect(verdicts.filter((verdict) => /^(grant|adopt) /.test(verdict)).length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 200, seed: 4 },
    );
    await decide.end();
  });

  test.each([
    ["decide", "self=a voters=a,b,c stage=granted answers=a:3:a:x,c:3:a:x", "start epoch=3 by=x"],
    ["decide", "self=a voters=a,b,c stage=granted answers=b:3:a:x,c:3:a:x", "refuse reason=not-granted"],
    ["decide", "self=a voters=a,b,c answers=a:2:b:x,c:3:a:x,b:3:a:x", "adopt epoch=3 by=x"],
    ["decide", "self=a voters=a,b,c answers=a:4:-:x,c:3:a:x,b:3:a:x", "refuse reason=ahead"],
    ["decide", "self=a voters=a,b,c answers=a:3:b:x,b:3:b:x", "release from=b epoch=3"],
    ["decide", "self=a voters=a,b,c answers=a:3:b:x,b:3:b:x consent=0", "refuse reason=other"],
    ["decide", "self=a voters=a,b,c answers=a:3:b:x,b:3:b:x consent=0 permit=1", "pass reason=permit"],
    ["decide", "self=a voters=a,b,c answers=a:0:a:-:fresh,b:0:a:-:fresh", "refuse reason=fresh"],
    ["decide", "self=a voters=a,b,c answers=a:0:a:-:fresh,b:0:a:-,c:0:a:-:fresh", "grant epoch=0 by=-"],
    ["decide", "self=a voters=a,b answers=a:1:a:x", "refuse reason=silent"],
    ["decide", "self=a voters=a,b,c answers=a:1:a:x,b:1:a:x other=9112 permit=1", "refuse reason=other-id"],
    ["decide", "voters=a,b", "error self or voters are missing"],
    [
      "decide-renewal",
      "voters=a,b,c now=100 term=60 until=130 held=a:130,b:131,c:0 answers=a:ok:99:60,b:denied",
      "valid until=131 held=a:159,b:131,c:0",
    ],
    // a voter with a shorter term is worth no more than it holds
    [
      "decide-renewal",
      "voters=a,b,c now=100 term=60 until=0 answers=a:ok:99:60,b:ok:99:30",
      "valid until=129 held=a:159,b:129,c:0",
    ],
    [
      "decide-renewal",
      "voters=a,b,c now=131 term=60 until=130 held=a:190,b:131,c:0",
      "expired until=131 held=a:190,b:131,c:0",
    ],
    [
      "apply",
      "epoch=1 server=a by=x | op=grant kind=start server=a epoch=1 now=nan term=60",
      "error now 'nan' is no number",
    ],
  ])("%s: %s", async (mode, line, answer) => {
    const batch = new Batch(mode);
    expect(await batch.ask(line)).toBe(answer);
    await batch.end();
  });
});
