import { resumeJob } from "../../operations/drill-copy";
import { FakeSite } from "./fake-site";

let site: FakeSite;
beforeEach(() => {
  site = new FakeSite();
  site.jobs.get("113-0")!.disable = true;
});
afterEach(() => site.remove());

const name = (server: string, voters: readonly string[]) => {
  for (const voter of voters) Object.assign(site.votes.get(voter)!.get("sql-erp")!, { epoch: 2, server, by: "x" });
};
const all = () => site.manifest.guests["sql-erp"]!.voters;

test("a job that a drill has paused goes on while the guest is at home", async () => {
  await resumeJob(site.operator(), "srv1", "113-0");
  expect(site.jobs.get("113-0")!.disable).toBe(false);
});

test.each(["srv1", "-"])(
  "a failover to %s during the drill: the job stays off, the old side keeps what it alone has",
  async (to) => {
    name(to, all());
    await resumeJob(site.operator(), "srv1", "113-0");
    expect(site.jobs.get("113-0")!.disable).toBe(true);
  },
);

test("while no majority can say where the guest is, it stays off", async () => {
  name("srv1", all().slice(0, 1));
  site.kill(all().at(-1)!);
  await resumeJob(site.operator(), "srv1", "113-0");
  expect(site.jobs.get("113-0")!.disable).toBe(true);
});
