import { inspect } from "node:util";
import { encodeForm } from "../../providers/http/form";
import { backoffSeconds } from "../../providers/http/retry";
import { PveClient, type PveClientOptions, PveError } from "../../providers/pve";
import { type Fake, type FakeAnswer, type FakeRequest, makeCertificate, startFake } from "./fake-server";

const SECRET = "b1946ac9-2492-4d23-8bd2-6c0c4f1a2e77";
const TOKEN = `coldspare@pve!pulumi=${SECRET}`;
const UPID = "UPID:srv2:00000176:0009DD35:6B02D3FA:qmstart:110:coldspare@pve!pulumi:";
const START = { doing: "start guest 110 'sql-erp'", guest: "sql-erp" };

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

async function fake(answer: (request: FakeRequest, count: number) => FakeAnswer, options = {}): Promise<Fake> {
  const server = await startFake(answer, options);
  open.push(server);
  return server;
}

function client(servers: Record<string, Fake>, options: Partial<PveClientOptions> = {}): PveClient {
  const all = Object.entries(servers);
  const made = new PveClient({
    endpoints: Object.fromEntries(all.map(([name, server]) => [name, server.url])),
    apiToken: TOKEN,
    ca: all.map(([, server]) => server.pem).join("\n"),
    retry: { baseSeconds: 0.01 },
    pollSeconds: 0.02,
    connectSeconds: 1,
    ...options,
  });
  open.push(made);
  return made;
}

async function failure(work: Promise<unknown>): Promise<PveError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(PveError);
  return error as PveError;
}

/** An address where nothing listens: a server that was there and is closed. */
async function nobody(): Promise<Fake> {
  const server = await startFake(() => ({}));
  await server.close();
  return server;
}

describe("calls", () => {
  test("send the token, forms as PVE takes them, and queries", async () => {
    const srv1 = await fake(() => ({ data: 42 }));
    const pve = client({ srv1 });
    expect(await pve.get("/cluster/resources", { type: "vm" })).toBe(42);
    await pve.put("/nodes/srv1/qemu/110/config", { onboot: false, tags: "a;b", notes: undefined });
    await pve.delete("/nodes/srv1/qemu/110", { purge: true });
    expect(srv1.requests.map(({ method, path, query, form }) => ({ method, path, query, form }))).toEqual([
      { method: "GET", path: "/cluster/resources", query: { type: "vm" }, form: {} },
      { method: "PUT", path: "/nodes/srv1/qemu/110/config", query: {}, form: { onboot: "0", tags: "a;b" } },
      { method: "DELETE", path: "/nodes/srv1/qemu/110", query: { purge: "1" }, form: {} },
    ]);
    expect(srv1.requests[0]!.authorization).toBe(`PVEAPIToken=${TOKEN}`);
    expect(encodeForm({ tags: "a;b", on: true })).toBe("tags=a%3Bb&on=1");
  });

  test("go to the named server's own endpoint, else to one that lives; a dead one is tried once", async () => {
    const dead = await nobody();
    const srv1 = await fake(() => ({ data: "srv1" }));
    const srv2 = await fake(() => ({ data: "srv2" }));
    const pve = client({ dead, srv1, srv2 });
    expect(await pve.get("/nodes/srv2/status")).toBe("srv2");
    expect(await pve.get("/nodes/dead/status")).toBe("srv1");
    expect(await pve.get("/cluster/status")).toBe("srv1");
  });

  test("a stopped endpoint is used again when all others stop too and it is back", async () => {
    const certificate = await makeCertificate();
    const first = await startFake(() => ({ data: 1 }), { certificate });
    const srv2 = await startFake(() => ({ data: 2 }));
    const pve = client({ srv1: first, srv2 });
    await first.close();
    expect(await pve.get("/version")).toBe(2);
    await srv2.close();
    await fake(() => ({ data: 3 }), { certificate, port: first.port });
    expect(await pve.get("/version")).toBe(3);
  });
});

describe("trust", () => {
  test("an untrusted certificate: names the server, shows the fingerprint, says how to trust it, and no token is sent", async () => {
    const srv1 = await fake(() => ({ data: 1 }));
    const error = await failure(new PveClient({ endpoints: { srv1: srv1.url }, apiToken: TOKEN }).get("/version"));
    expect(error.message).toContain(`the certificate of ${srv1.url} is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT)`);
    expect(error.message).toContain(srv1.fingerprint);
    expect(error.message).toContain("pulumi config set coldspare:caFile");
    expect(error.message).toContain(`pulumi config set --path 'coldspare:fingerprints.srv1' ${srv1.fingerprint}`);
    expect(error.server).toBe("srv1");
    expect(srv1.requests).toEqual([]);
  });

  test("a pinned fingerprint is enough, whatever names the certificate has, in any spelling", async () => {
    const certificate = await makeCertificate("srv1.example.org");
    const srv1 = await fake(() => ({ data: 1 }), { certificate });
    const pinned = (fingerprint: string) =>
      new PveClient({ endpoints: { srv1: srv1.url }, apiToken: TOKEN, fingerprints: { srv1: fingerprint } });
    expect(await pinned(srv1.fingerprint).get("/version")).toBe(1);
    expect(await pinned(`sha256:${srv1.fingerprint.replaceAll(":", "").toLowerCase()}`).get("/version")).toBe(1);
  });

  test("another certificate than the pinned one is refused before anything is sent, even when a CA would vouch for it", async () => {
    const srv1 = await fake(() => ({ data: 1 }));
    const other = (await makeCertificate()).cert;
    const pin = `AB:${srv1.fingerprint.slice(3)}`;
    const error = await failure(client({ srv1 }, { ca: srv1.pem + other, fingerprint: pin }).get("/version"));
    expect(error.message).toContain(`fingerprint ${srv1.fingerprint}, pinned is ${pin}`);
    expect(error.message).toContain("do not go on");
    expect(srv1.requests).toEqual([]);
  });

  test("a certificate for another name shows its names", async () => {
    const srv1 = await fake(() => ({ data: 1 }), { certificate: await makeCertificate("srv1.example.org") });
    const error = await failure(client({ srv1 }).get("/version"));
    expect(error.message).toContain("made out for other names (DNS:srv1.example.org)");
    expect(error.message).toContain("use one of those names in coldspare:endpoints");
  });
});

describe("errors name server, guest, call, PVE's words and the way out", () => {
  const cases: [string, FakeAnswer, RegExp[]][] = [
    [
      "wrong token",
      { status: 401, reason: "Authentication failed!", body: "" },
      [
        /Authentication failed!/,
        /does not know the API token coldspare@pve!pulumi/,
        /pveum user token add coldspare@pve pulumi/,
        /pulumi config set --secret coldspare:apiToken/,
      ],
    ],
    [
      "missing privilege",
      { status: 403, reason: "Permission check failed (/vms/110, VM.PowerMgmt)", body: "" },
      [
        /lacks VM\.PowerMgmt on \/vms\/110/,
        /pveum acl modify \/vms\/110 --tokens 'coldspare@pve!pulumi'/,
        /--privs VM\.PowerMgmt/,
      ],
    ],
    [
      "a server that is down",
      { status: 595, reason: "Network is unreachable", body: "" },
      [/the server does not answer \(595 Network is unreachable, says srv1\)/, /srv2 is off, cut off/, /--exclude/],
    ],
    [
      "quorum lost",
      { status: 500, reason: "cluster not ready - no quorum?" },
      [
        /cluster not ready - no quorum/,
        /Only when it is certain that the missing server is off: run `pvecm expected 1`/,
      ],
    ],
    [
      "no quorum, in the words of the file system",
      {
        status: 500,
        reason: "unable to open file '/etc/pve/nodes/pve1/qemu-server/401.conf.tmp.102' - Permission denied",
      },
      [/the cluster has lost its quorum/],
    ],
    [
      "a wrong value",
      {
        status: 400,
        reason: "Parameter verification failed.",
        body: '{"data":null,"message":"Parameter verification failed.\\n","errors":{"vmid":"property is missing and it is not optional"}}',
      },
      [
        /Parameter verification failed \(vmid: property is missing and it is not optional\)/,
        /correct the value that is named/,
      ],
    ],
    [
      "protection",
      { status: 500, reason: "can't remove VM 110 - protection mode enabled" },
      [/take the guest's protection off on purpose/],
    ],
    [
      "a missing storage",
      { status: 500, reason: "storage 'nope' does not exist" },
      [/add the storage nope or make it available on srv2/],
    ],
  ];
  test.each(cases)("%s", async (_name, answer, expected) => {
    const srv1 = await fake(() => ({ body: JSON.stringify({ data: null, message: `${answer.reason}\n` }), ...answer }));
    const pve = client({ srv1 });
    const error = await failure(pve.post("/nodes/srv2/qemu/110/status/start", {}, START));
    expect(error.message).toMatch(
      /^srv2: could not start guest 110 'sql-erp' \(POST \/nodes\/srv2\/qemu\/110\/status\/start\): /,
    );
    expect(error.message).toMatch(/\. Fix: \S/);
    expect(error.guest).toBe("sql-erp");
    expect(srv1.requests).toHaveLength(1);
    for (const pattern of expected) expect(error.message).toMatch(pattern);
  });

  test("no endpoint answers: which server, and what to look at", async () => {
    const srv2 = await nobody();
    const error = await failure(client({ srv2 }).post("/nodes/srv2/qemu/110/status/start", {}, START));
    expect(error.message).toContain("ECONNREFUSED");
    expect(error.message).toMatch(/srv2 is off, cut off, or its API does not listen/);
    expect(error.isServerDown).toBe(true);
  });

  test("a failed task: PVE's last word, the end of its log, and advice for it", async () => {
    const log = [
      "starting",
      ...Array.from({ length: 20 }, (_, n) => `line ${n}`),
      "TASK ERROR: bridge 'vmbr0' does not exist",
    ];
    const srv2 = await fake(({ path, method }) => {
      if (method === "POST") return { data: UPID };
      if (path.endsWith("/log")) return { data: log.map((t, n) => ({ n: n + 1, t })) };
      return { data: { status: "stopped", exitstatus: "bridge 'vmbr0' does not exist" } };
    });
    const error = await failure(client({ srv2 }).task("srv2", "POST", "/nodes/srv2/qemu/110/status/start", {}, START));
    expect(error.message).toMatch(
      /^srv2: could not start guest 110 'sql-erp' \(POST \/nodes\/srv2\/qemu\/110\/status\/start\): bridge 'vmbr0' does not exist\. Fix: create the bridge vmbr0 on srv2/,
    );
    expect(error.log).toHaveLength(8);
    expect(error.message).toContain("    TASK ERROR: bridge 'vmbr0' does not exist");
    expect(error.message).not.toContain("line 1\n");
  });

  test("a full storage, as a task reports it", async () => {
    const srv2 = await fake(({ path, method }) => {
      if (method === "POST") return { data: UPID };
      if (path.endsWith("/log")) return { data: [] };
      return {
        data: { status: "stopped", exitstatus: "zfs error: cannot create 'tank/vm-9110-disk-0': out of space" },
      };
    });
    const error = await failure(client({ srv2 }).task("srv2", "POST", "/nodes/srv2/qemu", {}, START));
    expect(error.message).toMatch(/out of space\. Fix: free space on that storage \(`pvesm status` on srv2/);
  });
});

describe("patience", () => {
  test("a lock is waited for, also when a write meets it; the write is sent again", async () => {
    const srv1 = await fake((_request, count) =>
      count < 3
        ? { status: 500, reason: "can't lock file '/var/lock/qemu-server/lock-110.conf' - got timeout", body: "" }
        : { data: "done" },
    );
    expect(await client({ srv1 }).post("/nodes/srv1/qemu/110/clone", { newid: 111 })).toBe("done");
    expect(srv1.requests).toHaveLength(3);
  });

  test("a task that ended because the guest was locked is started again", async () => {
    let started = 0;
    const srv2 = await fake(({ path, method }) => {
      if (method === "DELETE") return { data: UPID.replace("176", `17${++started}`) };
      if (path.endsWith("/log")) return { data: [] };
      return { data: { status: "stopped", exitstatus: started < 2 ? "VM is locked (backup)" : "OK" } };
    });
    await client({ srv2 }).task("srv2", "DELETE", "/nodes/srv2/qemu/110", {}, START);
    expect(started).toBe(2);
  });

  test("a lock that stays ends in an error that names it", async () => {
    const srv1 = await fake(() => ({ status: 500, reason: "VM is locked (backup)", body: "" }));
    const error = await failure(
      client({ srv1 }, { retry: { attempts: 3, baseSeconds: 0.01 } }).put("/nodes/srv1/qemu/110/config", {}),
    );
    expect(srv1.requests).toHaveLength(3);
    expect(error.isLocked).toBe(true);
    expect(error.message).toMatch(/wait until the backup on srv1 has ended/);
  });

  test.each([
    ["GET", 502, 3],
    ["GET", 596, 3],
    ["PUT", 504, 3],
    ["POST", 503, 3],
    ["POST", 502, 1],
    ["POST", 596, 1],
    ["DELETE", 504, 1],
    ["GET", 500, 1],
    ["GET", 595, 1],
  ] as const)("%s answered %i is sent %i times", async (method, status, times) => {
    const srv1 = await fake(() => ({ status, reason: "Configuration file 'x' does not exist", body: "" }));
    const pve = client({ srv1 }, { retry: { attempts: 3, baseSeconds: 0.01 } });
    const verb = method.toLowerCase() as "get" | "put" | "post" | "delete";
    const error = await failure(pve[verb]("/nodes/srv1/qemu/110/config"));
    expect(error.status).toBe(status);
    expect(srv1.requests).toHaveLength(times);
  });

  test("a cut connection: a read is repeated, a write that may have been taken is not", async () => {
    const srv1 = await fake((_request, count) => (count === 1 ? { cut: true } : { data: 7 }));
    expect(await client({ srv1 }).get("/version")).toBe(7);
    const srv2 = await fake(() => ({ cut: true }));
    const error = await failure(client({ srv2 }).post("/nodes/srv2/qemu/110/status/start", {}, START));
    expect(srv2.requests).toHaveLength(1);
    expect(error.message).toContain("the server may have taken the call");
  });

  test("an answer that never comes ends after timeoutSeconds", async () => {
    const srv1 = await fake(() => ({ hang: true }));
    const error = await failure(client({ srv1 }, { timeoutSeconds: 0.2 }).get("/version"));
    expect(error.message).toContain("no answer within 0.2 s");
  });

  test("waits grow to a limit, with jitter from half to the whole", () => {
    const policy = { attempts: 9, baseSeconds: 1 };
    expect([0, 1, 4, 9].map((n) => backoffSeconds(policy, n, () => 1))).toEqual([1, 2, 16, 16]);
    expect(backoffSeconds(policy, 1, () => 0)).toBe(1);
  });

  test("an abort ends a call, a wait between calls and a wait for a task at once", async () => {
    const locked = await fake(() => ({ status: 500, reason: "got lock request timeout", body: "" }));
    const running = await fake(({ method }) => ({ data: method === "POST" ? UPID : { status: "running" } }));
    const hanging = await fake(() => ({ hang: true }));
    const abort = new AbortController();
    const options = { signal: abort.signal, retry: { baseSeconds: 60 }, pollSeconds: 60 };
    const waiting = [
      client({ locked }, options).get("/version"),
      client({ srv2: running }, options).task("srv2", "POST", "/nodes/srv2/qemu/110/status/start", {}, START),
      client({ hanging }, options).get("/version"),
    ].map(failure);
    const began = Date.now();
    setTimeout(() => abort.abort(), 400);
    for (const error of await Promise.all(waiting)) expect(error.reason).toBe("cancelled");
    expect(Date.now() - began).toBeLessThan(3000);
  });
});

describe("the token's secret", () => {
  test("occurs in no message, log line or inspection, even when a server echoes it", async () => {
    const echo = `bad token ${TOKEN}`;
    const srv2 = await fake(({ path, method }) => {
      if (path === "/version") return { status: 500, reason: echo, body: JSON.stringify({ message: echo }) };
      if (method === "POST") return { data: UPID };
      if (path.endsWith("/log")) return { data: [{ n: 1, t: echo }] };
      return { data: { status: "stopped", exitstatus: echo } };
    });
    const pve = client({ srv2 });
    const errors = [
      await failure(pve.get("/version")),
      await failure(pve.task("srv2", "POST", "/nodes/srv2/vzdump", {}, START)),
    ];
    for (const error of errors) {
      expect(error.message).toContain("***");
      expect(inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error)).not.toContain(SECRET);
    }
    expect(inspect(pve, { depth: 9, showHidden: true }) + JSON.stringify(pve)).not.toContain(SECRET);
  });

  test("a token of another form is refused without being shown", () => {
    const make = () => new PveClient({ endpoints: { srv1: "https://127.0.0.1:1" }, apiToken: SECRET });
    expect(make).toThrow(/does not have the form user@realm!name=secret/);
    expect(make).not.toThrow(new RegExp(SECRET));
  });
});
