import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RefreshReport } from "../../cli/commands/refresh";
import { type Lab, startLab } from "../../lab";
import { labTopology } from "../../lab/from-site";
import { planSite, type SiteSpec } from "../../planning";
import { PveClient } from "../../providers/pve/client";
import { loadLayout } from "../../stacks/layouts";
import { coldspare } from "./run";

const reportOf = (text: string): RefreshReport => JSON.parse(text);

describe("coldspare refresh, before anything is reached", () => {
  test("--dry-run says which guests, from where, into which ids, without credentials", async () => {
    const { code, out, err } = await coldspare(["refresh", "smb-site", "--dry-run", "--json"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(reportOf(out)).toEqual({
      formatVersion: 1,
      site: "smb",
      ok: true,
      guests: {
        "remote-app": {
          state: "planned",
          server: "srv1",
          backupStorage: "backup-nfs",
          standbyIds: [9112, 9212],
          seconds: 0,
        },
      },
    });
  });

  test.each([
    [["--guest", "remote-ap"], /--guest remote-ap: there is no such guest; did you mean 'remote-app'/],
    [["--guest", "sql-erp"], /sql-erp is refreshed by storage-replication, not by restore/],
    [[], /no endpoint of Proxmox VE is known: add --endpoint srv1=/],
    [["--endpoint", "srv1=https://127.0.0.1:1"], /COLDSPARE_API_TOKEN is not set/],
  ])("%j is wrong use", async (args, message) => {
    const { code, out, err } = await coldspare(["refresh", "smb-site", ...args]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(message);
  });

  test("a site with errors is not touched", async () => {
    const { code, err } = await coldspare(["refresh", "smb-site-too-large"]);
    expect(code).toBe(1);
    expect(err).toMatch(/^smb-site-too-large has errors, so nothing is refreshed\n[\s\S]*CAPACITY-MEMORY/);
  });
});

describe("coldspare refresh against the lab", () => {
  let folder: string;
  let lab: Lab;
  let pve: PveClient;
  let env: Record<string, string>;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "coldspare-refresh-"));
    const schemaFile = process.env.COLDSPARE_PVE_SCHEMA;
    lab = await startLab({
      folder,
      topology: labTopology(planSite(loadLayout("smb-site") as SiteSpec)),
      clock: { speed: 200 },
      ...(schemaFile ? { schemaFile } : {}),
    });
    const ca = readFileSync(lab.caFile, "utf8");
    pve = new PveClient({ endpoints: lab.endpoints, apiToken: lab.tokens.root, ca, pollSeconds: 0.1 });
    env = {
      COLDSPARE_ENDPOINTS: JSON.stringify(lab.endpoints),
      COLDSPARE_API_TOKEN: lab.tokens.root,
      COLDSPARE_CA_FILE: lab.caFile,
    };
    await pve.post("/storage", {
      storage: "backup-nfs",
      type: "nfs",
      server: "192.168.10.13",
      export: "/srv/vzdump",
      content: "backup",
    });
    const guest = {
      vmid: 112,
      name: "remote-app",
      memory: 6144,
      cores: 4,
      scsi0: "tank:4",
      net0: "virtio,bridge=vmbr0",
    };
    await pve.task("srv2", "POST", "/nodes/srv2/qemu", guest, {});
  });
  afterAll(async () => {
    pve?.close();
    await lab?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const guestRows = async () => {
    const rows = await pve.get<{ vmid: number; node: string; status: string }[]>("/cluster/resources", { type: "vm" });
    return rows.filter(({ vmid }) => vmid !== 112).map(({ vmid, node }) => `${vmid} on ${node}`);
  };

  test("the first run makes a backup and the first standby, powered off", async () => {
    const { code, out, err } = await coldspare(["refresh", "smb-site", "--json"], env);
    expect(reportOf(out).guests["remote-app"]).toMatchObject({ state: "refreshed", server: "srv1", standbyId: 9112 });
    expect(code).toBe(0);
    expect(err).toMatch(/'remote-app': restoring backup-nfs:.* into 9112 on srv1/);
    expect(await guestRows()).toEqual(["9112 on srv1"]);
    const { status } = await pve.get<{ status: string }>("/nodes/srv1/qemu/9112/status/current");
    expect(status).toBe("stopped");
  });

  test("a second run finds nothing to do", async () => {
    const { code, out } = await coldspare(["refresh", "smb-site", "--quiet", "--json"], env);
    expect(code).toBe(0);
    expect(reportOf(out).guests["remote-app"]).toMatchObject({ state: "current", standbyId: 9112 });
  });

  test("a newer backup goes into the other id; people get a table", async () => {
    await pve.task("srv2", "POST", "/nodes/srv2/vzdump", { vmid: 112, storage: "backup-nfs", mode: "snapshot" }, {});
    const { code, out } = await coldspare(["refresh", "smb-site"], env);
    expect(code).toBe(0);
    expect(out).toMatch(/^remote-app +refreshed +srv1 +9212 +\d{4}-\d\d-\d\dT[\d:]+Z +backup-nfs:/m);
    expect((await guestRows()).sort()).toEqual(["9112 on srv1", "9212 on srv1"]);
  });

  test("the active side is left alone, also while it is off and --force is given", async () => {
    await pve.task("srv2", "POST", "/nodes/srv2/vzdump", { vmid: 112, storage: "backup-nfs", mode: "snapshot" }, {});
    const args = ["refresh", "smb-site", "--active", "remote-app=spare", "--force", "--json"];
    const before = await pve.get<{ digest: string }>("/nodes/srv1/qemu/9112/config");
    const { code, out } = await coldspare(args, env);
    expect({ code, state: reportOf(out).guests["remote-app"]?.state }).toEqual({ code: 0, state: "active" });
    expect((await pve.get<{ digest: string }>("/nodes/srv1/qemu/9112/config")).digest).toBe(before.digest);
  });

  test("a failure says server, guest and call, ends with 1, and keeps the secret", async () => {
    const [id] = lab.tokens.root.split("=");
    const wrong = { ...env, COLDSPARE_API_TOKEN: `${id}=00000000-0000-0000-0000-000000000000` };
    const { code, out, err } = await coldspare(["refresh", "smb-site", "--json"], wrong);
    expect(code).toBe(1);
    const guest = reportOf(out).guests["remote-app"];
    expect(guest).toMatchObject({
      state: "failed",
      error: expect.stringMatching(/remote-app.*GET \/cluster\/resources/),
    });
    const written = out + err + JSON.stringify(await coldspare(["refresh", "smb-site", "--quiet"], wrong));
    expect(written).not.toContain("00000000-0000");
  });

  test("an untrusted certificate is refused", async () => {
    const { COLDSPARE_CA_FILE: _ca, ...untrusted } = env;
    const { code, out } = await coldspare(["refresh", "smb-site", "--quiet"], untrusted);
    expect(code).toBe(1);
    expect(out).toMatch(/certificate/i);
  });
});
