import { readCopies } from "../../operations/backups/read-copies";
import { carryOutRuns, planRun } from "../../operations/backups/run-policy";
import { summarise } from "../../operations/backups/summary";
import { planVerify } from "../../operations/backups/verify-policy";
import { readLive } from "../../operations/live";
import { FakeBackups } from "./fake-backups";

let fake: FakeBackups;
beforeEach(() => {
  fake = new FakeBackups();
});
afterEach(() => fake.remove());

const summaries = async () =>
  Object.fromEntries(
    summarise(await readCopies(fake.operator()), fake.site.manifest).map((each) => [each.subject, each]),
  );

describe("what copies there are", () => {
  test("points of storages, repositories, receivers and media, newest first, each with its policy", async () => {
    const { points, unasked, foreign } = await readCopies(fake.operator());
    expect(unasked).toEqual([]);
    expect(foreign).toBe(0);
    expect(points.map(({ subject, target, kind }) => `${subject} ${target} ${kind}`).slice(0, 3)).toEqual([
      "folder:backup-1:/srv/share cloud restic",
      "dataset:srv1:tank/data home zfs",
      "files-1 nas vzdump",
    ]);
    const erp = points.filter(({ subject }) => subject === "sql-erp");
    expect(erp).toHaveLength(6);
    expect(erp.find(({ kind }) => kind === "pbs")).toMatchObject({
      policies: ["weekly"],
      verified: "ok",
      encrypted: true,
      servers: ["srv1", "srv2"],
    });
    expect(erp.filter(({ medium }) => medium === "B")).toHaveLength(1);
    expect([...points].sort((a, b) => Date.parse(b.at) - Date.parse(a.at)).map(({ at }) => at)).toEqual(
      points.map(({ at }) => at),
    );
  });

  test("a line for each subject: newest good, count, promise; a broken copy is counted and is not good", async () => {
    const all = await summaries();
    expect(all["sql-erp"]).toMatchObject({ count: 6, good: 6, broken: 0, state: "kept", ageSeconds: 6 * 3600 });
    expect(all["sql-erp"]!.policies.weekly).toMatchObject({ state: "kept", target: "pbs-1", ageSeconds: 2 * 86_400 });
    expect(all["folder:backup-1:/srv/share"]).toMatchObject({ count: 2, good: 1, broken: 1, state: "kept" });
    expect(all["dataset:srv1:tank/data"]).toMatchObject({ count: 1, state: "kept" });
  });

  test("late: the newest good copy is older than promised, although a broken one is newer", async () => {
    const [newest, ...older] = fake.storages["backup-nfs"]!.volumes.filter(({ vmid }) => vmid === 113);
    newest!.verification = { state: "failed" };
    fake.storages["backup-nfs"]!.volumes = [newest!, ...older];
    const all = await summaries();
    expect(all["sql-erp"]!.policies.nightly).toMatchObject({ state: "late", ageSeconds: 30 * 3600 });
    expect(all["sql-erp"]!.broken).toBe(1);
    expect(all["files-1"]!.state).toBe("none");
  });

  test("a dead server hides nothing of a shared storage, and is named for what only it knows", async () => {
    fake.site.kill("srv1");
    const copies = await readCopies(fake.operator());
    expect(copies.points.filter(({ kind }) => kind === "vzdump")).toHaveLength(4);
    expect(copies.unasked).toEqual([expect.objectContaining({ server: "srv1", targets: ["home"] })]);
    const all = await summaries();
    expect(all["dataset:srv1:tank/data"]!.state).toBe("unknown");
    expect(all["sql-erp"]!.state).toBe("kept");
  });

  test("a storage of each server's own is seen as far as its servers answer", async () => {
    fake.storages["backup-nfs"]!.shared = false;
    fake.site.kill("srv2");
    const { unasked, points } = await readCopies(fake.operator());
    expect(unasked).toContainEqual(expect.objectContaining({ server: "srv2", targets: ["nas"] }));
    expect(points.find(({ kind }) => kind === "vzdump")!.servers).toEqual(["srv1"]);
  });

  test("an answer that was cut off, and a program that is not installed, are named and not taken for empty", async () => {
    fake.answers.set("backup-1: coldspare-backup points --plain", { code: 0, stdout: "point=a", stderr: "" });
    fake.answers.delete("srv1: coldspare-zfs status --plain");
    const { unasked } = await readCopies(fake.operator());
    expect(unasked.map(({ targets, reason }) => `${targets.join()} ${reason}`)).toEqual([
      "cloud backup-1: 'coldspare-backup points --plain': its answer was cut off",
      expect.stringMatching(/^home .* is not installed on srv1: `pulumi up`/),
    ]);
  });

  test("a program that could not ask one repository: what it remembers counts, and it is said that there may be more", async () => {
    const known = fake.answers.get("backup-1: coldspare-backup points --plain")!;
    const stdout = known.stdout.replace("end\n", "");
    fake.answers.set("backup-1: coldspare-backup points --plain", {
      code: 1,
      stdout,
      stderr: "cloud: no route to host",
    });
    const { points, unasked } = await readCopies(fake.operator());
    expect(points.filter(({ kind }) => kind === "restic")).toHaveLength(2);
    expect(unasked).toMatchObject([{ targets: ["cloud"], reason: expect.stringContaining("no route to host") }]);
  });

  test("a guest that the site does not know is counted as foreign", async () => {
    fake.storages["backup-nfs"]!.volumes.push({ ...fake.storages["backup-nfs"]!.volumes[0]!, vmid: 999 });
    expect((await readCopies(fake.operator())).foreign).toBe(1);
  });

  test("a quick look asks no repository, and knows the newest by the jobs", async () => {
    const copies = await readCopies(fake.operator(), { quick: true });
    expect(fake.commands.filter((each) => / points --plain$/.test(each))).toEqual([]);
    expect(fake.commands).toContain("backup-1: coldspare-backup points --plain --cached");
    const all = Object.fromEntries(summarise(copies, fake.site.manifest).map((each) => [each.subject, each]));
    expect(all["folder:backup-1:/srv/share"]).toMatchObject({ state: "kept", ageSeconds: 3700 });
    expect(all["dataset:srv1:tank/data"]).toMatchObject({ state: "kept", ageSeconds: 7200 });
  });
});

describe("running a policy now", () => {
  const run = async (name: string) => {
    const operator = fake.operator();
    const plan = planRun(operator, await readLive(operator), name);
    return { plan, results: await carryOutRuns(operator, plan.runs) };
  };

  test("guests are backed up where they are active, and nothing is pruned", async () => {
    const { results, plan } = await run("nightly");
    expect(plan.refusals).toEqual([]);
    expect(results).toEqual([
      expect.objectContaining({ subject: "sql-erp", server: "srv2", ok: true }),
      expect.objectContaining({ subject: "files-1", ok: true }),
    ]);
    const form = fake.calls.find(({ path }) => path === "/nodes/srv2/vzdump")!.form;
    expect(form).toMatchObject({ vmid: 113, storage: "backup-nfs", remove: false, mode: "snapshot" });
  });

  test("one that fails is told, and the others go on", async () => {
    fake.broken.set("/nodes/srv2/vzdump", "No space left on device");
    const { results } = await run("nightly");
    expect(results.map(({ ok }) => ok)).toContain(false);
    expect(results.find(({ ok }) => !ok)!.reason).toMatch(/No space left/);
    expect(results).toHaveLength(2);
  });

  test("folders, data sets and rotations by the programs on their servers", async () => {
    expect((await run("folders")).results).toMatchObject([{ ok: true, server: "backup-1" }]);
    expect((await run("data")).results).toMatchObject([{ ok: true, server: "srv1" }]);
    expect((await run("shelf")).results).toMatchObject([{ ok: true, server: "backup-1" }]);
    expect(fake.commands).toEqual(
      expect.arrayContaining([
        "backup-1: coldspare-backup run folders",
        "srv1: coldspare-zfs run data-home",
        "backup-1: coldspare-backup media run shelf",
      ]),
    );
  });

  test("what a program refuses is said in its words", async () => {
    fake.refuse("backup-1", "coldspare-backup media run shelf", 3, "medium C is attached, B is expected: attach B");
    expect((await run("shelf")).results[0]!.reason).toBe(
      "backup-1: refused: medium C is attached, B is expected: attach B",
    );
  });

  test("an unknown policy, and a guest whose server is down, are refused by name", async () => {
    expect((await run("nightyl")).plan.refusals).toMatchObject([{ code: "OPERATION-UNKNOWN-POLICY" }]);
    fake.site.kill("srv2");
    const { plan } = await run("weekly");
    expect(plan.refusals).toMatchObject([{ code: "OPERATION-NOT-BACKED-UP", subject: "sql-erp" }]);
  });
});

describe("verifying", () => {
  const verify = async (name: string) => {
    const operator = fake.operator();
    const plan = planVerify(operator, await readCopies(operator), name);
    return { plan, results: await carryOutRuns(operator, plan.runs) };
  };

  test("every archive of a policy is read, and what was found is noted and listed", async () => {
    const { results } = await verify("nightly");
    expect(results).toHaveLength(4);
    expect(results.every(({ ok }) => ok)).toBe(true);
    const { points } = await readCopies(fake.operator());
    expect(points.filter(({ kind }) => kind === "vzdump").map(({ verified }) => verified)).toEqual(Array(4).fill("ok"));
  });

  test("a broken archive is named, with what it means, and is not good any more", async () => {
    const broken = fake.storages["backup-nfs"]!.volumes[0]!;
    const path = "/mnt/pve/backup-nfs/broken.vma.zst";
    fake.answers.set(`srv1: pvesm path ${broken.volid}`, { code: 0, stdout: `${path}\n`, stderr: "" });
    fake.refuse("srv1", `sh -c exec zstd -q -t -- "$1" sh ${path}`, 1, "Decoding error (36): checksum mismatch");
    const { results } = await verify("nightly");
    const failed = results.filter(({ ok }) => !ok);
    expect(failed).toHaveLength(1);
    expect(failed[0]!.reason).toMatch(/is broken: Decoding error \(36\): checksum mismatch/);
    expect((await summaries())["sql-erp"]).toMatchObject({ broken: 1 });
  });

  test("a backup server reads its chunks itself; repositories and data sets by their programs", async () => {
    await verify("pbs-1");
    await verify("cloud");
    await verify("data");
    expect(fake.commands).toEqual(
      expect.arrayContaining([
        "backup-1: proxmox-backup-manager verify main --ignore-verified false",
        "backup-1: coldspare-backup verify folders",
        "srv1: coldspare-zfs verify data-home",
      ]),
    );
  });

  test("of media the attached one is read; a backup server out of reach is refused with the way out", async () => {
    expect((await verify("shelf")).results).toMatchObject([{ ok: true }]);
    expect(fake.commands.at(-1)).toBe("backup-1: coldspare-backup media verify shelf");
    const target = fake.site.manifest.backups!.targets["pbs-1"]!;
    Object.assign(target, { on: undefined });
    expect((await verify("weekly")).plan.refusals[0]!.fix).toContain("proxmox-backup-manager verify main");
  });
});
