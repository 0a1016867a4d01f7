import { setTimeout as pause } from "node:timers/promises";
import type { Domain } from "../domain";
import { ApiError } from "../errors";
import type { World } from "../world";

/** What a host command works with: where it runs, whom it asks, where it prints. */
export interface HostCommand {
  world: World;
  /** The cluster as this node sees it now. */
  domain: Domain;
  node: string;
  /** Calls the API of this node as root@pam. */
  api(method: string, path: string, params?: Record<string, string>): Promise<unknown>;
  out(text: string): void;
  err(text: string): void;
}

/** Ends a command with this text and exit code. */
export class CommandFailed extends Error {
  constructor(
    message: string,
    readonly code = 255,
  ) {
    super(message);
  }
}

/** Options by name and what is left, as PVE's commands read them: `--key value`, `--key=value`, `-key value`. */
export function readOptions(words: readonly string[]): { options: Record<string, string>; rest: string[] } {
  const options: Record<string, string> = {};
  const rest: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    const match = /^--?([a-zA-Z][\w-]*)(?:=(.*))?$/s.exec(word);
    if (!match) {
      rest.push(word);
      continue;
    }
    const next = words[at + 1];
    if (match[2] !== undefined) options[match[1]!] = match[2];
    else if (next !== undefined && !/^--?[a-zA-Z]/.test(next)) {
      options[match[1]!] = next;
      at++;
    } else options[match[1]!] = "1";
  }
  return { options, rest };
}

/** How PVE's commands print an error of the API. */
export function errorText(error: unknown): { text: string; code: number } {
  if (error instanceof CommandFailed) return { text: error.message, code: error.code };
  if (!(error instanceof ApiError)) return { text: error instanceof Error ? error.message : String(error), code: 255 };
  const details = Object.entries(error.errors ?? {}).map(([name, text]) => `\n${name}: ${text.trim()}`);
  const prefix = error.status === 500 ? "" : `${error.status} `;
  // Perl's exit code is the last errno: 2 where a file was not there.
  const code = /^Configuration file .* does not exist$/.test(error.reason) ? 2 : 255;
  return { text: `${prefix}${error.reason || "Network is unreachable"}${details.join("")}`, code };
}

/** Waits for a task and prints its log as it comes. @throws CommandFailed when the task failed */
export async function follow(command: HostCommand, upid: unknown): Promise<void> {
  const { domain, out } = command;
  const task = domain.main.state.tasks.find((each) => each.upid === upid);
  if (!task) return;
  let shown = 0;
  const show = () => {
    for (const line of task.log.slice(shown)) if (!line.startsWith("TASK ")) out(`${line}\n`);
    shown = task.log.length;
  };
  while (task.exitstatus === undefined) {
    show();
    await pause(20);
  }
  show();
  if (task.exitstatus !== "OK" && !task.exitstatus.startsWith("WARNINGS")) throw new CommandFailed(task.exitstatus);
}
