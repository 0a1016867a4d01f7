/**
 * One site for one scenario: the lab with real hosts, the stack that the real engine built there, the commands as processes
 * of their own, and the watcher outside. A site is built once for each way of fencing; every scenario starts from a copy.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { stringify } from "yaml";
import { type Lab, startLab } from "../../lab";
import { labTopology } from "../../lab/from-site";
import type { LabHosts } from "../../lab/hosts/types";
import { type Fencing, planSite, type SiteSpecInput } from "../../planning";
import { PveClient } from "../../providers/pve/client";
import { checkout, type EngineRun, EngineStack, toolchainEnvironment } from "../../tests/engine/engine";
import { createAccounts, type SiteTokens } from "../../tests/lab/accounts";
import { latest, type Overlap, overlaps } from "../judge";
import type { Life } from "../watcher";
import { BEFORE, withPower } from "./site";

/** How a command ended. */
export interface CommandRun {
  code: number;
  /** Both streams, in the order they came. */
  text: string;
  stdout: string;
  seconds: number;
}

/** A built site at rest: everything in one folder. */
export interface Template {
  folder: string;
  fencing: Fencing;
  site: SiteSpecInput;
}

const STACK = "proof";

export class World {
  private readonly lines: Life[] = [];
  private watcher: ChildProcessWithoutNullStreams | undefined;
  /** Milliseconds since the machine's boot from which overlaps count: for `confirm`, the moment of the confirmation. */
  countFrom = 0;

  private constructor(
    readonly folder: string,
    readonly site: SiteSpecInput,
    readonly fencing: Fencing,
    readonly lab: Lab,
    readonly hosts: LabHosts,
    readonly stack: EngineStack,
    /** Root's hands, for what happens behind the back of program and commands. */
    readonly pve: PveClient,
    /** What the program and the commands work with: the accounts that `coldspare privileges` prints. */
    private readonly tokens: SiteTokens,
  ) {}

  /** Builds the site with the real engine, and leaves it at rest. */
  static async template(site: SiteSpecInput, fencing: Fencing): Promise<Template> {
    const folder = mkdtempSync(join(tmpdir(), `coldspare-proof-${fencing}-`));
    const world = await World.start({ folder, site, fencing }, true);
    try {
      const up = await world.built();
      if (up.code !== 0) throw new Error(`the site could not be built:\n${up.log}`);
      await world.settle();
      const { manifest } = await world.stack.outputs<{ manifest: unknown }>();
      writeFileSync(world.manifestFile, JSON.stringify(manifest));
    } finally {
      await world.end(false);
    }
    return { folder, fencing, site };
  }

  /** The first update. Replication waits for the scheduler's next minute, which the lab's clock need not wait for. */
  private async built(): Promise<EngineRun> {
    const timer = setInterval(() => void this.control("POST", "/clock/advance", { seconds: 20 }), 2000);
    try {
      const first = await this.stack.up();
      return first.code === 0 ? first : await this.stack.up();
    } finally {
      clearInterval(timer);
    }
  }

  /** The site of a template, in a folder of its own, with every guest up. */
  static async open(template: Template): Promise<World> {
    const folder = `${template.folder}-run`;
    rmSync(folder, { recursive: true, force: true });
    cpSync(template.folder, folder, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
    return World.start({ ...template, folder }, false);
  }

  private static async start({ folder, site, fencing }: Template, fresh: boolean): Promise<World> {
    const labFolder = join(folder, "lab");
    mkdirSync(labFolder, { recursive: true });
    const plan = planSite(site);
    const portsFile = join(folder, "ports.json");
    const ports = fresh ? {} : (JSON.parse(readFileSync(portsFile, "utf8")) as Record<string, number>);
    const lab = await startLab({
      folder: labFolder,
      topology: labTopology(plan),
      // Everything that is measured runs in real time; Proxmox VE's own work is what the lab merely sleeps for.
      clock: { speed: 1, taskSpeed: 10 },
      hosts: true,
      ports,
      ...(process.env.COLDSPARE_PVE_SCHEMA ? { schemaFile: process.env.COLDSPARE_PVE_SCHEMA } : {}),
      ...(process.env.COLDSPARE_PBS_SCHEMA ? { pbsSchemaFile: process.env.COLDSPARE_PBS_SCHEMA } : {}),
    });
    if (!lab.hosts) throw new Error("the lab has no real hosts");
    const found = Object.entries(lab.endpoints).map(([node, url]) => [node, Number(new URL(url).port)]);
    writeFileSync(portsFile, JSON.stringify(Object.fromEntries(found)));
    const project = join(folder, "project");
    if (fresh) makeProject(project);
    const stack = new EngineStack({ stack: STACK, program: project, folder: project }, toolchainEnvironment());
    stack.trust(lab.caFile);
    const pve = new PveClient({
      endpoints: lab.endpoints,
      apiToken: lab.tokens.root,
      ca: readFileSync(lab.caFile, "utf8"),
      pollSeconds: 0.2,
      connectSeconds: 2,
    });
    const tokens = await siteTokens(join(folder, "tokens.json"), fresh, () => createAccounts(lab, plan));
    const world = new World(folder, site, fencing, lab, lab.hosts, stack, pve, tokens);
    await world.configure(fresh);
    await world.watch();
    if (!fresh) {
      await world.allUp();
      await world.refreshCopies();
    }
    return world;
  }

  get manifestFile(): string {
    return join(this.folder, "manifest.json");
  }

  /** After the copy every host has just been switched on: the guests start by themselves, through the guard. */
  private async allUp(): Promise<void> {
    for (const { id } of Object.values(planSite(this.site).guests)) await this.answers(id, 60);
  }

  /** The template may be older than a copy may be; a site that runs has had its scheduler. */
  private async refreshCopies(): Promise<void> {
    for (const { id, activeServer, replica } of Object.values(planSite(this.site).guests))
      if (replica?.method === "storage-replication") await this.replicate(activeServer, `${id}-0`);
  }

  private async configure(fresh: boolean): Promise<void> {
    const servers = Object.keys(this.site.servers);
    const siteFile = join(this.folder, "site.yaml");
    this.writeSite(this.site);
    const hostKeys = await Promise.all(servers.map(async (name) => [name, [await this.hosts.hostKey(name)]]));
    const config = {
      "coldspare:siteFile": siteFile,
      "coldspare:endpoints": this.lab.endpoints,
      "coldspare:caFile": this.lab.caFile,
      "coldspare:ssh": {
        keyFile: this.hosts.operatorKeyFile(),
        hosts: Object.fromEntries(servers.map((name) => [name, `127.0.0.1:${this.hosts.sshPort(name)}`])),
        hostKeys: Object.fromEntries(hostKeys),
      },
    };
    if (fresh) await this.stack.init(config, { "coldspare:apiToken": this.tokens.pulumi });
    else this.stack.writeConfig(config);
  }

  /** Every guest answers, and has on its spare what was written before the last refresh. */
  private async settle(): Promise<void> {
    const guests = Object.entries(planSite(this.site).guests);
    for (const [, { id }] of guests) await this.answers(id, 60);
    for (const [, { id }] of guests) await this.ask(id, "POST", "/write", BEFORE);
    for (const [name, { id, activeServer, replica }] of guests) {
      if (replica?.method === "storage-replication") await this.replicate(activeServer, `${id}-0`);
      else if (replica) await this.backUpAndRefresh(name, activeServer, id, replica.backupStorage!);
    }
  }

  /** A run of a replication job, waited for. */
  async replicate(server: string, job: string): Promise<void> {
    const status = () => this.pve.get<{ last_sync: number }>(`/nodes/${server}/replication/${job}/status`);
    const before = (await status()).last_sync;
    await this.pve.post(`/nodes/${server}/replication/${job}/schedule_now`);
    for (let tries = 0; tries < 10; tries++) {
      // The scheduler looks once a minute of the lab's clock, and only when no other job of the server runs.
      await this.control("POST", "/clock/advance", { seconds: 61 });
      for (let left = 30; left > 0; left--) {
        if ((await status()).last_sync > before) return;
        await pause(0.1);
      }
    }
    throw new Error(`replication ${job} did not run on ${server}`);
  }

  /** A backup, and the refresh of the standby from it, as the nightly timer does. */
  async backUpAndRefresh(guest: string, server: string, vmid: number, storage: string): Promise<void> {
    await this.pve.task(server, "POST", `/nodes/${server}/vzdump`, { vmid, storage, mode: "snapshot" }, {});
    const refreshed = await this.cold(["refresh", join(this.folder, "site.yaml"), "--guest", guest]);
    if (refreshed.code !== 0) throw new Error(`coldspare refresh: ${refreshed.text}`);
  }

  // ---- the commands under test

  private environment(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
    return {
      ...this.stack.environment(),
      COLDSPARE_API_TOKEN: this.tokens.operate,
      COLDSPARE_ENDPOINTS: JSON.stringify(this.lab.endpoints),
      COLDSPARE_CA_FILE: this.lab.caFile,
      COLDSPARE_MANIFEST: this.manifestFile,
      COLDSPARE_SSH_KEY: this.hosts.operatorKeyFile(),
      COLDSPARE_STATE: join(this.folder, "operator"),
      XDG_CONFIG_HOME: join(this.folder, "operator"),
      PULUMI_STACK: STACK,
      COLDSPARE_SECRET_BMC: this.hosts.bmcPassword(),
      NO_COLOR: "1",
      ...extra,
    };
  }

  /** One command of coldspare as a process of its own; it is killed after five minutes. */
  cold(args: string[], env: Record<string, string> = {}): Promise<CommandRun> {
    const started = Date.now();
    const child = spawn(process.execPath, [join(checkout, "dist/cli/main.js"), ...args], {
      cwd: this.project,
      env: this.environment(env),
      stdio: ["ignore", "pipe", "pipe"],
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), 300_000);
    let text = "";
    let stdout = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      stdout += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    return new Promise((done, fail) => {
      child.once("error", fail);
      child.once("close", (code, signal) => {
        clearTimeout(timer);
        done({ code: signal ? 137 : (code ?? 1), text, stdout, seconds: (Date.now() - started) / 1000 });
      });
    });
  }

  // ---- what happens to the servers

  /** A call to the lab's control interface. */
  async control<T>(method: "GET" | "POST", path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${this.lab.controlUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.lab.controlToken}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`control ${method} ${path}: ${response.status} ${text}`);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  private isWitness(server: string): boolean {
    return !(this.lab.endpoints as Record<string, string>)[server];
  }

  /** Pulls the plug. */
  async kill(server: string): Promise<void> {
    await this.control("POST", `/${this.isWitness(server) ? "witnesses" : "nodes"}/${server}/kill`);
  }

  async revive(server: string): Promise<void> {
    await this.control("POST", `/${this.isWitness(server) ? "witnesses" : "nodes"}/${server}/revive`);
  }

  async split(a: string[], b: string[]): Promise<void> {
    await this.control("POST", "/partition", { a, b });
  }

  async heal(): Promise<void> {
    await this.control("POST", "/heal");
  }

  /** Waits until the API of a server that was switched on answers. */
  async nodeReady(server: string, seconds = 30): Promise<void> {
    for (let left = seconds * 5; left > 0; left--) {
      try {
        await this.pve.get(`/nodes/${server}/status`);
        return;
      } catch {
        await pause(0.2);
      }
    }
    throw new Error(`${server} did not come back within ${seconds} s`);
  }

  /** What is on the disks of a guest on one server, read from the files that hold their bytes. */
  volumeBytes(server: string, vmid: number): string {
    const folder = join(this.folder, "lab/volumes", `${server}_zfs_tank`);
    if (!existsSync(folder)) return "";
    const files = readdirSync(folder).filter((file) => new RegExp(`^(vm|subvol)-${vmid}-disk-\\d+$`).test(file));
    return files.map((file) => readFileSync(join(folder, file), "utf8")).join("\n");
  }

  /** What the program is told to build from now on. */
  writeSite(site: SiteSpecInput): void {
    writeFileSync(join(this.folder, "site.yaml"), stringify(withPower(site, this.hosts)));
  }

  keepManifest(manifest: unknown): void {
    writeFileSync(this.manifestFile, JSON.stringify(manifest));
  }

  /** The operator's project: Pulumi.yaml and the stack's config, as in the folder from which one types commands. */
  get project(): string {
    return join(this.folder, "project");
  }

  // ---- the guests' own words

  /** Asks the service of a running guest from outside; undefined when it does not answer. */
  async ask(vmid: number, method: "GET" | "POST", path: string, body?: string): Promise<string | undefined> {
    try {
      const answer = await this.control<{ status: number; body: string }>("POST", `/guests/${vmid}/request`, {
        method,
        path,
        ...(body === undefined ? {} : { body }),
      });
      return answer.status === 200 ? answer.body : undefined;
    } catch {
      return undefined;
    }
  }

  /** Waits until the guest's service answers. @throws Error after so many seconds */
  async answers(vmid: number, seconds: number): Promise<number> {
    const started = Date.now();
    while (Date.now() - started < seconds * 1000) {
      if ((await this.ask(vmid, "GET", "/")) !== undefined) return (Date.now() - started) / 1000;
      await pause(0.1);
    }
    throw new Error(`guest ${vmid} did not answer within ${seconds} s`);
  }

  // ---- the watcher

  private async watch(): Promise<void> {
    const program = ["--require", join(checkout, "bench/register.cjs"), join(checkout, "proofs/watcher.ts")];
    const child = spawn(process.execPath, program, { cwd: checkout, stdio: ["pipe", "pipe", "pipe"] });
    this.watcher = child;
    await new Promise<void>((ready, fail) => {
      child.once("error", fail);
      child.once("exit", (code) => fail(new Error(`the watcher ended with ${code}`)));
      createInterface({ input: child.stdout }).on("line", (line) => {
        const event = JSON.parse(line) as Life & { watching?: boolean };
        if (event.watching) ready();
        else this.lines.push(event);
      });
    });
  }

  /** Ends the watcher and answers everything it saw. */
  private async watched(): Promise<Life[]> {
    const child = this.watcher;
    if (child && child.exitCode === null) {
      const closed = new Promise<void>((done) => child.once("close", () => done()));
      child.stdin.end();
      await closed;
    }
    this.watcher = undefined;
    return latest(this.lines);
  }

  /** Guests that run on a server now, as the watcher's last lines say. */
  running(server?: string): string[] {
    return latest(this.lines)
      .filter(({ ended, node }) => !ended && (server === undefined || node === server))
      .map(({ name, node }) => `${name} on ${node}`)
      .sort();
  }

  /** Milliseconds since the machine's boot, as the watcher counts. */
  now(): number {
    return Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1000;
  }

  /** Moments at which two sides of one guest were alive, from `countFrom` on. The watcher ends with this. */
  async overlaps(): Promise<Overlap[]> {
    const lives = await this.watched();
    writeFileSync(join(this.folder, "lives.json"), JSON.stringify(lives, null, 1));
    return overlaps(lives, this.countFrom);
  }

  async end(remove = true): Promise<void> {
    await this.watched();
    this.pve.close();
    await this.lab.stop();
    if (remove) rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The accounts are made with the site; a copy of it finds their secrets in its folder. */
async function siteTokens(file: string, fresh: boolean, create: () => Promise<SiteTokens>): Promise<SiteTokens> {
  if (!fresh) return JSON.parse(readFileSync(file, "utf8")) as SiteTokens;
  const tokens = await create();
  writeFileSync(file, JSON.stringify(tokens), { mode: 0o600 });
  return tokens;
}

/** A project of its own with this checkout's program: each scenario has its stack's config for itself. */
function makeProject(folder: string): void {
  mkdirSync(folder, { recursive: true });
  symlinkSync(join(checkout, "node_modules"), join(folder, "node_modules"));
  symlinkSync(join(checkout, "dist"), join(folder, "dist"));
  copyFileSync(join(checkout, "Pulumi.yaml"), join(folder, "Pulumi.yaml"));
}

export function pause(seconds: number): Promise<void> {
  return new Promise((next) => setTimeout(next, seconds * 1000));
}
