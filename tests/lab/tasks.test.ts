import { TrialLab } from "./trial-lab";

let lab: TrialLab;
beforeAll(async () => {
  lab = await TrialLab.start();
});
afterAll(() => lab.remove());

it("lists the tasks of a guest, newest first, by kind and within a time", async () => {
  await lab.createVm("srv1", 100);
  await lab.createVm("srv1", 101);
  for (const action of ["start", "stop", "start"]) {
    await lab.pass(60);
    await lab.task("srv1", "POST", `/nodes/srv1/qemu/100/status/${action}`);
  }
  const listed = (form: Record<string, string | number>): Promise<{ type: string; starttime: number }[]> =>
    lab.ask("srv1", "GET", "/nodes/srv1/tasks", { vmid: 100, source: "all", ...form });
  const all = await listed({});
  expect(all.map(({ type }) => type)).toEqual(["qmstart", "qmstop", "qmstart", "qmcreate"]);
  const [last, stop, first] = all.map(({ starttime }) => starttime) as [number, number, number];
  expect(await listed({ typefilter: "qmstart", since: first })).toHaveLength(2);
  expect(await listed({ typefilter: "qmstart", since: first + 1 })).toEqual([all[0]]);
  expect(await listed({ since: last + 1 })).toEqual([]);
  expect((await listed({ since: first, until: stop })).map(({ type }) => type)).toEqual(["qmstop", "qmstart"]);
});
