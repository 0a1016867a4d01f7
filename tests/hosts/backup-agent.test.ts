/** What makes copies, as its resource installs it on real hosts: over real SSH, into a repository on another host by SFTP. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canRunHosts, type LabHosts } from "../../lab/hosts";
import { type SiteManifest, siteManifest } from "../../planning";
import type { ManifestBackups } from "../../planning/backup/manifest";
import { backupAgentInputs } from "../../providers/backup-agent";
import { type BackupContext, backupAgentHandler } from "../../providers/backup-agent-handler";
import { serverGuardInputs } from "../../providers/server-guard";
import { serverGuardHandler } from "../../providers/server-guard-handler";
import { cleanSite, planWith } from "../planning/sites";
import { bootedHosts, on, withHosts } from "./hosts-support";

const NAMES = ["srv1", "backup-1"] as const;

withHosts("copies on real hosts", () => {
  let hosts: LabHosts;
  let end: () => Promise<void>;
  let cache: string;
  let manifest: SiteManifest;
  let context: BackupContext;

  beforeAll(async () => {
    if (!canRunHosts().ok) return;
    cache = mkdtempSync(join(tmpdir(), "coldspare-cache-"));
    process.env.XDG_CACHE_HOME = cache;
    ({ hosts, end } = await bootedHosts());
    const keys: Record<string, string[]> = {};
    for (const name of NAMES) keys[name] = [await hosts.hostKey(name)];
    const ssh = (name: string) => ({
      ...{ host: "127.0.0.1", port: hosts.sshPort(name), user: "root", hostKeys: keys[name] ?? [] },
    });
    const site = siteManifest(planWith(cleanSite(), []), { endpoints: {} });
    const one = Object.values(site.servers)[0]!;
    manifest = {
      ...site,
      servers: {
        srv1: { ...one, roles: ["hypervisor"], address: "192.168.10.11", ssh: ssh("srv1") },
        "backup-1": { ...one, roles: ["backup-server", "witness"], address: "192.168.10.13", ssh: ssh("backup-1") },
      },
      guests: {},
      backups: BACKUPS,
    };
    context = {
      ssh: () => ({ keyFile: hosts.operatorKeyFile(), hostKeys: keys }),
      secret: () => "repository password",
      progress: () => undefined,
    };
  });
  afterAll(async () => {
    await end?.();
    rmSync(cache, { recursive: true, force: true });
    delete process.env.XDG_CACHE_HOME;
  });

  test("a folder is stored on the other host over SFTP, by a key that can do nothing else, and restored", async () => {
    const noApi = {
      ...context,
      get pve(): never {
        throw new Error("the guard needs no API");
      },
    };
    await serverGuardHandler().create(noApi, serverGuardInputs({ server: "srv1", manifest }));
    const inputs = { ...backupAgentInputs({ server: "srv1", manifest }), secrets: "" };
    const { outs } = await backupAgentHandler().create(context, inputs);
    expect(outs.drift).toEqual([]);
    expect(await on(hosts, "backup-1", "cat /root/.ssh/authorized_keys")).toContain(
      `command="internal-sftp",restrict ${outs.publicKey} coldspare-backup@srv1`,
    );
    await on(hosts, "srv1", "mkdir -p /srv/docs && head -c 300000 /dev/urandom >/srv/docs/letter");
    await on(hosts, "srv1", "/usr/local/sbin/coldspare-backup run docs");
    expect(await on(hosts, "srv1", "/usr/local/sbin/coldspare-backup status --plain")).toMatch(
      /^job=docs .* state=ok /,
    );
    await on(hosts, "srv1", "/usr/local/sbin/coldspare-backup restore docs latest --to /srv/restored");
    await on(hosts, "srv1", "cmp /srv/docs/letter /srv/restored/srv/docs/letter");
    expect(await on(hosts, "backup-1", "ls /srv/restic")).toContain("config");
    // The key transfers files and runs nothing.
    const asked = await hosts.exec("srv1", [
      ...[
        "ssh",
        "-i",
        "/etc/coldspare/backup_ed25519",
        "-o",
        "UserKnownHostsFile=/etc/coldspare/backup/vault.known_hosts",
      ],
      ...["-o", "BatchMode=yes", "root@192.168.10.13", "id"],
    ]);
    expect(asked.stdout).not.toContain("uid=");
    expect((await backupAgentHandler().read(context, "srv1", outs))?.drift).toEqual([]);
    await backupAgentHandler().delete(context, "srv1", outs);
    expect(await on(hosts, "srv1", "ls /etc/systemd/system | grep -c coldspare-backup- || true")).toBe("0");
    expect(await on(hosts, "backup-1", "ls /srv/restic")).toContain("config");
  }, 120_000);
});

const BACKUPS: ManifestBackups = {
  timeZone: "UTC",
  targets: {
    vault: {
      kind: "restic",
      repository: "sftp://root@192.168.10.13:22//srv/restic",
      backend: { type: "sftp", on: "backup-1", port: 22, user: "root", hostKeys: [], path: "/srv/restic" },
      passwordSecret: "restic-vault",
      appendOnly: false,
      limitGiB: 10,
    },
  },
  policies: {
    docs: {
      ...{ target: "vault", schedule: "22:30", keep: { daily: 7 }, guests: [], volumes: [], datasets: [] },
      folders: [{ server: "srv1", paths: ["/srv/docs"], exclude: [] }],
      hooks: { before: [], after: [], timeoutSeconds: 60 },
      ...{ notify: "never", recoveryPointSeconds: 86_400 },
    },
  },
  rotations: {},
};
