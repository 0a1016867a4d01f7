/**
 * Taking over what exists: a preview that must change nothing, one import, and a state in which the next `pulumi up` finds nothing to do.
 * Each step sees for itself whether it is done, so that a run that was ended anywhere is simply run again.
 */
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Finding } from "../planning";
import { list } from "../planning/units";
import { type AdoptionPlan, planAdoption, readPreview } from "./adopt-preview";
import { completeState, type StateDocument } from "./adopt-state";
import { refusal } from "./refusals";
import { nameOf, whyFailed } from "./up";
import type { Engine, EngineCall, EngineResult } from "./up-engine";

/** Set for the program of the stack; see stacks/adoption.ts. */
const MODE = "COLDSPARE_ADOPT";
const KNOWN = "COLDSPARE_ADOPT_KNOWN";

export interface AdoptRun {
  /** Folder of Pulumi.yaml. */
  project: string;
  stack?: string;
  env: EngineCall["env"];
  engine: Engine;
  /** More arguments for every call of Pulumi that reads the program, for example `--config-file`. */
  args?: readonly string[];
  /** The import is shown in the person's own terminal. */
  terminal?: boolean;
  /** A line for the person while it goes on. */
  say(line: string): void;
  /** Whether to go on, once it is known what would be done. */
  agree(plan: AdoptionPlan): Promise<boolean>;
  /** Where the state is kept as it was. Default: beside Pulumi.yaml. */
  backupFolder?: string;
  /** For the name of that file. */
  now(): Date;
}

export interface AdoptOutcome {
  /**
   * `done`: all is taken over, and a preview shows no change. `nothing`: it was so before. `declined`: the person said no, or only wanted to
   * see. `refused`: nothing was changed, see `refusals`. `failed`: begun and not ended, see `refusals`; it can be run again.
   */
  outcome: "done" | "nothing" | "declined" | "refused" | "failed";
  plan: AdoptionPlan;
  refusals: Finding[];
  /** File with the state as it was before it was completed. */
  backup?: string;
}

/** Takes over. Never throws for what Pulumi answers. */
export async function adopt(run: AdoptRun): Promise<AdoptOutcome> {
  run.say("looking at what exists; nothing is changed");
  const exported = await call(run, ["stack", "export"]);
  const known = exported.code === 0 ? knownNames(exported.stdout) : undefined;
  if (known === undefined)
    return { outcome: "refused", plan: planAdoption([]), refusals: [unreadable(lastWords(exported))] };
  const plan = await look(run, known);
  if (plan.refusals.length > 0) return { outcome: "refused", plan, refusals: plan.refusals };
  if (isEmpty(plan)) return { outcome: "nothing", plan, refusals: [] };
  if (!(await run.agree(plan))) return { outcome: "declined", plan, refusals: [] };
  const failed = plan.imports.length + plan.creates.length === 0 ? undefined : await take(run, known);
  if (failed !== undefined) return { outcome: "failed", plan, refusals: [failed] };
  return { plan, ...(await settle(run)) };
}

function isEmpty({ imports, creates, completions }: AdoptionPlan): boolean {
  return imports.length + creates.length + completions.length === 0;
}

/** Names of the provider's resources in the state, as one text; undefined where it is no state. */
function knownNames(state: string): string | undefined {
  try {
    const { deployment } = JSON.parse(state) as StateDocument;
    const urns = (deployment?.resources ?? []).map(({ urn }) => urn);
    return urns
      .filter((urn) => /[:$]proxmoxve:/.test(urn))
      .map(nameOf)
      .join(" ");
  } catch {
    return undefined;
  }
}

/** What an update would do: with what is `known` as an adoption, without it as ever. */
async function look(run: AdoptRun, known?: string): Promise<AdoptionPlan> {
  const variables = known === undefined ? {} : { [MODE]: "look", [KNOWN]: known };
  const shown = await call(run, ["preview", "--json", ...(run.args ?? [])], variables);
  const refused = (reason: string): AdoptionPlan => ({ ...planAdoption([]), refusals: [unreadable(reason)] });
  if (shown.code !== 0) return refused(whyFailed(shown));
  try {
    return planAdoption(readPreview(shown.stdout));
  } catch (error) {
    if (error instanceof SyntaxError) return refused(error.message);
    throw error;
  }
}

/** The one update: imports what exists and makes what is missing. */
async function take(run: AdoptRun, known: string): Promise<Finding | undefined> {
  run.say("taking over");
  const args = ["up", "--yes", "--skip-preview", ...(run.args ?? [])];
  const result = await call(run, args, { [MODE]: "take", [KNOWN]: known }, run.terminal ? { terminal: true } : {});
  if (result.code === 0) return undefined;
  const reason = run.terminal ? "see above" : lastWords(result);
  return refusal(
    "OPERATION-ADOPT-UNREADABLE",
    "pulumi up",
    `taking over was not ended: ${reason}`,
    "what was imported stays so; mend what it says (a stack that is locked by a run that was killed: `pulumi cancel`), and run `coldspare adopt` again",
  );
}

/** Completes the state, and proves that an update would do nothing. */
async function settle(run: AdoptRun): Promise<Omit<AdoptOutcome, "plan">> {
  const before = await look(run);
  let backup: string | undefined;
  if (before.completions.length > 0) {
    const count = before.completions.length;
    run.say(`completing the state of ${count} resource${count === 1 ? "" : "s"}`);
    const exported = await call(run, ["stack", "export"]);
    if (exported.code !== 0) return { outcome: "failed", refusals: [unreadable(lastWords(exported))] };
    backup = await keepBackup(run, exported.stdout);
    const state = completeState(JSON.parse(exported.stdout) as StateDocument, before.completions);
    const imported = await call(run, ["stack", "import"], {}, { input: JSON.stringify(state) });
    if (imported.code !== 0) return { outcome: "failed", refusals: [notWritten(lastWords(imported), backup)], backup };
  }
  const kept = backup === undefined ? {} : { backup };
  run.say("looking whether anything is left to change");
  const after = backup === undefined ? before : await look(run);
  const left = [...after.refusals, ...stillOpen(after)];
  return left.length === 0
    ? { outcome: "done", refusals: [], ...kept }
    : { outcome: "failed", refusals: left.map(asIncomplete), ...kept };
}

/** What should not be in a preview any more. */
function stillOpen({ imports, creates, completions }: AdoptionPlan): Finding[] {
  const open = [
    ...imports.map(({ name }) => ({ name, what: "would be imported" })),
    ...creates.map(({ name }) => ({ name, what: "would be made" })),
    ...completions.map(({ urn, paths }) => ({ name: nameOf(urn), what: `still differs at ${list(paths)}` })),
  ];
  return open.map(({ name, what }) => incomplete(name, `${name} ${what}`));
}

function asIncomplete(finding: Finding): Finding {
  return finding.code === "OPERATION-ADOPT-CHANGES" ? incomplete(finding.subject, finding.message) : finding;
}

function incomplete(subject: string, message: string): Finding {
  return refusal(
    "OPERATION-ADOPT-INCOMPLETE",
    subject,
    message,
    "nothing of it was changed; look at `pulumi preview --diff`, and change the site file until it shows nothing",
  );
}

/** The state as it was, beside Pulumi.yaml, read again before anything is written over it. Its secrets are encrypted as they were. */
async function keepBackup(
  { project, backupFolder = project, stack, now, say }: AdoptRun,
  text: string,
): Promise<string> {
  const moment = now().toISOString().replace(/[:.]/g, "-");
  const file = join(
    backupFolder,
    `state-before-adopt${stack === undefined ? "" : `-${stack.replace(/[^\w.-]/g, "_")}`}-${moment}.json`,
  );
  await writeFile(file, text, { mode: 0o600, flag: "wx" });
  await chmod(file, 0o600);
  if ((await readFile(file, "utf8")) !== text) throw new Error(`${file} does not hold what was written to it`);
  say(`the state as it was is in ${file}`);
  return file;
}

function notWritten(reason: string, backup: string): Finding {
  return refusal(
    "OPERATION-ADOPT-UNREADABLE",
    "pulumi stack import",
    `the completed state was not written: ${reason}`,
    `run \`coldspare adopt\` again; the state as it was: \`pulumi stack import --file ${backup}\``,
  );
}

function unreadable(reason: string): Finding {
  return refusal(
    "OPERATION-ADOPT-UNREADABLE",
    "pulumi preview",
    `what taking over would do could not be read, so it was not run: ${reason.trim() || "no reason given"}`,
    "mend what it says, then run `coldspare adopt` again",
  );
}

function call(
  { engine, project, stack, env }: AdoptRun,
  args: readonly string[],
  variables: Record<string, string> = {},
  more: Pick<EngineCall, "input" | "terminal"> = {},
): Promise<EngineResult> {
  // With the other variable set, the engine prints its steps as a stream of events, not as one document.
  const { [MODE]: _, [KNOWN]: ___, PULUMI_ENABLE_STREAMING_JSON_PREVIEW: __, ...rest } = env;
  const named = stack === undefined ? [] : ["--stack", stack];
  return engine([...args, "--non-interactive", ...named], {
    cwd: project,
    env: { ...rest, ...variables },
    ...more,
  });
}

/** Of a command without a document: its errors, or what it said last. */
function lastWords({ stdout, stderr }: EngineResult): string {
  const lines = `${stdout}\n${stderr}`.split("\n").map((line) => line.trim());
  const errors = lines.filter((line) => line.startsWith("error:"));
  return (errors.length > 0 ? errors : lines.filter((line) => line !== "").slice(-3)).join("\n");
}
