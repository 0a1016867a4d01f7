/** Copies in the lab hold real bytes: what comes back is compared with what was backed up. */
import { listBranches, removeBranch } from "../../operations/backups/branches";
import { planBranch } from "../../operations/backups/plan-branch";
import type { RestoreRequest } from "../../operations/backups/plan-restore";
import { readCopies } from "../../operations/backups/read-copies";
import { addRoom, planAndRoom, restoreFacts } from "../../operations/backups/restore-facts";
import { openRestore, runRestore } from "../../operations/backups/restore-steps";
import { carryOutRuns, planRun } from "../../operations/backups/run-policy";
import { summarise } from "../../operations/backups/summary";
import { readLive } from "../../operations/live";
import { Interrupted } from "../../operations/steps";
import { ReturnSite, SQL } from "./return-site";

const ERP = 113;
let site: ReturnSite;
beforeAll(async () => {
  site = await ReturnSite.start();
  site.servers.setAll(SQL, 1, "srv2");
  site.manifest.backups = {
    timeZone: "UTC",
    targets: { nas: { kind: "vzdump", storage: "backup-nfs", limitGiB: 400 } },
    policies: {
      nightly: {
        target: "nas",
        schedule: "22:30",
        keep: { last: 3 },
        guests: [SQL],
        folders: [],
        volumes: [],
        datasets: [],
        hooks: { before: [], after: [], timeoutSeconds: 60 },
        notify: "failure",
        recoveryPointSeconds: 90_000,
      },
    },
    rotations: {},
  };
  await write("as it was backed up");
  const operator = site.operator();
  const { runs } = planRun(operator, await readLive(operator), "nightly");
  expect(await carryOutRuns(operator, runs)).toMatchObject([{ ok: true, server: "srv2" }]);
  await write("written after the backup");
});
afterAll(() => site.remove());

const write = (text: string) => site.trial.control("POST", `/guests/${ERP}/write`, { text });
async function bytesOf(vmid: number): Promise<string> {
  const { text } = (await site.trial.control("GET", `/guests/${vmid}/data`)) as { text: string };
  return text;
}
const request = (change: Partial<RestoreRequest>): RestoreRequest => ({
  guest: SQL,
  point: "latest",
  stopSeconds: 60,
  forceStop: true,
  ...change,
});

test("the copy that a run has made is listed, as new as promised", async () => {
  const copies = await readCopies(site.operator());
  expect(copies.unasked).toEqual([]);
  expect(summarise(copies, site.manifest)).toMatchObject([{ subject: SQL, count: 1, state: "kept", target: "nas" }]);
  expect(copies.points.find(({ subject }) => subject === SQL)!.notes).toContain("policy nightly");
});

test("beside, on the other server: the bytes of the backup, other hardware addresses, and the original runs on", async () => {
  const plan = await planAndRoom(site.operator(), request({ as: "sql-erp-2", to: "srv1" }));
  expect(plan.refusals).toEqual([]);
  await runRestore(site.operator(), plan, SQL);
  const bytes = await bytesOf(plan.vmid);
  expect(bytes).toContain("as it was backed up");
  expect(bytes).not.toContain("written after the backup");
  const made = await site.config("srv1", plan.vmid);
  expect(made).toMatchObject({ name: "sql-erp-2", tags: "coldspare;coldspare-restored" });
  expect(Number(made.onboot ?? 0)).toBe(0);
  expect(made.net0).not.toBe((await site.config("srv2", ERP)).net0);
  expect(await bytesOf(ERP)).toContain("written after the backup");
  expect(await site.guests()).toContain(`${ERP} ${SQL} running srv2`);
});

test("a branch: the bytes of the backup on a bridge without ports, and it goes without a trace", async () => {
  const operator = site.operator();
  const before = await site.guests();
  const facts = await restoreFacts(operator);
  const plan = planBranch(facts, {
    guest: SQL,
    point: "latest",
    network: "isolated",
    expires: "7d",
    live: false,
    start: false,
    by: "me@laptop",
  });
  await addRoom(operator, facts, plan);
  expect(plan.refusals).toEqual([]);
  await runRestore(operator, plan, SQL);
  expect(await bytesOf(plan.vmid)).toContain("as it was backed up");
  const { net0 = "" } = await site.config(plan.server, plan.vmid);
  expect(net0).toMatch(/bridge=csd[0-9a-f]{8}/);
  const { branches } = await listBranches(operator);
  expect(branches).toMatchObject([{ name: "sql-erp-branch", guest: SQL, expired: false }]);
  await removeBranch(operator, branches[0]!);
  expect(await site.guests()).toEqual(before);
});

test("over the guest itself, ended in the middle and gone on with: back to the copy, and what was there is kept", async () => {
  const plan = await planAndRoom(site.operator(), request({ over: "keep" }));
  expect(plan.refusals).toEqual([]);
  const settings = await site.config("srv2", ERP);
  const operator = site.operator();
  // The signal comes while what is there is being kept: the operation ends after that step.
  operator.say = ({ step, state }) => void (step === `keep-${SQL}` && state === "begin" && process.emit("SIGINT"));
  await expect(runRestore(operator, plan, SQL)).rejects.toThrow(Interrupted);
  expect(await bytesOf(ERP)).toContain("written after the backup");
  const open = (await openRestore(site.operator(), "restore", SQL))!;
  await runRestore(site.operator(), open.plan, SQL, open);
  const bytes = await bytesOf(ERP);
  expect(bytes).toContain("as it was backed up");
  expect(bytes).not.toContain("written after the backup");
  expect(await bytesOf(plan.existing!.keptId)).toContain("written after the backup");
  const after = await site.config("srv2", ERP);
  expect([after.name, after.tags, Number(after.onboot), after.startup]).toEqual([
    settings.name,
    settings.tags,
    Number(settings.onboot),
    settings.startup,
  ]);
  expect(await site.guests()).toEqual(
    expect.arrayContaining([
      `${ERP} ${SQL} running srv2`,
      `${plan.existing!.keptId} sql-erp-before-restore stopped srv2`,
    ]),
  );
});
