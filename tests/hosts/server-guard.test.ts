/** The guard as it is installed by its resource, on real hosts: the real programs ask one another over real connections. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canRunHosts } from "../../lab/hosts";
import type { LabHosts } from "../../lab/hosts/types";
import { findManifest } from "../../operations/open";
import { type ManifestServer, manifestHash, manifestText, type SiteManifest } from "../../planning";
import { powerOf } from "../../providers/power";
import type { HandlerContext } from "../../providers/serve";
import { serverGuardInputs } from "../../providers/server-guard";
import { type ServerGuardState, serverGuardHandler } from "../../providers/server-guard-handler";
import { TrialLab, twoNodes } from "../lab/trial-lab";

const check = canRunHosts();
if (!check.ok) process.stderr.write(`tests/hosts: SKIPPED: ${check.why}\n`);
const here = check.ok ? describe : describe.skip;

const NAMES = ["srv1", "srv2", "backup-1"] as const;

here("the guard that its resource installed", () => {
  let lab: TrialLab;
  let hosts: LabHosts;
  let cache: string;
  let manifest: SiteManifest;
  let context: HandlerContext;
  let states: Record<string, ServerGuardState>;
  const told: string[] = [];
  const handler = serverGuardHandler();

  const shell = async (node: string, text: string) => {
    const { code, stdout, stderr } = await hosts.exec(node, ["sh", "-c", text]);
    if (code !== 0) throw new Error(`${node}: ${text}: ${code} ${stdout}${stderr}`);
    return stdout.trim();
  };

  beforeAll(async () => {
    cache = mkdtempSync(join(tmpdir(), "coldspare-cache-"));
    process.env.XDG_CACHE_HOME = cache;
    lab = await TrialLab.start(twoNodes, 20, undefined, { hosts: true });
    hosts = lab.lab.hosts!;
    const keys: Record<string, string[]> = {};
    for (const name of NAMES) keys[name] = [await hosts.hostKey(name)];
    const server = async (name: string): Promise<ManifestServer> => ({
      roles: name === "backup-1" ? ["backup-server", "witness"] : ["hypervisor"],
      address: (await shell(name, "ip -4 -o addr show scope global")).match(/inet ([0-9.]+)/)?.[1] ?? "",
      ssh: { host: "127.0.0.1", port: hosts.sshPort(name), user: "root", hostKeys: keys[name] ?? [] },
      memoryLimitGiB: 30,
      coreLimit: 8,
    });
    manifest = siteOf(Object.fromEntries(await Promise.all(NAMES.map(async (name) => [name, await server(name)]))));
    context = {
      get pve(): never {
        throw new Error("the guard needs no API");
      },
      ssh: () => ({ keyFile: hosts.operatorKeyFile(), hostKeys: keys }),
      progress: (line) => told.push(line),
    };
    await lab.createVm("srv2", 100, { name: "sql-erp", onboot: 1 });
    await shell("srv2", "pvesr create-local-job 100-0 srv1 && pvesr run --id 100-0 && qm start 100");
  }, 60_000);

  afterAll(async () => {
    await lab?.remove();
    rmSync(cache, { recursive: true, force: true });
    delete process.env.XDG_CACHE_HOME;
  }, 30_000);

  it("is on every server, with running agents and a guest that asks it", async () => {
    const made = await Promise.all(
      NAMES.map((server) => handler.create(context, serverGuardInputs({ server, manifest }))),
    );
    states = Object.fromEntries(made.map(({ id, outs }) => [id, outs]));
    for (const name of NAMES) {
      expect(states[name]).toMatchObject({ generation: 1, drift: [] });
      expect(await shell(name, "sha256sum </etc/coldspare/site.json")).toContain(manifestHash(manifest));
    }
    expect(await shell("srv2", "qm config 100 | grep ^hookscript")).toBe("hookscript: local:snippets/coldspare-guard");
    for (const name of ["srv1", "srv2"]) {
      expect(await shell(name, "systemctl is-active coldspare-agent.service")).toBe("active");
    }
  }, 60_000);

  it("is where a command with an older manifest fetches the one that counts, by the server's name and its pinned key", async () => {
    const old = join(cache, "old.json");
    writeFileSync(old, manifestText({ ...manifest, site: "older" }));
    const env = { XDG_CONFIG_HOME: cache, COLDSPARE_SSH_KEY: hosts.operatorKeyFile(), COLDSPARE_MANIFEST: old };
    const found = await findManifest({ from: "backup-1" }, env);
    expect(manifestHash(found.manifest)).toBe(manifestHash(manifest));
    expect(found.source).toBe(join(cache, `coldspare/${manifest.site}.json`));
    await shell("backup-1", "mv /etc/coldspare/site.json /etc/coldspare/away");
    await expect(findManifest({ from: "backup-1" }, env)).rejects.toThrow(
      /could not be read on backup-1: .*No such file/,
    );
    await shell("backup-1", "mv /etc/coldspare/away /etc/coldspare/site.json");
  }, 60_000);

  it("answers its peers by their keys, and nothing else that they ask", async () => {
    const ask = "ssh -i /etc/coldspare/id_ed25519 -o UserKnownHostsFile=/etc/coldspare/known_hosts -o BatchMode=yes";
    const address = manifest.servers["backup-1"]?.address;
    expect(await shell("srv1", `${ask} ${address} ping`)).toMatch(/pong self=backup-1 .*generation=1 /);
    expect((await hosts.exec("srv1", ["sh", "-c", `${ask} ${address} id`])).stdout).not.toContain("uid=");
  });

  it("lets the guest start where it belongs, and refuses a copy of it elsewhere", async () => {
    expect(await shell("srv2", "qm stop 100 && qm start 100 && qm status 100")).toContain("running");
    const copy = await hosts.exec("srv1", ["sh", "-c", "/var/lib/vz/snippets/coldspare-guard 100 pre-start; echo $?"]);
    expect(copy.stdout.trim().split("\n").at(-1)).not.toBe("0");
  }, 30_000);

  it("is found changed, and repaired", async () => {
    await shell("srv2", "systemctl stop coldspare-agent.service; rm /var/lib/vz/snippets/coldspare-guard");
    const found = await handler.read(context, "srv2", states.srv2!);
    expect(found?.drift.sort()).toEqual([
      "/var/lib/vz/snippets/coldspare-guard is missing",
      "coldspare-agent.service does not run",
    ]);
    const repaired = await handler.update(context, "srv2", found!, serverGuardInputs({ server: "srv2", manifest }));
    expect(repaired.drift).toEqual([]);
    expect((await handler.read(context, "srv2", repaired))?.drift).toEqual([]);
  }, 30_000);

  it("is left as it was on a server that its BMC switched off", async () => {
    const power = powerOf(
      "srv2",
      {
        kind: "redfish",
        url: hosts.bmcUrl("srv2"),
        username: "admin",
        passwordSecret: "bmc",
        ca: readFileSync(lab.lab.caFile, "utf8"),
      },
      () => hosts.bmcPassword(),
    );
    await power.off();
    expect(hosts.isUp("srv2")).toBe(false);
    expect(await handler.read(context, "srv2", states.srv2!)).toEqual(states.srv2);
    const begun = Date.now();
    await expect(
      handler.update(context, "srv2", states.srv2!, serverGuardInputs({ server: "srv2", manifest })),
    ).rejects.toThrow(/^srv2: its guard could not be brought up to date/);
    expect(Date.now() - begun).toBeLessThan(15_000);
    await power.on();
  }, 60_000);
});

function siteOf(servers: SiteManifest["servers"]): SiteManifest {
  return {
    format: 1,
    site: "trial",
    cluster: "site",
    fencing: "confirm",
    lease: { termSeconds: 60, renewSeconds: 10, marginSeconds: 75, watchdogSeconds: 60 },
    witness: "backup-1",
    allowShedding: false,
    expectedVotes: 3,
    memoryOverheadGiB: 0.15,
    servers,
    guests: {
      "sql-erp": {
        name: "sql-erp",
        kind: "qemu",
        vmid: 100,
        primary: "srv2",
        spare: "srv1",
        method: "storage-replication",
        voters: ["srv2", "srv1", "backup-1"],
        memoryGiB: 0.5,
        cores: 1,
        boot: { order: 30, delaySeconds: 0, seconds: 1, atHostBoot: true },
        priority: 0,
        sheddable: false,
        storages: ["tank"],
        networks: [],
        cloudInit: false,
        agent: false,
        probes: [],
        commands: [],
      },
    },
    groups: {},
    drills: {},
  };
}
