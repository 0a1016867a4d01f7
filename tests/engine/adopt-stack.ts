/** `coldspare adopt` against a stack of these tests, and what it must leave as it is. */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { type AdoptOutcome, adopt } from "../../operations/adopt";
import { type Engine, pulumi } from "../../operations/up-engine";
import type { SiteSpecInput } from "../../planning";
import type { PveClient } from "../../providers/pve/client";
import { checkout, type EngineStack, killTree } from "./engine";

/** Takes over, or with `agree: false` only looks; with what was said meanwhile. */
export async function adoptInto(
  stack: EngineStack,
  { agree = true, engine = pulumi }: { agree?: boolean; engine?: Engine } = {},
): Promise<AdoptOutcome & { said: string[] }> {
  const said: string[] = [];
  const outcome = await adopt({
    project: checkout,
    stack: "test",
    args: ["--config-file", stack.configFile],
    env: stack.environment(),
    engine,
    backupFolder: stack.folder,
    say: (line) => said.push(line),
    agree: async () => agree,
    now: () => new Date(),
  });
  return { ...outcome, said };
}

/** As if the place of the state had burnt down. */
export async function loseState(stack: EngineStack): Promise<void> {
  const { log } = await stack.pulumi(["stack", "export"]);
  const state = JSON.parse(log) as { deployment: { resources?: unknown[] } };
  state.deployment.resources = [];
  await stack.pulumi(["stack", "import", "--force"], JSON.stringify(state));
}

/** Configurations of all guests as the API gives them, and since when each runs. */
export async function asItIs(pve: PveClient): Promise<Record<string, unknown>> {
  const rows = await pve.get<{ vmid: number; type: string; node: string }[]>("/cluster/resources", { type: "vm" });
  const entries = rows.map(async ({ vmid, type, node }) => {
    const path = `/nodes/${node}/${type}/${vmid}`;
    const config = await pve.get<Record<string, unknown>>(`${path}/config`);
    const { status } = await pve.get<{ status: string }>(`${path}/status/current`);
    return [`${type}/${vmid}`, { node, status, config }] as const;
  });
  const lists = ["/storage", "/pools", "/cluster/backup", "/cluster/replication"];
  const others = await Promise.all(lists.map(async (path) => [path, (await pve.get<object[]>(path)).map(withoutTime)]));
  return Object.fromEntries([...(await Promise.all(entries)), ...others]);
}

/** When a job runs next changes with the hour. */
function withoutTime(row: object): object {
  return { ...row, "next-run": undefined };
}

/** Seconds for which each running guest has been up. */
export async function uptimes(pve: PveClient): Promise<Map<number, number>> {
  const rows = await pve.get<{ vmid: number; type: string; node: string; status: string }[]>("/cluster/resources", {
    type: "vm",
  });
  const running = rows.filter(({ status }) => status === "running");
  const entries = running.map(async ({ vmid, type, node }) => {
    const { uptime } = await pve.get<{ uptime: number }>(`/nodes/${node}/${type}/${vmid}/status/current`);
    return [vmid, uptime] as const;
  });
  return new Map(await Promise.all(entries));
}

/** Pulumi, but killed with all its plugins as soon as `when` says so, in the call whose arguments begin with `command`. */
export function killing(command: string, when: () => Promise<boolean>): Engine {
  return async (args, call) => {
    if (args.slice(0, command.split(" ").length).join(" ") !== command) return pulumi(args, call);
    const env = call.env as NodeJS.ProcessEnv;
    const child = spawn("pulumi", args, {
      cwd: call.cwd,
      env,
      stdio: [call.input === undefined ? "ignore" : "pipe", "ignore", "ignore"],
    });
    child.stdin?.on("error", () => undefined).end(call.input);
    const ended = new Promise<void>((done) => child.once("close", () => done()));
    while (child.exitCode === null && !(await when())) await new Promise((next) => setTimeout(next, 20));
    if (child.exitCode !== null || child.pid === undefined) throw new Error(`${command} was over before it was killed`);
    killTree(child.pid);
    await ended;
    return { code: 137, stdout: "", stderr: "error: killed" };
  };
}

/** What the program is told to build. */
export function writeSite(stack: EngineStack, site: SiteSpecInput): string {
  const file = join(stack.folder, "site.yaml");
  writeFileSync(file, stringify(site));
  return file;
}
