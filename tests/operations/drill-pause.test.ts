import type { Operator } from "../../operations/context";
import { runDrill } from "../../operations/drill";
import { resumeJob } from "../../operations/drill-pause";
import type { DrillUnit } from "../../operations/drill-plan";
import type { PveClient } from "../../providers/pve/client";
import { PveError } from "../../providers/pve/errors";
import type { SshResult } from "../../providers/ssh";
import { FakeSite } from "./fake-site";

let site: FakeSite;
beforeEach(() => {
  site = new FakeSite();
});
afterEach(() => site.remove());

const name = (server: string, voters: readonly string[]) => {
  for (const voter of voters) Object.assign(site.votes.get(voter)!.get("sql-erp")!, { epoch: 2, server, by: "x" });
};
const all = () => site.manifest.guests["sql-erp"]!.voters;
const job = () => site.jobs.get("113-0")!;

describe("a job that a drill has paused", () => {
  beforeEach(() => {
    job().disable = true;
  });

  test("goes on while the guest is at home", async () => {
    expect(await resumeJob(site.operator(), "srv1", "113-0")).toBeUndefined();
    expect(job().disable).toBe(false);
  });

  test.each(["srv1", "-"])(
    "stays off after a failover to %s during the drill: the old side keeps what it alone has",
    async (to) => {
      name(to, all());
      expect(await resumeJob(site.operator(), "srv1", "113-0")).toMatch(
        /113-0 stays disabled: .*switch.*`pvesr enable 113-0` once/,
      );
      expect(job().disable).toBe(true);
    },
  );

  test("stays off while no majority can say where the guest is, and that is said", async () => {
    name("srv1", all().slice(0, 1));
    site.kill(all().at(-1)!);
    expect(await resumeJob(site.operator(), "srv1", "113-0")).toMatch(
      /113-0 stays disabled: no majority of .*`pvesr enable 113-0`/,
    );
    expect(job().disable).toBe(true);
  });
});

const unit: DrillUnit = {
  name: "sql-erp",
  server: "srv1",
  memoryGiB: 1,
  networks: [],
  copies: [
    {
      guest: "sql-erp",
      drillId: 900_000_113,
      from: "volumes",
      bridges: {},
      probes: [],
      bootSeconds: 1,
      delaySeconds: 0,
    },
  ],
};

type Answer = (path: string, form: Record<string, unknown>) => unknown;

/** What root's commands answer on the spare; `get` and `put` come before the site's own API. */
function drilling(answers: { get?: Answer; put?: Answer } = {}): { operator: Operator; notes: Set<string> } {
  const notes = new Set<string>();
  const operator = site.operator();
  const { ssh, pve } = operator;
  const ok = (stdout = ""): SshResult => ({ code: 0, stdout, stderr: "" });
  const run: typeof ssh.run = async (server, argv, options) => {
    const [program = "", ...words] = argv;
    const script = words.join(" ");
    if (program === "sh" && script.includes("paused-$1")) notes.add(`paused-${words.at(-1)}`);
    if (program === "rm" && script.includes("/paused-")) notes.delete(script.split("/").at(-1)!);
    if (program === "sh" && script.includes("ls /var/lib")) return ok([...notes].join("\n"));
    if (program === "sh" && script.includes("for f")) return ok("name: sql-erp\nscsi0: tank:vm-113-disk-0,size=8G\n");
    if (program === "sh" || program === "rm" || program.endsWith("coldspare-drill")) return ok();
    if (program === "pvesm") return ok("/dev/x\n");
    if (program === "qm") {
      const config = { name: "sql-erp-drill", tags: "coldspare-drill", memory: "1024" };
      site.guests.set(Number(words[1]), { server, kind: "qemu", running: false, config });
      return ok();
    }
    return ssh.run(server, argv, options);
  };
  const own = { ...pve } as PveClient;
  const get: Answer = (path, query) => {
    if (/\/storage\/.*\/status$/.test(path)) return { avail: 1e15 };
    const given = answers.get?.(path, query);
    return given ?? (/replication\/113-0\/status$/.test(path) ? {} : pve.get(path, query as never));
  };
  Object.assign(own, {
    get: async (path: string, query: Record<string, unknown> = {}) => get(path, query),
    put: async (path: string, form: Record<string, unknown> = {}) =>
      answers.put?.(path, form) ?? pve.put(path, form as never),
  });
  return { operator: { ...operator, pve: own, ssh: { run, close: ssh.close } }, notes };
}

const run = async (operator: Operator) => (await runDrill(operator, { units: [unit], refusals: [], warnings: [] }))[0]!;
const timeout = () => new PveError({ server: "srv2", call: "GET", status: 595, reason: "Connection timed out" });
const fail = (): never => {
  throw timeout();
};
const enables = (path: string, form: Record<string, unknown>) => path.endsWith("113-0") && form.disable === false;

describe("a drill and the replication that it pauses", () => {
  test("switches it on again, and leaves no note", async () => {
    const { operator, notes } = drilling();
    expect(await run(operator)).toMatchObject({ ok: true });
    expect({ off: job().disable, notes: [...notes] }).toEqual({ off: false, notes: [] });
    expect(site.changes.filter((each) => each.includes("replication"))).toHaveLength(2);
  });

  test("fails while it waits for a run: the job is on again", async () => {
    const { operator, notes } = drilling({ get: (path) => (path.endsWith("113-0/status") ? fail() : undefined) });
    expect(await run(operator)).toMatchObject({ ok: false, reason: expect.stringMatching(/timed out/) });
    expect({ off: job().disable, notes: [...notes] }).toEqual({ off: false, notes: [] });
  });

  test("a run without an end is not waited for for ever", async () => {
    const { operator } = drilling({ get: (path) => (path.endsWith("113-0/status") ? { pid: 7 } : undefined) });
    const result = await run(operator);
    expect(result.reason).toMatch(/replication 113-0 still runs after 1 h: see `pvesr status` on srv2/);
    expect(job().disable).toBe(false);
  });

  test("is tried once more at the end", async () => {
    let tries = 0;
    const { operator, notes } = drilling({
      put: (path, form) => (enables(path, form) && tries++ === 0 ? fail() : undefined),
    });
    expect(await run(operator)).toMatchObject({ ok: true });
    expect({ off: job().disable, notes: [...notes] }).toEqual({ off: false, notes: [] });
  });

  test("a drill that leaves it off is no success, says so, and the note stays for the next one", async () => {
    const { operator, notes } = drilling({ put: (path, form) => (enables(path, form) ? fail() : undefined) });
    const result = await run(operator);
    expect(result).toMatchObject({ ok: false, probes: [] });
    expect(result.reason).toMatch(/^replication 113-0 stays disabled: `pvesr enable 113-0` \(.*timed out/);
    expect({ off: job().disable, notes: [...notes] }).toEqual({ off: true, notes: ["paused-113-0"] });
    expect(site.said).toContainEqual(expect.objectContaining({ state: "fail", text: result.reason }));

    // Nobody can say where the guest is: the next drill does not hide it either.
    site.kill("backup-1");
    name("srv1", all().slice(0, 1));
    const next = drilling();
    next.notes.add("paused-113-0");
    expect(await run(next.operator)).toMatchObject({ ok: false, reason: expect.stringMatching(/no majority of/) });
  });
});
