/** Folders, volumes and data sets come back by the program that keeps their copies; single files of a container out of its archive. */
import type { Finding } from "../../planning";
import type { SiteManifest } from "../../planning/manifest";
import type { Operator } from "../context";
import { refusal } from "../refusals";
import { begin, openOperations, runOperation } from "../run-operation";
import type { Step } from "../steps";
import { choosePoint } from "./choose-point";
import type { Copies, Point } from "./copies";
import { downloadFile, findFile } from "./file-restore";
import { command } from "./run-policy";

/** What a person asks for. */
export interface DataRequest {
  subject: string;
  point: string;
  /** Where it goes: a folder on the server, or for a data set a new data set. Never over what is there. */
  into: string;
  /** Only these paths. */
  files: readonly string[];
}

/** Plain data: it lies in the journal. */
export interface DataPlan {
  kind: "restore";
  site: string;
  subject: string;
  point?: Point;
  server: string;
  into: string;
  files: string[];
  /** Command lines on the server, without the folder of the programs. */
  commands: string[][];
  /** Paths that come to the operator's machine, into the folder there. */
  downloads: string[];
  refusals: Finding[];
  warnings: Finding[];
}

export function planData(manifest: SiteManifest, copies: Copies, request: DataRequest): DataPlan {
  const { subject, into, files } = request;
  const chosen = choosePoint(copies.points, subject, request.point);
  const { point } = chosen;
  const plan: DataPlan = {
    kind: "restore",
    site: manifest.site,
    subject,
    ...(point && { point }),
    server: point?.servers[0] ?? "",
    into,
    files: [...files],
    commands: [],
    downloads: [],
    refusals: [...chosen.refusals],
    warnings: [...chosen.warnings],
  };
  if (point === undefined) return plan;
  if (point.kind === "restic") resticCommand(plan, point, files);
  else if (point.kind === "zfs") zfsCommand(plan, point, files);
  else archiveCommand(plan, point, files);
  return plan;
}

function resticCommand(plan: DataPlan, point: Point, files: readonly string[]): void {
  const policy = point.policies[0] ?? point.job ?? "";
  const paths = files.flatMap((file) => ["--path", file]);
  plan.commands.push(["coldspare-backup", "restore", policy, point.id, "--to", plan.into, ...paths]);
  if (!plan.into.startsWith("/")) plan.refusals.push(badPlace(plan, "a folder", "/root/restored"));
}

function zfsCommand(plan: DataPlan, point: Point, files: readonly string[]): void {
  plan.commands.push(["coldspare-zfs", "restore", point.job ?? "", point.id, "--to", plan.into]);
  if (plan.into.startsWith("/")) plan.refusals.push(badPlace(plan, "a data set", "tank/restored"));
  if (files.length > 0)
    plan.refusals.push(
      filesRefused(
        plan.subject,
        `a data set comes back whole: ${point.id} has no single files to choose from`,
        `leave --files out, and copy them out of ${plan.into} afterwards`,
      ),
    );
}

/** A container's archive is a tar; of a machine's archive only whole disks can be taken. */
function archiveCommand(plan: DataPlan, point: Point, files: readonly string[]): void {
  if (!plan.into.startsWith("/")) plan.refusals.push(badPlace(plan, "a folder", "/root/restored"));
  if (point.kind === "vzdump" && point.guestKind === "lxc") {
    const members = files.map((file) => `./${file.replace(/^\.?\/+/, "")}`);
    plan.commands.push(["sh", "-c", EXTRACT, "sh", point.id, plan.into, ...members]);
    return;
  }
  if (point.kind === "pbs" && point.encrypted !== true) {
    plan.downloads.push(...files);
    return;
  }
  if (point.kind === "pbs") {
    plan.refusals.push(
      filesRefused(
        plan.subject,
        `${point.id} is encrypted, and the key to it lies on the hypervisors`,
        `on one of them, as root: \`proxmox-file-restore list\` and \`extract\` with --keyfile; or restore it beside with --as`,
      ),
    );
    return;
  }
  plan.refusals.push(
    filesRefused(
      plan.subject,
      `${point.id} is a vzdump archive of a machine: Proxmox VE cannot read single files out of it`,
      `restore it beside, powered off, and mount its disk: \`coldspare restore ${plan.subject} --point ${point.id} --as ${plan.subject}-files\`; copies on a Proxmox Backup Server can be read file by file`,
    ),
  );
}

/** The folder is made, and nothing in it is ever written over. */
const EXTRACT =
  'umask 077; volume=$1; into=$2; shift 2; archive=$(pvesm path "$volume") && mkdir -p -- "$into" && exec tar --auto-compress --extract --keep-old-files --numeric-owner --file "$archive" --directory "$into" -- "$@"';

function badPlace({ subject, into }: DataPlan, what: string, example: string): Finding {
  return refusal(
    "OPERATION-INTO",
    subject,
    `${subject} comes back into ${what}, and '${into}' is none`,
    `--into ${example}`,
  );
}

export function filesRefused(subject: string, message: string, fix: string): Finding {
  return refusal("OPERATION-FILES", subject, message, fix);
}

/** One step for each command, and for each file. */
export function dataSteps(operator: Operator, plan: DataPlan): Step[] {
  const fetched = plan.downloads.map(
    (file, index): Step => ({
      id: `fetch-${index + 1}`,
      title: `fetch ${file} of ${plan.subject} (data of ${plan.point?.at}) into ${plan.into} on this machine`,
      async run(note) {
        const found = await findFile(operator, plan.point!, file);
        note(await downloadFile(operator, plan.point!, found, plan.into));
      },
    }),
  );
  return [...commandSteps(operator, plan), ...fetched];
}

function commandSteps(operator: Operator, plan: DataPlan): Step[] {
  return plan.commands.map((words, index) => ({
    id: `restore-${index + 1}`,
    title: `restore ${plan.point?.id} of ${plan.subject} (data of ${plan.point?.at}) into ${plan.into} on ${plan.server}`,
    run: async (note) => {
      if (words[0] !== "sh") return void (await command(operator, plan.server, words, note));
      const { code, stderr } = await operator.ssh.run(plan.server, words, { timeoutSeconds: 86_400 });
      if (code !== 0)
        throw new Error(`${plan.server}: ${stderr.trim().split("\n").at(-1) || `tar ended with ${code}`}`);
    },
  }));
}

/** What the operation is called: as one types it, so that another choice of files or place is another operation. */
export function dataSubject({ subject, into, files, point }: DataPlan): string {
  const wanted = files.map((file) => ` --files ${file}`).join("");
  return `${subject}${wanted} --point ${point?.id ?? "latest"} --into ${into}`;
}

/** @throws Interrupted, StepFailed: the same command again goes on from there */
export async function runData(operator: Operator, plan: DataPlan): Promise<void> {
  const subject = dataSubject(plan);
  const { own } = await openOperations(operator, "restore", subject, true);
  const begun = await begin(operator, "restore", subject, plan, own);
  await runOperation(operator, begun, dataSteps(operator, plan));
}
