import { readCopies } from "../../operations/backups/read-copies";
import { planTests, runTests } from "../../operations/backups/restore-test";
import { FakeBackups } from "./fake-backups";

let fake: FakeBackups;
beforeEach(() => {
  fake = new FakeBackups((backups) => {
    backups.policies.nightly!.testRestore = { schedule: "monthly", guests: ["sql-erp"] };
  });
  for (const server of Object.values(fake.site.manifest.servers)) server.memoryLimitGiB = 500;
});
afterEach(() => fake.remove());

const test_ = async (guests: string[] = [], policy = "nightly") => {
  const plan = await planTests(fake.operator(), policy, guests);
  return { plan, results: await runTests(fake.operator(), plan) };
};

test("the newest copy is started on the spare in isolation, probed from inside, and thrown away", async () => {
  const before = [...fake.site.guests.keys()].sort();
  const running = fake.site.running();
  const { plan, results } = await test_();
  expect(plan.refusals).toEqual([]);
  expect(results).toMatchObject([{ guest: "sql-erp", server: "srv1", ok: true, dataAt: "2026-11-21T21:00:00Z" }]);
  expect(results[0]!.probes[0]).toEqual({ probe: "runs", ok: true });
  expect([...fake.site.guests.keys()].sort()).toEqual(before);
  expect(fake.site.running()).toEqual(running);
  const words = fake.commands.filter((each) => each.includes("coldspare-drill")).map((each) => each.split(" ")[2]);
  expect(words[0]).toBe("net-up");
  expect(words.at(-1)).toBe("net-down");
  expect(words.slice(1, -1).every((each) => each === "probe")).toBe(true);
});

test("what started and answered is verified; a probe that fails says nothing about the archive", async () => {
  await test_();
  const verified = async () =>
    (await readCopies(fake.operator())).points.filter(({ kind, verified: is }) => kind === "vzdump" && is !== "none");
  expect(await verified()).toMatchObject([{ subject: "sql-erp", verified: "ok" }]);
  for (const volume of fake.storages["backup-nfs"]!.volumes) volume.notes = "";
  fake.site.manifest.guests["sql-erp"]!.probes = [{ kind: "tcp", port: 1433, timeoutSeconds: 5 }];
  const address = fake.site.manifest.guests["sql-erp"]!.networks[0]!.address!.split("/")[0];
  fake.refuse(
    "srv1",
    `coldspare-drill probe branch-sql-erp-restore-test tcp ${address} 1433`,
    1,
    "coldspare-drill: does not answer",
  );
  const { results } = await test_();
  expect(results).toMatchObject([{ ok: false, reason: "tcp 1433: does not answer" }]);
  expect(await verified()).toEqual([]);
  expect([...fake.site.guests.values()].some(({ config }) => config.name === "sql-erp-restore-test")).toBe(false);
});

test("a restore that fails is a result, and leaves nothing", async () => {
  fake.broken.set("/nodes/srv1/qemu", "archive is damaged");
  const { results } = await test_();
  expect(results).toMatchObject([{ ok: false, reason: expect.stringContaining("archive is damaged") }]);
});

test("what an earlier test left is removed first, and never anything without its tag", async () => {
  const left = (tags: string) => ({
    server: "srv1",
    kind: "qemu" as const,
    running: true,
    config: { name: "sql-erp-restore-test", memory: "1024", tags },
  });
  fake.site.guests.set(7001, left("coldspare;coldspare-restore-test"));
  expect((await test_()).results).toMatchObject([{ ok: true }]);
  expect(fake.site.guests.has(7001)).toBe(false);
  fake.site.guests.set(7002, left("mine"));
  expect((await test_()).results).toMatchObject([
    { ok: false, reason: expect.stringContaining("is no test restore: it is left alone") },
  ]);
  expect(fake.site.guests.get(7002)!.running).toBe(true);
});

test("guests that the policy does not take, a policy without guests, an unknown one", async () => {
  expect((await test_(["docker-1"])).plan.refusals).toMatchObject([
    { code: "OPERATION-NO-POINT", subject: "docker-1" },
  ]);
  expect((await test_([], "folders")).plan.refusals).toMatchObject([
    { code: "OPERATION-NO-POINT", subject: "folders" },
  ]);
  expect((await test_([], "nothing")).plan.refusals).toMatchObject([{ code: "OPERATION-UNKNOWN-POLICY" }]);
});
