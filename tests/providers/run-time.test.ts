/** What goes wrong at run time, with the lab's answers: each error names the server, the guest, the call, PVE's words and a way out. */
import { readFileSync } from "node:fs";
import { PveClient, type PveClientOptions } from "../../providers/pve";
import { replicationPairHandler } from "../../providers/replication-pair-handler";
import { standbyGuestHandler } from "../../providers/standby-guest-handler";
import { refusal, TwoServers } from "./two-servers";

const REPLICATION = {
  guest: "sql-erp",
  vmid: 110,
  kind: "qemu" as const,
  source: "srv1",
  target: "srv2",
  schedule: "*/15",
};
const STANDBY = {
  ...{
    guest: "sql-erp",
    vmid: 110,
    kind: "qemu" as const,
    source: "srv1",
    node: "srv2",
    standbyIds: [9110, 9111] as [number, number],
  },
  ...{
    storage: "tank",
    backupStorage: "backup-nfs",
    tags: ["coldspare", "coldspare-spare"],
    notes: "Spare of sql-erp",
  },
};

describe("at run time", () => {
  let site: TwoServers;
  const clients: PveClient[] = [];
  beforeAll(async () => {
    site = await TwoServers.start();
    await site.guest(110, "srv1", { name: "sql-erp" });
  });
  afterAll(async () => {
    for (const each of clients) each.close();
    await site?.end();
  });

  function contextFor(options: Partial<PveClientOptions>) {
    const ca = readFileSync(site.lab.caFile, "utf8");
    const pve = new PveClient({
      endpoints: site.lab.endpoints,
      apiToken: site.lab.tokens.root,
      ca,
      retry: { attempts: 1 },
      ...options,
    });
    clients.push(pve);
    return { pve, ssh: () => ({ hostKeys: {} }), progress: () => undefined };
  }
  /** A token that may only look. */
  async function auditor(name: string): Promise<string> {
    const made = await site.pve.post<{ value: string }>(`/access/users/root@pam/token/${name}`, { privsep: true });
    await site.pve.put("/access/acl", { path: "/", roles: "PVEAuditor", tokens: `root@pam!${name}` });
    return `root@pam!${name}=${made.value}`;
  }

  test("a wrong token", async () => {
    const [id] = site.lab.tokens.root.split("=");
    const apiToken = `${id}=00000000-1111-2222-3333-444444444444`;
    const error = await refusal(replicationPairHandler().create(contextFor({ apiToken }), REPLICATION));
    expect(error.message).toMatch(
      /^srv1: could not .* guest 110 'sql-erp' \(GET \/cluster\/replication\): .*Fix: srv1 does not know the API token root@pam!/,
    );
    expect(error.message).toContain("pulumi config set --secret coldspare:apiToken");
    expect(error.message).not.toContain("00000000-1111");
  });

  test("a missing privilege: which, on what, and the commands that grant it; with them it works", async () => {
    const apiToken = await auditor("looker");
    const context = contextFor({ apiToken });
    const error = await refusal(standbyGuestHandler.create(context, STANDBY));
    const [, privilege, path] = error.message.match(/the token root@pam!looker lacks (\S+) on (\S+):/) ?? [];
    expect(error.message).toMatch(/guest 110 'sql-erp' .*Permission check failed/);
    expect(error.message).toContain(`pveum acl modify ${path} --tokens 'root@pam!looker'`);
    expect(error.message).toContain(`--privs ${privilege}`);
    await site.pve.put("/access/acl", { path: "/", roles: "Administrator", tokens: "root@pam!looker" });
    expect((await standbyGuestHandler.create(context, STANDBY)).outs.standbyId).toBe(9110);
  });

  test("an untrusted certificate", async () => {
    const { apiToken } = { apiToken: site.lab.tokens.root };
    const pve = new PveClient({ endpoints: site.lab.endpoints, apiToken });
    const error = await refusal(
      replicationPairHandler().create({ pve, ssh: () => ({ hostKeys: {} }), progress: () => undefined }, REPLICATION),
    );
    expect(error.message).toMatch(
      /^srv1: could not .* guest 110 'sql-erp' .*is not trusted.*SHA-256 fingerprint is ([0-9A-F]{2}:){31}[0-9A-F]{2}.*coldspare:caFile/,
    );
  });

  test("a server that is down: its own endpoint costs one short wait, another answers for it", async () => {
    await site.control("/nodes/srv2/kill");
    try {
      const context = contextFor({ connectSeconds: 1 });
      const error = await refusal(
        standbyGuestHandler.update(context, "110-standby", { ...STANDBY, notesDigest: "" }, STANDBY),
      );
      expect(error.message).toMatch(
        /^srv2: could not .* guest 110 'sql-erp' \(GET \/nodes\/srv2\/.*595 .*says srv1.* Fix: srv2 is off, cut off/,
      );
    } finally {
      await site.control("/nodes/srv2/revive");
    }
  });

  test("without quorum nothing is changed, and the error says what brings it back", async () => {
    await site.control("/nodes/srv2/kill");
    await site.control("/witnesses/backup-1/kill");
    try {
      const error = await refusal(replicationPairHandler().create(contextFor({ connectSeconds: 1 }), REPLICATION));
      expect(error.message).toMatch(
        /guest 110 'sql-erp' \(POST \/cluster\/replication\): .*no quorum.* Fix: the cluster has lost its quorum/,
      );
    } finally {
      await site.control("/witnesses/backup-1/revive");
      await site.control("/nodes/srv2/revive");
    }
  });

  test("a backup that fails: the task's own last words", async () => {
    await site.guest(120, "srv1");
    await site.control("/faults/task", { type: "vzdump", message: "job errors" });
    const error = await refusal(
      standbyGuestHandler.create(contextFor({}), { ...STANDBY, vmid: 120, standbyIds: [9120, 9121] }),
    );
    expect(error.message).toMatch(
      /^srv1: could not make the first backup of guest 120 'sql-erp' \(POST \/nodes\/srv1\/vzdump\): job errors\. Fix: /,
    );
    expect(error.message).toContain("last lines of the task's log");
  });
});
