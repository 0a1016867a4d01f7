/** `coldspare adopt`: what exists on the hypervisors comes into the stack, and nothing of it is changed. */
import { statSync } from "node:fs";
import { dirname } from "node:path";
import { type AdoptOutcome, adopt as takeOver } from "../../operations/adopt";
import type { AdoptionPlan } from "../../operations/adopt-preview";
import { findProject, pulumi } from "../../operations/up-engine";
import { confirmed } from "../confirm";
import { exitCode, type Io, textWidth, UsageError, wantsColor } from "../io";
import { type Cell, painter, renderTable } from "../table";
import { findingsText } from "../text";

export interface AdoptOptions {
  project?: string;
  stack?: string;
  configFile?: string;
  dryRun?: boolean;
  yes?: boolean;
  json?: boolean;
  color: boolean;
}

/** @param site The project's folder, or a file in it. Default: the working directory. */
export async function adopt(site: string | undefined, options: AdoptOptions, io: Io): Promise<number> {
  // Asked before anything is read: a preview of a large site takes a while.
  if (!options.yes && !options.dryRun && !io.ask) {
    throw new UsageError("there is no terminal to ask at: look at --dry-run, then add --yes");
  }
  const project = projectOf(options.project ?? site ?? ".");
  const stack = options.stack ?? (io.env.PULUMI_STACK || undefined);
  const result = await takeOver({
    project,
    env: io.env,
    engine: pulumi,
    terminal: !options.json && io.stdout.isTTY === true,
    args: options.configFile === undefined ? [] : ["--config-file", options.configFile],
    ...(stack !== undefined && { stack }),
    say: (line) => io.stderr.write(`${line}\n`),
    agree: (plan) => agree(plan, options, io),
    now: () => new Date(),
  });
  if (options.json) io.stdout.write(`${JSON.stringify(documentOf(result), null, 2)}\n`);
  else show(result, options, io);
  const isFine = result.refusals.length === 0 && (result.outcome !== "declined" || options.dryRun === true);
  return isFine ? exitCode.fine : exitCode.errors;
}

function projectOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new UsageError(`${path} does not exist: name the folder of Pulumi.yaml`);
  const project = findProject(found.isDirectory() ? path : dirname(path));
  if (project !== undefined) return project;
  throw new UsageError(
    `there is no Pulumi.yaml in ${path} or above it: go to the project's folder, or name it (\`coldspare import\` and \`coldspare init\` make one)`,
  );
}

async function agree(plan: AdoptionPlan, options: AdoptOptions, io: Io): Promise<boolean> {
  if (!options.json) io.stderr.write(`${planText(plan, options, io).join("\n")}\n`);
  if (options.dryRun) return false;
  return confirmed("Take over?", options, io);
}

function planText({ imports, creates, completions }: AdoptionPlan, options: AdoptOptions, io: Io): string[] {
  const paint = painter(wantsColor(options.color, io.stderr, io.env));
  const width = textWidth(io.stderr);
  const lines: string[] = [];
  const table = (title: string, [first, second]: [string, string], rows: Cell[][]) => {
    if (rows.length === 0) return;
    lines.push("", title, ...renderTable([{ title: first }, { title: second, wrap: true }], rows, width, paint));
  };
  table(
    "exists, and is taken over as it is:",
    ["resource", "on the hypervisors"],
    imports.map(({ name, id }) => [name, id]),
  );
  table(
    "ours, and not in the stack yet:",
    ["resource", "what happens"],
    creates.map(({ name, what }) => [name, what]),
  );
  if (imports.length + creates.length === 0 && completions.length > 0)
    lines.push("", `all of it is in the stack already; the state of ${completions.length} is not complete yet`);
  return [...lines, ""];
}

function show({ outcome, refusals, backup }: AdoptOutcome, options: AdoptOptions, io: Io): void {
  const paint = painter(wantsColor(options.color, io.stderr, io.env));
  if (refusals.length > 0) {
    const text = { paint, width: textWidth(io.stderr), source: "the stack", whatIf: [] };
    io.stderr.write(`${findingsText(refusals, text).join("\n")}\n`);
  }
  io.stderr.write(`${lastLine(outcome, options)}\n`);
  if (outcome === "done" && backup !== undefined)
    io.stderr.write(`when all is well, the state as it was can go: ${backup}\n`);
}

function lastLine(outcome: AdoptOutcome["outcome"], { dryRun }: AdoptOptions): string {
  switch (outcome) {
    case "done":
      return "taken over: `pulumi up` has nothing to change";
    case "nothing":
      return "there is nothing to take over: all of it is in the stack, and `pulumi up` has nothing to change";
    case "declined":
      return dryRun ? "nothing was changed (--dry-run)" : "nothing was taken over";
    case "refused":
      return "nothing was changed";
    case "failed":
      return "not ended: mend what is said above, and run `coldspare adopt` again";
  }
}

function documentOf({ outcome, plan, refusals, backup }: AdoptOutcome) {
  return {
    formatVersion: 1,
    outcome,
    imports: plan.imports,
    creates: plan.creates,
    completes: plan.completions.map(({ urn, paths }) => ({ urn, paths })),
    refusals,
    ...(backup === undefined ? {} : { backup }),
  };
}
