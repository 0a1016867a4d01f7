/** `coldspare branch`: a working copy of a guest for demonstrations and risky updates, that goes away by itself. */
import { type Branch, type Branches, listBranches, removeBranch } from "../../operations/backups/branches";
import { planBranch } from "../../operations/backups/plan-branch";
import { addRoom, restoreFacts } from "../../operations/backups/restore-facts";
import { openRestore } from "../../operations/backups/restore-steps";
import type { Operator } from "../../operations/context";
import { formatDuration } from "../../planning/units";
import { confirmed } from "../confirm";
import { exitCode, type Io, textWidth, UsageError, wantsColor } from "../io";
import { openSite, type SiteOptions } from "../open-site";
import { progressPrinter } from "../progress";
import { didYouMean } from "../suggest";
import { type Cell, painter, renderTable } from "../table";
import { requireBackups } from "./backups";
import { carryOut } from "./restore";

export interface BranchOptions extends SiteOptions {
  point: string;
  to?: string;
  network: string;
  expires: string;
  name?: string;
  storage?: string;
  live?: boolean;
  start: boolean;
  dryRun?: boolean;
  yes?: boolean;
  json?: boolean;
  color: boolean;
}

/** What `coldspare branch list --json`, `remove --json` and `expire --json` print. */
export interface BranchesDocument {
  formatVersion: 1;
  site: string;
  ok: boolean;
  branches: Branch[];
  unasked: Branches["unasked"];
  /** Only of `remove` and `expire`. */
  removed?: { name: string; vmid: number; server: string; ok: boolean; reason?: string }[];
}

/** Makes a branch. Answers the exit code. */
export async function branch(guest: string | undefined, options: BranchOptions, io: Io): Promise<number> {
  if (guest === undefined) throw new UsageError("name a guest; or list, remove or expire");
  const paint = painter(wantsColor(options.color, io.stderr, io.env));
  const { operator, close } = await openSite(options, io, progressPrinter(io.stderr, paint));
  try {
    const { manifest } = operator;
    const known = Object.keys(manifest.guests);
    if (!known.includes(guest)) throw new UsageError(`there is no guest '${guest}'${didYouMean(guest, known)}`);
    if (!options.live) requireBackups(manifest);
    const command = { operator, subject: guest, options, io, paint };
    const open = await openRestore(operator, "branch", guest);
    if (open !== undefined) return await carryOut(command, open.plan, open);
    const facts = await restoreFacts(operator);
    const plan = planBranch(facts, {
      guest,
      point: options.point,
      network: options.network,
      expires: options.expires,
      live: options.live === true,
      start: options.start,
      by: operator.by,
      ...(options.to !== undefined && { to: options.to }),
      ...(options.name !== undefined && { name: options.name }),
      ...(options.storage !== undefined && { storage: options.storage }),
    });
    await addRoom(operator, facts, plan);
    return await carryOut(command, plan);
  } finally {
    await close();
  }
}

export async function branchList(options: BranchOptions, io: Io): Promise<number> {
  const { operator, close } = await openSite(options, io);
  try {
    const found = await listBranches(operator);
    const ok = found.unasked.length === 0;
    if (options.json) print({ formatVersion: 1, site: operator.manifest.site, ok, ...found }, io);
    else io.stdout.write(`${listText(found, operator.clock.now().getTime(), options, io).join("\n")}\n`);
    return exitCode.fine;
  } finally {
    await close();
  }
}

function listText({ branches, unasked }: Branches, now: number, options: BranchOptions, io: Io): string[] {
  const paint = painter(wantsColor(options.color, io.stdout, io.env));
  const columns = [
    { title: "branch" },
    { title: "of" },
    { title: "id", align: "right" as const },
    { title: "server" },
    { title: "state" },
    { title: "data of" },
    { title: "expires", wrap: true },
    { title: "made by", wrap: true },
  ];
  const rows = branches.map((each): Cell[] => [
    each.name,
    each.guest,
    String(each.vmid),
    each.server,
    each.running ? "running" : "off",
    each.dataAt.slice(0, 16),
    each.expired
      ? { text: "is past", style: "yellow" }
      : `in ${formatDuration((Date.parse(each.expires) - now) / 1000)}`,
    each.by,
  ]);
  const table = rows.length === 0 ? ["there are no branches"] : renderTable(columns, rows, textWidth(io.stdout), paint);
  return [...table, ...unasked.map(({ server, reason }) => paint("yellow", `${server} could not be asked: ${reason}`))];
}

export async function branchRemove(names: readonly string[], options: BranchOptions, io: Io): Promise<number> {
  const { operator, close } = await openSite(options, io);
  try {
    const found = await listBranches(operator);
    const known = found.branches.map(({ name }) => name);
    for (const name of names)
      if (!known.includes(name)) throw new UsageError(`there is no branch '${name}'${didYouMean(name, known)}`);
    return await removeAll(
      operator,
      found,
      found.branches.filter(({ name }) => names.includes(name)),
      options,
      io,
    );
  } finally {
    await close();
  }
}

/** For a timer: what is past its date. */
export async function branchExpire(options: BranchOptions, io: Io): Promise<number> {
  const { operator, close } = await openSite(options, io);
  try {
    const found = await listBranches(operator);
    return await removeAll(
      operator,
      found,
      found.branches.filter(({ expired }) => expired),
      options,
      io,
    );
  } finally {
    await close();
  }
}

async function removeAll(
  operator: Operator,
  found: Branches,
  chosen: readonly Branch[],
  options: BranchOptions,
  io: Io,
): Promise<number> {
  const removed: NonNullable<BranchesDocument["removed"]> = [];
  for (const { name, vmid, server, guest, expires } of chosen)
    io.stderr.write(
      `${name} (${vmid}) on ${server}, a branch of ${guest} until ${expires}: it and its disks are removed\n`,
    );
  for (const { server, reason } of found.unasked) io.stderr.write(`${server} could not be asked: ${reason}\n`);
  const goes = chosen.length > 0 && !options.dryRun;
  const agreed =
    goes && (await confirmed(`Remove ${chosen.length === 1 ? "it" : `these ${chosen.length}`}?`, options, io));
  for (const each of agreed ? chosen : []) {
    const { name, vmid, server } = each;
    try {
      await removeBranch(operator, each);
      removed.push({ name, vmid, server, ok: true });
      io.stderr.write(`removed ${name}\n`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      removed.push({ name, vmid, server, ok: false, reason });
      io.stderr.write(`${name}: ${reason}\n`);
    }
  }
  const ok = removed.every((each) => each.ok) && (!goes || agreed) && found.unasked.length === 0;
  if (options.json) print({ formatVersion: 1, site: operator.manifest.site, ok, ...found, removed }, io);
  else if (chosen.length === 0) io.stdout.write("nothing is to be removed\n");
  return ok ? exitCode.fine : exitCode.errors;
}

function print(document: BranchesDocument, io: Io): void {
  io.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
}
