import { type DivergedChoice, planReturn, type ReturnPlan } from "../../operations/failback-plan";
import { roomForOldData } from "../../operations/failback-room";
import { openReturn, runReturn } from "../../operations/failback-run";
import { type LiveSite, readLive } from "../../operations/live";
import { Interrupted, StepFailed } from "../../operations/steps";
import type { Finding, SiteManifest } from "../../planning";
import { APP, ReturnSite, SQL } from "./return-site";

let site: ReturnSite;
/** A site of its own is a second of work: what only looks takes that of the test before. */
const failedOver = async () => {
  await site?.remove();
  site = await ReturnSite.start();
  await site.failOver();
};
afterAll(() => site.remove());

async function plan(
  subjects: string[],
  diverged?: DivergedChoice,
  kind: ReturnPlan["kind"] = "failback",
): Promise<ReturnPlan> {
  const operator = site.operator();
  const request = { kind, subjects, stopSeconds: 120, forceStop: false, ...(diverged && { diverged }) };
  return planReturn(operator.manifest, await readLive(operator), request);
}

const codes = ({ refusals }: ReturnPlan) => refusals.map(({ code }) => code);
const holders = (guest: string) => Object.values(site.servers.records).map((records) => records[guest]?.server);

/** Runs the command again and again, ended after one more step each time, as a person with a bad line would. */
async function stepByStep(first: ReturnPlan): Promise<number> {
  for (let runs = 1; runs < 60; runs++) {
    const operator = site.operator(`me${runs}@laptop`);
    const open = await openReturn(operator, first.kind, [first.subject]);
    let asked = 0;
    try {
      // The first question comes before any step that is not done yet.
      await runReturn(operator, first, { ...(open && { open }), stopped: () => steppedOnce(site, () => asked++) });
      return runs;
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
    }
  }
  throw new Error("it never ended");
}

/** True once a step has really been carried out in this run. */
function steppedOnce({ said }: ReturnSite, count: () => number): boolean {
  if (count() === 0) said.length = 0;
  return said.some(({ state }) => state === "done");
}

test("everything of a server comes home: nothing was lost, old data kept, the standby is the newest good copy", async () => {
  await failedOver();
  const whole = await plan(["srv2"], "keep");
  expect(codes(whole)).toEqual([]);
  expect(whole.guests).toMatchObject([
    { guest: SQL, diverged: "keep", activeId: 113, jobId: "113-0" },
    { guest: APP, diverged: "keep", activeId: 9112, oldPrimary: true },
  ]);
  await runReturn(site.operator(), whole);
  expect(await site.guests()).toEqual([
    `112 ${APP} running srv2`,
    `113 ${SQL} running srv2`,
    `800000112 ${APP}-diverged stopped srv2`,
    `800000113 ${SQL}-diverged stopped srv2`,
    `9112 ${APP}-spare stopped srv1`,
  ]);
  expect(holders(SQL)).toEqual(["srv2", "srv2", "srv2"]);
  expect(holders(APP)).toEqual(["srv2", "srv2", "srv2"]);
  const [job] = await site.pve.get<{ source: string; target: string; disable?: number }[]>("/cluster/replication");
  expect(job).toMatchObject({ source: "srv2", target: "srv1" });
  expect(job?.disable).toBeUndefined();

  const home = await site.config("srv2", 112);
  expect(home).toMatchObject({ name: APP, tags: "coldspare;coldspare-primary", onboot: 1, protection: 1 });
  expect(home.description).toContain("Session host");
  const standby = await site.config("srv1", 9112);
  expect(standby).toMatchObject({ tags: "coldspare;coldspare-spare" });
  expect(standby.description).toMatch(/Recovery point: \S+ from backup-nfs:backup\/vzdump-qemu-9112-/);
  for (const id of [800000112, 800000113]) {
    const config = await site.config("srv2", id);
    expect(config.tags).toBe("coldspare-diverged");
    expect(config.net0 ?? "link_down=1").toContain("link_down=1");
    expect(Number(config.onboot ?? 0)).toBe(0);
  }
});

test("ended after every single step and run again, it comes to the same", async () => {
  await failedOver();
  const runs = await stepByStep(await plan(["srv2"], "keep"));
  expect(runs).toBeGreaterThan(12);
  expect(await site.guests()).toEqual([
    `112 ${APP} running srv2`,
    `113 ${SQL} running srv2`,
    `800000112 ${APP}-diverged stopped srv2`,
    `800000113 ${SQL}-diverged stopped srv2`,
    `9112 ${APP}-spare stopped srv1`,
  ]);
  expect(await openReturn(site.operator(), "failback", [])).toBeUndefined();
});

describe("refusals, all at once", () => {
  beforeAll(failedOver);

  /** As it is after the failovers, with a change. */
  async function changed(
    subjects: string[],
    change: (live: LiveSite, manifest: SiteManifest) => void = () => undefined,
    diverged: DivergedChoice | undefined = "keep",
    kind: ReturnPlan["kind"] = "failback",
  ) {
    const live = structuredClone(await readLive(site.operator()));
    const manifest = structuredClone(site.manifest);
    change(live, manifest);
    const request = { kind, subjects, stopSeconds: 120, forceStop: false, ...(diverged && { diverged }) };
    return planReturn(manifest, live, request).refusals;
  }
  const told = (refusals: Finding[]) => refusals.map(({ code, subject }) => `${code} ${subject}`);

  test("each says what is wrong and what to do", async () => {
    const choice = planReturn(site.manifest, await readLive(site.operator()), {
      kind: "failback",
      subjects: ["srv2"],
      stopSeconds: 1,
      forceStop: false,
    }).refusals;
    expect(told(choice)).toEqual([`OPERATION-DIVERGED-CHOICE ${SQL}`, `OPERATION-DIVERGED-CHOICE ${APP}`]);
    expect(choice[0]?.fix).toMatch(/--diverged keep.*--diverged extract.*--diverged discard/);

    const nowhere = await changed([SQL, APP, "sql", "srv1"], (live, manifest) => {
      Object.assign(live.guests[SQL]!, { activeSide: "primary", job: { ...live.guests[SQL]!.job, disabled: false } });
      delete manifest.guests[APP]!.spare;
    });
    expect(told(nowhere)).toEqual([
      `OPERATION-AT-HOME ${SQL}`,
      `OPERATION-NO-SPARE ${APP}`,
      "OPERATION-UNKNOWN-GUEST sql",
      "OPERATION-NOT-AWAY srv1",
    ]);

    const unknown = await changed([SQL, APP], (live) => {
      delete live.guests[SQL]!.record;
      live.guests[APP]!.activeSide = "nobody";
    });
    expect(unknown.map(({ message }) => message)).toEqual([
      expect.stringMatching(/which side of sql-erp is active is not known/),
      expect.stringMatching(/a switch of remote-app was begun and not ended/),
    ]);

    const broken = await changed([SQL, APP], (live, manifest) => {
      delete live.guests[SQL]!.job;
      live.guests[SQL]!.diverged = true;
      live.servers.srv2!.ssh = "down";
      delete manifest.guests[APP]!.backupStorage;
    });
    expect(told(broken)).toEqual([
      `OPERATION-NO-SSH ${SQL}`,
      `OPERATION-JOB-MISSING ${SQL}`,
      `OPERATION-NO-BACKUP-STORAGE ${APP}`,
    ]);

    const dead = await changed([SQL], (live) => {
      Object.assign(live.servers.srv2!, { api: "down", ssh: "down", apiProblem: "no answer" });
      live.servers.srv1!.quorate = false;
    });
    expect(told(dead)).toEqual([
      `OPERATION-SERVER-DOWN ${SQL}`,
      `OPERATION-NO-QUORUM ${SQL}`,
      `OPERATION-NO-SSH ${SQL}`,
    ]);

    const both = await changed([SQL], (live) => {
      live.guests[SQL]!.runningOn.push({ server: "srv2", vmid: 113, config: true, running: true, tags: [] });
    });
    expect(told(both)).toEqual([`OPERATION-BOTH-RUN ${SQL}`]);

    const full = await changed(["srv2"], (_live, manifest) => {
      manifest.servers.srv2!.memoryLimitGiB = 0.6;
    });
    expect(told(full)).toEqual(["OPERATION-NO-MEMORY srv2"]);

    const container = await changed([SQL], (_live, manifest) => {
      manifest.guests[SQL]!.kind = "lxc";
    });
    expect(told(container)).toEqual([`OPERATION-DIVERGED-CONTAINER ${SQL}`]);
  });

  test("after a planned switch replication goes the other way: there is nothing to decide", async () => {
    const refusals = await changed(
      [SQL],
      (live) => {
        Object.assign(live.guests[SQL]!, { diverged: false });
        Object.assign(live.guests[SQL]!.job!, { disabled: false, source: "srv1", target: "srv2" });
      },
      undefined,
    );
    expect(told(refusals)).toEqual([]);
  });

  test("a commit of a restored guest does without the old server once nothing of it is left in the cluster", async () => {
    const gone = (live: LiveSite, config: boolean) => {
      Object.assign(live.servers.srv2!, { api: "down", ssh: "down" });
      Object.assign(live.guests[APP]!.seats.find(({ vmid }) => vmid === 112)!, { config });
    };
    expect(told(await changed([APP], (live) => gone(live, false), "keep", "commit"))).toEqual([]);
    expect(told(await changed([APP], (live) => gone(live, true), "keep", "commit"))).toContain(
      `OPERATION-SERVER-DOWN ${APP}`,
    );
  });
});

test("a guest that does not end is left running, and with the person's word it is ended hard", async () => {
  const gentle = { ...(await plan([APP], "discard")), stopSeconds: 1 };
  await site.trial.control("POST", "/faults/task", {
    type: "qmshutdown",
    message: "VM quit/powerdown failed - got timeout",
  });
  const failure: unknown = await runReturn(site.operator(), gentle).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(StepFailed);
  expect((failure as Error).message).toMatch(/did not shut down within 1 s, and is left running.*--force-stop/);
  expect(await site.runsOn(APP, "srv1")).toBe(true);
  expect(holders(APP)).toEqual(["srv1", "srv1", "srv1"]);
  const open = (await openReturn(site.operator(), "failback", [APP]))!;
  await runReturn(site.operator(), gentle, { open: { ...open, plan: { ...open.plan, forceStop: true } } });
  expect(await site.runsOn(APP, "srv2")).toBe(true);
});

test("a server that does not let the guest go keeps it: nothing is started at home", async () => {
  const whole = await plan([SQL], "discard");
  site.servers.refuse = SQL;
  await expect(runReturn(site.operator(), whole)).rejects.toThrow(/srv1 does not give sql-erp up: it runs/);
  expect(await site.runsOn(SQL, "srv2")).toBe(false);
  // The same command again, when it does.
  delete site.servers.refuse;
  const operator = site.operator();
  const open = await openReturn(operator, "failback", [SQL]);
  await runReturn(operator, whole, { ...(open && { open }) });
  // The list of the cluster lags behind: its server itself is asked.
  expect(await site.pve.get("/nodes/srv2/qemu/113/status/current")).toMatchObject({ status: "running" });
});

test("told half of the voters when the line broke: the others hear the very same later", async () => {
  await failedOver();
  const whole = await plan([SQL], "discard");
  site.servers.down.add("srv2").add("backup-1");
  await expect(runReturn(site.operator(), whole)).rejects.toThrow(/only srv1 of srv2, srv1, backup-1 could be told/);
  site.servers.down.clear();
  const operator = site.operator("somebody-else@desk");
  const open = await openReturn(operator, "failback", ["srv2"]);
  await runReturn(operator, whole, { ...(open && { open }) });
  const records = Object.values(site.servers.records).map((each) => each[SQL]);
  expect(new Set(records.map((record) => `${record?.epoch} ${record?.server} ${record?.by}`)).size).toBe(1);
});

test("a restore that breaks leaves the standby whole, and run again it ends well", async () => {
  const whole = await plan([APP], "discard");
  await site.trial.control("POST", "/faults/task", { type: "qmrestore", message: "no space left on device" });
  await expect(runReturn(site.operator(), whole)).rejects.toThrow(/no space left/);
  expect(await site.guests()).toContain(`9112 ${APP}-spare stopped srv1`);
  const operator = site.operator();
  const open = await openReturn(operator, "failback", [APP]);
  await runReturn(operator, whole, { ...(open && { open }) });
  const home = await site.config("srv2", 112);
  // Read before the restore broke: it would be lost otherwise.
  expect(home).toMatchObject({ name: APP, tags: "coldspare;coldspare-primary", protection: 1 });
  expect(await site.runsOn(APP, "srv2")).toBe(true);
});

test("a guest that was off comes home and stays off; extract says for each disk how to look into it, read-only", async () => {
  await failedOver();
  await site.pve.task("srv1", "POST", "/nodes/srv1/qemu/113/status/stop", {}, {});
  const whole = await plan([SQL], "extract");
  expect(whole.warnings.map(({ code }) => code)).toEqual(["OPERATION-NOT-RUNNING"]);
  await runReturn(site.operator(), whole);
  expect(await site.guests()).toContain(`113 ${SQL} stopped srv2`);
  expect(holders(SQL)).toEqual(["srv2", "srv2", "srv2"]);
  const notes = site.said.filter(({ step, state }) => step === `extract-${SQL}` && state === "note");
  expect(notes[0]?.text).toMatch(
    /on srv2, scsi0: `guestmount --ro -i -a "\$\(pvesm path tank:vm-800000113-disk-\d\)" \/mnt`/,
  );
});

test("no room for what is kept is said before anything is copied", async () => {
  await failedOver();
  const whole = await plan(["srv2"], "keep");
  expect(await roomForOldData(site.operator(), whole)).toEqual([]);
  const fill = () =>
    site.trial.control("POST", "/storage/fill", { node: "srv2", storage: "tank", leaveBytes: 3 * 1024 ** 3 });
  await fill();
  const [finding] = await roomForOldData(site.operator(), whole);
  expect(finding).toMatchObject({ code: "OPERATION-NO-ROOM", severity: "error", subject: "srv2" });
  expect(finding?.message).toMatch(/sql-erp, remote-app take 4 GiB on tank, which has \d GiB left there/);
  await site.pve.put("/storage/tank", { sparse: true });
  await fill();
  expect((await roomForOldData(site.operator(), whole))[0]).toMatchObject({ severity: "warning" });
  expect(await roomForOldData(site.operator(), await plan(["srv2"], "discard"))).toEqual([]);
  await site.trial.control("POST", "/storage/empty", { node: "srv2", storage: "tank" });
});

describe("commit", () => {
  beforeAll(failedOver);

  test("by replication nothing stops: only the direction is turned for good", async () => {
    const whole = await plan([SQL], "discard", "commit");
    expect(codes(whole)).toEqual([]);
    await runReturn(site.operator(), whole);
    expect(await site.guests()).toContain(`113 ${SQL} running srv1`);
    const [job] = await site.pve.get<{ source: string; target: string; disable?: number }[]>("/cluster/replication");
    expect(job).toMatchObject({ source: "srv1", target: "srv2" });
    expect(holders(SQL)).toEqual(["srv1", "srv1", "srv1"]);
    expect(site.said.some(({ step }) => step === `stop-${SQL}`)).toBe(false);
  });

  test("a restored guest keeps its id, on the new server", async () => {
    await runReturn(site.operator(), await plan([APP], "keep", "commit"));
    expect(await site.guests()).toEqual([
      `112 ${APP} running srv1`,
      `113 ${SQL} running srv1`,
      `800000112 ${APP}-diverged stopped srv2`,
      `9112 ${APP}-spare stopped srv1`,
    ]);
  });
});

describe("at home again after the spare was lost, with replication off", () => {
  /** The spare's server died while it carried the guest: the configuration went back, the job stayed off. */
  beforeEach(async () => {
    await failedOver();
    const { pve, trial } = site;
    await pve.task("srv1", "POST", "/nodes/srv1/qemu/113/status/stop", {}, {});
    await trial.control("POST", "/config-move", { vmid: 113, from: "srv1", to: "srv2" });
    await pve.task("srv2", "POST", "/nodes/srv2/qemu/113/status/start", {}, {});
    site.servers.setAll(SQL, 6, "srv2");
  });
  const job = async () =>
    (await site.pve.get<{ source: string; target: string; disable?: number }[]>("/cluster/replication"))[0];

  test("what only the spare has is asked about; nothing is switched on before", async () => {
    const { refusals } = await plan([SQL]);
    expect(refusals.map(({ code }) => code)).toEqual(["OPERATION-DIVERGED-CHOICE"]);
    expect(refusals[0]!.message).toMatch(/what was last written on srv1 before the switch is only there/);
    expect(await job()).toMatchObject({ disable: 1 });
    const [commit] = (await plan([SQL], "discard", "commit")).refusals;
    expect(commit).toMatchObject({ code: "OPERATION-AT-HOME" });
    expect(commit!.fix).toMatch(/its replication is off: `coldspare failback sql-erp` first/);
    const [server] = (await plan(["srv1"])).refusals;
    expect(server!.fix).toMatch(/`coldspare failback sql-erp`/);
    const live = structuredClone(await readLive(site.operator()));
    live.guests[SQL]!.job!.pausedByDrill = true;
    const request = { kind: "failback" as const, subjects: [SQL], stopSeconds: 1, forceStop: false };
    expect(codes(planReturn(site.manifest, live, request))).toEqual(["OPERATION-AT-HOME"]);
  });

  test("discard: replication follows again, and the guest is not touched", async () => {
    const whole = await plan([SQL], "discard");
    expect(whole.guests).toMatchObject([{ guest: SQL, stays: true, home: "srv1", away: "srv2", diverged: "discard" }]);
    await runReturn(site.operator(), whole);
    expect(await job()).toMatchObject({ source: "srv2", target: "srv1" });
    expect((await job())?.disable).toBeUndefined();
    expect(await site.pve.get("/nodes/srv2/qemu/113/status/current")).toMatchObject({ status: "running" });
    expect(holders(SQL)).toEqual(["srv2", "srv2", "srv2"]);
    const steps = new Set(site.said.filter(({ state }) => state === "done").map(({ step }) => step));
    expect([...steps]).toEqual([`enable-${SQL}`, `sync-${SQL}`, `tidy-${SQL}`]);
    expect((await readLive(site.operator())).guests[SQL]).toMatchObject({ activeSide: "primary", diverged: false });
  });

  test("keep: what the spare has is a guest of its own there, made before anything is written over", async () => {
    expect(await stepByStep(await plan([SQL], "keep"))).toBeGreaterThan(3);
    expect(await site.guests()).toContain(`800000113 ${SQL}-diverged stopped srv1`);
    expect(await job()).toMatchObject({ source: "srv2", target: "srv1" });
    expect((await job())?.disable).toBeUndefined();
  });

  test("a container's volumes on the spare are kept by hand; a guest that was switched since is left alone", async () => {
    const manifest = structuredClone(site.manifest);
    manifest.guests[SQL]!.kind = "lxc";
    const live = await readLive(site.operator());
    const request = { kind: "failback" as const, subjects: [SQL], stopSeconds: 1, forceStop: false };
    const [byHand] = planReturn(manifest, live, { ...request, diverged: "keep" }).refusals;
    expect(byHand).toMatchObject({ code: "OPERATION-DIVERGED-CONTAINER" });
    expect(byHand!.fix).toMatch(/by hand on srv1/);
    const whole = await plan([SQL], "discard");
    site.servers.setAll(SQL, 8, "srv1");
    await expect(runReturn(site.operator(), whole)).rejects.toThrow(
      /sql-erp was switched to srv1 since this was planned/,
    );
    expect(await job()).toMatchObject({ disable: 1 });
  });
});
