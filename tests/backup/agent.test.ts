/** What makes copies, brought onto servers that are folders by its resource's handler; the programs and restic are the real ones. */
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { SiteManifest } from "../../planning";
import { backupServers } from "../../planning/backup/backup-conf";
import type { ManifestBackups } from "../../planning/backup/manifest";
import { type BackupAgentInputs, backupAgentInputs, hashOfSecrets } from "../../providers/backup-agent";
import { type BackupAgentState, type BackupContext, backupAgentHandler } from "../../providers/backup-agent-handler";
import { PartlyInitialised } from "../../providers/serve";
import { FakeServers, SERVERS } from "../guard/install/servers";

jest.setTimeout(120_000);

const NOW = 1_800_000_000;
const GUARD_MODULE = "usr/local/lib/coldspare/Coldspare/System.pm";

let servers: FakeServers;
let cache: string;
let secrets: Record<string, string>;
const handlerAt = (now = NOW) => backupAgentHandler(servers.connect, () => now);

beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "coldspare-cache-"));
  process.env.XDG_CACHE_HOME = cache;
  servers = new FakeServers();
  secrets = { "restic-office": "first password" };
  for (const server of SERVERS) {
    servers.remove(server, "usr/local/sbin/lib");
    servers.write(server, GUARD_MODULE, "");
    cpSync(resolve(__dirname, "../../guard/lib/Coldspare/System.pm"), servers.path(server, GUARD_MODULE));
  }
});
afterEach(() => {
  servers.end();
  rmSync(cache, { recursive: true, force: true });
  delete process.env.XDG_CACHE_HOME;
});

const context = (): BackupContext => ({
  ssh: servers.context.ssh,
  progress: servers.context.progress,
  secret: (name) => secrets[name] ?? fail(`no secret ${name}`),
});
const fail = (text: string): never => {
  throw new Error(text);
};

function backups(): ManifestBackups {
  return {
    timeZone: "Europe/Berlin",
    targets: {
      office: {
        kind: "restic",
        repository: servers.path("vault", "srv/restic"),
        backend: { type: "local", on: "vault", path: "/srv/restic" },
        passwordSecret: "restic-office",
        appendOnly: false,
        limitGiB: 100,
      },
    },
    policies: {
      docs: {
        target: "office",
        schedule: "mon..fri 22:30",
        keep: { daily: 7 },
        guests: [],
        folders: [{ server: "vault", paths: ["/srv/docs"], exclude: ["*.tmp"] }],
        volumes: [],
        datasets: [],
        hooks: { before: [], after: [], timeoutSeconds: 60 },
        reread: "sun 04:00",
        notify: "failure",
        recoveryPointSeconds: 86_400,
      },
    },
    rotations: {
      shelf: {
        on: "vault",
        copies: "backup",
        mountPoint: "/mnt/coldspare/shelf",
        sets: [{ name: "weekly", media: ["a", "b"], swap: "mon 09:00", offSite: false }],
        startSeconds: 1_767_567_600,
        graceSeconds: 172_800,
        schedule: "05:00",
        worstOfflineSeconds: 604_800,
      },
    },
  };
}

const manifest = (change: (copies: ManifestBackups) => void = () => undefined): SiteManifest => {
  const copies = backups();
  change(copies);
  return { ...servers.manifest(), backups: copies };
};
const inputsOf = (site: SiteManifest): BackupAgentInputs => ({
  ...backupAgentInputs({ server: "vault", manifest: site }),
  secrets: hashOfSecrets(site.site, "vault", Object.entries(secrets)),
});
const create = async () => (await handlerAt().create(context(), inputsOf(manifest()))).outs;
const units = () => readdirSync(servers.path("vault", "etc/systemd/system")).sort();

describe("what makes copies", () => {
  test("is installed with configuration, secrets and timers, makes the repository, and works", async () => {
    const state = await create();
    expect(units()).toEqual(
      ["backup-docs", "media-shelf", "verify-docs"].flatMap((name) => [
        `coldspare-${name}.service`,
        `coldspare-${name}.timer`,
      ]),
    );
    expect(servers.read("vault", "etc/systemd/system/coldspare-backup-docs.timer")).toContain(
      "OnCalendar=Mon,Tue,Wed,Thu,Fri *-*-* 22:30:00 Europe/Berlin\n",
    );
    expect(statSync(servers.path("vault", "etc/coldspare/secrets")).mode & 0o777).toBe(0o700);
    expect(statSync(servers.path("vault", "etc/coldspare/secrets/restic-office")).mode & 0o777).toBe(0o600);
    expect(existsSync(servers.path("vault", "srv/restic/config"))).toBe(true);
    expect(servers.commands("vault")).toEqual([
      "systemctl daemon-reload",
      "systemctl enable coldspare-backup-docs.timer coldspare-verify-docs.timer coldspare-media-shelf.timer",
      "systemctl start coldspare-backup-docs.timer coldspare-verify-docs.timer coldspare-media-shelf.timer",
    ]);
    expect(state).toMatchObject({ drift: [], media: true, swapsUntil: NOW + 400 * 86_400 });
    servers.write("vault", "srv/docs/letter", "hello");
    const ssh = servers.connect();
    const run = (...argv: string[]) =>
      ssh.run("vault", [servers.path("vault", "usr/local/sbin/coldspare-backup"), ...argv]);
    expect(await run("run", "docs")).toMatchObject({ code: 0 });
    expect((await run("points", "--plain")).stdout).toMatch(
      /^point=.* subject=folder%3Avault%3A%2Fsrv%2Fdocs .*\nend\n$/,
    );
    expect((await run("media", "status", "--plain")).stdout).toMatch(
      /^target=shelf attached=- expected=[ab] .* state=none /,
    );
  });

  test("costs little state, with no secret in it, and is not touched when it is as it should be", async () => {
    const state = await create();
    expect(JSON.stringify(state).length).toBeLessThan(1000);
    expect(JSON.stringify(state)).not.toContain("first password");
    servers.commands("vault");
    const handler = handlerAt();
    expect(await handler.read(context(), "vault", state)).toEqual(state);
    expect(handler.diff(state, inputsOf(manifest()))).toEqual({ changes: false, replaces: [] });
    // A guest that changes elsewhere in the site is no matter of copies.
    expect(handler.diff(state, { ...inputsOf(manifest()), manifest: "0".repeat(64) }).changes).toBe(false);
    expect(handlerAt(NOW + 199 * 86_400).diff(state, inputsOf(manifest())).changes).toBe(false);
    expect(handlerAt(NOW + 201 * 86_400).diff(state, inputsOf(manifest())).changes).toBe(true);
  });

  test("is found changed, and repaired", async () => {
    const state = await create();
    servers.write("vault", "etc/coldspare/backup.conf", "format 1\n");
    servers.remove("vault", "units/coldspare-backup-docs.timer.active");
    servers.remove("vault", "usr/local/sbin/coldspare-backup");
    const found = (await handlerAt().read(context(), "vault", state)) as BackupAgentState;
    expect(found.drift).toEqual([
      "programs differ",
      "configuration or units differ",
      "coldspare-backup-docs.timer does not run",
    ]);
    const repaired = await handlerAt().update(context(), "vault", found, inputsOf(manifest()));
    expect((await handlerAt().read(context(), "vault", repaired))?.drift).toEqual([]);
  });

  test("a job that is gone loses its timers; the others stay", async () => {
    const state = await create();
    const less = manifest((copies) => {
      copies.policies = {};
    });
    const inputs = inputsOf(less);
    expect(handlerAt().diff(state, inputs).changes).toBe(true);
    await handlerAt().update(context(), "vault", state, inputs);
    expect(units()).toEqual(["coldspare-media-shelf.service", "coldspare-media-shelf.timer"]);
    expect(existsSync(servers.path("vault", "srv/restic/config"))).toBe(true);
  });

  test("a changed password is put in use in the repository before the old one is given up", async () => {
    const state = await create();
    secrets["restic-office"] = "second password";
    const inputs = inputsOf(manifest());
    expect(handlerAt().diff(state, inputs).changes).toBe(true);
    await handlerAt().update(context(), "vault", state, inputs);
    expect(servers.read("vault", "etc/coldspare/secrets/restic-office")).toBe("second password");
    expect(existsSync(servers.path("vault", "etc/coldspare/secrets/restic-office.next"))).toBe(false);
    servers.write("vault", "srv/docs/letter", "hello");
    const program = servers.path("vault", "usr/local/sbin/coldspare-backup");
    expect(await servers.connect().run("vault", [program, "run", "docs"])).toMatchObject({ code: 0 });
  });

  test("what does not work is said with the command, and tried again by the next update", async () => {
    servers.write("vault", "srv/restic", "a file where the repository should be");
    const error = await create().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PartlyInitialised);
    const { reasons, properties } = error as PartlyInitialised<BackupAgentState>;
    expect(reasons.join()).toMatch(/^vault: `coldspare-backup init office`: .*Fix: mend it on vault/);
    expect(handlerAt().diff(properties, inputsOf(manifest())).changes).toBe(true);
    servers.remove("vault", "srv/restic");
    expect((await handlerAt().update(context(), "vault", properties, inputsOf(manifest()))).drift).toEqual([]);
  });

  test("an SFTP repository on a server of the site lets the key of this one in, for files alone", async () => {
    const site = manifest((copies) => {
      const { office } = copies.targets;
      if (office?.kind !== "restic") return;
      office.repository = "sftp://root@192.0.2.1:22//srv/restic";
      office.backend = { type: "sftp", on: "one", port: 22, user: "root", hostKeys: [], path: "/srv/restic" };
    });
    const tell = context();
    const error = await handlerAt()
      .create(tell, inputsOf(site))
      .catch((thrown: unknown) => thrown);
    // Nobody answers at that address: only the repository is missing.
    expect((error as PartlyInitialised<BackupAgentState>).reasons).toHaveLength(1);
    const { publicKey } = (error as PartlyInitialised<BackupAgentState>).properties;
    expect(publicKey).toMatch(/^ssh-ed25519 \S+$/);
    expect(servers.read("one", "root/.ssh/authorized_keys")).toBe(
      `command="internal-sftp",restrict ${publicKey} coldspare-backup@vault\n`,
    );
    expect(servers.read("vault", "etc/coldspare/backup/office.known_hosts")).toMatch(/^192\.0\.2\.1 ssh-ed25519 /);
  });

  test("leaves copies and records when it is deleted, and takes the secrets along", async () => {
    const state = await create();
    servers.write("vault", "etc/coldspare/secrets/of-another-program", "x");
    await handlerAt().delete(context(), "vault", state);
    expect(units()).toEqual([]);
    expect(existsSync(servers.path("vault", "usr/local/sbin/coldspare-backup"))).toBe(false);
    expect(readdirSync(servers.path("vault", "etc/coldspare/secrets"))).toEqual(["of-another-program"]);
    expect(existsSync(servers.path("vault", "srv/restic/config"))).toBe(true);
    // The guard's module stays: it is not ours.
    expect(existsSync(servers.path("vault", GUARD_MODULE))).toBe(true);
    servers.down("vault");
    await handlerAt().delete(context(), "vault", state);
    expect(servers.told.at(-1)).toContain("is left on it as it is");
  });
});

describe("what sends data sets", () => {
  const PATH = process.env.PATH;
  beforeEach(() => {
    process.env.PATH = `${resolve(__dirname, "../../lab/zfs")}:${PATH}`;
  });
  afterEach(() => {
    process.env.PATH = PATH;
  });

  /** Data of `one` on `vault`, pushed. */
  const withReceiver = (): SiteManifest =>
    manifest((copies) => {
      copies.targets = {
        nas: {
          kind: "zfs-receiver",
          on: "vault",
          host: "10.0.1.3",
          port: 22,
          user: "root",
          hostKeys: [],
          dataset: "tank/backup",
          direction: "push",
          raw: false,
          pruner: "coldspare",
          limitGiB: 100,
        },
      };
      copies.policies = {
        data: {
          ...copies.policies.docs!,
          target: "nas",
          folders: [],
          datasets: [{ server: "one", dataset: "tank/data", recursive: true, encrypted: false }],
        },
      };
      copies.rotations = {};
    });
  const inputs = (server: string, site: SiteManifest): BackupAgentInputs => ({
    ...backupAgentInputs({ server, manifest: site }),
    secrets: "",
  });

  test("has its configuration on both sides, timers where it runs, and a key that the other side lets in", async () => {
    const site = withReceiver();
    expect(backupServers(site)).toEqual(["one", "vault"]);
    await handlerAt().create(context(), inputs("one", site));
    await handlerAt().create(context(), inputs("vault", site));
    expect(servers.read("one", "etc/coldspare/zfs.conf")).toMatch(
      /^job data-one policy=data target=nas direction=push peer=vault datasets=tank%2Fdata into=tank%2Fbackup%2Fone /m,
    );
    expect(servers.read("vault", "etc/coldspare/zfs.conf")).toMatch(
      /^allow one below=tank%2Fbackup%2Fone do=list,receive/m,
    );
    expect(existsSync(servers.path("vault", "etc/coldspare/backup.conf"))).toBe(false);
    const own = readdirSync(servers.path("one", "etc/systemd/system")).filter((name) => name.includes("zfs"));
    expect(own.sort()).toEqual(
      ["run", "verify"].flatMap((kind) => [
        `coldspare-zfs-${kind}-data-one.service`,
        `coldspare-zfs-${kind}-data-one.timer`,
      ]),
    );
    const key = servers.read("one", "etc/coldspare/zfs_ed25519.pub")!.trim().split(" ").slice(0, 2).join(" ");
    expect(servers.read("vault", "root/.ssh/authorized_keys")).toContain(
      `command="/usr/local/sbin/coldspare-zfs serve one",restrict ${key} coldspare-zfs@one\n`,
    );
    expect(servers.read("one", "etc/coldspare/zfs_known_hosts")).toMatch(/ssh-ed25519 /);
  });

  test("is found as it should be, repaired when it was changed, and gone after deletion", async () => {
    const site = withReceiver();
    const { outs } = await handlerAt().create(context(), inputs("one", site));
    const same = (await handlerAt().read(context(), "one", outs))!;
    expect(same.drift).toEqual([]);
    expect(handlerAt().diff(same, inputs("one", site)).changes).toBe(false);
    servers.write("one", "etc/coldspare/zfs.conf", "format 1\n");
    const changed = (await handlerAt().read(context(), "one", outs))!;
    expect(changed.drift).toEqual(["configuration or units differ"]);
    const again = await handlerAt().update(context(), "one", changed, inputs("one", site));
    expect(servers.read("one", "etc/coldspare/zfs.conf")).toContain("job data-one");
    await handlerAt().delete(context(), "one", again);
    expect(existsSync(servers.path("one", "etc/coldspare/zfs.conf"))).toBe(false);
    expect(readdirSync(servers.path("one", "etc/systemd/system")).filter((name) => name.includes("zfs"))).toEqual([]);
  });

  test("lets nobody in any more when it receives no more, and is then as it should be", async () => {
    const site = manifest();
    const both = withReceiver();
    Object.assign(both.backups!.targets, site.backups!.targets);
    Object.assign(both.backups!.policies, site.backups!.policies);
    const { outs } = await handlerAt().create(context(), inputs("vault", both));
    expect(servers.read("vault", "etc/coldspare/zfs.conf")).toContain("allow one ");
    const next = await handlerAt().update(context(), "vault", outs, inputs("vault", site));
    expect(existsSync(servers.path("vault", "etc/coldspare/zfs.conf"))).toBe(false);
    expect((await handlerAt().read(context(), "vault", next))!.drift).toEqual([]);
  });

  test("servers that are set up at once all get into the file of keys of one receiver", async () => {
    const site = withReceiver();
    const { datasets } = site.backups!.policies.data!;
    datasets.push({ ...datasets[0]!, server: "two" });
    for (let round = 0; round < 8; round++) {
      servers.remove("vault", "root");
      await Promise.all(["one", "two"].map((server) => handlerAt().create(context(), inputs(server, site))));
      const lines = servers.read("vault", "root/.ssh/authorized_keys").trim().split("\n");
      expect(lines.map((line) => line.split("@").at(-1)).sort()).toEqual(["one", "two"]);
    }
  });

  test("a receiver that cannot note the key, or lets in by another account, keeps nothing else from being set up", async () => {
    const site = withReceiver();
    servers.write("vault", "root", "a file where the folder should be");
    const error = await handlerAt()
      .create(context(), inputs("one", site))
      .catch((thrown: unknown) => thrown);
    expect((error as PartlyInitialised<BackupAgentState>).reasons.join()).toContain("let coldspare-zfs of one in");
    expect(servers.commands("one").join()).toContain("systemctl start coldspare-zfs-run-data-one.timer");
    servers.remove("vault", "root");
    const { nas } = site.backups!.targets;
    if (nas?.kind === "zfs-receiver") nas.user = "copies";
    await handlerAt().create(context(), inputs("one", site));
    expect(servers.told.at(-1)).toMatch(/authorized_keys of copies: command=.*,restrict ssh-ed25519 /);
    expect(existsSync(servers.path("vault", "root/.ssh/authorized_keys"))).toBe(false);
  });
});
