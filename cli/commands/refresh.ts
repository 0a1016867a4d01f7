/**
 * `coldspare refresh`: restores the newest backup of each guest whose spare is made by `restore`. Meant for a timer; it
 * does what `pulumi up` does for these guests, without an engine.
 */
import type { SitePlan } from "../../planning/plan";
import { type StandbyPlan, standbyOf } from "../../planning/standby";
import { PveClient } from "../../providers/pve/client";
import { refreshStandby } from "../../providers/restore-refresh";
import { connectionFrom } from "../connection";
import { exitCode, type Io, textWidth, UsageError, wantsColor } from "../io";
import { didYouMean } from "../suggest";
import { type Cell, type Paint, painter, renderTable } from "../table";
import { findingsText } from "../text";
import { openPlan } from "./check";

export interface RefreshOptions {
  guest?: string[];
  endpoint?: string[];
  active?: string[];
  force?: boolean;
  dryRun?: boolean;
  json?: boolean;
  quiet?: boolean;
  color: boolean;
}

/** What `coldspare refresh --json` says of one guest. */
export interface RefreshedGuest {
  /**
   * `refreshed`; `current`: the newest backup had been restored before; `active`: a standby is the active side and is left
   * alone, also when it is off just now; `planned`: --dry-run; `failed`: see `error`.
   */
  state: "refreshed" | "current" | "active" | "planned" | "failed";
  server: string;
  backupStorage: string;
  standbyIds: [number, number];
  /** The newest good standby, and the backup that it was made from. Absent where nothing is known of it. */
  standbyId?: number;
  recoveryPoint?: string;
  volid?: string;
  seconds: number;
  /** Names server, guest, call, Proxmox VE's own words and what to do. */
  error?: string;
}

/** What `coldspare refresh --json` prints; `ok` is false exactly when the exit code is 1. */
export interface RefreshReport {
  formatVersion: 1;
  site: string;
  ok: boolean;
  guests: Record<string, RefreshedGuest>;
}

/** One guest after the other: two restores at once would only slow each other down. Answers the exit code. */
export async function refresh(site: string | undefined, options: RefreshOptions, io: Io): Promise<number> {
  const paint = painter(wantsColor(options.color, io.stdout, io.env));
  const { plan, findings, source } = await openPlan(site, [], options.active ?? []);
  if (plan === undefined || findings.some(({ severity }) => severity === "error")) {
    const errors = findings.filter(({ severity }) => severity === "error");
    const lines = findingsText(errors, { paint, width: textWidth(io.stderr), source, whatIf: [] });
    io.stderr.write(`${source} has errors, so nothing is refreshed\n${lines.join("\n")}\n`);
    return exitCode.errors;
  }
  const specs = chosen(plan, options.guest ?? []);
  const guests = options.dryRun ? planned(specs) : await refreshAll(plan, specs, options, io);
  const report: RefreshReport = {
    formatVersion: 1,
    site: plan.site.name,
    ok: Object.values(guests).every(({ state }) => state !== "failed"),
    guests,
  };
  if (options.json) io.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else io.stdout.write(reportText(report, options.quiet === true, textWidth(io.stdout), paint));
  return report.ok ? exitCode.fine : exitCode.errors;
}

function chosen(plan: SitePlan, names: readonly string[]): StandbyPlan[] {
  const restored = Object.values(plan.guests).flatMap((guest) => standbyOf(guest) ?? []);
  if (names.length === 0) return restored;
  const known = restored.map(({ guest }) => guest);
  for (const name of names) {
    if (known.includes(name)) continue;
    const guest = plan.guests[name];
    if (guest === undefined) throw new UsageError(`--guest ${name}: there is no such guest${didYouMean(name, known)}`);
    const how =
      guest.replica === undefined ? "has no spare" : `is refreshed by ${guest.replica.method}, not by restore`;
    throw new UsageError(`--guest ${name}: ${name} ${how}`);
  }
  return restored.filter(({ guest }) => names.includes(guest));
}

const described = ({ node, backupStorage, standbyIds }: StandbyPlan) => ({ server: node, backupStorage, standbyIds });

function planned(specs: readonly StandbyPlan[]): Record<string, RefreshedGuest> {
  return Object.fromEntries(specs.map((spec) => [spec.guest, untouched(spec, spec.active ? "active" : "planned")]));
}

function untouched(spec: StandbyPlan, state: RefreshedGuest["state"]): RefreshedGuest {
  return { state, ...described(spec), seconds: 0 };
}

async function refreshAll(
  plan: SitePlan,
  specs: readonly StandbyPlan[],
  options: RefreshOptions,
  io: Io,
): Promise<Record<string, RefreshedGuest>> {
  const guests: Record<string, RefreshedGuest> = {};
  if (specs.length === 0) return guests;
  const hypervisors = Object.values(plan.servers).filter(({ roles }) => roles.includes("hypervisor"));
  const names = hypervisors.map(({ name }) => name);
  const connection = connectionFrom(options.endpoint ?? [], names, io.env);
  const cancel = new AbortController();
  const stop = () => cancel.abort();
  const pve = new PveClient({ ...connection, signal: cancel.signal });
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    for (const spec of specs) guests[spec.guest] = await refreshOne(pve, spec, options, io);
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
    pve.close();
  }
  return guests;
}

/** A guest that fails must not keep the next one from its refresh. */
async function refreshOne(pve: PveClient, spec: StandbyPlan, options: RefreshOptions, io: Io): Promise<RefreshedGuest> {
  // An active side that is off for a moment looks like any standby: what was written there since must not be restored over.
  if (spec.active) return untouched(spec, "active");
  const start = performance.now();
  const seconds = () => Math.round((performance.now() - start) / 100) / 10;
  const progress = options.quiet ? () => undefined : (line: string) => void io.stderr.write(`${line}\n`);
  try {
    const { restored, standbyId, recoveryPoint, volid } = await refreshStandby(pve, spec, {
      progress,
      force: options.force === true,
    });
    const state = restored ? "refreshed" : "current";
    return { state, ...described(spec), standbyId, recoveryPoint, volid, seconds: seconds() };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { state: "failed", ...described(spec), seconds: seconds(), error: error.message };
  }
}

const stateStyle = { refreshed: "green", current: "green", active: "cyan", planned: "cyan", failed: "red" } as const;

function reportText(report: RefreshReport, quiet: boolean, width: number, paint: Paint): string {
  const guests = Object.entries(report.guests);
  const failures = guests.flatMap(([, { error }]) => (error === undefined ? [] : [paint("red", error)]));
  if (quiet) return failures.map((line) => `${line}\n`).join("");
  if (guests.length === 0) return `no guest of ${report.site} has a spare that is made by restore\n`;
  const columns = [
    { title: "guest", wrap: true },
    { title: "state" },
    { title: "spare" },
    { title: "standby" },
    { title: "as of" },
    { title: "from", wrap: true },
    { title: "seconds", align: "right" as const },
  ];
  const rows = guests.map(([name, guest]): Cell[] => [
    name,
    { text: guest.state, style: stateStyle[guest.state] },
    guest.server,
    String(guest.standbyId ?? guest.standbyIds.join("/")),
    guest.recoveryPoint ?? "-",
    guest.volid ?? guest.backupStorage,
    guest.state === "planned" || guest.state === "active" ? "-" : String(guest.seconds),
  ]);
  return `${[...renderTable(columns, rows, width, paint), ...failures].join("\n")}\n`;
}
