/** Where a command writes to and what it may know of its surroundings: handed in, so that tests need no process. */

export interface Output {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

export interface Io {
  stdout: Output;
  stderr: Output;
  env: Readonly<Record<string, string | undefined>>;
  /** Asks the person at the terminal for a line; absent where there is none. */
  ask?(question: string): Promise<string>;
}

/** 0: fine. 1: the site has errors. 2: the command was used wrongly, or a file cannot be read. */
export const exitCode = { fine: 0, errors: 1, usage: 2 } as const;

/** The command cannot do what it was told; `message` says why, for the person who typed it. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Colours only on a terminal, unless the environment says otherwise (https://no-color.org, FORCE_COLOR as Node has it). */
export function wantsColor(option: boolean, output: Output, env: Io["env"]): boolean {
  if (!option || (env.NO_COLOR ?? "") !== "") return false;
  const forced = env.FORCE_COLOR;
  if (forced !== undefined) return forced !== "0" && forced !== "false";
  return output.isTTY === true && env.TERM !== "dumb";
}

/** Wide enough to read, never wider than a page: tables of 100 columns can be pasted anywhere. */
export function textWidth(output: Output): number {
  return Math.min(Math.max(output.columns ?? 100, 60), 100);
}
