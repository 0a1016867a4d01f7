import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compareAnswers, plain } from "./compare";
import { deliberateDifferences, reasonFor } from "./deliberate-differences";
import { differencesDocument } from "./differences-document";
import { Identities } from "./identities";
import { Player, type Target } from "./player";
import { type Answer, loadRecording, type RecordedCall, recordingNames, steps } from "./recording";
import { startingStates } from "./starting-states";

const recorded = (answer: unknown, more: Partial<RecordedCall> = {}): RecordedCall => ({
  seq: 1,
  method: "GET",
  path: "/nodes/pve1/qemu/300/config",
  query: {},
  status: 200,
  reason: "OK",
  ms: 10,
  answer,
  ...more,
});
const actual = (answer: unknown, status = 200, reason = "OK"): Answer => ({ status, reason, answer });
const whats = (a: unknown, b: unknown) =>
  compareAnswers(recorded({ data: a }), actual({ data: b })).map((one) => one.what);

describe("comparison", () => {
  test("values that are the same on every run must be equal, with their type", () => {
    expect(whats({ memory: "64", cores: 1 }, { memory: "64", cores: 1 })).toEqual([]);
    expect(whats({ memory: "64", cores: 1 }, { memory: 64, cores: 2 })).toEqual(["data.cores", "data.memory"]);
  });
  test("keys are compared both ways", () => {
    expect(whats({ a: 1 }, { b: 1 })).toEqual(["data.a", "data.b"]);
  });
  test("made-up parts of a text do not count, the rest does", () => {
    const net = (mac: string, bridge: string) => ({ net0: `virtio=${mac},bridge=${bridge}` });
    expect(whats(net("BC:24:11:DD:FF:A7", "vmbr0"), net("BC:24:11:00:00:01", "vmbr0"))).toEqual([]);
    expect(whats(net("BC:24:11:DD:FF:A7", "vmbr0"), net("BC:24:11:00:00:01", "vmbr1"))).toEqual(["data.net0"]);
    expect(plain("UPID:pve1:0000009F:000D1EE4:6B02DC50:qmcreate:300:root@pam!tok:")).toBe(
      "UPID:pve1:qmcreate:300:root@pam!<token>:",
    );
    expect(plain("2026-11-22 12:16:44 starting migration of VM 400 to node 'pve2' (10.99.0.2)")).toBe(
      "<time> starting migration of VM 400 to node 'pve2' (<node address>)",
    );
  });
  test("figures that are measured are compared by type only", () => {
    expect(whats({ uptime: 3, digest: "a" }, { uptime: 9, digest: "b" })).toEqual([]);
    expect(whats({ uptime: 3 }, { uptime: "3" })).toEqual(["data.uptime"]);
    expect(whats({ cpu: "host" }, { cpu: "kvm64" })).toEqual(["data.cpu"]);
    expect(whats({ type: "node", maxmem: 1 }, { type: "node", maxmem: 2 })).toEqual([]);
    expect(whats({ type: "qemu", maxmem: 1 }, { type: "qemu", maxmem: 2 })).toEqual(["data.maxmem"]);
  });
  test("of the times of a replication only 'never' or 'once' counts", () => {
    expect(whats({ last_sync: 1795349880 }, { last_sync: 1800000000 })).toEqual([]);
    expect(whats({ last_sync: 1795349880 }, { last_sync: 0 })).toEqual(["data.last_sync"]);
    expect(whats({ last_sync: 0, next_sync: 900 }, { last_sync: 0, next_sync: 800 })).toEqual(["data.next_sync"]);
  });
  test("lists are compared by the names of their elements, not by their order", () => {
    expect(
      whats(
        [
          { id: "a", v: 1 },
          { id: "b", v: 2 },
        ],
        [
          { id: "b", v: 2 },
          { id: "a", v: 3 },
        ],
      ),
    ).toEqual(["data[a].v"]);
    expect(whats([{ id: "a" }], [{ id: "a" }, { id: "c" }])).toEqual(["data[c]"]);
  });
  test("status and reason", () => {
    const gone = recorded({ data: null, message: "x\n" }, { status: 500, reason: "x" });
    expect(compareAnswers(gone, actual({ data: {} })).map((one) => one.what)).toEqual(["status", "reason"]);
    expect(compareAnswers(gone, actual({ data: null, message: "x\n" }, 500, "x"))).toEqual([]);
  });
  test("of a log every line counts that does not tell of speeds", () => {
    const log = (...lines: string[]) => ({ total: lines.length, data: lines.map((t, i) => ({ n: i + 1, t })) });
    const path = "/nodes/pve1/tasks/UPID:x/log";
    const compare = (a: unknown, b: unknown) => compareAnswers(recorded(a, { path }), actual(b));
    expect(
      compare(log("1073741824 bytes (1.1 GB) copied, 5 s", "took 3 s", "TASK OK"), log("took 4 s", "TASK OK")),
    ).toEqual([]);
    expect(compare(log("a", "TASK OK"), log("TASK OK")).map((one) => one.what)).toEqual(["lines of the log"]);
    expect(compare(log("TASK OK"), log("TASK ERROR: x"))).toEqual([
      { what: "last line of the log", expected: "'TASK OK'", actual: "'TASK ERROR: x'" },
    ]);
    expect(compare(log("TASK OK"), { data: [] }).length).toBeGreaterThan(0);
  });
});

test("names that the server makes up are carried into later requests, encoded as they were", () => {
  const identities = new Identities();
  const [theirs, ours] = [
    "UPID:pve1:0000009F:000D1EE4:6B02DC50:qmcreate:300:root@pam!tok:",
    "UPID:pve1:00001234:00000001:6B111111:qmcreate:300:root@pam!tok:",
  ];
  identities.learn({ data: theirs }, { data: ours });
  identities.learn(
    { data: [{ volid: "local:backup/vzdump-qemu-400-2026_11_22-12_16_08.vma.zst" }] },
    { data: [{ volid: "local:backup/vzdump-qemu-400-2026_12_01-00_00_00.vma.zst" }] },
  );
  expect(identities.translate(`/nodes/pve1/tasks/${theirs.replace("!", "%21")}/status`)).toBe(
    `/nodes/pve1/tasks/${ours.replace("!", "%21")}/status`,
  );
  expect(identities.translate("archive=local%3Abackup%2Fvzdump-qemu-400-2026_11_22-12_16_08.vma.zst")).toBe(
    "archive=local%3Abackup%2Fvzdump-qemu-400-2026_12_01-00_00_00.vma.zst",
  );
});

describe("player", () => {
  test("polls of a task are one step, and only their end counts", async () => {
    const file = "01-create-stopped";
    const calls = loadRecording(file);
    expect(steps(calls).map((step) => [step.kind, step.calls.length])).toEqual([
      ["call", 1],
      ["task", 2],
      ["call", 1],
      ["call", 1],
      ["call", 1],
      ["call", 1],
    ]);
    // A target that answers like the recording, but whose task needs five polls.
    let polls = 0;
    let waited = 0;
    const echo: Target = {
      send: async (method, path) => {
        const isStatus = path.endsWith("/status");
        if (isStatus && ++polls < 5) return calls[1] as RecordedCall;
        return (
          isStatus ? calls[2] : calls.find((call) => call.method === method && call.path === path)
        ) as RecordedCall;
      },
      advance: async (seconds) => {
        waited += seconds;
      },
    };
    expect(await new Player(echo).play(file)).toEqual({ calls: 7, differences: [] });
    expect(waited).toBe(2);
  });

  test.each(recordingNames())("%s, answered as recorded, has no difference", async (file) => {
    const calls = loadRecording(file);
    let next = 0;
    const echo: Target = {
      send: async (method, path) => {
        const index = calls.findIndex((call, at) => at >= next && call.method === method && call.path === path);
        next = index < 0 ? next : index + 1;
        return calls[index < 0 ? next - 1 : index] as RecordedCall;
      },
      advance: async () => {},
    };
    expect(await new Player(echo).play(file)).toEqual({ calls: calls.length, differences: [] });
  });

  test("a task that ends otherwise is one difference, found without waiting on", async () => {
    const calls = loadRecording("01-create-stopped");
    const broken: Target = {
      send: async (method, path) => {
        const call = calls.findLast((one) => one.method === method && one.path === path) as RecordedCall;
        if (!path.endsWith("/status")) return call;
        const { data } = call.answer as { data: Record<string, unknown> };
        return { ...call, answer: { data: { ...data, exitstatus: "no space left" } } };
      },
      advance: () => Promise.reject(new Error("waited")),
    };
    const { differences } = await new Player(broken).play("01-create-stopped");
    expect(differences.map((one) => [one.seq, one.what, one.expected, one.actual])).toEqual([
      [297, "data.exitstatus", "'OK'", "'no space left'"],
    ]);
  });
});

test("every recording has a starting state, which names recordings that exist", () => {
  const names = recordingNames();
  expect(Object.keys(startingStates).sort()).toEqual(names);
  for (const state of Object.values(startingStates)) {
    const later = state.next.flatMap((one) => (one.kind === "recording" ? [one.name] : []));
    for (const name of [...state.after, ...later]) expect(names).toContain(name);
  }
});

test("a deliberate difference is matched by file, call and place", () => {
  const list = [{ file: "19-bridge", seq: [472], what: "data[eno*]", why: "because" }];
  const difference = { file: "19-bridge", seq: 472, call: "GET /x", what: "data[eno1]", expected: "", actual: "" };
  expect(reasonFor(difference, list)?.why).toBe("because");
  expect(reasonFor({ ...difference, what: "data.eno1" }, list)).toBeUndefined();
  expect(reasonFor({ ...difference, seq: 473 }, list)).toBeUndefined();
  expect(reasonFor({ ...difference, file: "20-firewall" }, list)).toBeUndefined();
});

test("docs/lab-differences.md says what the list says", () => {
  const path = join(__dirname, "..", "..", "..", "docs", "lab-differences.md");
  const wanted = differencesDocument(deliberateDifferences);
  if (process.env.UPDATE_DOCS) writeFileSync(path, wanted);
  expect(existsSync(path) ? readFileSync(path, "utf8") : "").toBe(wanted);
});
