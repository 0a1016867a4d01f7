/**
 * The method zfs-sync with everything real but ZFS: two hypervisors without a cluster and a witness as real hosts, guests as processes
 * that write, coldspare-zfs over real sshds, the guard, and the operator's commands.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { canRunHosts } from "../../lab/hosts";
import type { LabHosts } from "../../lab/hosts/types";
import { returnSteps } from "../../operations/failback";
import { planReturn } from "../../operations/failback-plan";
import { failoverSteps } from "../../operations/failover";
import { failoverFacts } from "../../operations/failover-facts";
import { readLive } from "../../operations/live";
import { openOperator } from "../../operations/open";
import { type FailoverRequest, planFailover } from "../../operations/plan-failover";
import { begin, runOperation } from "../../operations/run-operation";
import { siteStatus } from "../../operations/status";
import { planSite, type SiteManifest, siteManifest } from "../../planning";
import { backupServers } from "../../planning/backup/backup-conf";
import { registeredOf } from "../../planning/registered";
import { backupAgentInputs } from "../../providers/backup-agent";
import { backupAgentHandler } from "../../providers/backup-agent-handler";
import { PveClient } from "../../providers/pve";
import { registeredGuestHandler } from "../../providers/registered-guest-handler";
import type { HandlerContext } from "../../providers/serve";
import { serverGuardInputs } from "../../providers/server-guard";
import { serverGuardHandler } from "../../providers/server-guard-handler";
import { TrialLab, twoNodes } from "../lab/trial-lab";
import { guestProcesses } from "./guests-support";
import { on } from "./hosts-support";

const check = canRunHosts();
if (!check.ok) process.stderr.write(`tests/hosts: SKIPPED: ${check.why}\n`);
const here = check.ok ? describe : describe.skip;
jest.setTimeout(240_000);

const GUEST = "sql-erp";
const VMID = 100;
const DISK = `tank/vm-${VMID}-disk-0`;
const NAMES = ["srv1", "srv2", "backup-1"] as const;

const hypervisor = {
  roles: ["hypervisor" as const],
  cores: 6,
  memoryGiB: 32,
  bridges: { vmbr0: {} },
  storages: { tank: { type: "zfspool" as const, sizeGiB: 100, content: ["images" as const, "rootdir" as const] } },
};

const plan = planSite({
  site: { name: "site" },
  servers: {
    srv1: hypervisor,
    srv2: hypervisor,
    "backup-1": { roles: ["backup-server", "witness"], cores: 2, memoryGiB: 4 },
  },
  networks: { office: { vlan: 20, subnet: "192.168.20.0/24" } },
  guests: {
    [GUEST]: {
      kind: "vm",
      os: "linux",
      id: VMID,
      on: "srv1",
      cores: 1,
      memoryGiB: 0.5,
      disks: [{ sizeGiB: 2, storage: "tank" }],
      networks: [{ network: "office", address: "192.168.20.21" }],
      boot: { seconds: 1 },
      coldReplica: { on: "srv2", method: "zfs-sync", schedule: "*/15", recoveryPoint: "1h", recoveryTime: "10m" },
    },
  },
});

here("a guest by zfs-sync on two hypervisors without a cluster", () => {
  let lab: TrialLab;
  let hosts: LabHosts;
  let manifest: SiteManifest;
  let open: ReturnType<typeof openOperator>;
  let twice: string[];
  let watch: NodeJS.Timeout;
  const previous = process.env.XDG_CACHE_HOME;

  beforeAll(async () => {
    const { cluster: _, ...independent } = twoNodes;
    lab = await TrialLab.start(independent, 20, undefined, { hosts: true });
    process.env.XDG_CACHE_HOME = path.join(lab.folder, "cache");
    hosts = lab.lab.hosts!;
    const connection = {
      endpoints: lab.lab.endpoints,
      apiToken: lab.lab.tokens.root,
      ca: fs.readFileSync(lab.lab.caFile, "utf8"),
    };
    manifest = await manifestOf(lab, hosts);
    const keys = Object.fromEntries(Object.entries(manifest.servers).map(([name, { ssh }]) => [name, ssh!.hostKeys]));
    const context: HandlerContext = {
      pve: new PveClient({ ...connection, pollSeconds: 0.1 }),
      ssh: () => ({ keyFile: hosts.operatorKeyFile(), hostKeys: keys }),
      progress: () => undefined,
    };
    const mac = manifest.guests[GUEST]!.networks[0]!.mac;
    await lab.createVm("srv1", VMID, {
      name: GUEST,
      tags: "coldspare;coldspare-primary",
      net0: `virtio=${mac},bridge=vmbr0,tag=20`,
      ipconfig0: "ip=192.168.20.21/24",
    });
    await registeredGuestHandler.create(context, registeredOf(plan.guests[GUEST]!)!);
    for (const server of NAMES) await serverGuardHandler().create(context, serverGuardInputs({ server, manifest }));
    expect(backupServers(manifest)).toEqual(["srv1", "srv2"]);
    for (const server of ["srv1", "srv2"]) {
      const inputs = { ...backupAgentInputs({ server, manifest }), secrets: "" };
      const { outs } = await backupAgentHandler().create({ ...context, secret: () => "" }, inputs);
      expect(outs.drift).toEqual([]);
    }
    const env = { XDG_CONFIG_HOME: lab.folder, XDG_STATE_HOME: lab.folder, COLDSPARE_BY: "anna@laptop", PATH: "" };
    open = openOperator({ manifest, connection, env, sshKeyFile: hosts.operatorKeyFile() });
    twice = [];
    watch = setInterval(() => {
      const alive = guestProcesses(hosts, ["srv1", "srv2"]);
      if (alive.length > 1) twice.push(alive.join(" and "));
    }, 100);
  });
  afterAll(async () => {
    clearInterval(watch);
    await open?.close();
    await lab?.remove();
    if (previous === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = previous;
  });

  const write = (node: string, body: string) =>
    lab.until(
      () =>
        lab
          .control("POST", `/guests/${VMID}/request`, { method: "POST", path: "/write", body, node })
          .catch(() => undefined),
      (answer) => answer?.status === 200,
    );
  const lines = async (server: string, volume = DISK) =>
    (await on(hosts, server, `cat /dev/zvol/${volume}`)).split("\n").filter((line) => line.startsWith("order"));
  const statusOf = async () => siteStatus(await readLive(open.operator), manifest).guests[GUEST]!;

  async function failover(change: Partial<FailoverRequest>): Promise<void> {
    const { operator } = open;
    const request = { server: "srv1", guests: [], planned: false, acceptStale: false, forceFence: false, ...change };
    const live = await readLive(operator);
    const planned = planFailover(manifest, live, await failoverFacts(operator, live, request, []), request);
    expect(planned.refusals).toEqual([]);
    const begun = await begin(operator, "failover", "srv1", planned.plan);
    await runOperation(
      operator,
      begun,
      failoverSteps(operator, begun.operation, planned.plan, { wait: false, record: false }),
    );
  }

  async function failback(diverged?: "keep"): Promise<void> {
    const { operator } = open;
    const request = { kind: "failback" as const, subjects: [GUEST], stopSeconds: 10, forceStop: true };
    const planned = planReturn(manifest, await readLive(operator), { ...request, ...(diverged && { diverged }) });
    expect(planned.refusals).toEqual([]);
    const begun = await begin(operator, "failback", GUEST, planned);
    await runOperation(operator, begun, returnSteps(operator, begun.operation, planned));
  }

  it("is registered on the spare, sends what the guest writes, and is ready", async () => {
    await lab.task("srv1", "POST", `/nodes/srv1/qemu/${VMID}/status/start`);
    await write("srv1", "order 1");
    await on(hosts, "srv1", `coldspare-zfs replica sync ${GUEST}`);
    await write("srv1", "order 2");
    await on(hosts, "srv1", `coldspare-zfs replica sync ${GUEST}`);
    await write("srv1", "order 3");
    expect(await lines("srv1")).toEqual(["order 1", "order 2", "order 3"]);
    expect(await lines("srv2")).toEqual(["order 1", "order 2"]);
    expect(await statusOf()).toMatchObject({ state: "ready", activeServer: "srv1", problems: [] });
  });

  it("the server dies: it starts on the spare with everything up to the last point, and nowhere else", async () => {
    await lab.control("POST", "/nodes/srv1/kill");
    await failover({ confirmOff: "srv1" });
    await write("srv2", "order 4");
    expect(await lines("srv2")).toEqual(["order 1", "order 2", "order 4"]);
    await lab.control("POST", "/nodes/srv1/revive");
    await lab.until(
      () => on(hosts, "srv1", "systemctl is-active coldspare-agent.service").catch(() => ""),
      (text) => text === "active",
    );
    expect((await hosts.exec("srv1", ["qm", "start", String(VMID)])).code).not.toBe(0);
    expect((await hosts.exec("srv2", ["coldspare-zfs", "replica", "sync", GUEST])).code).toBe(3);
    expect(await lines("srv1")).toEqual(["order 1", "order 2", "order 3"]);
  });

  it("failback: what was written on the spare comes home, what only the old side had is kept", async () => {
    await lab.until(statusOf, ({ state }) => state === "diverged");
    await failback("keep");
    await write("srv1", "order 5");
    expect(await lines("srv1")).toEqual(["order 1", "order 2", "order 4", "order 5"]);
    const kept = (await on(hosts, "srv1", "zfs list -H -o name -t volume | grep coldspare-kept")).split("\n");
    expect(await lines("srv1", kept[0])).toEqual(["order 1", "order 2", "order 3"]);
    await on(hosts, "srv1", `coldspare-zfs replica sync ${GUEST}`);
    expect(await lines("srv2")).toEqual(["order 1", "order 2", "order 4", "order 5"]);
    expect(await statusOf()).toMatchObject({ state: "ready", activeServer: "srv1" });
  });

  it("a planned switch and the way home lose nothing", async () => {
    await write("srv1", "order 6");
    await failover({ planned: true });
    await write("srv2", "order 7");
    await on(hosts, "srv2", `coldspare-zfs replica sync ${GUEST}`);
    await failback();
    expect(await lines("srv1")).toEqual(["order 1", "order 2", "order 4", "order 5", "order 6", "order 7"]);
  });

  it("never ran twice, as the machine's own list of processes has it", () => {
    expect(twice).toEqual([]);
  });
});

async function manifestOf(lab: TrialLab, hosts: LabHosts): Promise<SiteManifest> {
  const keys = Object.fromEntries(await Promise.all(NAMES.map(async (name) => [name, [await hosts.hostKey(name)]])));
  const ways = Object.fromEntries(NAMES.map((name) => [name, `127.0.0.1:${hosts.sshPort(name)}`]));
  const manifest = siteManifest(plan, { endpoints: lab.lab.endpoints, ssh: { hosts: ways, hostKeys: keys } });
  for (const name of NAMES) {
    const address = /inet ([0-9.]+)/.exec(await on(hosts, name, "ip -4 -o addr show scope global"))?.[1];
    Object.assign(manifest.servers[name]!, { address });
  }
  return manifest;
}
