/** The accounts of the planner, made in a lab: what each may do there, and what it is refused. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parse } from "yaml";
import { type Lab, startLab } from "../../lab";
import { labTopology } from "../../lab/from-site";
import { readCluster } from "../../operations/live-site/read";
import { planSite, type SiteSpecInput } from "../../planning";
import { PveClient } from "../../providers/pve/client";
import { createAccounts, type SiteTokens } from "./accounts";

const layout = resolve(__dirname, "../../stacks/smb-site/site.yaml");
let folder: string;
let lab: Lab;
let tokens: SiteTokens;
let clients: PveClient[];

const as = (apiToken: string): PveClient => {
  const ca = readFileSync(lab.caFile, "utf8");
  const client = new PveClient({ endpoints: lab.endpoints, apiToken, ca, pollSeconds: 0.1 });
  clients.push(client);
  return client;
};
const machine = (vmid: number) => ({ vmid, name: `vm-${vmid}`, cores: 1, memory: 512, scsi0: "tank:1" });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "accounts-"));
  clients = [];
  const plan = planSite(parse(readFileSync(layout, "utf8")) as SiteSpecInput);
  lab = await startLab({ folder, topology: labTopology(plan), clock: { speed: 120 } });
  tokens = await createAccounts(lab, plan);
});
afterAll(async () => {
  for (const client of clients) client.close();
  await lab.stop();
  rmSync(folder, { recursive: true, force: true });
});

it("lets the program make its own guests, and no others", async () => {
  const program = as(tokens.pulumi);
  await program.task("srv1", "POST", "/nodes/srv1/qemu", machine(113), {});
  await program.post("/cluster/replication", { id: "113-0", type: "local", target: "srv2" });
  await expect(program.task("srv1", "POST", "/nodes/srv1/qemu", machine(150), {})).rejects.toThrow(/Permission check/);
});

it("lets operators pause the replication and start the guest, and make nothing of the site's", async () => {
  const operator = as(tokens.operate);
  await operator.put("/cluster/replication/113-0", { disable: true });
  await operator.task("srv1", "POST", "/nodes/srv1/qemu/113/status/start", {}, {});
  await expect(operator.post("/storage", { storage: "more", type: "dir", path: "/more" })).rejects.toThrow(
    /Datastore\.Allocate/,
  );
  await expect(operator.delete("/nodes/srv1/qemu/150")).rejects.toThrow(/VM\.Allocate/);
});

it("lets monitoring read the whole cluster, and change nothing", async () => {
  const monitor = as(tokens.monitor);
  const { guests } = await readCluster(monitor);
  expect(guests.map(({ vmid }) => vmid)).toEqual([113]);
  await expect(monitor.put("/nodes/srv1/qemu/113/config", { cores: 2 })).rejects.toThrow(/VM\.Config/);
  await expect(monitor.put("/cluster/replication/113-0", { disable: false })).rejects.toThrow(/VM\.Replicate/);
});
