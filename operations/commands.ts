/** Commands of the site's own around a switch: on the operator's machine, on a server, or inside the guest. */
import { spawn } from "node:child_process";
import type { ManifestCommand, ManifestGuest } from "../planning/manifest";
import { LEAST_PATIENCE, PATIENCE_FACTOR } from "./answers";
import type { Operator } from "./context";

/** What a command is run around. */
export interface CommandPlace {
  /** The guest, or any guest of the group: which server is its primary and which its spare. */
  guest: ManifestGuest;
  /** Name of the group, for a group's commands. */
  group?: string;
  from: string;
  to: string;
  /** Id under which the guest runs, for commands inside it. */
  vmid: number;
  /** Server on which it runs at that moment. */
  server: string;
  /** Server that is taken to be dead: what should run there is left out, whether it is required or not. */
  lost?: string;
}

/** A command that must succeed did not. */
export class CommandFailed extends Error {
  override readonly name = "CommandFailed";
}

/** The commands of a moment, one after another. A failure of one that is not required is told, and the next one is run. */
export async function runCommands(
  operator: Operator,
  commands: readonly ManifestCommand[],
  when: ManifestCommand["when"],
  place: CommandPlace,
  note: (text: string) => void,
): Promise<void> {
  for (const command of commands.filter((each) => each.when === when)) {
    const where = whereOf(command, place);
    const what = `\`${command.run.join(" ")}\` on ${where === "guest" ? `guest ${place.guest.name}` : where}`;
    if (where === place.lost) {
      note(`${what} was left out: ${where} is the server that is gone`);
      continue;
    }
    try {
      await runOne(operator, command, place);
      note(`${what} done`);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (command.required)
        throw new CommandFailed(`${what}, which must succeed ${when.replace("-", " the ")}: ${why}`);
      note(`${what} failed, and is not required: ${why}`);
    }
  }
}

function whereOf({ on }: ManifestCommand, { guest }: CommandPlace): string {
  if (on === "spare") return guest.spare ?? guest.primary;
  return on === "primary" ? guest.primary : on;
}

async function runOne(operator: Operator, command: ManifestCommand, place: CommandPlace): Promise<void> {
  const variables = {
    ...(place.group === undefined ? { COLDSPARE_GUEST: place.guest.name } : { COLDSPARE_GROUP: place.group }),
    COLDSPARE_FROM: place.from,
    COLDSPARE_TO: place.to,
  };
  const where = whereOf(command, place);
  if (where === "operator") return runHere(command, { ...operator.env, ...variables });
  if (where === "guest") return runInside(operator, command, place, variables);
  const assignments = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  const answer = await operator.ssh.run(where, ["env", ...assignments, ...command.run], {
    timeoutSeconds: command.timeoutSeconds,
  });
  if (answer.code !== 0) throw new Error(`exit code ${answer.code}: ${lastLine(answer.stderr || answer.stdout)}`);
}

/**
 * A process group of its own: what it started ends with it when its time is up, and Ctrl-C reaches the switch alone, which ends
 * between two steps. It gets no input: nobody is there to type any.
 */
function runHere({ run, timeoutSeconds }: ManifestCommand, env: Operator["env"]): Promise<void> {
  const [program, ...args] = run;
  return new Promise((resolve, reject) => {
    const child = spawn(program!, args, { env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    const said = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const)
      child[stream].setEncoding("utf8").on("data", (text: string) => {
        said[stream] = (said[stream] + text).slice(-KEPT_CHARACTERS);
      });
    const settle = (error?: Error) => {
      clearTimeout(timer);
      child.stdout.destroy();
      child.stderr.destroy();
      if (error === undefined) resolve();
      else reject(error);
    };
    const timer = setTimeout(() => {
      endGroup(child.pid);
      settle(new Error(`it did not end within ${timeoutSeconds} s`));
    }, timeoutSeconds * 1000);
    child.on("error", (error: NodeJS.ErrnoException) => {
      const missing = error.code === "ENOENT";
      settle(new Error(missing ? `there is no program '${program}' on this machine` : error.message));
    });
    child.on("exit", (code, signal) => {
      const end = () =>
        settle(
          code === 0
            ? undefined
            : new Error(`${signal ?? `exit code ${code}`}: ${lastLine(said.stderr || said.stdout)}`),
        );
      // A service that the command leaves running keeps its output open: that is not waited for.
      const late = setTimeout(end, LAST_WORDS_MS);
      child.on("close", () => {
        clearTimeout(late);
        end();
      });
    });
  });
}

const LAST_WORDS_MS = 500;
const KEPT_CHARACTERS = 4096;

function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** By the guest's agent, through its server's `qm`; of a container by `pct`. Variables go in front of the command. */
async function runInside(
  operator: Operator,
  { run, timeoutSeconds, when }: ManifestCommand,
  place: CommandPlace,
  variables: Readonly<Record<string, string>>,
): Promise<void> {
  const { ssh } = operator;
  const { guest, server, vmid } = place;
  if (when === "after-stop" || when === "before-start")
    throw new Error("the guest is off at that moment: `on: guest` goes with before-stop and after-start");
  if (guest.kind === "qemu") await waitForAgent(operator, place);
  const windows = /\.(exe|cmd|bat|ps1)$/i.test(run[0] ?? "");
  const words = windows
    ? run
    : ["env", ...Object.entries(variables).map(([name, value]) => `${name}=${value}`), ...run];
  const argv =
    guest.kind === "lxc"
      ? ["pct", "exec", String(vmid), "--", ...words]
      : ["qm", "guest", "exec", String(vmid), "--timeout", String(timeoutSeconds), "--", ...words];
  const answer = await ssh.run(server, argv, { timeoutSeconds: timeoutSeconds + 10 });
  if (answer.code !== 0) throw new Error(`exit code ${answer.code}: ${lastLine(answer.stderr || answer.stdout)}`);
  if (guest.kind === "lxc") return;
  const result = parseResult(answer.stdout);
  if (result.exited === 0) throw new Error(`it did not end within ${timeoutSeconds} s`);
  if ((result.exitcode ?? 0) !== 0)
    throw new Error(`exit code ${result.exitcode}: ${lastLine(result["err-data"] ?? result["out-data"] ?? "")}`);
}

/** A guest that was started a moment ago has no agent before it has booted. */
async function waitForAgent({ ssh, clock }: Operator, { guest, server, vmid }: CommandPlace): Promise<void> {
  const patience = Math.max(LEAST_PATIENCE, guest.boot.seconds * PATIENCE_FACTOR);
  const until = clock.now().getTime() + patience * 1000;
  for (;;) {
    const answer = await ssh.run(server, ["qm", "agent", String(vmid), "ping"], { timeoutSeconds: 15 });
    if (answer.code === 0) return;
    if (clock.now().getTime() >= until)
      throw new Error(
        `its agent does not answer within ${patience} s: ${lastLine(answer.stderr)}; look whether qemu-guest-agent runs inside ${guest.name}`,
      );
    await clock.sleep(2);
  }
}

interface AgentResult {
  exitcode?: number;
  exited?: number;
  "err-data"?: string;
  "out-data"?: string;
}

function parseResult(text: string): AgentResult {
  try {
    return JSON.parse(text) as AgentResult;
  } catch {
    throw new Error(`its server does not say how it ended: ${lastLine(text)}`);
  }
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1)?.slice(0, 300) || "nothing was said";
}
