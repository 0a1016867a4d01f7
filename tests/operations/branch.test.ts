import { listBranches, removeBranch } from "../../operations/backups/branches";
import { branchIn, branchNotes } from "../../operations/backups/notes";
import { type BranchRequest, networkName, planBranch } from "../../operations/backups/plan-branch";
import { addRoom, restoreFacts } from "../../operations/backups/restore-facts";
import { runRestore } from "../../operations/backups/restore-steps";
import { FakeBackups } from "./fake-backups";

let fake: FakeBackups;
beforeEach(() => {
  fake = new FakeBackups();
  // There is room for everything, unless a test says otherwise.
  for (const server of Object.values(fake.site.manifest.servers)) server.memoryLimitGiB = 500;
  fake.answers.set("srv2: coldspare-drill list", { code: 0, stdout: "", stderr: "" });
});
afterEach(() => fake.remove());

async function plan(change: Partial<BranchRequest> = {}) {
  const operator = fake.operator();
  const facts = await restoreFacts(operator);
  const made = planBranch(facts, {
    guest: "sql-erp",
    point: "latest",
    network: "isolated",
    expires: "7d",
    live: false,
    start: true,
    by: "anna@laptop",
    ...change,
  });
  await addRoom(operator, facts, made);
  return made;
}

const make = async (change: Partial<BranchRequest> = {}) => {
  const made = await plan(change);
  expect(made.refusals).toEqual([]);
  await runRestore(fake.operator(), made, "sql-erp");
  return made;
};
const codes = ({ refusals }: { refusals: { code: string }[] }) => refusals.map(({ code }) => code);

describe("making a branch", () => {
  test("from the newest copy, in isolation, with its hardware addresses, a tag and a date", async () => {
    const made = await make();
    expect(made).toMatchObject({
      name: "sql-erp-branch",
      server: "srv2",
      start: true,
      expires: "2026-11-29T03:00:00Z",
    });
    const form = fake.calls.find(({ path, method }) => path === "/nodes/srv2/qemu" && method === "POST")!.form;
    expect(form).toMatchObject({ unique: false, start: false, onboot: false });
    const { config, running } = fake.site.guests.get(made.vmid)!;
    expect(config.tags).toBe("coldspare;coldspare-branch");
    expect(branchIn(config.description)).toEqual({
      guest: "sql-erp",
      dataAt: "2026-11-21T21:00:00Z",
      expires: "2026-11-29T03:00:00Z",
      by: "anna@laptop",
    });
    expect(config.net0).toBe(`virtio=BC:24:11:00:00:01,bridge=${made.network!.bridges[0]!.bridge}`);
    expect(running).toBe(true);
    expect(fake.commands.find((each) => each.includes("net-up"))).toMatch(
      /^srv2: coldspare-drill net-up branch-sql-erp-branch csd[0-9a-f]{8}=/,
    );
    // The original runs on, on its own bridge.
    expect(fake.site.guests.get(113)).toMatchObject({
      running: true,
      config: { net0: expect.stringContaining("bridge=vmbr0") },
    });
  });

  test("the network is up before it starts, and no card is left in the original's", async () => {
    const made = await make();
    const order = [...fake.calls.map(({ path }) => path)];
    expect(order.indexOf(`/nodes/srv2/qemu/${made.vmid}/config`)).toBeLessThan(
      order.indexOf(`/nodes/srv2/qemu/${made.vmid}/status/start`),
    );
    expect(fake.site.guests.get(made.vmid)!.config.net0).not.toMatch(/vmbr|tag=/);
  });

  test("on a bridge of the site it gets new hardware addresses, and it is said what that means", async () => {
    const made = await plan({ network: "vmbr0" });
    expect(made.warnings.map(({ code }) => code)).toEqual(["OPERATION-SAME-ADDRESS"]);
    expect(made.network).toBeUndefined();
    await runRestore(fake.operator(), made, "sql-erp");
    expect(fake.calls.find(({ path, method }) => path === "/nodes/srv2/qemu" && method === "POST")!.form.unique).toBe(
      true,
    );
    expect((await plan({ network: "vmbr9" })).warnings).toEqual([]);
  });

  test("--live clones the guest as it is, without a copy", async () => {
    fake.storages["backup-nfs"]!.volumes = [];
    const made = await make({ live: true });
    expect(fake.calls.find(({ path }) => path === "/nodes/srv2/qemu/113/clone")!.form).toMatchObject({
      newid: made.vmid,
      full: true,
    });
    expect(fake.site.guests.get(made.vmid)!.config.name).toBe("sql-erp-branch");
    expect(codes(await plan({ live: true, to: "srv1", name: "x" }))).toEqual(["OPERATION-LIVE"]);
  });

  test("never in the memory that a failover needs", async () => {
    const { memoryGiB } = fake.site.manifest.guests["sql-erp"]!;
    const used = (await restoreFacts(fake.operator())).live.servers.srv1!.usedGiB;
    fake.site.manifest.servers.srv1!.memoryLimitGiB = used + memoryGiB + 2;
    const made = await plan({ to: "srv1" });
    expect(codes(made)).toEqual(["OPERATION-BRANCH-ROOM"]);
    expect(made.refusals[0]!.message).toContain("the loss of srv2 would bring");
    expect(codes(await plan({ to: "srv1", start: false }))).toEqual([]);
  });

  test.each([
    [{ expires: "next week" }, "OPERATION-EXPIRES"],
    [{ expires: "0d" }, "OPERATION-EXPIRES"],
    [{ name: "files-1" }, "OPERATION-NAME"],
    [{ name: "a b" }, "OPERATION-NAME"],
    [{ guest: "nobody" }, "OPERATION-UNKNOWN-GUEST"],
    [{ to: "backup-1" }, "OPERATION-SERVER-DOWN"],
    [{ point: "2020-01-01" }, "OPERATION-NO-POINT"],
  ])("%j is refused with %s", async (change, code) => {
    expect(codes(await plan(change))).toContain(code);
    expect(fake.calls).toEqual([]);
  });

  test("names of networks are as the program on the server takes them", () => {
    for (const name of ["sql-erp-branch", "X".repeat(60), "A1"])
      expect(networkName(name)).toMatch(/^[a-z0-9][a-z0-9-]{0,40}$/);
    expect(networkName(`${"x".repeat(60)}1`)).not.toBe(networkName(`${"x".repeat(60)}2`));
  });
});

describe("what is there, and its end", () => {
  test("listed with what is in the notes; past its date it is expired", async () => {
    const { vmid } = await make();
    const [found] = (await listBranches(fake.operator())).branches;
    expect(found).toMatchObject({ name: "sql-erp-branch", vmid, server: "srv2", running: true, expired: false });
    fake.site.time += 8 * 86_400_000;
    expect((await listBranches(fake.operator())).branches[0]!.expired).toBe(true);
  });

  test("removed with its network; nothing else is", async () => {
    const { vmid } = await make();
    const [found] = (await listBranches(fake.operator())).branches;
    await removeBranch(fake.operator(), found!);
    expect(fake.site.guests.has(vmid)).toBe(false);
    expect(fake.site.guests.get(113)!.running).toBe(true);
    expect(fake.commands.at(-1)).toBe("srv2: coldspare-drill net-down branch-sql-erp-branch");
  });

  test("a guest with the tag alone, or with the notes alone, is none of ours", async () => {
    const notes = branchNotes({ guest: "sql-erp", dataAt: "x", expires: "2026-01-01T00:00:00Z", by: "b" });
    const other = (config: Record<string, string>) => ({
      server: "srv1",
      kind: "qemu" as const,
      running: false,
      config,
    });
    fake.site.guests.set(5001, other({ name: "a", tags: "coldspare-branch" }));
    fake.site.guests.set(5002, other({ name: "b", description: notes }));
    expect((await listBranches(fake.operator())).branches).toEqual([]);
  });

  test("one that lost its tag since it was listed is left alone", async () => {
    const { vmid } = await make();
    const [found] = (await listBranches(fake.operator())).branches;
    fake.site.guests.get(vmid)!.config.tags = "mine";
    await expect(removeBranch(fake.operator(), found!)).rejects.toThrow(/no branch any more: it is left alone/);
    expect(fake.site.guests.has(vmid)).toBe(true);
  });

  test("a server that cannot be asked is named", async () => {
    fake.site.kill("srv1");
    expect((await listBranches(fake.operator())).unasked).toMatchObject([{ server: "srv1" }]);
  });
});
