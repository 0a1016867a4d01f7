/** What a preview of an adoption means: pure, from the engine's document to what is taken over, made and refused. */

import type { Finding } from "../planning";
import { providerFlags, type ResourceInputs } from "../planning/adoption/provider-flags";
import { list } from "../planning/units";
import { refusal } from "./refusals";
import { nameOf } from "./up";

/** A step of `pulumi preview --json`, as far as it is needed. */
export interface PreviewStep {
  op: string;
  urn: string;
  oldState?: { inputs?: ResourceInputs };
  newState?: { type?: string; custom?: boolean; inputs?: ResourceInputs; importID?: string };
  detailedDiff?: Record<string, { kind?: string }> | null;
  diffReasons?: string[] | null;
}

/** A resource that an update would only complete in the state. */
export interface Completion {
  urn: string;
  type: string;
  /** Paths of the properties, as `providerFlags` names them. */
  paths: string[];
  /** As the program gives them. */
  inputs: ResourceInputs;
}

export interface AdoptionPlan {
  /** What exists and comes into the state: name of the resource, and the id that it is imported by. */
  imports: { urn: string; name: string; id: string }[];
  /** What is made in this run, and what that does. */
  creates: { urn: string; name: string; what: string }[];
  completions: Completion[];
  refusals: Finding[];
}

/**
 * Reads `pulumi preview --json`.
 *
 * @throws SyntaxError for what is no answer of a preview: then nothing is known, and nothing may be run
 */
export function readPreview(document: string): PreviewStep[] {
  const { steps } = JSON.parse(document) as { steps?: PreviewStep[] };
  if (!Array.isArray(steps)) throw new SyntaxError("the preview lists no steps");
  return steps.filter(({ op, urn }) => op !== "same" && !urn.includes("::pulumi:providers:"));
}

/** What the steps of a preview come to. */
export function planAdoption(steps: readonly PreviewStep[]): AdoptionPlan {
  const plan: AdoptionPlan = { imports: [], creates: [], completions: [], refusals: [] };
  for (const step of steps) {
    const { op, urn, newState } = step;
    const name = nameOf(urn);
    if (op === "import") plan.imports.push({ urn, name, id: newState?.importID ?? "" });
    else if (op === "create") {
      if (newState?.custom) plan.creates.push({ urn, name, what: whatIsMade(newState.type ?? "") });
    } else if (op === "update") updated(plan, step);
    else if (op !== "read" && op !== "refresh") plan.refusals.push(destroying(op, urn));
  }
  return plan;
}

function updated(plan: AdoptionPlan, { urn, newState, oldState, detailedDiff, diffReasons }: PreviewStep): void {
  const { type = "", inputs = {} } = newState ?? {};
  const paths = Object.keys(detailedDiff ?? {});
  const differing = paths.length > 0 ? paths : (diffReasons ?? []);
  const flags = new Set(providerFlags(type, inputs));
  const real = differing.filter((path) => !flags.has(path));
  if (real.length > 0 || differing.length === 0)
    plan.refusals.push(changing(urn, real, oldState?.inputs ?? {}, inputs));
  else plan.completions.push({ urn, type, paths: differing, inputs });
}

function changing(urn: string, paths: readonly string[], olds: ResourceInputs, news: ResourceInputs): Finding {
  const name = nameOf(urn);
  const words = paths.map(
    (path) => `${path}: ${shown(at(olds, path))} there, ${shown(at(news, path))} in the site file`,
  );
  return refusal(
    "OPERATION-ADOPT-CHANGES",
    name,
    `${name} differs from what exists${words.length > 0 ? ` at ${list(words)}` : ""}`,
    "write into the site file what is there, and run this again; once it is taken over, change it there",
  );
}

function destroying(op: string, urn: string): Finding {
  return refusal(
    "OPERATION-ADOPT-DESTROYS",
    nameOf(urn),
    `taking over would ${op} ${nameOf(urn)}`,
    `put it back into the site file as it was, or take it out of the state and leave the thing itself alone: \`pulumi state delete '${urn}'\``,
  );
}

const MADE: readonly [RegExp, string][] = [
  [/:ReplicationPair$/, "takes over the replication job between these servers, or makes it"],
  [/:StandbyGuest$/, "takes over the standby on the spare, or restores the newest backup into one"],
  [/:RegisteredGuest$/, "takes over the guest's side on the spare, or registers it there"],
  [/:ServerGuard$/, "installs the guard on the server over SSH, or finds it there: a change on the server"],
  [/:BackupAgent$/, "installs the backup programs on the server over SSH, or finds them there: a change on the server"],
  [/:PbsToken$/, "makes a token on the backup server; stops at one that is there, whose secret nobody can read again"],
  [/:Pbs[A-Z]\w*$/, "takes it over on the backup server, or makes it"],
  [/download\/file:File$/, "asks Proxmox VE to download the image, which leaves a file that is there as it is"],
  [/^random:/, "a new random password in the state; guests that exist keep theirs"],
];

function whatIsMade(type: string): string {
  return MADE.find(([pattern]) => pattern.test(type))?.[1] ?? "is made: it is not on the hypervisors yet";
}

/** The value at a path such as `disks[0].size`; undefined where there is none. */
export function at(inputs: ResourceInputs, path: string): unknown {
  return keysOf(path).reduce<unknown>(
    (value, key) => (typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined),
    inputs,
  );
}

/** `disks[0].size` as `disks`, `0`, `size`. */
export function keysOf(path: string): string[] {
  return path.split(/[.[\]]+/).filter((key) => key !== "");
}

function shown(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  // A secret is an object with the engine's mark.
  if (typeof value === "object" && "4dabf18193072939515e22adb298388d" in value) return "a secret";
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
