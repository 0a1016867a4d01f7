import { inspect } from "node:util";
import { PbsClient } from "../../../providers/pbs/client";
import { pbsOptionsFromConfig, pbsTargetsOfConfig } from "../../../providers/pbs/config";
import { PbsError } from "../../../providers/pbs/errors";
import { type Fake, type FakeAnswer, type FakeRequest, makeCertificate, startFake } from "../fake-server";

const SECRET = "5d3f1c9e-2f1b-4c1c-8c77-90b1fe2f7a10";
const TOKEN = `coldspare@pbs!pulumi:${SECRET}`;
const QUICK = { attempts: 3, baseSeconds: 0.01 };

describe("the client of a backup server", () => {
  let fake: Fake;
  let say: (request: FakeRequest, count: number) => FakeAnswer;
  beforeAll(async () => {
    fake = await startFake((request) => say(request, fake.requests.length));
  });
  afterAll(() => fake.close());
  beforeEach(() => {
    fake.requests.length = 0;
    say = () => ({});
  });
  const client = (more = {}) =>
    new PbsClient({
      server: "office",
      endpoint: fake.url,
      token: TOKEN,
      fingerprint: fake.fingerprint,
      pollSeconds: 0.01,
      retry: QUICK,
      ...more,
    });
  const failure = async (work: Promise<unknown>): Promise<PbsError> => {
    const error = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(PbsError);
    return error as PbsError;
  };

  test("the token goes as the backup server wants it, with a colon; lists are names repeated, flags are 0 and 1", async () => {
    say = () => ({ data: { value: 1 } });
    const pbs = client();
    expect(await pbs.put("/config/prune/daily", { "keep-last": 3, disable: false, delete: ["ns", "comment"] })).toEqual(
      {
        value: 1,
      },
    );
    await pbs.delete("/admin/datastore/main/namespace", { ns: "a/b c", none: undefined });
    const [put, gone] = fake.requests;
    expect(put).toMatchObject({
      authorization: `PBSAPIToken=${TOKEN}`,
      body: "keep-last=3&disable=0&delete=ns&delete=comment",
    });
    expect(gone).toMatchObject({ query: { ns: "a/b c" }, body: "" });
  });

  test.each([
    ["an equals sign before the secret, as Proxmox VE writes tokens", TOKEN.replace(`:${SECRET}`, `=${SECRET}`)],
    ["white space around it", `  ${TOKEN}\n`],
  ])("%s is understood", async (_, token) => {
    await client({ token }).get("/version");
    expect(fake.requests[0]!.authorization).toBe(`PBSAPIToken=${TOKEN}`);
  });

  test.each([
    [401, "authentication failed - invalid credentials", /generate-token coldspare@pbs pulumi.*coldspare:pbsToken/],
    [403, "permission check failed", /acl update \/ Admin --auth-id 'coldspare@pbs'.*'coldspare@pbs!pulumi'/],
    [400, "no such datastore 'mian'", /datastore list/],
    [400, "datastore 'main' is in read-only maintenance mode: moved", /--delete maintenance-mode/],
    [400, "datastore 'usb' is not mounted", /datastore mount/],
    [400, "write failed: No space left on device (os error 28)", /garbage-collection start/],
    [400, "datastore path '/srv/backup' not empty", /reuse: true/],
    [400, "backup owner check failed (a@pbs != b@pbs)", /its own namespace/],
    [400, "prune job 'daily' already exists.", /name is taken/],
    [404, "Path '/api2/json/config/new' not found.", /Proxmox Backup Server 4 is needed/],
    [400, "parameter verification failed - 'schedule': unable to parse", /correct the value/],
    [500, "something broke", /journalctl -u proxmox-backup-proxy/],
  ])("%d '%s' says what to do", async (status, body, fix) => {
    say = () => ({ status, reason: "Bad Request", body });
    const error = await failure(
      client().post("/config/prune", { id: "daily" }, { doing: "make the prune job 'daily'" }),
    );
    expect(error.message).toContain(
      `office: could not make the prune job 'daily' (POST /config/prune): ${body.replace(/\.$/, "")}`,
    );
    expect(error.fix).toMatch(fix);
  });

  test.each([
    ["no such prune 'x'", true],
    ["job 'x' does not exist.", true],
    ["token 'a@pbs!b' not found", true],
    ["Path '/api2/json/x' not found.", false],
    ["permission check failed", false],
  ])("'%s' is missing: %s", async (body, isMissing) => {
    say = () => ({ status: 400, body });
    expect((await failure(client().get("/config/prune/x"))).isMissing).toBe(isMissing);
  });

  test("a locked configuration is asked for again; a group in use is not, nor a failed write", async () => {
    say = (_, count) => (count < 3 ? { status: 400, body: 'unable to acquire lock "/etc/x.lck"' } : { data: 7 });
    expect(await client().post("/config/prune", {})).toBe(7);
    fake.requests.length = 0;
    say = () => ({ status: 400, body: "unable to acquire lock on snapshot directory - possibly running or in use" });
    expect((await failure(client().post("/config/prune", {}))).fix).toMatch(/another task/);
    expect(fake.requests).toHaveLength(1);
  });

  test("a read that was cut is repeated; a write that may have been taken is not, and the error says so", async () => {
    say = () => ({ cut: true });
    await failure(client().get("/version"));
    expect(fake.requests).toHaveLength(3);
    fake.requests.length = 0;
    expect((await failure(client().post("/config/prune", {}))).message).toMatch(/may have taken the call/);
    expect(fake.requests).toHaveLength(1);
  });

  test("an answer that never comes ends after timeoutSeconds; an abort ends at once", async () => {
    say = () => ({ hang: true });
    expect((await failure(client({ timeoutSeconds: 0.2 }).get("/version"))).message).toMatch(/no answer within 0.2 s/);
    const stop = new AbortController();
    const asked = client({ signal: stop.signal }).get("/version");
    setTimeout(() => stop.abort(), 50);
    expect((await failure(asked)).reason).toBe("cancelled");
  });

  test("another certificate than the pinned one, and one that nobody trusts, are refused with how to pin", async () => {
    const other = await makeCertificate();
    const impostor = await startFake(() => ({}), { certificate: other });
    const pinned = await failure(client({ endpoint: impostor.url }).get("/version"));
    expect(pinned.message).toMatch(/pinned is .*cert info.*coldspare:pbs\.office\.fingerprint/s);
    const { fingerprint: _, ...rest } = { fingerprint: "", server: "office", endpoint: impostor.url, token: TOKEN };
    const unknown = await failure(new PbsClient(rest).get("/version"));
    expect(unknown.message).toMatch(/is not trusted.*coldspare:pbs\.office\.caFile/s);
    expect(impostor.requests).toEqual([]);
    await new PbsClient({ ...rest, ca: impostor.pem }).get("/version");
    expect(impostor.requests).toHaveLength(1);
    await impostor.close();
  });

  test("a server that is off is named with its setting", async () => {
    const error = await failure(client({ endpoint: "https://127.0.0.1:1" }).get("/version"));
    expect(error.message).toMatch(/office.*does not answer.*coldspare:pbs\.office\.endpoint/s);
  });

  test("the secret is in no message and no inspection, even when a server echoes it", async () => {
    say = () => ({ status: 400, body: `token ${TOKEN} is unknown` });
    const pbs = client();
    const error = await failure(pbs.get("/version"));
    expect(`${error.stack}${inspect(error)}${inspect(pbs, { depth: 9, showHidden: true })}`).not.toContain(SECRET);
    expect(() => client({ token: `nobody:${SECRET}` })).toThrow(/user@realm!name:secret/);
    expect(() => client({ token: `nobody:${SECRET}` })).not.toThrow(SECRET);
  });

  describe("tasks", () => {
    const UPID = "UPID:pbs:00000A1F:0001E240:00000001:66A0F3C1:verify:main\\x3avm:root@pam:";
    const running = (until: number, exit: string, log: string[] = []) => {
      let looks = 0;
      say = ({ path, query }) => {
        if (path.endsWith("/status"))
          return { data: ++looks < until ? { status: "running" } : { status: "stopped", exitstatus: exit } };
        const start = Number(query.start ?? 0);
        if (path.endsWith("/log")) return { data: log.slice(start).map((t, n) => ({ n: start + n + 1, t })) };
        return { data: UPID };
      };
    };

    test.each(["OK", "WARNINGS: 2"])("one that ends with '%s' is done", async (exit) => {
      running(3, exit);
      await client().task("POST", "/admin/datastore/main/gc", {}, {});
      expect(fake.requests.at(-1)!.path).toBe(`/nodes/localhost/tasks/${encodeURIComponent(UPID)}/status`);
    });

    test("one that fails shows its words and the end of its log", async () => {
      running(2, "verification failed - please check the log for details", [
        ...Array.from({ length: 20 }, (_, n) => `line ${n}`),
        `chunk was corrupt for ${SECRET}`,
      ]);
      const asked = { doing: "verify the datastore 'main'" };
      const error = await failure(client().task("POST", "/admin/datastore/main/verify", {}, asked));
      expect(error.message).toMatch(
        /could not verify the datastore 'main'.*verification failed.*line 19.*corrupt for \*\*\*/s,
      );
      expect(error.message).not.toContain("line 5\n");
    });

    test("progress is the newest line; a limit ends the wait", async () => {
      running(8, "OK", ["first", "newest"]);
      const lines: string[] = [];
      await client().task("POST", "/x", {}, {}, { onProgress: (line) => lines.push(line), progressSeconds: 0 });
      expect(new Set(lines)).toEqual(new Set(["newest"]));
      running(1e9, "OK", ["verified 1 of 9"]);
      const error = await failure(client().task("POST", "/x", {}, {}, { timeoutSeconds: 0.05 }));
      expect(error.message).toMatch(/still runs after 0.05 s \(verify\).*verified 1 of 9/s);
    });
  });
});

describe("the settings of the stack", () => {
  const read = (config: Record<string, string>) => (key: string) => config[key];
  const pbs = JSON.stringify({
    office: { endpoint: "https://192.168.10.13:8007", fingerprint: "AB:CD" },
    attic: { endpoint: "https://attic.example:8007", tokenSecret: "attic-token" },
  });

  test("each target has its endpoint; the token is a secret of its own", () => {
    const config = { "coldspare:pbs": pbs, "coldspare:pbsToken": TOKEN, "coldspare:attic-token": "other" };
    expect(pbsOptionsFromConfig(read(config), "office")).toEqual({
      server: "office",
      endpoint: "https://192.168.10.13:8007",
      fingerprint: "AB:CD",
      token: TOKEN,
    });
    expect(pbsOptionsFromConfig(read(config), "attic")).toMatchObject({ token: "other" });
    expect(pbsTargetsOfConfig(read(config))).toEqual(["attic", "office"]);
    expect(pbsTargetsOfConfig(read({}))).toEqual([]);
  });

  test.each([
    ["an unknown target", { "coldspare:pbs": pbs }, "cellar", /knows office, attic.*coldspare:pbs\.cellar\.endpoint/s],
    ["no settings at all", {}, "office", /coldspare:pbs\.office\.endpoint.*fingerprint/s],
    ["a token without a value", { "coldspare:pbs": pbs }, "attic", /--secret coldspare:attic-token/],
    ["a key that is none", { "coldspare:pbs": '{"office":{"url":"x"}}' }, "office", /coldspare:pbs\.office/],
    ["no JSON", { "coldspare:pbs": "office" }, "office", /coldspare:pbs/],
    [
      "a CA that cannot be read",
      { "coldspare:pbs": '{"office":{"endpoint":"https://x","caFile":"/no/such.pem"}}', "coldspare:pbsToken": TOKEN },
      "office",
      /coldspare:pbs\.office\.caFile, '\/no\/such\.pem', cannot be read/,
    ],
  ])("%s is an error with its fix", (_, config, target, expected) => {
    expect(() => pbsOptionsFromConfig(read(config), target)).toThrow(expected);
  });
});
