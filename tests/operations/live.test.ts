import { failoverFacts } from "../../operations/failover-facts";
import { readLive } from "../../operations/live";
import { type FailoverRequest, planFailover } from "../../operations/plan-failover";
import { FakeSite } from "./fake-site";

const LOCKED = { status: 500, reason: "cfs-lock 'file-replication_cfg' error: got lock request timeout" };

describe("a list that cannot be read", () => {
  let site: FakeSite;
  beforeEach(() => {
    site = new FakeSite();
  });
  afterEach(() => site.remove());

  test.each([
    ["the replication jobs", /^\/cluster\/replication$/],
    ["a server's machines", /^\/nodes\/srv1\/qemu$/],
    ["a server's containers", /^\/nodes\/srv1\/lxc$/],
    ["the servers of the cluster", /^\/cluster\/status$/],
    ["the standbys", /^\/nodes\/srv1\/qemu\/9112\/config$/],
  ])("%s: the server is refused with the reason, and nothing looks empty", async (_what, path) => {
    site.faults.push({ server: "srv1", path, ...LOCKED });
    const live = await readLive(site.operator());
    expect(live.servers.srv1).toMatchObject({ api: "refused" });
    expect(live.servers.srv1!.apiProblem).toMatch(/cfs-lock.*GET \/.*Fix: /);
    const here = Object.values(live.guests).flatMap(({ seats }) => seats.filter(({ server }) => server === "srv1"));
    for (const vmid of [110, 111, 9112])
      expect(here.find((seat) => seat.vmid === vmid)).toMatchObject({ config: true, running: undefined });
    expect(live.guests["sql-erp"]!.job).toMatchObject({ id: "113-0", disabled: false });
  });

  test("a failover is refused, as the job would go on against the dead server's last data", async () => {
    site.kill("srv2");
    site.faults.push({ path: /^\/cluster\/replication$/, ...LOCKED });
    const operator = site.operator();
    const live = await readLive(operator);
    expect(live.jobsKnown).toBe(false);
    const request: FailoverRequest = {
      server: "srv2",
      guests: ["sql-erp"],
      planned: false,
      acceptStale: false,
      confirmOff: "srv2",
      forceFence: false,
    };
    const { refusals } = planFailover(site.manifest, live, await failoverFacts(operator, live, request, []), request);
    expect(refusals.map(({ message }) => message).join()).toMatch(/the API of srv1.*cfs-lock/);
  });

  test("trouble that passes in a moment costs nothing", async () => {
    site.faults.push({ server: "srv1", path: /^\/cluster\/replication$/, ...LOCKED, times: 2 });
    const live = await readLive(site.operator());
    expect(live.servers.srv1).toMatchObject({ api: "up" });
    expect(live.jobsKnown).toBe(true);
  });

  test("a token that may not see: the rest counts, and what it may not see is known to be unknown", async () => {
    const denied = { status: 403, reason: "Permission check failed" };
    site.faults.push({ path: /^\/cluster\/(status|replication)$/, ...denied });
    const live = await readLive(site.operator());
    expect(live.servers.srv1).toMatchObject({ api: "up", running: [{ vmid: 110 }, { vmid: 111 }] });
    expect(live.servers.srv1).not.toHaveProperty("quorate");
    expect(live.jobsKnown).toBe(false);
  });

  test("a standby that lies on a dead server does not take its own server along", async () => {
    site.guests.get(9112)!.server = "srv2";
    site.kill("srv2");
    expect((await readLive(site.operator())).servers.srv1).toMatchObject({ api: "up" });
  });
});
