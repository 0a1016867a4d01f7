/** The real Pulumi engine for tests: one stack in a folder of its own, driven through the command-line tool. */
import { execFileSync, spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parse, stringify } from "yaml";

export const checkout = resolve(__dirname, "../..");

/** How often the engine did what, for example `{ same: 12, create: 1 }`. */
export type Changes = Record<string, number>;

export interface EngineRun {
  code: number;
  /** Everything that was printed, both streams. */
  log: string;
  /** The errors, each with the name of its resource: `db-vm: …`. */
  errors: string[];
  changes: Changes;
  /** `create urn`, `update urn` … in order, without what stayed the same. */
  steps: string[];
  seconds: number;
}

export interface StackOptions {
  /** Folder of the program (with Pulumi.yaml). Default: this checkout. */
  program?: string;
  stack?: string;
  /** Where state and config are kept. Default: a new folder, which `remove` removes. */
  folder?: string;
  env?: NodeJS.ProcessEnv;
}

/** The environment in which engine and plugins of the pinned versions are found; sets them up where they are missing. */
export function toolchainEnvironment(): NodeJS.ProcessEnv {
  const text = execFileSync(process.execPath, [join(checkout, "tools/setup.mjs"), "--json"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  return (JSON.parse(text) as { env: NodeJS.ProcessEnv }).env;
}

/** One stack with its own backend, config file and secrets. */
export class EngineStack {
  readonly folder: string;
  private everything = "";
  private readonly env: NodeJS.ProcessEnv;
  private readonly program: string;
  private readonly stack: string;

  constructor(options: StackOptions = {}, toolchain: NodeJS.ProcessEnv = toolchainEnvironment()) {
    this.program = options.program ?? checkout;
    this.stack = options.stack ?? "test";
    this.folder = options.folder ?? mkdtempSync(join(tmpdir(), "coldspare-engine-"));
    mkdirSync(join(this.folder, "state"), { recursive: true });
    this.env = {
      ...process.env,
      ...toolchain,
      PULUMI_BACKEND_URL: `file://${join(this.folder, "state")}`,
      PULUMI_CONFIG_PASSPHRASE: "test-passphrase",
      PULUMI_ENABLE_STREAMING_JSON_PREVIEW: "true",
      ...options.env,
    };
  }

  get configFile(): string {
    return join(this.folder, `Pulumi.${this.stack}.yaml`);
  }

  async init(config: Record<string, unknown>, secrets: Record<string, string> = {}): Promise<void> {
    // `stack init` writes the salt of the secrets beside Pulumi.yaml: a copy of it keeps the program's folder clean.
    if (this.program !== this.folder) copyFileSync(join(this.program, "Pulumi.yaml"), join(this.folder, "Pulumi.yaml"));
    await this.pulumi(["stack", "init", this.stack, "--non-interactive"], undefined, false, this.folder);
    this.writeConfig(config);
    for (const [key, value] of Object.entries(secrets)) {
      await this.setSecret(key, value);
    }
  }

  /** Replaces the plain part of the config; secrets stay. */
  writeConfig(config: Record<string, unknown>): void {
    const kept = this.readConfigText();
    const secrets = Object.entries(kept.config ?? {}).filter(([, value]) => isSecret(value));
    const salt = kept.encryptionsalt ? { encryptionsalt: kept.encryptionsalt } : {};
    writeFileSync(this.configFile, stringify({ ...salt, config: { ...config, ...Object.fromEntries(secrets) } }));
  }

  up(...args: string[]): Promise<EngineRun> {
    return this.operation("up", ["--yes", "--skip-preview", ...args]);
  }

  preview(...args: string[]): Promise<EngineRun> {
    return this.operation("preview", args);
  }

  destroy(...args: string[]): Promise<EngineRun> {
    return this.operation("destroy", ["--yes", "--skip-preview", ...args]);
  }

  /** An update that is killed, without a chance to clean up, as soon as `when` says so. */
  async upKilled(when: () => Promise<boolean>): Promise<void> {
    const args = ["up", "--yes", "--skip-preview", "--non-interactive", ...this.config(), "--stack", this.stack];
    const child = spawn("pulumi", [...args, "--cwd", this.program], { env: this.env, stdio: "ignore" });
    const ended = new Promise<void>((done) => child.once("close", () => done()));
    while (child.exitCode === null && !(await when())) await new Promise((next) => setTimeout(next, 20));
    if (child.exitCode !== null || child.pid === undefined) throw new Error("the update was over before it was killed");
    // As a power cut: the plugins, which would go on for a while, go with the engine.
    killTree(child.pid);
    await ended;
  }

  /** Sets a secret of the config to another value. */
  async setSecret(key: string, value: string): Promise<void> {
    await this.pulumi(["config", "set", "--secret", key, ...this.config()], value);
  }

  async outputs<T>(): Promise<T> {
    const { log } = await this.pulumi(["stack", "output", "--json"]);
    return JSON.parse(log) as T;
  }

  /** The stored state, as text and as it was parsed. */
  async state(): Promise<{ text: string; resources: StateResource[] }> {
    const { log } = await this.pulumi(["stack", "export"]);
    const parsed = JSON.parse(log) as { deployment: { resources?: StateResource[] } };
    return { text: log, resources: parsed.deployment.resources ?? [] };
  }

  /** Any command of the tool. @throws Error with what it printed when it fails and `allowFailure` is not set. */
  async pulumi(
    args: string[],
    input?: string,
    allowFailure = false,
    cwd = this.program,
  ): Promise<{ code: number; log: string }> {
    const stackArgs = args[0] === "stack" && args[1] === "init" ? [] : ["--stack", this.stack];
    const child = spawn("pulumi", [...args, ...stackArgs, "--cwd", cwd, "--color", "never"], {
      env: this.env,
      stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    child.stdin?.end(input);
    let log = "";
    let errors = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      log += chunk.toString();
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      errors += chunk.toString();
    });
    const code = await new Promise<number>((done, fail) => {
      child.once("error", fail);
      child.once("close", (exit) => done(exit ?? 1));
    });
    if (!args.includes("--show-secrets")) this.everything += withoutDebug(log) + errors;
    if (code !== 0 && !allowFailure) throw new Error(`pulumi ${args.join(" ")} ended with ${code}:\n${log}${errors}`);
    return { code, log: code === 0 ? log : log + errors };
  }

  /** Everything that any command of this stack printed, but for those that were asked to show secrets. */
  printed(): string {
    return this.everything;
  }

  /** Environment in which the command-line tool finds this stack, for programs that call it. */
  environment(): NodeJS.ProcessEnv {
    return { ...this.env };
  }

  /** The bridged provider trusts the certificates of this authority from now on. */
  trust(caFile: string): void {
    this.env.SSL_CERT_FILE = caFile;
  }

  /** Removes the stack's folder. */
  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  private config(): string[] {
    return ["--config-file", this.configFile];
  }

  private async operation(command: string, args: string[]): Promise<EngineRun> {
    const started = Date.now();
    const { code, log } = await this.pulumi(
      [command, "--non-interactive", "--json", ...this.config(), ...args],
      undefined,
      true,
    );
    return { code, ...readEvents(log), seconds: (Date.now() - started) / 1000 };
  }

  private readConfigText(): { encryptionsalt?: string; config?: Record<string, unknown> } {
    try {
      return parse(readFileSync(this.configFile, "utf8")) ?? {};
    } catch {
      return {};
    }
  }
}

/**
 * What a person sees. `--json` adds the SDK's own debug messages, which hold generated secrets in clear (as `--debug` does,
 * and the documentation of Pulumi says so): nobody sees them without asking for them.
 */
function withoutDebug(text: string): string {
  return text
    .split("\n")
    .filter((line) => !(line.includes('"diagnosticEvent"') && line.includes('"severity":"debug"')))
    .join("\n");
}

/** Ends a process and every process below it, without a chance to clean up. */
export function killTree(pid: number): void {
  for (const each of [pid, ...descendants(pid)]) kill(each);
}

/** Ends a process, unless it has ended by itself meanwhile. */
function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Every process below one, by id. */
function descendants(pid: number): number[] {
  const rows = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" }).trim().split("\n");
  const pairs = rows.map((row) => row.trim().split(/\s+/).map(Number));
  const below = (parent: number): number[] =>
    pairs.flatMap(([each, of]) => (each !== undefined && of === parent ? [each, ...below(each)] : []));
  return below(pid);
}

/** A resource as the state file holds it. */
export interface StateResource {
  urn: string;
  type: string;
  id?: string;
  inputs?: Record<string, unknown>;
  outputs?: Record<string, unknown>;
  protect?: boolean;
}

function isSecret(value: unknown): boolean {
  return typeof value === "object" && value !== null && "secure" in value;
}

interface EngineEvent {
  resourcePreEvent?: { metadata: { op: string; urn: string } };
  summaryEvent?: { resourceChanges?: Changes };
  diagnosticEvent?: { message: string; severity: string; urn?: string };
}

/** Reads the engine's events, one JSON object per line; other lines (an error before the engine started) stay text. */
function readEvents(text: string): Pick<EngineRun, "changes" | "steps" | "log" | "errors"> {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const events = lines.flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as EngineEvent] : []));
  const plain = lines.filter((line) => !line.startsWith("{"));
  const steps = events.flatMap(({ resourcePreEvent }) => {
    const op = resourcePreEvent?.metadata.op;
    return resourcePreEvent && op !== "same" && op !== "refresh" ? [`${op} ${resourcePreEvent.metadata.urn}`] : [];
  });
  const changes = events.findLast((event) => event.summaryEvent)?.summaryEvent?.resourceChanges ?? {};
  const diagnostics = events.flatMap(({ diagnosticEvent }) =>
    diagnosticEvent && diagnosticEvent.severity !== "debug" ? [diagnosticEvent.message] : [],
  );
  const errors = events.flatMap(({ diagnosticEvent }) =>
    diagnosticEvent?.severity === "error" && diagnosticEvent.urn
      ? [`${diagnosticEvent.urn.split("::").pop()}: ${diagnosticEvent.message.trim()}`]
      : [],
  );
  return { changes, steps, errors, log: [...diagnostics, ...plain].join("\n") };
}
