/** `coldspare init`: every answer with its reason, the whole dialogue, and what it writes passes its own check. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import fc from "fast-check";
import { parse } from "yaml";
import { askingAt } from "../../cli/ask";
import {
  AnswerError,
  readGuest,
  readName,
  readServer,
  readState,
  readThird,
  type ServerAnswer,
} from "../../cli/init/answers";
import { checkAnswers, planText } from "../../cli/init/check-answers";
import { siteText } from "../../cli/init/site-text";
import { run } from "../../cli/program";
import { type Compiled, compileProgram, runProgram } from "./compiled";

const srv1: ServerAnswer = { name: "srv1", cores: 8, memoryGiB: 32, poolGiB: 1000, address: "192.168.10.11" };
const srv2: ServerAnswer = { ...srv1, name: "srv2", address: "192.168.10.12" };
const srv3: ServerAnswer = { ...srv1, name: "srv3", address: "192.168.10.13" };

const reason = (read: () => unknown): string => {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(AnswerError);
    return (error as Error).message;
  }
  throw new Error("it was taken");
};

describe("each answer", () => {
  test("a name", () => {
    expect(readName(" lyon-1 ")).toBe("lyon-1");
    expect(reason(() => readName("Lyon Office"))).toMatch(/^'Lyon Office' must be a host name: lower-case/);
    expect(reason(() => readName(""))).toMatch(/must be a host name/);
  });

  test.each([
    ["srv1 8 32 1000 192.168.10.11", srv1],
    ["srv1 8/32/1000 192.168.10.11", srv1],
    ["192.168.10.11, srv1, 8, 32GiB, 1000G", srv1],
    ["srv1 8 32 1000", srv1],
    ["PVE-1 8 32.5 2T 10.0.0.1", { name: "PVE-1", cores: 8, memoryGiB: 32.5, poolGiB: 2048, address: "10.0.0.1" }],
  ])("a server: %s", (text, expected) => {
    expect(readServer(text, [])).toEqual(expected);
  });

  test("a server without an address gets the one after the last", () => {
    expect(readServer("b 8 32 1000", [{ ...srv1, address: "10.1.2.254" }]).address).toBe("10.1.2.1");
    expect(readServer("srv3 8 32 1000", [srv1, srv2]).address).toBe("192.168.10.13");
  });

  test.each([
    ["srv2 8 32", /^a server is written as: name cores memory-GiB pool-GiB \[address\], for example srv1 8 32 1000/],
    ["srv2 8 32 1000 extra", /^a server is written as/],
    ["srv_2 8 32 1000", /^'srv_2' must be a host name/],
    ["SRV1 8 32 1000", /^there is a SRV1 already/],
    ["srv2 eight 32 1000", /^cores: 'eight' is no whole number above 0/],
    ["srv2 0 32 1000", /^cores: '0' is no whole number/],
    ["srv2 2.5 32 1000", /^cores: '2.5' is no whole number/],
    ["srv2 8 lots 1000", /^memory: 'lots' is no size in GiB above 0/],
    ["srv2 8 32 0", /^pool: '0' is no size/],
    ["srv2 8 32 1000 192.168.10.300", /^'192.168.10.300' is no IPv4 address/],
    ["srv2 8 32 1000 192.168.10.11", /^192.168.10.11 is the address of srv1 already/],
    ["srv2 8 32 1000 10.0.0.1 10.0.0.2", /^10.0.0.1 and 10.0.0.2 are two addresses/],
  ])("no server: %s", (text, message) => {
    expect(reason(() => readServer(text, [srv1]))).toMatch(message);
  });

  test.each([
    [
      "backup-1 2 4 2000",
      [srv1, srv2],
      { name: "backup-1", cores: 2, memoryGiB: 4, diskGiB: 2000, address: srv3.address },
    ],
    ["witness-1", [srv1, srv2], { name: "witness-1", cores: 1, memoryGiB: 1, address: srv3.address }],
    ["pi 4 8 10.0.0.9", [srv1, srv2], { name: "pi", cores: 4, memoryGiB: 8, address: "10.0.0.9" }],
    ["none", [srv1, srv2, srv3], undefined],
    ["-", [srv1], undefined],
  ])("a third machine: %s", (text, servers, expected) => {
    expect(readThird(text, servers)).toEqual(expected);
  });

  test.each([
    ["none", [srv1, srv2], /^two servers need a third vote: when srv1 is lost, srv2 has 1 of 2 votes.*witness-1$/],
    ["", [srv1, srv2], /^the machine is written as/],
    ["pi 4", [srv1, srv2], /^the machine is written as: name \[cores memory-GiB \[disk-GiB\]\] \[address\]/],
    ["srv2", [srv1, srv2], /^there is a srv2 already/],
    ["pi 192.168.10.12", [srv1, srv2], /is the address of srv2 already/],
    ["pi", [srv1, srv2, srv3], /^3 servers have votes enough without it: give it a disk for backups \(pi 2 4 2000\)/],
    ["pi", [srv1], /^one server needs no third vote/],
  ])("no third machine: %s", (text, servers, message) => {
    expect(reason(() => readThird(text, servers))).toMatch(message);
  });

  test.each([
    ["mail 2 4 50", { name: "mail", cores: 2, memoryGiB: 4, diskGiB: 50, os: "linux" }],
    ["mail", { name: "mail", cores: 2, memoryGiB: 4, diskGiB: 40, os: "linux" }],
    [
      "erp 4 8 1T windows 192.168.10.40",
      { name: "erp", cores: 4, memoryGiB: 8, diskGiB: 1024, os: "windows", address: "192.168.10.40" },
    ],
  ])("a guest: %s", (text, expected) => {
    expect(readGuest(text, [srv1])).toEqual(expected);
  });

  test.each([
    ["mail 2 4 50 more", /^a guest is written as/],
    ["windows", /^a guest is written as/],
    ["a windows linux", /^a guest is written as/],
    ["Mail", /^'Mail' must be a host name: lower-case/],
    ["srv1", /^there is a srv1 already/],
    ["mail 2 4 50.5", /^disk: '50.5' is no whole number/],
    ["mail 2 4 50 192.168.10.11", /is the address of srv1 already/],
  ])("no guest: %s", (text, message) => {
    expect(reason(() => readGuest(text, [srv1]))).toMatch(message);
  });

  test.each([
    ["local", { kind: "local" }],
    ["local:/srv/state", { kind: "local", folder: "/srv/state" }],
    ["file:///srv/state", { kind: "local", folder: "/srv/state" }],
    ["file://~/state", { kind: "local", folder: "~/state" }],
    ["cloud", { kind: "cloud" }],
    ["cloud:acme", { kind: "cloud", organisation: "acme" }],
    ["s3://office-state", { kind: "s3", bucket: "office-state" }],
    [
      "s3://office?endpoint=s3.example.org&region=eu-west-3",
      { kind: "s3", bucket: "office", endpoint: "https://s3.example.org", region: "eu-west-3" },
    ],
  ])("a place for the state: %s", (text, expected) => {
    expect(readState(text)).toEqual(expected);
  });

  test.each([
    ["", /^'' is no place for the state: write local\[:folder\], s3:\/\//],
    ["ftp://x", /is no place for the state/],
    ["local:/my state", /cannot be a folder of state/],
    ["cloud:a b", /is no organisation/],
    ["s3://X", /^'X' is no bucket/],
    ["s3:office", /^'' is no bucket/],
    ["s3://office/prefix", /is no bucket: write s3:\/\/bucket\?endpoint/],
    ["s3://office?profile=me", /^'profile' is not asked for here/],
    ["s3://office?endpoint=ftp://x", /^'ftp:\/\/x' is no endpoint/],
    ["s3://office?endpoint=https://me:hunter2@s3.example.org", /^keys of the bucket come from the environment/],
  ])("no place for the state: %s", (text, message) => {
    expect(reason(() => readState(text))).toMatch(message);
  });
});

describe("any words at all", () => {
  const words = fc.array(
    fc.oneof(
      fc.constantFrom(
        "srv1",
        "none",
        "8",
        "32",
        "2T",
        "1e9",
        "-1",
        "windows",
        "10.0.0.1",
        "999.1.1.1",
        "cloud:",
        "s3://",
        "local:",
      ),
      fc.string(),
    ),
    { maxLength: 7 },
  );
  const readers: [string, (text: string) => unknown][] = [
    ["name", readName],
    ["server", (text) => readServer(text, [srv1])],
    ["third machine", (text) => readThird(text, [srv1, srv2])],
    ["guest", (text) => readGuest(text, [srv1])],
    ["state", readState],
  ];
  test.each(readers)("are a %s, or are refused with a reason of one line", (_what, read) => {
    fc.assert(
      fc.property(words, (all) => {
        try {
          expect(read(all.join(" "))).toBeDefined();
        } catch (error) {
          if (!(error instanceof AnswerError)) throw error;
          expect(error.message.length).toBeGreaterThan(10);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("that were taken are a site whose plan can be computed, or are refused by it", () => {
    const lines = fc.tuple(
      fc.integer({ min: 1, max: 200 }),
      fc.integer({ min: 1, max: 2000 }),
      fc.integer({ min: 1, max: 9000 }),
    );
    fc.assert(
      fc.property(lines, lines, ([cores, memory, pool], [guestCores, guestMemory, disk]) => {
        const servers = ["a", "b"].map((name, index) => ({
          ...srv1,
          name,
          cores,
          memoryGiB: memory,
          poolGiB: pool,
          address: `10.0.0.${index + 1}`,
        }));
        const third = { name: "c", cores: 1, memoryGiB: 1, address: "10.0.0.3" };
        const guests = [{ name: "g", cores: guestCores, memoryGiB: guestMemory, diskGiB: disk, os: "linux" as const }];
        try {
          checkAnswers({ name: "x", servers, third, guests, state: { kind: "cloud" } });
        } catch (error) {
          if (!(error instanceof AnswerError)) throw error;
          // 4 GiB are the hypervisor's own, and each guest has 0.15 GiB of overhead.
          const isTooMuch =
            guestMemory + 0.15 + 4 > memory ||
            guestCores + 1 > cores ||
            disk > pool * 0.85 ||
            memory <= 4 ||
            cores <= 1;
          expect({ isTooMuch, reason: error.message }).toEqual({ isTooMuch: true, reason: error.message });
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe("the site file", () => {
  const name = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,12}[a-z0-9])?$/);
  const reserved = ["on", "true", "null", "007", "1e3", "no"];
  const names = fc.uniqueArray(fc.oneof(name, fc.constantFrom(...reserved)), { minLength: 8, maxLength: 8 });

  test("of any names passes its own check, and says what was answered", () => {
    fc.assert(
      fc.property(
        names,
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 0, max: 3 }),
        fc.boolean(),
        (all, count, guests, disk) => {
          const servers = all
            .slice(0, count)
            .map((server, index) => ({ ...srv1, name: server, address: `192.168.10.${11 + index}` }));
          const third = { name: all[4]!, cores: 2, memoryGiB: 4, address: "192.168.10.20" };
          const text = siteText(
            {
              name: all[5]!,
              servers,
              ...((count === 2 || disk) && { third: { ...third, ...((disk || count !== 2) && { diskGiB: 900 }) } }),
              guests: all
                .slice(5, 5 + guests)
                .map((guest) => ({ name: guest, cores: 1, memoryGiB: 2, diskGiB: 10, os: "linux" })),
              state: { kind: "cloud" },
            },
            { timeZone: "Europe/Paris" },
          );
          const plan = planText(text);
          expect(plan.findings.filter(({ severity }) => severity === "error")).toEqual([]);
          expect(Object.values(plan.guests).every(({ primary, spare }) => primary !== spare)).toBe(true);
          expect(Object.values(plan.guests).every(({ spare }) => (spare !== undefined) === count > 1)).toBe(true);
          expect(plan.spec.site).toMatchObject({ name: all[5], timeZone: "Europe/Paris" });
        },
      ),
      { numRuns: 30 },
    );
  });

  test("a server outside of the first one's network is not said to be in it", () => {
    const { servers } = parse(
      siteText(
        { name: "a", servers: [srv1, { ...srv2, address: "10.9.9.9" }], guests: [], state: { kind: "local" } },
        { timeZone: "UTC" },
      ),
    );
    expect([servers.srv1.network, servers.srv2.network]).toEqual(["lan", undefined]);
  });
});

describe("at a terminal", () => {
  let home: string;
  const before = process.cwd();
  beforeEach(() => {
    home = realpathSync(mkdtempSync(join(tmpdir(), "coldspare-init-")));
    process.chdir(home);
  });
  afterEach(() => {
    process.chdir(before);
    rmSync(home, { recursive: true, force: true });
  });

  /** Types lines at a terminal that is a pair of streams: each when a question has been put. */
  async function typed(args: string[], lines: string[]) {
    const input = new PassThrough();
    const screen = new PassThrough();
    let shown = "";
    const rest = [...lines];
    screen.on("data", (chunk: Buffer) => {
      shown += chunk.toString();
      if (!/\]: $/.test(shown) && !/\]: \S* $/.test(shown)) return;
      const next = rest.shift();
      if (next === undefined) input.end();
      else input.write(`${next}\n`);
    });
    let out = "";
    const code = await run(["init", ...args], {
      stdout: { write: (text: string) => (out += text) },
      stderr: { write: (text: string) => screen.write(text) },
      env: {},
      ask: askingAt(input, screen),
    });
    return { code, out, shown, left: rest };
  }

  const enter = "";

  test("five times Enter is a site that passes its own check", async () => {
    const { code, out, shown } = await typed([], [enter, enter, enter, enter, enter, enter, enter, enter]);
    expect(code).toBe(0);
    expect(shown.match(/^[1-5]\. .*$/gm)).toHaveLength(5);
    expect(out).toContain("office survives the loss of any one server");
    expect(out).toMatch(/^app-1 +srv1 +srv2 +15 min 1 s +6 min 15 s$/m);
    expect(out).toMatch(/Go on with:\n\n {2}cd office\n {2}npm install\n {2}npx coldspare check\n/);
    const site = parse(readFileSync("office/site.yaml", "utf8"));
    expect(Object.keys(site.servers)).toEqual(["srv1", "srv2", "backup-1"]);
    expect(site.servers["backup-1"].roles).toEqual(["backup-server", "witness"]);
    expect(site.state).toEqual({ backend: "file://./state" });
    expect((await coldspareCheck("office")).code).toBe(0);
  });

  test("every answer that cannot be used is asked again, with the reason", async () => {
    mkdirSync("taken");
    writeFileSync("taken/mine.txt", "mine");
    const { code, shown, left } = await typed(
      [],
      [
        "Lyon",
        "taken",
        "lyon",
        "none", // one server at least
        "srv1 8 2 500", // less memory than the hypervisor itself takes
        "srv1 8 16 500 10.0.0.1",
        "srv1 8 16 500",
        "srv2 8 16 500",
        "none", // no more servers
        "none", // two need a third vote
        "witness-1",
        "big 2 20 50", // does not fit after a loss
        "big 2 10 50",
        "none",
        "s3://state?endpoint=https://srv1:9000", // on the site
        "somewhere",
        "s3://lyon-state",
      ],
    );
    expect({ code, left }).toEqual({ code: 0, left: [] });
    for (const message of [
      /'Lyon' must be a host name/,
      /the folder taken is not empty: it has mine\.txt/,
      /a server is written as/,
      /srv1 has 2 GiB/,
      /there is a srv1 already/,
      /two servers need a third vote/,
      /8\.15 GiB are missing|GiB are missing/,
      /that is srv1, a part of the site: what takes the site takes its state\. Name another place, or the same again/,
      /'somewhere' is no place for the state/,
    ])
      expect(shown).toMatch(message);
    const site = parse(readFileSync("lyon/site.yaml", "utf8"));
    expect(site.guests.big.memoryGiB).toBe(10);
    expect(site.state).toEqual({ backend: "s3://lyon-state" });
    expect(readdirSync("taken")).toEqual(["mine.txt"]);
  });

  test("a state on the site is kept when it is said twice, and stays a warning", async () => {
    const place = "s3://state?endpoint=https://srv1:9000";
    const { code, out } = await typed(["--yes", "--json", "--state", place], []);
    expect(code).toBe(0);
    expect(JSON.parse(out).findings.map(({ code: each }: { code: string }) => each)).toContain("STATE-ON-SITE");
    rmSync("office", { recursive: true });
    const answers = ["", "", "", "", "", "", "", place, place];
    expect((await typed([], answers)).code).toBe(0);
    expect(parse(readFileSync("office/site.yaml", "utf8")).state.backend).toContain("srv1");
  });

  test("what is given as an option is not asked", async () => {
    const options = ["--name", "lyon", "--servers", "a 8 32 500; b 8 32 500", "--third-vote", "c", "--guests", "none"];
    const { code, shown } = await typed(["here", ...options], ["cloud:acme"]);
    expect(code).toBe(0);
    expect(shown.match(/^\d\. /gm)).toEqual(["5. "]);
    expect(readFileSync("here/README.md", "utf8")).toContain("pulumi stack init acme/prod");
  });

  test("three servers need no third vote, one server has no spare", async () => {
    const three = "a 8 32 500; b 8 32 500; c 8 32 500";
    expect((await typed(["--yes", "--servers", three], [])).out).toContain(
      "office survives the loss of any one server",
    );
    const { code, out } = await typed(["alone", "--yes", "--servers", "a 8 32 500"], []);
    expect(code).toBe(0);
    expect(out).toContain("alone does not survive the loss of a: app-1 cannot run");
    expect(parse(readFileSync("alone/site.yaml", "utf8")).site.cluster).toBeUndefined();
  });

  test("pasted lines answer the questions after the first", async () => {
    const input = new PassThrough();
    const screen = new PassThrough();
    screen.resume();
    const ask = askingAt(input, screen);
    input.write("one\ntwo\nthree\n");
    expect([await ask("a "), await ask("b "), await ask("c ")]).toEqual(["one", "two", "three"]);
  });

  test("the end of the input is an end with a word, and writes nothing", async () => {
    const { code, shown } = await typed([], ["lyon", "srv1 8 32 500"]);
    expect(code).toBe(2);
    expect(shown).toContain("error: the input ended before the question was answered; nothing was changed");
    expect(readdirSync(home)).toEqual([]);
  });
});

async function coldspareCheck(folder: string) {
  let out = "";
  const write = (text: string) => (out += text);
  const code = await run(["check", `./${folder}`], { stdout: { write }, stderr: { write }, env: {} });
  return { code, out };
}

describe("in a script", () => {
  let home: string;
  let compiled: Compiled;
  beforeAll(() => {
    compiled = compileProgram();
  });
  afterAll(() => compiled.remove());
  beforeEach(() => {
    home = realpathSync(mkdtempSync(join(tmpdir(), "coldspare-init-")));
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  const process_ = (...args: string[]) => runProgram(compiled, ["init", ...args], { cwd: home });

  test("without a terminal and without options says what is missing", () => {
    const { status, stdout, stderr } = process_();
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toBe(
      "error: there is no terminal to ask at, and --name, --servers, --third-vote, --guests, --state are not given: add --yes to take the defaults\n",
    );
    const all = ["--name", "a", "--servers", "a 8 32 500", "--third-vote", "none", "--guests", "none"];
    expect(process_(...all).stderr).toContain("and --state is not given");
    expect(readdirSync(home)).toEqual([]);
    expect(process_(...all, "--state", "local").status).toBe(0);
  });

  test("--yes writes a site that passes its check, --json says what was written", () => {
    const { status, stdout, stderr } = process_("Lyon Office", "--yes", "--json");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({
      formatVersion: 1,
      folder: join(home, "Lyon Office"),
      site: "lyon-office",
      ok: true,
      state: "file://./state",
      next: ["cd 'Lyon Office'", "npm install", "npx coldspare check"],
    });
    for (const file of report.files) expect(existsSync(join(home, "Lyon Office", file))).toBe(true);
    expect(runProgram(compiled, ["check", "./Lyon Office"], { cwd: home }).status).toBe(0);
  });

  test("is quick and loads no Pulumi", () => {
    const spy = join(home, "spy.cjs");
    writeFileSync(
      spy,
      `process.on("exit", () => process.stderr.write(JSON.stringify(Object.keys(require.cache).filter((path) => /pulumi/.test(path)))));`,
    );
    const { stderr } = runProgram(compiled, ["init", "a", "--yes"], { cwd: home, node: ["--require", spy] });
    expect(JSON.parse(stderr)).toEqual([]);
  });

  test.each([
    [["--name", "A b"], /^error: --name: 'A b' must be a host name/],
    [["--servers", ";"], /^error: --servers: name at least one/],
    [["--servers", "a 8"], /^error: --servers: a server is written as/],
    [["--third-vote", "none"], /^error: --third-vote: two servers need a third vote.*witness-1\n$/],
    [
      ["--servers", "backup-1 8 32 500; b 8 32 500"],
      /^error: the default of --third-vote: there is a backup-1 already/,
    ],
    [["--guests", "big 2 64 10"], /^error: --guests: .*GiB are missing/],
    [["--state", "nowhere"], /^error: --state: 'nowhere' is no place/],
    [["--stat", "local"], /unknown option '--stat'/],
  ])("%j is refused, and nothing is written", (args, message) => {
    const { status, stdout, stderr } = process_("site", "--yes", ...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(message);
    expect(readdirSync(home)).toEqual([]);
  });

  test("a folder that is not empty is refused before anything is asked", () => {
    mkdirSync(join(home, "site"));
    writeFileSync(join(home, "site/mine.txt"), "mine");
    const { status, stderr } = process_("site");
    expect(status).toBe(2);
    expect(stderr).toContain("the folder site is not empty: it has mine.txt");
    expect(process_(".", "--yes").stderr).toContain("the folder . is not empty: it has site");
  });

  test("this folder, when it is empty, is taken as it is", () => {
    expect(process_(".", "--yes").status).toBe(0);
    expect(readdirSync(home)).toContain("site.yaml");
  });
});
