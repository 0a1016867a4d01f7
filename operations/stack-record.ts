/**
 * The stack's own record of which side of a guest is active. The servers know it first and better; what stands in the stack's
 * config is a copy, so that the next `pulumi up` is told. Writing it must never stand in the way of the operation itself: on
 * the day on which it counts the backend may be what was lost.
 */
import { type Engine, findProject, pulumi, shellWord } from "./up-engine";

export interface RecordOptions {
  /** Folder of Pulumi.yaml, or one below it. Default: the working directory. */
  project?: string;
  /** Default: PULUMI_STACK, or the stack that is selected in the project. */
  stack?: string;
  env: Readonly<Record<string, string | undefined>>;
  engine?: Engine;
  /** Seconds for one command; a backend that is away must not hold anybody up. Default 30. */
  timeoutSeconds?: number;
}

export interface RecordResult {
  /** Guests whose side now stands in the config. */
  recorded: string[];
  /** What a person has to type for the others, in the project's folder. */
  commands: string[];
  /** Why it could not be recorded. */
  reason?: string;
}

/** Sides by guest. `primary` is what a guest has without any record, so its key is taken away. */
export type Sides = Readonly<Record<string, "primary" | "spare">>;

/** Records the sides. Never throws: what could not be recorded comes back as commands to type. */
export async function recordActive(guests: Sides, options: RecordOptions): Promise<RecordResult> {
  const { env, engine = pulumi, timeoutSeconds = 30 } = options;
  const names = Object.keys(guests).sort();
  const stack = options.stack ?? (env.PULUMI_STACK || undefined);
  const argsOf = (guest: string) => configArgs(guest, guests[guest]!, stack);
  const typed = (guest: string) => ["pulumi", ...argsOf(guest)].map(shellWord).join(" ");
  const project = findProject(options.project ?? process.cwd());
  if (project === undefined) {
    const where = options.project ?? "this folder";
    return { recorded: [], commands: names.map(typed), reason: `there is no Pulumi.yaml in ${where} or above it` };
  }
  const recorded: string[] = [];
  for (const guest of names) {
    const { code, stderr, stdout } = await run(engine, [...argsOf(guest), "--non-interactive"], {
      cwd: project,
      env,
      timeoutSeconds,
    });
    if (code !== 0) {
      // The next one would wait just as long for the same answer.
      const left = names.slice(recorded.length);
      return { recorded, commands: left.map(typed), reason: why(code, stderr || stdout) };
    }
    recorded.push(guest);
  }
  return { recorded, commands: [] };
}

function configArgs(guest: string, side: "primary" | "spare", stack: string | undefined): string[] {
  const key = `coldspare:active.${guest}`;
  const change = side === "spare" ? ["config", "set", "--path", key, "spare"] : ["config", "rm", "--path", key];
  return stack === undefined ? change : [...change, "--stack", stack];
}

async function run(...[engine, args, call]: [Engine, ...Parameters<Engine>]): ReturnType<Engine> {
  try {
    return await engine(args, call);
  } catch (error) {
    return { code: 126, stdout: "", stderr: (error as Error).message };
  }
}

function why(code: number, text: string): string {
  if (code === 127) return "there is no `pulumi` in PATH";
  const line = text
    .split("\n")
    .map((each) => each.trim())
    .find((each) => each !== "");
  return line?.replace(/^error: /, "") ?? `pulumi ended with ${code}`;
}

/** What to tell the person, as lines. */
export function recordLines({ recorded, commands, reason }: RecordResult): string[] {
  const done = recorded.length === 0 ? [] : [`recorded in the stack's config: ${recorded.join(", ")}`];
  if (commands.length === 0) return done;
  return [
    ...done,
    `not recorded in the stack's config (${reason}). Before the next pulumi up, in the folder of Pulumi.yaml:`,
    ...commands.map((command) => `  ${command}`),
  ];
}
