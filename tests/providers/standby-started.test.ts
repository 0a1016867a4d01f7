/** A standby that was started since its restore may be the active side that is off for a moment: nothing restores over it. */
import { refreshStandby } from "../../providers/restore-refresh";
import { standbyGuestHandler as handler, type StandbyGuestInputs } from "../../providers/standby-guest-handler";
import { refusal, TwoServers } from "./two-servers";

const inputs = (vmid: number, more: Partial<StandbyGuestInputs> = {}): StandbyGuestInputs => ({
  guest: `guest-${vmid}`,
  vmid,
  kind: "qemu",
  source: "srv1",
  node: "srv2",
  standbyIds: [9000 + vmid * 2, 9001 + vmid * 2],
  storage: "tank",
  backupStorage: "backup-nfs",
  tags: ["coldspare", "coldspare-spare"],
  notes: `Spare of guest-${vmid}`,
  ...more,
});

describe("a standby that was started and is off again", () => {
  let site: TwoServers;
  beforeAll(async () => {
    site = await TwoServers.start();
  });
  afterAll(() => site?.end());

  const backup = async (vmid: number) => {
    // Names of archives have the second in them: the next must be another.
    await site.control("/clock/advance", { seconds: 5 });
    const what = { vmid, storage: "backup-nfs", mode: "snapshot", compress: "zstd" };
    await site.pve.task("srv1", "POST", "/nodes/srv1/vzdump", what, {});
  };
  const startAndStop = async (id: number) => {
    for (const action of ["start", "stop"])
      await site.pve.task("srv2", "POST", `/nodes/srv2/qemu/${id}/status/${action}`, {}, {});
  };
  const created = async (vmid: number) => {
    await site.guest(vmid, "srv1");
    return (await handler.create(site.context, inputs(vmid, { refreshToken: "1" }))).outs;
  };

  test("survives the refresh of its turn, also with force; without it the refresh goes on", async () => {
    await created(140);
    await startAndStop(9280);
    await backup(140);
    expect((await refreshStandby(site.pve, inputs(140))).standbyId).toBe(9281);
    const before = await site.config("srv2", 9280);
    await backup(140);
    for (const force of [false, true]) {
      const { message } = await refusal(refreshStandby(site.pve, inputs(140), { force }));
      expect(message).toMatch(
        /^srv2: could not refresh the standby of guest 140 'guest-140' .*: 9280 'guest-140-spare' was started after its restore \(\d{4}-.*Z\): it may hold newer data/,
      );
      expect(message).toMatch(
        /Fix: .*`pulumi config set --path coldspare:active\.guest-140 spare`, and `coldspare refresh --active guest-140=spare`; .* remove it on srv2: `qm destroy 9280`$/,
      );
    }
    expect(await site.config("srv2", 9280)).toEqual(before);
    await site.pve.task("srv2", "DELETE", "/nodes/srv2/qemu/9280", {}, {});
    expect((await refreshStandby(site.pve, inputs(140))).standbyId).toBe(9280);
    // The start of the guest that had the id before does not count against the new one.
    for (const standbyId of [9281, 9280]) {
      await backup(140);
      expect((await refreshStandby(site.pve, inputs(140))).standbyId).toBe(standbyId);
    }
  });

  test("also when the line in its notes was lost", async () => {
    await created(141);
    await startAndStop(9282);
    await site.pve.put("/nodes/srv2/qemu/9282/config", { description: "mine now" });
    await backup(141);
    expect((await refusal(refreshStandby(site.pve, inputs(141)))).message).toContain("was started after its restore");
    expect((await site.config("srv2", 9282)).description).toBe("mine now");
  });

  test("stays when the program moves the standby to another server or other ids; deletion alone takes it", async () => {
    const outs = await created(142);
    await startAndStop(9284);
    for (const more of [{ node: "srv1" }, { standbyIds: [9300, 9301] as [number, number] }]) {
      const news = inputs(142, { refreshToken: "1", ...more });
      const error = await refusal(handler.update(site.context, "142-standby", outs, news));
      expect(error.message).toContain("9284 'guest-142-spare' was started after its restore");
    }
    const rows = await site.pve.get<{ vmid: number }[]>("/cluster/resources", { type: "vm" });
    expect(rows.map(({ vmid }) => vmid).filter((id) => id === 9284 || id === 9285 || id >= 9300)).toEqual([9284]);
    await handler.delete(site.context, "142-standby", outs);
    expect((await refusal(site.config("srv2", 9284))).message).toContain("does not exist");
  });

  test("a token that sees its own tasks only cannot know, and restores over nothing", async () => {
    await created(143);
    await backup(143);
    await refreshStandby(site.pve, inputs(143));
    await backup(143);
    const get = site.pve.get.bind(site.pve);
    const spy = jest.spyOn(site.pve, "get").mockImplementation(async (path, ...rest) => {
      if (path === "/access/permissions") return { "/nodes/srv2": { "Datastore.Audit": 1 } } as never;
      return get(path, ...rest);
    });
    const error = await refusal(refreshStandby(site.pve, inputs(143)));
    spy.mockRestore();
    expect(error.message).toMatch(/may not see the tasks of others on srv2.* Fix: give the token Sys\.Audit/);
    expect((await refreshStandby(site.pve, inputs(143))).standbyId).toBe(9286);
  });
});
