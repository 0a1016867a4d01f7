/** Commands of the site's own around a switch: on the operator's machine, on a server, or inside the guest. */
import { execFile } from "node:child_process";
import type { ManifestCommand, ManifestGuest } from "../planning/manifest";
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
    const what = `\`${command.run.join(" ")}\` on ${whereOf(command, place)}`;
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

function runHere({ run, timeoutSeconds }: ManifestCommand, env: Operator["env"]): Promise<void> {
  const [program, ...args] = run;
  return new Promise((resolve, reject) => {
    const options = { env: env as NodeJS.ProcessEnv, timeout: timeoutSeconds * 1000, maxBuffer: 4 * 1024 * 1024 };
    execFile(program!, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve();
      if (error.code === "ENOENT") return reject(new Error(`there is no program '${program}' on this machine`));
      if (error.killed) return reject(new Error(`it did not end within ${timeoutSeconds} s`));
      reject(new Error(`exit code ${error.code}: ${lastLine(stderr || stdout)}`));
    });
  });
}

/** By the guest's agent, through its server's `qm`; of a container by `pct`. Variables go in front of the command. */
async function runInside(
  { ssh }: Operator,
  { run, timeoutSeconds }: ManifestCommand,
  { guest, server, vmid }: CommandPlace,
  variables: Readonly<Record<string, string>>,
): Promise<void> {
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
