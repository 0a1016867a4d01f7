/** `coldspare init`: five answers become a folder with a site, a program, settings and a README that passes its own check. */
import { basename, resolve } from "node:path";
import type { SitePlan } from "../../planning/plan";
import { formatDuration } from "../../planning/units";
import type { Answers } from "../init/answers";
import { planText } from "../init/check-answers";
import { collectAnswers, type Given } from "../init/dialogue";
import { readmeSections } from "../init/readme-sections";
import { siteText } from "../init/site-text";
import { exitCode, type Io, textWidth, wantsColor } from "../io";
import { backendUrl, projectFiles, refuseUnlessEmpty, writeProject } from "../project";
import { type Paint, painter, renderTable } from "../table";
import { findingCounts, siteVerdict } from "../text";

export interface InitOptions {
  name?: string;
  servers?: string[];
  thirdVote?: string;
  guests?: string[];
  state?: string;
  yes?: boolean;
  json?: boolean;
  color: boolean;
}

const CA_FILE = "pve-root-ca.pem";
const NEXT = ["npm install", "npx coldspare check"];

/** Asks, plans, writes; answers the exit code. @throws UsageError where an answer is missing or cannot be used */
export async function init(folder: string | undefined, options: InitOptions, io: Io): Promise<number> {
  if (folder !== undefined) refuseUnlessEmpty(folder);
  const answers = await collectAnswers(givenOf(folder, options), io);
  const target = folder ?? answers.name;
  const text = siteText(answers, { timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone });
  const plan = planText(text);
  const files = filesOf(answers, text);
  writeProject(target, files);
  if (options.json) io.stdout.write(`${JSON.stringify(report(target, answers, plan, Object.keys(files)), null, 2)}\n`);
  else
    io.stdout.write(summary(target, plan, painter(wantsColor(options.color, io.stdout, io.env)), textWidth(io.stdout)));
  return plan.ok ? exitCode.fine : exitCode.errors;
}

function givenOf(folder: string | undefined, { yes, name, servers, thirdVote, guests, state }: InitOptions): Given {
  return {
    ...(name !== undefined && { name }),
    ...(servers !== undefined && { servers }),
    ...(thirdVote !== undefined && { thirdVote }),
    ...(guests !== undefined && { guests }),
    ...(state !== undefined && { state }),
    defaults: yes === true,
    proposal: folder === undefined ? "office" : nameOfFolder(folder),
    folderIsName: folder === undefined,
  };
}

/** What of a folder's name can be the name of a site. */
function nameOfFolder(folder: string): string {
  const name = basename(resolve(folder))
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 63)
    .replace(/-+$/, "");
  return name === "" ? "office" : name;
}

function filesOf(answers: Answers, text: string): Record<string, string> {
  const { name, servers, third, state } = answers;
  const machines = [...servers, ...(third ? [third] : [])];
  return projectFiles({
    name,
    siteText: text,
    stack: "prod",
    endpoints: Object.fromEntries(servers.map((server) => [server.name, `https://${server.address}:8006`])),
    hosts: Object.fromEntries(machines.map((machine) => [machine.name, machine.address])),
    state,
    caFile: CA_FILE,
    readme: readmeSections(answers),
  });
}

function report(folder: string, { name, state }: Answers, plan: SitePlan, files: string[]): unknown {
  return {
    formatVersion: 1,
    folder: resolve(folder),
    site: name,
    files: files.sort(),
    state: backendUrl(state),
    ok: plan.ok,
    findings: plan.findings,
    next: [`cd ${quoted(folder)}`, ...NEXT],
  };
}

/** As a shell takes it. */
const quoted = (folder: string): string =>
  /^[\w./~+-]+$/.test(folder) ? folder : `'${folder.replaceAll("'", `'\\''`)}'`;

function summary(folder: string, plan: SitePlan, paint: Paint, width: number): string {
  const verdict = siteVerdict(plan, plan.findings);
  const counts =
    plan.findings.length === 0 ? "" : ` (${findingCounts(plan.findings)}: \`npx coldspare check\` says them)`;
  return `${[
    "",
    paint(verdict.style, `${plan.site.name} ${verdict.text}${counts}`),
    ...guestTable(plan, paint, width),
    "",
    `${folder} is written. Go on with:`,
    "",
    ...[`cd ${quoted(folder)}`, ...NEXT].map((command) => `  ${command}`),
    "",
    `${folder}/README.md says what comes then, command by command, up to the first drill.`,
  ].join("\n")}\n`;
}

function guestTable({ guests }: SitePlan, paint: Paint, width: number): string[] {
  const rows = Object.values(guests).map(({ name, primary, spare, replica }) => [
    name,
    primary,
    spare ?? "-",
    replica === undefined ? "-" : formatDuration(replica.recoveryPoint.seconds),
    replica === undefined ? "-" : formatDuration(replica.recoveryTime.seconds),
  ]);
  if (rows.length === 0) return [];
  const columns = ["guest", "runs on", "stands by on", "loses up to", "back within"].map((title) => ({ title }));
  return ["", ...renderTable(columns, rows, width, paint)];
}
