/** `--json` of the commands that ask: one document, whatever is answered, which says what became of it. */
import type { Operator } from "../../operations/context";

let operator: () => Operator;
jest.mock("../../cli/open-site", () => ({
  openSite: async () => ({ operator: operator(), source: "manifest.json", close: async () => undefined }),
}));

import { drill } from "../../cli/commands/drill";
import { comeBack } from "../../cli/commands/failback";
import { type MaintenanceOptions, maintenance } from "../../cli/commands/maintenance";
import type { Io } from "../../cli/io";
import { claimAt } from "../../operations/voters";
import { FakeSite } from "../operations/fake-site";
import { APP, ReturnSite, SQL } from "../operations/return-site";

/** A terminal at which these answers are typed. */
function terminal(...answers: string[]): { io: Io; documents: () => Record<string, unknown>[]; err: () => string } {
  let out = "";
  let err = "";
  const io: Io = {
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    env: { PATH: "" },
    ask: async () => answers.shift() ?? "no",
  };
  // Documents end with a brace at the beginning of a line.
  const documents = () =>
    out
      .split(/(?<=^\}\n)/m)
      .filter((text) => text.trim() !== "")
      .map((text) => JSON.parse(text) as Record<string, unknown>);
  return { io, documents, err: () => err };
}

const options: MaintenanceOptions = { json: true, color: false, stopSeconds: 120 };

describe("a site in memory", () => {
  let site: FakeSite;
  beforeEach(() => {
    site = new FakeSite();
    operator = () => site.operator();
  });
  afterEach(() => site.remove());

  test("maintenance: 'no' is told as declined, with what would have been done", async () => {
    const { io, documents } = terminal("no");
    expect(await maintenance("srv2", options, io)).toBe(1);
    expect(documents()).toEqual([
      expect.objectContaining({ ok: false, outcome: "declined", phase: "none", refusals: [] }),
    ]);
    expect((documents()[0]!.steps as unknown[]).length).toBeGreaterThan(3);
    expect(site.changes).toEqual([]);
  });

  test("maintenance: guests without a spare are named", async () => {
    const lost = Object.values(site.manifest.guests).filter(({ primary }) => primary === "srv2");
    for (const guest of lost.slice(0, 1)) delete guest.spare;
    const { io, documents } = terminal();
    await maintenance("srv2", { ...options, dryRun: true }, io);
    expect(documents()).toEqual([expect.objectContaining({ lost: [lost[0]!.name] })]);
  });

  test.each(["end", "status"] as const)("maintenance --%s with nothing open prints its document", async (way) => {
    const { io, documents } = terminal();
    await maintenance("srv2", { ...options, [way]: true }, io);
    expect(documents()).toHaveLength(1);
    expect(documents()[0]).toMatchObject({ phase: "none", lost: [], steps: [] });
    expect(documents()[0]!.outcome).toBe(way === "end" ? "refused" : undefined);
  });

  test.each(["failback", "commit"] as const)(
    "%s: 'no' is told as declined, with what would have been done",
    async (kind) => {
      const erp = site.manifest.guests["sql-erp"]!;
      await claimAt(operator(), [erp], { "sql-erp": { epoch: 9, server: "srv1" } }, "x");
      Object.assign(site.guests.get(113)!, { server: "srv1", running: true });
      Object.assign(site.jobs.get("113-0")!, { disable: true, source: "srv1", target: "srv2" });
      site.changes.length = 0;
      const { io, documents } = terminal("no");
      expect(await comeBack(kind, ["sql-erp"], { ...options, diverged: "discard" }, io)).toBe(1);
      expect(documents()).toEqual([
        expect.objectContaining({ ok: false, outcome: "declined", guests: [expect.anything()], refusals: [] }),
      ]);
      expect((documents()[0]!.steps as unknown[]).length).toBeGreaterThan(1);
      expect(site.changes).toEqual([]);
    },
  );

  test("drill: 'no' is told as declined, with the drills that were not done", async () => {
    const { io, documents } = terminal("no");
    expect(await drill(["sql-erp"], { json: true, color: false }, io)).toBe(1);
    expect(documents()).toEqual([
      expect.objectContaining({ ok: false, outcome: "declined", results: [], units: [expect.anything()] }),
    ]);
    expect(site.changes).toEqual([]);
  });

  test("drill: a dry run that would do is fine, and one that is refused is not", async () => {
    const fine = terminal();
    expect(await drill(["sql-erp"], { json: true, color: false, dryRun: true }, fine.io)).toBe(0);
    expect(fine.documents()).toEqual([expect.objectContaining({ ok: true, outcome: "planned" })]);
    const refused = terminal();
    expect(await drill(["nothing"], { json: true, color: false }, refused.io)).toBe(1);
    expect(refused.documents()).toEqual([expect.objectContaining({ ok: false, outcome: "refused" })]);
  });
});

describe("a site in the lab", () => {
  let site: ReturnSite;
  beforeAll(async () => {
    site = await ReturnSite.start();
    for (const guest of [SQL, APP]) site.servers.setAll(guest, 1, "srv2");
    operator = () => site.operator();
  });
  afterAll(() => site.remove());

  test("maintenance, there and back in one sitting, is one document", async () => {
    const { io, documents, err } = terminal("yes", "done", "yes");
    const code = await maintenance("srv2", options, io);
    // What it said is shown when it failed.
    expect(code === 0 ? "" : err()).toBe("");
    expect(documents()).toHaveLength(1);
    const [document] = documents();
    expect(document).toMatchObject({ ok: true, outcome: "done", phase: "none", lost: [] });
    expect([...(document!.guests as string[])].sort()).toEqual([APP, SQL]);
    const ids = (document!.steps as { id: string }[]).map(({ id }) => id);
    expect(ids).toEqual(expect.arrayContaining([`away-start-${SQL}`, "left", `back-start-${SQL}`]));
  });

  test("maintenance in two parts: each has its steps, and what was warned of before it was begun", async () => {
    await site.pve.task("srv2", "POST", "/nodes/srv2/qemu/113/status/stop", {}, {});
    const warned = [expect.objectContaining({ subject: SQL, severity: "warning" })];
    const away = terminal("yes", "later");
    expect(await maintenance("srv2", options, away.io)).toBe(0);
    expect(away.documents()).toEqual([expect.objectContaining({ ok: true, outcome: "done", phase: "working" })]);
    expect(away.documents()[0]).toMatchObject({ warnings: warned });
    expect(JSON.stringify(away.documents()[0]!.steps)).toContain(`away-start-${APP}`);
    const again = terminal();
    expect(await maintenance("srv2", { ...options, begin: true }, again.io)).toBe(1);
    expect(again.documents()).toEqual([expect.objectContaining({ ok: false, outcome: "refused", phase: "working" })]);
    const back = terminal("yes");
    expect(await maintenance("srv2", { ...options, end: true }, back.io)).toBe(0);
    expect(back.documents()).toEqual([expect.objectContaining({ ok: true, outcome: "done", phase: "none" })]);
    expect(back.documents()[0]).toMatchObject({ warnings: warned });
    expect(JSON.stringify(back.documents()[0]!.steps)).toContain(`back-start-${APP}`);
  });
});
