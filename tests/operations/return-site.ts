/**
 * Two guests of the small firm in the lab, each failed over without a plan: one by replication, one by a restored standby. What
 * the servers' own program would answer over SSH is answered from memory.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock, Operator, Progress } from "../../operations/context";
import { Journal } from "../../operations/journal";
import { planSite, type SiteManifest, type SiteSpec, siteManifest } from "../../planning";
import { manifestHash } from "../../planning/manifest-text";
import { PveClient } from "../../providers/pve/client";
import { refreshStandby } from "../../providers/restore-refresh";
import { SshError, type SshRunner } from "../../providers/ssh";
import { loadLayout } from "../../stacks/layouts";
import { TrialLab, twoNodes } from "../lab/trial-lab";

export const SQL = "sql-erp";
export const APP = "remote-app";

/** Records of the voters, and a few commands of root's. */
export class FakeServers implements SshRunner {
  readonly records: Record<string, Record<string, { epoch: number; server: string; by: string }>> = {};
  readonly commands: string[] = [];
  readonly down = new Set<string>();
  /** A server of the record that does not let a guest go. */
  refuse?: string;

  constructor(
    private readonly site: () => ReturnSite,
    voters: readonly string[],
  ) {
    for (const voter of voters) this.records[voter] = {};
  }

  setAll(guest: string, epoch: number, server: string, by = "failover-test-20260101T000000Z+me"): void {
    for (const records of Object.values(this.records)) records[guest] = { epoch, server, by };
  }

  async run(server: string, argv: readonly string[]): ReturnType<SshRunner["run"]> {
    if (this.down.has(server)) throw new SshError(server, "unreachable", "no answer", "wait");
    const [program = "", ...args] = argv;
    this.commands.push(`${server}: ${argv.join(" ")}`);
    const ok = (stdout = "") => ({ code: 0, stdout, stderr: "" });
    if (program.endsWith("coldspare-node"))
      return ok(args[0] === "serve" ? await this.serve(server, args.slice(1)) : "");
    if (program === "cat") return ok(await this.site().confText(args[0] ?? ""));
    if (program === "pvesm") return ok(`/dev/zvol/${(args[1] ?? "").replace(":", "/")}\n`);
    if (program === "qm" && args[0] === "create") return ok(await this.site().create(server, args.slice(1)));
    return ok();
  }

  async close(): Promise<void> {}

  private async serve(server: string, [request = "", ...words]: string[]): Promise<string> {
    if (request === "ping")
      return `pong self=${server} boot=x uptime=1 generation=1 hash=${manifestHash(this.site().manifest)} version=1\nend\n`;
    const lines: string[] = [];
    const held = this.records[server]!;
    const answer = (guest: string, verdict: string, reason = "") => {
      const { epoch, server: to, by } = held[guest] ?? { epoch: 0, server: "srv2", by: "-" };
      lines.push(`${guest} ${verdict} epoch=${epoch} server=${to} by=${by} since=- grants=1 hold=0 holder=-${reason}`);
    };
    if (request === "read") for (const guest of words) answer(guest, "ok");
    if (request === "claim") {
      const [by = "", ...claims] = words;
      for (const claim of claims) {
        const [, guest = "", epoch, to = ""] = /^(.+)=(\d+)@(.+)$/.exec(claim) ?? [];
        const own = held[guest] ?? { epoch: 0, server: "srv2", by: "-" };
        const same = own.epoch === Number(epoch) && own.server === to && own.by === by;
        if (Number(epoch) > own.epoch || same) held[guest] = { epoch: Number(epoch), server: to, by };
        answer(guest, Number(epoch) > own.epoch || same ? "ok" : "denied");
      }
    }
    if (request === "release") {
      const [by = "", to = "", ...epochs] = words;
      for (const word of epochs) {
        const [guest = "", epoch] = word.split("=");
        const own = held[guest];
        const mine = own?.epoch === Number(epoch) && own?.server === server;
        const runs = this.refuse === guest || (await this.site().runsOn(guest, server));
        if (mine && !runs) held[guest] = { epoch: Number(epoch) + 1, server: to, by };
        answer(guest, mine && !runs ? "ok" : "refused", runs ? " reason=it%20runs" : "");
      }
    }
    return `${lines.join("\n")}\nend\n`;
  }
}

interface GuestListed {
  vmid: number;
  type: string;
  name: string;
  status: string;
  node: string;
}

export class ReturnSite {
  readonly state = mkdtempSync(join(tmpdir(), "coldspare-return-"));
  readonly said: Progress[] = [];
  readonly servers: FakeServers;

  private constructor(
    readonly trial: TrialLab,
    readonly manifest: SiteManifest,
    readonly pve: PveClient,
    private readonly clients: Record<string, PveClient>,
  ) {
    this.servers = new FakeServers(() => this, ["srv1", "srv2", "backup-1"]);
  }

  static async start(): Promise<ReturnSite> {
    const export_ = { server: "192.168.10.13", path: "/srv/vzdump", sizeGiB: 500 };
    const trial = await TrialLab.start({ ...twoNodes, exports: [export_] }, 2000);
    const { lab } = trial;
    const options = { apiToken: lab.tokens.root, ca: readFileSync(lab.caFile, "utf8"), pollSeconds: 0.02 };
    const client = (endpoints: Record<string, string>) => new PveClient({ ...options, endpoints });
    const clients = Object.fromEntries(
      Object.entries(lab.endpoints).map(([server, url]) => [server, client({ [server]: url })]),
    );
    const site = new ReturnSite(trial, smallManifest(lab.endpoints), client(lab.endpoints), clients);
    await site.build();
    return site;
  }

  /** A new command: what an earlier one had in memory is gone. */
  operator(by = "me@laptop"): Operator {
    const clock: Clock = {
      now: () => new Date(),
      sleep: (seconds) => this.trial.pass(seconds),
    };
    return {
      manifest: this.manifest,
      pve: this.pve,
      pveAt: (server) => this.clients[server],
      ssh: this.servers,
      journal: new Journal({ folder: this.state, ssh: this.servers, servers: ["srv1", "srv2"], clock }),
      clock,
      by,
      say: (event) => void this.said.push(event),
      secret: () => undefined,
      env: {},
    };
  }

  async remove(): Promise<void> {
    for (const each of [this.pve, ...Object.values(this.clients)]) each.close();
    await this.trial.remove();
    rmSync(this.state, { recursive: true });
  }

  async config(server: string, vmid: number): Promise<Record<string, string>> {
    return this.pve.get(`/nodes/${server}/qemu/${vmid}/config`);
  }

  async runsOn(guest: string, server: string): Promise<boolean> {
    const { vmid, standbyIds = [] } = this.manifest.guests[guest]!;
    const there = (await this.rows()).filter((row) => row.node === server && [vmid, ...standbyIds].includes(row.vmid));
    const states = await Promise.all(there.map((row) => this.statusOf(row)));
    return states.includes("running");
  }

  /** `112 app stopped srv2`, sorted: everything that there is. */
  async guests(): Promise<string[]> {
    const rows = (await this.rows()).map(
      async (row) => `${row.vmid} ${row.name} ${await this.statusOf(row)} ${row.node}`,
    );
    return (await Promise.all(rows)).sort();
  }

  /** The list of the cluster lags behind; whether a guest runs is asked on its server, if that lives. */
  private async statusOf({ vmid, type, node, status }: GuestListed): Promise<string> {
    const path = `/nodes/${node}/${type}/${vmid}/status/current`;
    return (await this.pve.get<{ status: string }>(path).catch(() => ({ status }))).status;
  }

  private rows(): Promise<GuestListed[]> {
    return this.pve.get("/cluster/resources", { type: "vm" });
  }

  /** A configuration as a file. */
  async confText(path: string): Promise<string> {
    const [, server = "", vmid = ""] = /nodes\/([^/]+)\/qemu-server\/(\d+)\.conf/.exec(path) ?? [];
    const config = await this.config(server, Number(vmid));
    return Object.entries(config)
      .map(([key, value]) => `${key}: ${value}\n`)
      .join("");
  }

  /** `qm create`, whose absolute paths only root may give. */
  async create(server: string, [vmid = "", ...args]: string[]): Promise<string> {
    const form: Record<string, string> = { vmid };
    for (let index = 0; index < args.length; index += 2) {
      const key = args[index]!.slice(2);
      if (/^(digest|smbios1|boot)$/.test(key)) continue;
      form[key] = args[index + 1]!.replace(/:0,import-from=[^,]+/, ":2");
    }
    await this.pve.task(server, "POST", `/nodes/${server}/qemu`, form, {});
    return "";
  }

  private async build(): Promise<void> {
    const { trial, pve } = this;
    await pve.post("/storage", {
      storage: "backup-nfs",
      type: "nfs",
      server: "192.168.10.13",
      export: "/srv/vzdump",
      content: "backup",
    });
    const tags = "coldspare;coldspare-primary";
    await trial.createVm("srv2", 113, { name: SQL, tags, onboot: 1, startup: "order=30" });
    await trial.createVm("srv2", 112, { name: APP, tags, onboot: 1, description: "Session host", protection: 1 });
    await pve.post("/cluster/replication", { id: "113-0", type: "local", target: "srv1", schedule: "*/15" });
    await this.synchronised("srv2");
    await refreshStandby(pve, {
      guest: APP,
      vmid: 112,
      kind: "qemu",
      source: "srv2",
      node: "srv1",
      standbyIds: [9112, 9212],
      storage: "tank",
      backupStorage: "backup-nfs",
      tags: ["coldspare", "coldspare-spare"],
      notes: "Spare of remote-app.",
    });
    for (const id of [112, 113]) await pve.task("srv2", "POST", `/nodes/srv2/qemu/${id}/status/start`, {}, {});
  }

  private async synchronised(server: string): Promise<void> {
    await this.pve.post(`/nodes/${server}/replication/113-0/schedule_now`);
    await this.trial.until(
      async () => {
        await this.trial.pass(60);
        return this.pve.get<{ last_sync?: number }>(`/nodes/${server}/replication/113-0/status`);
      },
      ({ last_sync = 0 }) => last_sync > 0,
    );
  }

  /** As a failover leaves them: the old sides stopped and marked, the spares running, the voters agreed. */
  async failOver(): Promise<void> {
    const { pve, trial } = this;
    for (const id of [112, 113]) await pve.task("srv2", "POST", `/nodes/srv2/qemu/${id}/status/stop`, {}, {});
    await pve.put("/cluster/replication/113-0", { disable: true });
    await trial.control("POST", "/config-move", { vmid: 113, from: "srv2", to: "srv1" });
    await pve.put("/nodes/srv2/qemu/112/config", { tags: "coldspare;coldspare-primary;coldspare-diverged", onboot: 0 });
    await pve.put("/nodes/srv1/qemu/9112/config", { tags: "coldspare;coldspare-spare;coldspare-active" });
    for (const id of [9112, 113]) await pve.task("srv1", "POST", `/nodes/srv1/qemu/${id}/status/start`, {}, {});
    this.servers.setAll(SQL, 4, "srv1");
    this.servers.setAll(APP, 2, "srv1");
  }
}

function smallManifest(endpoints: Readonly<Record<string, string>>): SiteManifest {
  const smb = siteManifest(planSite(loadLayout("smb-site") as SiteSpec), { endpoints: { ...endpoints } });
  for (const server of Object.values(smb.servers)) {
    server.ssh = { host: "127.0.0.1", port: 22, user: "root", hostKeys: ["ssh-ed25519 AAAA"] };
  }
  smb.guests = { [SQL]: smb.guests[SQL]!, [APP]: smb.guests[APP]! };
  // What the lab's guests really have.
  for (const guest of Object.values(smb.guests)) guest.memoryGiB = 0.5;
  return smb;
}
