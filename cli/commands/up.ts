/** `coldspare up`: `pulumi up` while a server is dead. */
import { readLive } from "../../operations/live";
import { type LeftOut, planUp, runUp, type StateResource, upFacts } from "../../operations/up";
import { findProject, pulumi, shellWord } from "../../operations/up-engine";
import type { Finding } from "../../planning";
import { list } from "../../planning/units";
import { exitCode, type Io, textWidth, UsageError, wantsColor } from "../io";
import { openSite, type SiteOptions } from "../open-site";
import { type Cell, painter, renderTable } from "../table";
import { findingsText } from "../text";

export interface UpOptions extends SiteOptions {
  project?: string;
  stack?: string;
  dryRun?: boolean;
  /** Given to Pulumi as well. */
  yes?: boolean;
  color: boolean;
}

/** @param given For Pulumi. Answers Pulumi's exit code, or 1 where it was not run. */
export async function up(given: readonly string[], options: UpOptions, io: Io): Promise<number> {
  const yes = given.some((arg) => ["--yes", "-y", "--skip-preview", "-f"].includes(arg));
  // Asked before anything is read: Pulumi would say so at the very end.
  if (!yes && !options.yes && !options.dryRun && !io.ask) {
    throw new UsageError("there is no terminal to ask at: look at --dry-run, then add --yes");
  }
  const args = options.yes && !yes ? ["--yes", ...given] : given;
  const project = findProject(options.project ?? process.cwd());
  if (project === undefined) {
    throw new UsageError(
      "there is no Pulumi.yaml in this folder or above it: go to the project's folder, or name it with --project",
    );
  }
  const stack = options.stack ?? (io.env.PULUMI_STACK || undefined);
  const paint = painter(wantsColor(options.color, io.stderr, io.env));
  const { operator, source, close } = await openSite(options, io);
  try {
    const { manifest } = operator;
    const [resources, live] = await Promise.all([stateOf(project, stack, io), readLive(operator)]);
    const facts = upFacts(manifest, live);
    const plan = planUp(manifest, resources, facts, args);
    const width = textWidth(io.stderr);
    const lines: string[] = [];
    if (facts.dead.length > 0)
      lines.push(`${list(facts.dead)} does not answer; ${facts.endpoint ?? "nobody"} does`, "");
    if (plan.leftOut.length > 0)
      lines.push("left out of this update, and left as they are:", ...leftOutTable(plan.leftOut, width, paint));
    if (plan.moved.length > 0)
      lines.push(
        "",
        `on another server than the stack remembers, so its state is read anew first: ${list(plan.moved)}`,
      );
    lines.push("", paint("dim", ["pulumi up", ...plan.args.map(shellWord)].join(" ")));
    io.stderr.write(`${lines.join("\n")}\n`);
    if (options.dryRun && plan.refusals.length === 0) return exitCode.fine;
    const run = { plan, project, env: io.env, engine: pulumi, ...(stack !== undefined && { stack }) };
    const { code, refusals } = await runUp(run, () => {
      if (plan.leftOut.length > 0) io.stderr.write("the preview deletes and replaces nothing\n");
    });
    if (refusals.length > 0) showRefusals(refusals);
    return code;
  } finally {
    await close();
  }

  function showRefusals(refusals: Finding[]): void {
    const text = { paint, width: textWidth(io.stderr), source, whatIf: [] };
    io.stderr.write(`${findingsText(refusals, text).join("\n")}\n${paint("red", "pulumi up was not run")}\n`);
  }
}

function leftOutTable(leftOut: readonly LeftOut[], width: number, paint: ReturnType<typeof painter>): string[] {
  // What is not in the state yet is left out by patterns, which say nothing to a person.
  const rows = leftOut.filter(({ urn }) => !urn.startsWith("**")).map(({ name, why }): Cell[] => [name, why]);
  const patterns = leftOut.length - rows.length;
  const more =
    patterns === 0 ? [] : [`and what is not in the stack yet and would be made there (${patterns} patterns)`];
  return [...renderTable([{ title: "resource" }, { title: "because", wrap: true }], rows, width, paint), ...more];
}

async function stateOf(project: string, stack: string | undefined, io: Io): Promise<StateResource[]> {
  const named = stack === undefined ? [] : ["--stack", stack];
  const { code, stdout, stderr } = await pulumi(["stack", "export", "--non-interactive", ...named], {
    cwd: project,
    env: io.env,
    timeoutSeconds: 120,
  });
  const help = "name the stack with --stack, and see that `pulumi stack export` works in the project's folder";
  if (code !== 0)
    throw new UsageError(`the stack's state cannot be read: ${stderr.trim() || `pulumi ended with ${code}`}; ${help}`);
  try {
    const { deployment } = JSON.parse(stdout) as { deployment?: { resources?: StateResource[] } };
    return deployment?.resources ?? [];
  } catch {
    throw new UsageError(`the stack's state is no JSON; ${help}`);
  }
}
