import { painter } from "../../cli/table";
import { statusText } from "../../cli/text-status";
import { rotationViews, siteLossNow, swapRecords } from "../../operations/backups/media";
import { readBackupStatus, readRotations } from "../../operations/backups/read-status";
import { testProblems } from "../../operations/backups/test-results";
import { readLive } from "../../operations/live";
import { siteStatus } from "../../operations/status";
import { statusMetrics } from "../../operations/status-metrics";
import { FakeBackups } from "./fake-backups";

const DAY = 86_400;
let fake: FakeBackups;
beforeEach(() => {
  fake = new FakeBackups();
});
afterEach(() => fake.remove());

/** 2026-11-22 is a Sunday: since Monday the 16th it is the turn of one of the two. */
const view = async () => (await readRotations(fake.operator())).rotations[0]!;
const mediaLine = (words: string) =>
  fake.answer("backup-1", "coldspare-backup media status --plain", [`target=shelf ${words}`]);

describe("media", () => {
  test("which should be attached, which is, and how old the content of the other one is", async () => {
    const { turn } = await view();
    const other = turn.medium === "A" ? "B" : "A";
    mediaLine(`attached=${turn.medium} attachedat=2026-11-16T08:10:00Z free=10 size=20 error=`);
    const { state, attached, media, offline, next } = await view();
    expect({ state, attached }).toEqual({ state: "right", attached: turn.medium });
    expect(media.map(({ medium, where }) => `${medium} ${where}`).sort()).toEqual(
      [`${turn.medium} attached`, `${other} off-site`].sort(),
    );
    expect(offline).toEqual({ medium: other, ageSeconds: other === "B" ? 7 * DAY : 6 * 3600 });
    expect(next[0]).toMatchObject({ attach: other, detach: turn.medium, takeTo: "off-site" });
  });

  test("the wrong one is named, with what to do", async () => {
    const { turn } = await view();
    const other = turn.medium === "A" ? "B" : "A";
    mediaLine(`attached=${other} attachedat=2026-11-20T08:00:00Z error=`);
    const { state, text } = await view();
    expect(["wrong", "overdue"]).toContain(state);
    expect(text).toContain(`Attach ${turn.medium}`);
    expect(text).toContain(other);
  });

  test("a disk that is none of ours, and a server that is down, are no medium", async () => {
    mediaLine("attached=foreign error=");
    expect(await view()).toMatchObject({ state: "foreign", text: expect.stringContaining("no medium of shelf") });
    fake.site.kill("backup-1");
    const down = await view();
    expect(down).toMatchObject({ state: "unknown", text: expect.stringMatching(/^backup-1 could not be asked/) });
    expect(down.attached).toBeUndefined();
  });

  test("a broken copy is no content, and without any the loss is not known", async () => {
    fake.answer("backup-1", "coldspare-backup media points shelf --plain", [
      "point=x job=shelf subject=sql-erp target=shelf at=2026-11-15T03:00:00Z bytes=1 verified=failed medium=B",
    ]);
    const found = await view();
    expect(found.offline).toBeUndefined();
    expect(siteLossNow([found])).toBeUndefined();
  });

  test("recorded swaps: whoever it was, lines that are none are left out", () => {
    expect(
      swapRecords(
        "at=2026-11-16T08:00:00Z medium=A%201 action=attached by=anna%20m\nat=never medium=B action=attached\nx\n",
      ),
    ).toEqual([{ at: 1_794_816_000, medium: "A 1", action: "attached", by: "anna m" }]);
  });

  test("the site's loss is that of its best rotation", () => {
    const one = (target: string, ageSeconds?: number) =>
      ({ target, ...(ageSeconds !== undefined && { offline: { medium: "A", ageSeconds } }) }) as Parameters<
        typeof siteLossNow
      >[0][number];
    expect(siteLossNow([one("x", 50), one("y", 20), one("z")])).toEqual({ target: "y", medium: "A", ageSeconds: 20 });
    expect(rotationViews({ ...fake.site.manifest.backups!, rotations: {} }, {} as never, {})).toEqual([]);
  });
});

describe("status", () => {
  const status = async () => {
    const operator = fake.operator();
    return siteStatus(await readLive(operator), fake.site.manifest, await readBackupStatus(operator));
  };

  /** The right medium hangs there, and nothing else is wrong. */
  const allWell = async () => {
    const { turn } = await view();
    mediaLine(`attached=${turn.medium} attachedat=2026-11-16T08:10:00Z error=`);
    fake.answer("backup-1", "coldspare-backup points --plain --cached", [
      `point=a job=folders subject=folder%3Abackup-1%3A%2Fsrv%2Fshare target=cloud at=2026-11-22T02:00:00Z bytes=1 verified=ok verifiedat=2026-11-22T02:30:00Z`,
    ]);
  };

  test("all is well: each promise kept, with target and media", async () => {
    await allWell();
    const { ok, backups } = await status();
    expect(backups!.problems).toEqual([]);
    expect(ok).toBe(true);
    expect(backups!.targets.map(({ target }) => target)).toEqual(["nas", "pbs-1"]);
    expect(backups!.siteLoss!.target).toBe("shelf");
    expect(backups!.verified).toMatchObject({ weekly: "2026-11-20T03:00:00Z", folders: "2026-11-22T02:30:00Z" });
  });

  test("a site without policies says nothing of copies", async () => {
    delete fake.site.manifest.backups;
    const found = await status();
    expect(found).not.toHaveProperty("backups");
    expect(statusMetrics(found)).not.toContain("coldspare_backup");
  });

  test("late, failed, broken, full: each is a problem in words, and the site is not ok", async () => {
    await allWell();
    fake.site.time += 2 * DAY * 1000;
    fake.storages["backup-nfs"]!.usedGiB = 900;
    fake.tasks.push({ id: "113", starttime: 1, endtime: 2, status: "job errors" });
    const { ok, backups } = await status();
    expect(ok).toBe(false);
    const text = backups!.problems.join("\n");
    expect(text).toMatch(/^sql-erp: its newest good copy is 2 d 6 h old, promised are 1 d 1 h \(policy nightly\)$/m);
    expect(text).toMatch(/^sql-erp: its last run on srv1 failed: job errors$/m);
    expect(text).toMatch(/^nas: full as seen from srv1: 900 GiB of 800 GiB may be used/m);
  });

  test("when a target fills: copies come until as many are there as are kept", async () => {
    const nightly = fake.site.manifest.backups!.policies.nightly!;
    nightly.keep = { daily: 40 };
    fake.storages["backup-nfs"]!.usedGiB = 700;
    // 20 GiB a day of sql-erp; of files-1 one copy alone says nothing of how it grows.
    expect((await status()).backups!.targets[0]).toMatchObject({ target: "nas", fillsAfterDays: 5 });
    nightly.keep = { last: 3 };
    expect((await status()).backups!.targets[0]).not.toHaveProperty("fillsAfterDays");
  });

  test("families of metrics, each declared once, with labels", async () => {
    await allWell();
    const text = statusMetrics(await status());
    expect(text).toContain('coldspare_backup_age_seconds{site="smb",policy="nightly",subject="sql-erp"} 21600\n');
    expect(text).toContain('coldspare_backup_promised_seconds{site="smb",policy="weekly",subject="sql-erp"} 691200\n');
    expect(text).toContain('coldspare_backup_state{site="smb",policy="nightly",subject="sql-erp",state="kept"} 1\n');
    expect(text).toContain('coldspare_media_state{site="smb",target="shelf",state="right"} 1\n');
    expect(text).toContain('coldspare_backup_target_limit_bytes{site="smb",target="nas",server="srv1"} 858993459200\n');
    expect(text).toMatch(/coldspare_media_site_loss_seconds\{site="smb"\} \d+\n/);
    const families = [...text.matchAll(/^# TYPE (\w+) gauge$/gm)].map(([, name]) => name);
    expect(new Set(families).size).toBe(families.length);
  });

  test("test restores that a policy promises: never made, failed, overdue", () => {
    const manifest = structuredClone(fake.site.manifest);
    manifest.backups!.policies.nightly!.testRestore = { schedule: "weekly", guests: ["sql-erp"] };
    const test_ = (ok: boolean, days: number) => ({
      "sql-erp": {
        guest: "sql-erp",
        policy: "nightly",
        point: "p",
        server: "srv1",
        at: "2026-11-01T00:00:00Z",
        ok,
        ageSeconds: days * DAY,
      },
    });
    expect(testProblems(manifest, {})).toEqual([
      expect.stringContaining("coldspare backups test nightly --guest sql-erp"),
    ]);
    expect(testProblems(manifest, test_(true, 7))).toEqual([]);
    expect(testProblems(manifest, test_(true, 9))).toEqual([expect.stringContaining("9 d ago, allowed are 8 d")]);
    expect(testProblems(manifest, test_(false, 1))).toEqual([expect.stringContaining("the test restore of p failed")]);
  });

  test("the table for people has subjects, media and problems", async () => {
    const shown = statusText(await status(), 100, painter(false));
    expect(shown).toMatch(/^subject +newest good/m);
    expect(shown).toMatch(/^folder:backup-1:\/srv\/share/m);
    expect(shown).toMatch(/^lost with everything on line: the last /m);
  });
});
