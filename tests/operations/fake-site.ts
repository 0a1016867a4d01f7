/**
 * A site in memory for the operations: hypervisors with their API, voters with their records, guests that run or not. Voters
 * judge claims, grants and releases as the program on the servers does; a start asks them as the guard does.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock, Operator, Progress } from "../../operations/context";
import { Journal } from "../../operations/journal";
import { manifestHash, planSite, type SiteManifest, siteManifest } from "../../planning";
import { idsOf } from "../../planning/node-conf";
import type { SiteSpecInput } from "../../planning/schema";
import type { PveClient } from "../../providers/pve/client";
import { PveError } from "../../providers/pve/errors";
import { SshError, type SshResult } from "../../providers/ssh";
import { loadLayout } from "../../stacks/layouts";

/** What `coldspare-zfs` on the servers is asked. */
export interface FakeZfs {
  /** @param active The server that the guard's record there names. */
  run(server: string, words: readonly string[], active: string | undefined): SshResult;
  /** Lines of `replica status` and `replica points`. */
  factsOf(server: string): string[];
}

interface Record_ {
  epoch: number;
  server: string;
  by: string;
  grants: number;
  holder: string;
  hold: number;
  /** ISO time; default: an hour before the site begins. */
  since?: string;
}

export interface FakeGuest {
  server: string;
  kind: "qemu" | "lxc";
  running: boolean;
  config: Record<string, string>;
}

const NOW = Date.parse("2026-11-22T03:00:00Z");
export const SYNCED = NOW / 1000 - 300;

export class FakeSite {
  manifest: SiteManifest;
  readonly up = new Map<string, boolean>();
  /** Cut off from this machine only: the others still see it. */
  readonly cutOff = new Set<string>();
  readonly guests = new Map<number, FakeGuest>();
  /** Powered-off sides of guests by `zfs-sync`, which have the id of the other side: `srv1/113`. */
  readonly registered = new Map<string, FakeGuest>();
  /** Their volumes, if the site has any. */
  zfs: FakeZfs | undefined;
  readonly jobs = new Map<
    string,
    { guest: number; source: string; target: string; disable: boolean; lastSync: number }
  >();
  readonly votes = new Map<string, Map<string, Record_>>();
  readonly files = new Map<string, string[]>();
  /** Reads that fail: of this server's API, or of anybody's; so many times, or for ever. */
  readonly faults: { server?: string; path: RegExp; status: number; reason: string; times?: number }[] = [];
  readonly said: Progress[] = [];
  /** Calls that changed something, in order. */
  readonly changes: string[] = [];
  privileges: string[] = [
    "VM.PowerMgmt",
    "VM.Audit",
    "VM.Migrate",
    "VM.Replicate",
    "VM.Config.Network",
    "VM.Backup",
    "VM.Allocate",
    "VM.Config.Options",
    "Datastore.AllocateSpace",
    "Sys.Audit",
  ];
  time = NOW;
  boot = "b";
  slept = 0;
  generation = { generation: 3, hash: "", history: [] as string[] };
  readonly folder = mkdtempSync(join(tmpdir(), "coldspare-fake-"));
  /** More than two sides of a guest ever ran at once. */
  readonly twice: string[] = [];
  onChange: ((what: string) => void) | undefined;

  constructor(change: (manifest: SiteManifest) => SiteManifest = (manifest) => manifest) {
    const plan = planSite(loadLayout("smb-site") as SiteSpecInput);
    const names = Object.keys(plan.servers);
    const manifest = siteManifest(plan, {
      endpoints: { srv1: "https://192.168.10.11:8006", srv2: "https://192.168.10.12:8006" },
      ssh: { hostKeys: Object.fromEntries(names.map((name) => [name, ["ssh-ed25519 AAAA"]])) },
    });
    this.manifest = change(structuredClone(manifest));
    this.generation.hash = manifestHash(this.manifest);
    for (const name of names) {
      this.up.set(name, true);
      this.votes.set(name, new Map());
      this.files.set(name, []);
    }
    for (const guest of Object.values(this.manifest.guests)) this.place(guest.name);
  }

  private place(name: string): void {
    const guest = this.manifest.guests[name]!;
    const { kind, vmid, primary, spare, method, standbyIds } = guest;
    const config = {
      name,
      memory: String(guest.memoryGiB * 1024),
      net0: "virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=20",
    };
    this.guests.set(vmid, { server: primary, kind, running: true, config: { ...config } });
    for (const voter of guest.voters)
      this.votes
        .get(voter)!
        .set(name, { epoch: 1, server: primary, by: `guard@${primary}`, grants: 1, holder: primary, hold: 40 });
    if (method === "storage-replication")
      this.jobs.set(`${vmid}-0`, { guest: vmid, source: primary, target: spare!, disable: false, lastSync: SYNCED });
    standbyIds?.forEach((id, index) => {
      const time = new Date((SYNCED - index * 86_400) * 1000).toISOString().replace(".000Z", "Z");
      const description = `Recovery point: ${time} from backup-nfs:backup/vzdump-${kind}-${vmid}-${index}.vma.zst`;
      const own = { ...config, name: `${name}-spare`, tags: "coldspare;coldspare-spare", description };
      this.guests.set(id, { server: spare!, kind, running: false, config: own });
    });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  // ---- what happens to servers

  kill(server: string): void {
    this.up.set(server, false);
    for (const [, guest] of this.everyGuest()) if (guest.server === server) guest.running = false;
  }

  /** It boots, and its guard lets start what its voters grant. */
  revive(server: string): void {
    this.up.set(server, true);
    for (const { name, vmid, primary } of Object.values(this.manifest.guests)) {
      const guest = this.guests.get(vmid);
      if (guest?.server === server && primary === server && this.mayStart(name, server)) this.run(vmid, server);
    }
  }

  /** A guest on a server, whichever of its sides that is. */
  guestAt(server: string, vmid: number): FakeGuest | undefined {
    const guest = this.guests.get(vmid);
    return guest?.server === server ? guest : this.registered.get(`${server}/${vmid}`);
  }

  private everyGuest(): [number, FakeGuest][] {
    return [
      ...this.guests,
      ...[...this.registered].map(([key, guest]) => [Number(key.split("/")[1]), guest] as const),
    ].map(([vmid, guest]) => [vmid, guest]);
  }

  running(): string[] {
    return this.everyGuest()
      .flatMap(([vmid, { running, server }]) => (running ? [`${vmid} on ${server}`] : []))
      .sort();
  }

  private run(vmid: number, server: string): void {
    this.guestAt(server, vmid)!.running = true;
    for (const guest of Object.values(this.manifest.guests)) {
      const ids = new Set(idsOf(guest).map((each) => each.vmid));
      if (this.everyGuest().filter(([id, { running }]) => running && ids.has(id)).length > 1)
        this.twice.push(guest.name);
    }
  }

  /** A majority of voters that this server reaches grants it. */
  private mayStart(name: string, server: string): boolean {
    const guest = this.manifest.guests[name]!;
    if (guest.spare === undefined) return true;
    const granting = guest.voters.filter(
      (voter) => this.up.get(voter) && this.votes.get(voter)!.get(name)!.server === server,
    );
    if (granting.length <= guest.voters.length / 2) return false;
    for (const voter of granting) this.votes.get(voter)!.get(name)!.grants++;
    return true;
  }

  // ---- the operator

  operator(by = "anna@laptop", env: Record<string, string> = {}): Operator {
    const clock: Clock = {
      now: () => new Date(this.time),
      sleep: async (seconds) => {
        this.slept += seconds;
        this.time += seconds * 1000;
      },
    };
    const ssh = { run: this.ssh.bind(this), close: async () => {} };
    const journal = new Journal({
      folder: join(this.folder, by),
      ssh,
      servers: Object.keys(this.manifest.servers),
      clock,
      durable: false,
    });
    const clients = new Map(["srv1", "srv2"].map((server) => [server, this.client(server)]));
    return {
      manifest: this.manifest,
      pve: this.client(undefined),
      pveAt: (server) => clients.get(server),
      ssh,
      journal,
      clock,
      by,
      say: (event) => this.said.push(event),
      secret: (name) => env[name],
      env: { ...env, PATH: "" },
    };
  }

  private reaches(server: string): boolean {
    return this.up.get(server) === true && !this.cutOff.has(server);
  }

  // ---- SSH

  private async ssh(server: string, argv: readonly string[], options: { input?: string } = {}): Promise<SshResult> {
    if (!this.reaches(server)) throw new SshError(server, "unreachable", "nobody answers", `look at ${server}`);
    const [program, ...words] = argv;
    const ok = (stdout = ""): SshResult => ({ code: 0, stdout, stderr: "" });
    if (program === "sh") return ok(this.factsOf(server));
    if (program === "rm" || program === "pvecm") return ok();
    if (program === "qm" && words[0] === "unlock") {
      delete this.guests.get(Number(words[1]))!.config.lock;
      return ok();
    }
    if (program?.endsWith("coldspare-zfs") && this.zfs) {
      if (words[1] !== "points" && words[1] !== "status") this.change(`zfs ${words.slice(1).join(" ")} on ${server}`);
      return this.zfs.run(server, words.slice(1), this.votes.get(server)!.get(words[2]!)?.server);
    }
    if (program === "zfs" && this.zfs) return this.zfs.run(server, words, undefined);
    if (!program?.endsWith("coldspare-node")) return { code: 127, stdout: "", stderr: `${program}: not found` };
    if (words[0] === "journal") return ok(this.journalOf(server, words, options.input));
    if (words[0] === "take-config") return this.takeConfig(server, Number(words[1]));
    if (words[0] === "allow") {
      for (const voter of this.manifest.guests[words[1]!]!.voters) {
        if (!this.up.get(voter)) continue;
        const record = this.votes.get(voter)!.get(words[1]!)!;
        Object.assign(record, { epoch: record.epoch + 1, server, by: `allow@${server}` });
      }
      this.allowed.add(`${words[1]}@${server}`);
      return ok();
    }
    return ok(this.serve(server, words.slice(1)));
  }

  private readonly allowed = new Set<string>();

  private factsOf(server: string): string {
    const snapshots = [...this.jobs].flatMap(([id, { guest, target, lastSync }]) =>
      target === server && lastSync > 0 ? [`tank/vm-${guest}-disk-0@__replicate_${id}_${lastSync}__`] : [],
    );
    const history = this.generation.history.map((hash, index) => `${index + 1} ${hash}`);
    return [
      "== history",
      ...history,
      "== diverged",
      "== paused",
      ...this.pausedJobs,
      "== snapshots",
      ...snapshots,
      "== replicas",
      ...(this.zfs?.factsOf(server) ?? []),
      "== drills",
      ...this.drills.map((drill) => JSON.stringify(drill)),
      "",
    ].join("\n");
  }

  private journalOf(server: string, words: readonly string[], input = ""): string {
    const lines = this.files.get(server)!;
    if (words[1] === "append") lines.push(...input.split("\n").filter((line) => line !== ""));
    return words[1] === "list" ? lines.map((line) => `${line}\n`).join("") : "";
  }

  private takeConfig(server: string, vmid: number): SshResult {
    const guest = this.guests.get(vmid)!;
    const { name } = Object.values(this.manifest.guests).find((each) => each.vmid === vmid)!;
    if (this.votes.get(server)!.get(name)!.server !== server)
      return { code: 1, stdout: "", stderr: `the record does not name ${server}` };
    if (guest.server === server) return { code: 0, stdout: "", stderr: "" };
    this.change(`take ${vmid} to ${server}`);
    guest.server = server;
    const job = this.jobs.get(`${vmid}-0`);
    if (job) Object.assign(job, { source: job.target, target: job.source, lastSync: 0 });
    return { code: 0, stdout: "", stderr: "" };
  }

  private serve(voter: string, [request, ...words]: string[]): string {
    const { generation, hash } = this.generation;
    if (request === "ping")
      return `pong self=${voter} boot=${this.boot} uptime=100.0 generation=${generation} hash=${hash} version=1\nend\n`;
    const votes = this.votes.get(voter)!;
    const lines: string[] = [];
    const answer = (name: string, verdict: string, reason?: string) => {
      const { epoch, server, by, grants, holder, hold, since = "2026-11-22T02:00:00Z" } = votes.get(name)!;
      const why = reason === undefined ? "" : ` reason=${reason}`;
      lines.push(
        `${name} ${verdict} epoch=${epoch} server=${server} by=${by} since=${since} grants=${grants} hold=${hold} holder=${holder}${why}`,
      );
    };
    if (request === "read") for (const name of words) answer(name, "ok");
    if (request === "claim") {
      const [by, ...claims] = words;
      for (const claim of claims) {
        const [, name, epoch, server] = /^(.+)=(\d+)@(.+)$/.exec(claim)!;
        const record = votes.get(name!)!;
        const same = record.epoch === Number(epoch) && record.server === server && record.by === by;
        if (Number(epoch) > record.epoch) {
          this.change(`claim ${name}=${epoch}@${server} at ${voter}`);
          Object.assign(record, { epoch: Number(epoch), server, by });
          answer(name!, "ok");
        } else answer(name!, same ? "ok" : "denied");
      }
    }
    if (request === "release") {
      const [by, to, ...epochs] = words;
      for (const each of epochs) {
        const [name, epoch] = each.split("=") as [string, string];
        const record = votes.get(name)!;
        const runs = idsOf(this.manifest.guests[name]!).some(
          ({ vmid, server }) => server === voter && this.guestAt(voter, vmid)?.running === true,
        );
        if (record.epoch === Number(epoch) && record.server === voter && !runs) {
          this.change(`release ${name} by ${voter}`);
          Object.assign(record, { epoch: record.epoch + 1, server: to, by });
          answer(name, "ok");
        } else if (record.epoch === Number(epoch) + 1 && record.server === to && record.by === by) answer(name, "ok");
        else answer(name, "refused", runs ? "it%20runs" : "not%20mine");
      }
    }
    return `${lines.join("\n")}\nend\n`;
  }

  private change(what: string): void {
    this.changes.push(what);
    this.onChange?.(what);
  }

  // ---- the API

  private client(server: string | undefined): PveClient {
    const call = async (method: string, path: string, form: Record<string, unknown> = {}): Promise<unknown> => {
      const at = server ?? ["srv1", "srv2"].find((each) => this.reaches(each));
      const fail = (status: number, reason: string, code?: string) =>
        new PveError({ server: at ?? "srv1", call: `${method} ${path}`, status, reason, ...(code && { code }) });
      if (at === undefined || !this.reaches(at)) throw fail(0, "it does not answer", "ECONNREFUSED");
      const node = /^\/nodes\/([^/]+)/.exec(path)?.[1];
      if (node !== undefined && !this.up.get(node)) throw fail(595, "No route to host");
      const fault = method === "GET" ? this.faultOf(at, path) : undefined;
      if (fault !== undefined) throw fail(fault.status, fault.reason);
      const answer = method === "GET" ? this.read(at, path, form) : this.write(method, path, form);
      if (answer === undefined) throw fail(500, `Configuration file '${path}' does not exist`);
      return answer;
    };
    const client = {
      get: (path: string, query?: Record<string, unknown>) => call("GET", path, query),
      post: (path: string, form?: Record<string, unknown>) => call("POST", path, form),
      put: (path: string, form?: Record<string, unknown>) => call("PUT", path, form),
      delete: (path: string, form?: Record<string, unknown>) => call("DELETE", path, form),
      task: async (_node: string, method: string, path: string, form: Record<string, unknown>) =>
        void (await call(method, path, form)),
      close: () => {},
    };
    return client as unknown as PveClient;
  }

  private faultOf(server: string, path: string) {
    const fault = this.faults.find(
      (each) => (each.server ?? server) === server && each.path.test(path) && each.times !== 0,
    );
    if (fault?.times !== undefined) fault.times--;
    return fault;
  }

  private read(at: string, path: string, query: Record<string, unknown>): unknown {
    const rows = this.everyGuest().map(([vmid, { server, kind, running, config }]) => ({
      vmid,
      node: server,
      type: kind,
      status: running ? "running" : "stopped",
      name: config.name,
      tags: config.tags,
      lock: config.lock,
      maxmem: Number(config.memory) * 1024 ** 2,
      cpus: 2,
    }));
    if (path === "/cluster/status") {
      const nodes = ["srv1", "srv2"].map((name) => ({ type: "node", name, online: this.up.get(name) ? 1 : 0 }));
      return [{ type: "cluster", name: "smb", quorate: 1 }, ...nodes];
    }
    if (path === "/cluster/resources") return rows;
    if (path === "/access/permissions")
      return { [String(query.path)]: Object.fromEntries(this.privileges.map((name) => [name, 1])) };
    const jobs = [...this.jobs].map(([id, { disable, lastSync, ...job }]) => ({
      id,
      ...job,
      disable: disable ? 1 : 0,
      last_sync: lastSync,
    }));
    if (path === "/cluster/replication") return jobs.map(({ last_sync: _, ...job }) => job);
    const [, node, rest = ""] = /^\/nodes\/([^/]+)\/(.*)$/.exec(path) ?? [];
    if (rest === "time") return { time: this.time / 1000 };
    if (rest === "replication") return jobs.filter(({ source }) => source === node);
    if (rest === "qemu" || rest === "lxc") return rows.filter((row) => row.node === node && row.type === rest);
    if (rest.startsWith("tasks")) return [];
    const content = /^storage\/([^/]+)\/content$/.exec(rest)?.[1];
    if (content !== undefined) return this.contentOf(content, query);
    const [, vmid, what] = /^(?:qemu|lxc)\/(\d+)\/(config|status\/current)$/.exec(rest) ?? [];
    const guest = this.guestAt(node ?? "", Number(vmid));
    if (guest === undefined) return undefined;
    void at;
    return what === "config" ? { ...guest.config } : { status: guest.running ? "running" : "stopped" };
  }

  /** Replication jobs that a drill has paused. */
  readonly pausedJobs: string[] = [];

  readonly drills: Record<string, unknown>[] = [];

  /** Backups beside those that standbys were made from. */
  readonly backups: { vmid: number; volid: string; ctime: number }[] = [];

  private contentOf(storage: string, { vmid, content }: Record<string, unknown>): unknown {
    if (content === "backup")
      return this.backups.filter((each) => each.vmid === Number(vmid)).map((each) => ({ ...each, content }));
    return [{ volid: `${storage}:vm-${vmid}-disk-0`, content: "images", vmid }];
  }

  private write(method: string, path: string, form: Record<string, unknown>): unknown {
    this.change(`${method} ${path}`);
    const job = /^\/cluster\/replication\/(.+)$/.exec(path)?.[1];
    if (job !== undefined) return Object.assign(this.jobs.get(job)!, { disable: form.disable === true });
    const [, node, kind, vmid, what] = /^\/nodes\/([^/]+)\/(qemu|lxc)\/?(\d*)\/?(.*)$/.exec(path) ?? [];
    if (path.endsWith("/vzdump")) {
      this.backups.unshift({
        vmid: Number(form.vmid),
        volid: `backup-nfs:backup/vzdump-qemu-${form.vmid}-last.vma.zst`,
        ctime: this.time / 1000,
      });
      return null;
    }
    if (vmid === "") {
      const config = {
        name: String(form.name ?? form.hostname),
        tags: String(form.tags),
        memory: "4096",
        scsi0: `tank:vm-${form.vmid}-disk-0`,
      };
      this.guests.set(Number(form.vmid), { server: node!, kind: kind as "qemu", running: false, config });
      return null;
    }
    const guest = this.guestAt(node ?? "", Number(vmid));
    if (guest === undefined) return undefined;
    if (method === "DELETE") return this.guests.delete(Number(vmid)) ? null : null;
    if (what === "config") {
      for (const [key, value] of Object.entries(form)) if (value !== undefined) guest.config[key] = String(value);
      return null;
    }
    if (what === "migrate") {
      guest.server = String(form.target);
      const moved = this.jobs.get(`${vmid}-0`);
      if (moved) Object.assign(moved, { source: moved.target, target: moved.source, lastSync: this.time / 1000 });
      return null;
    }
    if (what === "status/start") this.start(Number(vmid), node!);
    else if (what?.startsWith("status/")) guest.running = false;
    return null;
  }

  private start(vmid: number, server: string): void {
    const guest = Object.values(this.manifest.guests).find((each) => idsOf(each).some((seat) => seat.vmid === vmid));
    const allowed = guest !== undefined && this.allowed.delete(`${guest.name}@${server}`);
    if (guest !== undefined && !allowed && !this.mayStart(guest.name, server))
      throw new PveError({
        server,
        call: "start",
        status: 200,
        reason: `the guard refuses the start of ${guest.name}`,
        fix: "see the voters",
      });
    this.run(vmid, server);
  }
}
