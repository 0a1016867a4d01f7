/** The commands around copies, as one types them. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Operator } from "../../operations/context";

let operator: () => Operator;
jest.mock("../../cli/open-site", () => ({
  openSite: async () => ({ operator: operator(), source: "manifest.json", close: async () => undefined }),
}));

import type { Io } from "../../cli/io";
import { run } from "../../cli/program";
import { FakeBackups } from "../operations/fake-backups";

let fake: FakeBackups;
let folder: string;
beforeEach(() => {
  fake = new FakeBackups();
  folder = mkdtempSync(join(tmpdir(), "coldspare-copies-"));
  operator = () => fake.operator();
});
afterEach(() => {
  fake.remove();
  rmSync(folder, { recursive: true });
});

async function coldspare(line: string, ...answers: string[]) {
  let out = "";
  let err = "";
  const io: Io = {
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    env: { PATH: "" },
    ...(answers.length > 0 && { ask: async () => answers.shift() ?? "no" }),
  };
  const code = await run(line.split(" "), io);
  return { code, out, err, json: () => JSON.parse(out) as Record<string, unknown> };
}

describe("backups", () => {
  test("a line for each subject; with a subject, its points", async () => {
    const all = await coldspare("backups");
    expect(all.code).toBe(0);
    expect(all.out).toMatch(/^sql-erp +6 h ago +nas +1 d 1 h +6 /m);
    expect(all.out).not.toContain("vzdump-qemu");
    const one = await coldspare("backups sql-erp");
    expect(one.out.replace(/\s+/g, "")).toContain("encrypted");
    expect(one.out).toContain("medium B");
  });

  test("--good tells by its exit code, --target looks at one target only", async () => {
    expect((await coldspare("backups --good")).code).toBe(0);
    const late = await coldspare("backups --good --target pbs-1 --json");
    expect(late.code).toBe(1);
    expect(late.json()).toMatchObject({ ok: false, formatVersion: 1 });
    expect((late.json().points as { target: string }[]).every(({ target }) => target === "pbs-1")).toBe(true);
  });

  test("unknown words are wrong use, with the nearest known one", async () => {
    expect(await coldspare("backups sql-epr")).toMatchObject({
      code: 2,
      err: expect.stringContaining("did you mean 'sql-erp'?"),
    });
    expect(await coldspare("backups --target nass")).toMatchObject({ code: 2, err: expect.stringContaining("'nas'") });
    delete fake.site.manifest.backups;
    expect(await coldspare("backups")).toMatchObject({ code: 2, err: expect.stringContaining("no backup policy") });
  });

  test("run and verify: a plan, a question, one document", async () => {
    const dry = await coldspare("backups run nightly --dry-run --json");
    expect(dry.json()).toMatchObject({ ok: true, outcome: "planned", kind: "run" });
    expect(fake.calls).toEqual([]);
    expect((await coldspare("backups run nightly --json", "no")).json()).toMatchObject({
      ok: false,
      outcome: "declined",
    });
    const done = await coldspare("backups run nightly --yes --json");
    expect(done).toMatchObject({ code: 0 });
    expect(done.json()).toMatchObject({ ok: true, outcome: "done", results: [{ ok: true }, { ok: true }] });
    expect(await coldspare("backups run nothing --yes --json")).toMatchObject({ code: 1 });
    expect((await coldspare("backups verify nightly --yes")).out).toMatch(/^sql-erp +srv1 +done/m);
    expect((await coldspare("backups run nightly")).err).toContain("no terminal to ask at");
  });
});

describe("restore", () => {
  test("a dry run shows from, to, what is kept and the steps, and changes nothing", async () => {
    const { code, err } = await coldspare("restore sql-erp --over --dry-run");
    expect(code).toBe(0);
    expect(err).toMatch(/^from +backup-nfs:backup\/vzdump-qemu-113-.* on nas: 6 h ago, 20 GiB, never verified$/m);
    expect(err).toMatch(/^there +sql-erp, running: kept as sql-erp-before-restore/m);
    expect(err).toMatch(/ 1\. shut sql-erp \(113\) down on srv2/);
    expect(fake.calls).toEqual([]);
  });

  test("refused without --over, declined with no, done with --yes: one document each", async () => {
    const refused = await coldspare("restore sql-erp --json");
    expect(refused.code).toBe(1);
    expect(refused.json()).toMatchObject({ outcome: "refused", refusals: [{ code: "OPERATION-EXISTS" }] });
    expect((await coldspare("restore sql-erp --over --json", "no")).json()).toMatchObject({ outcome: "declined" });
    expect(fake.calls).toEqual([]);
    const done = await coldspare("restore sql-erp --over --yes --json");
    expect(done.json()).toMatchObject({ ok: true, outcome: "done", plan: { existing: { keep: "keep" } } });
    expect(done.json().plan as object).not.toHaveProperty("refusals");
  });

  test("beside, into a folder, and wrong use", async () => {
    const beside = await coldspare("restore sql-erp --as sql-erp-2 --to srv1 --yes");
    expect(beside).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^restored: sql-erp-2 \(\d+\) on srv1, data of .*, powered off$/m),
    });
    const files = await coldspare("restore folder:backup-1:/srv/share --into /root/back --yes");
    expect(files.out).toBe(
      "restored: folder:backup-1:/srv/share as of 2026-11-22T01:58:20Z into /root/back on backup-1\n",
    );
    expect(await coldspare("restore sql-erp --as x --over")).toMatchObject({ code: 2 });
    expect(await coldspare("restore folder:backup-1:/srv/share")).toMatchObject({
      code: 2,
      err: expect.stringContaining("--into"),
    });
    expect(await coldspare("restore sql-epr")).toMatchObject({ code: 2, err: expect.stringContaining("did you mean") });
  });

  test("a step that fails: the same command goes on from there", async () => {
    fake.broken.set("/clone", "out of space");
    const failed = await coldspare("restore sql-erp --over --yes --json");
    expect(failed.code).toBe(1);
    expect(failed.json()).toMatchObject({ outcome: "failed", error: expect.stringContaining("out of space") });
    fake.broken.clear();
    const again = await coldspare("restore sql-erp --yes --json");
    expect(again.err).toContain("It goes on.");
    expect(again.json()).toMatchObject({
      ok: true,
      outcome: "done",
      resumed: expect.stringMatching(/^restore-sql-erp-/),
    });
  });
});

describe("media", () => {
  test("the table, and one document", async () => {
    const { out, code } = await coldspare("media");
    expect(code).toBe(0);
    expect(out).toMatch(/^shelf on backup-1, copies of nas, 300 GiB of 900 GiB free$/m);
    expect(out).toMatch(/attach [AB], take [AB] off site/);
    expect((await coldspare("media status --json")).json()).toMatchObject({
      formatVersion: 1,
      rotations: [{ target: "shelf" }],
    });
  });

  test("record, eject and init are carried out on the server of the rotation", async () => {
    await coldspare("media record shelf detached A --by bert");
    await coldspare("media eject shelf --yes");
    await coldspare("media init shelf B --yes");
    expect(fake.commands).toEqual([
      "backup-1: coldspare-backup media record shelf detached A --by bert",
      "backup-1: coldspare-backup media eject shelf",
      "backup-1: coldspare-backup media init shelf B",
    ]);
    expect(await coldspare("media record shelf attached C")).toMatchObject({
      code: 2,
      err: expect.stringContaining("'C'"),
    });
    expect(await coldspare("media eject shelv --yes")).toMatchObject({
      code: 2,
      err: expect.stringContaining("did you mean 'shelf'?"),
    });
  });

  test("what the program refuses is said, with exit code 1", async () => {
    fake.refuse(
      "backup-1",
      "coldspare-backup media init shelf B",
      3,
      "the file system at /mnt/shelf is not empty (photos): nothing was written",
    );
    const { code, err } = await coldspare("media init shelf B --yes");
    expect({ code, err }).toEqual({
      code: 1,
      err: "backup-1: refused: the file system at /mnt/shelf is not empty (photos): nothing was written\n",
    });
  });

  test("a swap: unmount, carry, and only the right disk ends it", async () => {
    const json = (await coldspare("media --json")).json() as { rotations: { turn: { medium: string } }[] };
    const { medium } = json.rotations[0]!.turn;
    const other = medium === "A" ? "B" : "A";
    const show = (label: string) =>
      fake.answer("backup-1", "coldspare-backup media status --plain", [
        `target=shelf attached=${label} attachedat=2026-11-22T02:00:00Z error=`,
      ]);
    show(other);
    const answers = ["yes", "done", "done"];
    let asked = 0;
    let err = "";
    const io: Io = {
      stdout: { write: () => undefined },
      stderr: { write: (text) => (err += text) },
      env: { PATH: "" },
      ask: async () => {
        // The first time the wrong one still hangs there.
        if (++asked === 3) show(medium);
        return answers.shift() ?? "later";
      },
    };
    expect(await run(["media", "swap", "shelf"], io)).toBe(0);
    expect(asked).toBe(3);
    expect(err).toContain(`Attach ${medium}`);
    expect(fake.commands.filter((each) => / media (eject|record)/.test(each))).toEqual([
      "backup-1: coldspare-backup media eject shelf",
      `backup-1: coldspare-backup media record shelf attached ${medium} --by anna@laptop`,
    ]);
  });

  test("the calendar is a file for the one who carries the disks", async () => {
    const file = join(folder, "swaps.ics");
    expect((await coldspare(`media calendar shelf --ics ${file} --days 30`)).code).toBe(0);
    const text = readFileSync(file, "utf8");
    expect(text).toMatch(/^BEGIN:VCALENDAR\r\n/);
    expect(text.match(/BEGIN:VEVENT/g)).toHaveLength(5);
    expect((await coldspare("media calendar")).out).toContain("BEGIN:VCALENDAR");
  });
});

describe("branch", () => {
  beforeEach(() => {
    for (const server of Object.values(fake.site.manifest.servers)) server.memoryLimitGiB = 500;
    fake.answers.set("srv2: coldspare-drill list", { code: 0, stdout: "", stderr: "" });
  });

  test("made, listed, expired by a timer: only what is past its date goes", async () => {
    const made = await coldspare("branch sql-erp --name erp-update --expires 1d --yes");
    expect(made).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^branch: erp-update \(\d+\) on srv2, .*started$/m),
    });
    expect((await coldspare("branch sql-erp --name erp-demo --expires 9d --yes")).code).toBe(0);
    expect((await coldspare("branch list")).out).toMatch(
      /^erp-update +sql-erp +\d+ +srv2 +running .* in 23 h|^erp-update .* in 1 d/m,
    );
    expect((await coldspare("branch expire --yes")).out).toBe("nothing is to be removed\n");
    fake.site.time += 2 * 86_400_000;
    const gone = await coldspare("branch expire --yes --json");
    expect(gone).toMatchObject({ code: 0, err: expect.stringContaining("erp-update") });
    expect(gone.json()).toMatchObject({ ok: true, removed: [{ name: "erp-update", ok: true }] });
    const left = (await coldspare("branch list --json")).json() as { branches: { name: string }[] };
    expect(left.branches.map(({ name }) => name)).toEqual(["erp-demo"]);
  });

  test("remove asks, and knows the nearest name", async () => {
    await coldspare("branch sql-erp --yes");
    expect((await coldspare("branch remove sql-erp-branch", "no")).code).toBe(1);
    expect(await coldspare("branch remove sql-erp-brnch --yes")).toMatchObject({
      code: 2,
      err: expect.stringContaining("did you mean"),
    });
    expect(await coldspare("branch remove sql-erp-branch --yes")).toMatchObject({ code: 0 });
    expect((await coldspare("branch list")).out).toBe("there are no branches\n");
    expect(await coldspare("branch")).toMatchObject({ code: 2 });
  });

  test("a dry run of it is one document", async () => {
    const { code, json } = await coldspare("branch sql-erp --dry-run --json");
    expect(code).toBe(0);
    expect(json()).toMatchObject({
      kind: "branch",
      outcome: "planned",
      plan: { network: { name: "branch-sql-erp-branch" } },
    });
    expect(fake.calls).toEqual([]);
  });
});
