import { leave, openMaintenances, planLeaving, planReturning, returnFrom } from "../../operations/maintenance";
import { Interrupted } from "../../operations/steps";
import { APP, ReturnSite, SQL } from "./return-site";

const options = { stopSeconds: 120, forceStop: false };
const server = "srv2";
let site: ReturnSite;
beforeAll(async () => {
  site = await ReturnSite.start();
  site.servers.setAll(SQL, 1, server);
  site.servers.setAll(APP, 1, server);
});
afterAll(() => site.remove());

/** One command after another, each ended after one more step. */
async function stepByStep(run: (stopped: () => boolean) => Promise<void>): Promise<number> {
  const known = new Set<string>();
  for (let runs = 1; runs < 60; runs++) {
    site.said.length = 0;
    const carriedOut = () => site.said.filter(({ state }) => state === "done").map(({ step }) => step);
    try {
      // Some steps look again at each resumption: what counts is one that was never carried out before.
      await run(() => carriedOut().some((step) => !known.has(step)));
      return runs;
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
    }
    for (const step of carriedOut()) known.add(step);
  }
  throw new Error("it never ended");
}

const find = async () => (await openMaintenances(site.operator())).find(({ plan }) => plan.server === server);
const places = async () => (await site.guests()).filter((line) => / running /.test(line));

test("away, the work, back; each way ended after every step and run again", async () => {
  const first = await planLeaving(site.operator(), server);
  expect(first.refusals).toEqual([]);
  expect(first.plan.guests.sort()).toEqual([APP, SQL]);
  const away = await stepByStep(async (stopped) => {
    const open = await find();
    await leave(site.operator(), open?.plan ?? first.plan, open, { stopped });
  });
  expect(away).toBeGreaterThan(3);
  expect(await places()).toEqual([
    `113 ${SQL} running srv1`,
    expect.stringMatching(/^9[12]12 remote-app-spare running srv1$/),
  ]);
  expect(await find()).toMatchObject({ phase: "working", plan: { guests: expect.arrayContaining([APP, SQL]) } });

  // Switched once more by somebody else: what lies on the old side may be the only copy of something.
  const known = structuredClone(site.servers.records);
  site.servers.setAll(APP, 90, "srv1");
  const unsure = await planReturning(site.operator(), (await find())!.plan, options);
  expect(unsure.refusals.map(({ code, subject }) => `${code} ${subject}`)).toEqual([
    `OPERATION-DIVERGED-CHOICE ${APP}`,
  ]);
  const said = await planReturning(site.operator(), (await find())!.plan, { ...options, diverged: "discard" });
  expect(said.refusals).toEqual([]);
  Object.assign(site.servers.records, known);

  const way = await planReturning(site.operator(), (await find())!.plan, options);
  expect(way.refusals).toEqual([]);
  const back = await stepByStep(async (stopped) => {
    const open = (await find())!;
    await returnFrom(site.operator("colleague@desk"), open, way, { stopped });
  });
  expect(back).toBeGreaterThan(3);
  expect(await places()).toEqual([`112 ${APP} running srv2`, `113 ${SQL} running srv2`]);
  expect(await find()).toBeUndefined();
  expect(Object.values(site.servers.records).map((records) => records[SQL]?.server)).toEqual(["srv2", "srv2", "srv2"]);
});

test("a server is not called free while a guest could not be moved away; run again, it goes on there", async () => {
  const { plan, refusals } = await planLeaving(site.operator(), server);
  expect(refusals).toEqual([]);
  site.servers.refuse = SQL;
  await expect(leave(site.operator(), plan, undefined)).rejects.toThrow(/sql-erp/);
  expect(await find()).toMatchObject({ phase: "leaving" });
  expect(site.said).toContainEqual(
    expect.objectContaining({ state: "note", text: expect.stringMatching(/^srv2 is not free: sql-erp could not be/) }),
  );
  delete site.servers.refuse;
  await leave(site.operator(), plan, await find());
  expect(await find()).toMatchObject({ phase: "working" });
  expect((await places()).filter((line) => line.endsWith(server))).toEqual([]);
  const open = (await find())!;
  await returnFrom(site.operator(), open, await planReturning(site.operator(), open.plan, options));
});

test.each([
  [SQL, 113],
  [APP, 112],
])("%s was off before the work, and is off after it", async (name, vmid) => {
  await site.pve.task(server, "POST", `/nodes/${server}/qemu/${vmid}/status/stop`, {}, {});
  const { plan, refusals } = await planLeaving(site.operator(), server);
  expect(refusals).toEqual([]);
  await leave(site.operator(), plan, undefined);
  const open = (await find())!;
  expect((await places()).filter((line) => line.includes(name))).toEqual([]);
  const way = await planReturning(site.operator(), open.plan, options);
  expect(way.refusals).toEqual([]);
  await returnFrom(site.operator(), open, way);
  expect(await site.guests()).toContain(`${vmid} ${name} stopped ${server}`);
  await site.pve.task(server, "POST", `/nodes/${server}/qemu/${vmid}/status/start`, {}, {});
});

test("what a person moved on meanwhile is left alone, and said", async () => {
  const { plan } = await planLeaving(site.operator(), server);
  // Nothing was moved at all: whatever the plan says, it is not where it was moved to.
  plan.away.moves[0]!.to = "srv9";
  site.servers.setAll(plan.away.moves[0]!.guest, 20, "srv1");
  const way = await planReturning(
    site.operator(),
    { ...plan, away: { ...plan.away, moves: [plan.away.moves[0]!] } },
    options,
  );
  expect(way.home).toBeUndefined();
  expect(way.warnings.map(({ code }) => code)).toEqual(["OPERATION-MOVED-ON"]);
});
