/** The plan for people: what `coldspare check` prints without --json. */
import type { FindingCode } from "../planning/findings";
import type { Finding, GuestPlan, LossPlan, SitePlan, Usage } from "../planning/plan";
import { formatDuration, formatGiB, formatNumber, list } from "../planning/units";
import type { ReportedFinding } from "./report";
import { type Cell, type Column, type Paint, renderTable, type Style, severityStyle, wrapText } from "./table";
import { backupsText } from "./text-backups";

export interface TextOptions {
  paint: Paint;
  /** Columns of the terminal. */
  width: number;
  source: string;
  /** What --set and --active assume beyond the file. */
  whatIf: readonly string[];
}

/** Heading, guests, recovery, servers, storage, losses and findings. */
export function planText(plan: SitePlan, findings: readonly ReportedFinding[], options: TextOptions): string {
  const sections = [
    headingText(plan, findings, options),
    guestsText(plan, options),
    recoveryText(plan, options),
    serversText(plan, options),
    storagesText(plan, options),
    backupsText(plan, options),
    lossesText(plan, options),
    findingsText(findings, options),
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`;
}

function headingText(
  plan: SitePlan,
  findings: readonly Finding[],
  { paint, width, source, whatIf }: TextOptions,
): string[] {
  const { name, cluster, fencing } = plan.site;
  const description = plan.spec.site.description;
  const title = description === undefined ? `Site ${name}` : `Site ${name}: ${description}`;
  const facts = [
    `${count(Object.keys(plan.guests).length, "guest")} on ${count(Object.keys(plan.servers).length, "server")}`,
    cluster === undefined ? "independent hypervisors" : `cluster ${cluster}`,
    `fencing: ${fencing}`,
    source,
  ];
  const verdict = siteVerdict(plan, findings);
  return [
    ...wrapText(title, width).map((line) => paint("bold", line)),
    ...wrapText(`${name} ${verdict.text}`, width).map((line) => paint(verdict.style, line)),
    ...wrapText(facts.join(" · "), width).map((line) => paint("dim", line)),
    ...(whatIf.length === 0 ? [] : wrapText(`what if: ${whatIf.join(" ")}`, width)),
  ];
}

/** Errors that the reasons of a loss say already. */
const saidByLosses: readonly string[] = [
  "CAPACITY-CORES",
  "CAPACITY-MEMORY",
  "QUORUM-NO-THIRD-VOTE",
] satisfies FindingCode[];

/** One sentence: does the site live on without any one of its servers, and if not, why not. */
export function siteVerdict(plan: SitePlan, findings: readonly Finding[]): { text: string; style: Style } {
  const fatal = Object.values(plan.losses).filter((loss) => !loss.survives);
  const errors = findings.filter((finding) => finding.severity === "error").length;
  if (fatal.length > 0) {
    const reasons = fatal.map((loss) => `${loss.server}: ${list(lossReasons(plan, loss)) || "see the findings"}`);
    const others = findings.filter(({ severity, code }) => severity === "error" && !saidByLosses.includes(code)).length;
    const more = others === 0 ? "" : `; and ${others} more ${others === 1 ? "error" : "errors"}, below`;
    const text = `does not survive the loss of ${reasons.join("; nor of ")}${more}`;
    // Without an error it is a choice that the specification makes, for example a guest without a spare.
    return { text, style: errors > 0 ? "red" : "yellow" };
  }
  const survives = "survives the loss of any one server";
  if (errors === 0) return { text: survives, style: "green" };
  return { text: `${survives}, but the specification has ${count(errors, "error")}`, style: "red" };
}

function lossReasons(plan: SitePlan, loss: LossPlan): string[] {
  const reasons: string[] = [];
  if (loss.quorum !== undefined && !loss.quorum.quorate) {
    reasons.push(
      `the cluster keeps ${loss.quorum.votes} of ${loss.quorum.expected} votes and needs ${loss.quorum.needed}`,
    );
  }
  for (const server of Object.values(plan.servers)) {
    const usage = server.capacity.afterLossOf[loss.server];
    if (usage === undefined || usage.fits) continue;
    const lacks = [
      usage.memoryGiB > usage.memoryLimitGiB ? formatGiB(usage.memoryGiB - usage.memoryLimitGiB) : "",
      usage.cores > usage.coreLimit ? count(usage.cores - usage.coreLimit, "virtual core") : "",
    ].filter((text) => text !== "");
    reasons.push(lacks.length > 0 ? `${server.name} lacks ${list(lacks)}` : `${server.name} has no room`);
  }
  if (loss.lost.length > 0) reasons.push(`${list(loss.lost)} cannot run`);
  return reasons;
}

const title = (text: string, { paint }: TextOptions): string => paint("bold", text.toUpperCase());

function guestsText(plan: SitePlan, options: TextOptions): string[] {
  const guests = Object.values(plan.guests);
  if (guests.length === 0) return [];
  const columns: Column[] = [
    { title: "guest", wrap: true },
    { title: "duty" },
    { title: "id", align: "right" },
    { title: "primary" },
    { title: "spare" },
    { title: "active on" },
    { title: "memory", align: "right" },
    { title: "cores", align: "right" },
    { title: "address", wrap: true },
  ];
  const rows = guests.map((guest): Cell[] => [
    guest.name,
    guest.duty ?? "-",
    String(guest.id),
    guest.primary,
    guest.spare ?? { text: "none", style: "yellow" },
    activeOn(guest),
    formatGiB(guest.spec.memoryGiB),
    String(guest.spec.cores),
    addressesOf(guest),
  ]);
  return [title("Who runs where, who stands by", options), ...renderTable(columns, rows, options.width, options.paint)];
}

function activeOn({ activeServer, primary, spec }: GuestPlan): Cell {
  if (!spec.started) return { text: "off", style: "dim" };
  return { text: activeServer, style: activeServer === primary ? "green" : "yellow" };
}

function addressesOf(guest: GuestPlan): string {
  const bare = (address: string) => address.replace(/\/\d+$/, "");
  const addresses = guest.addresses.flatMap(({ address, address6 }) =>
    address === undefined && address6 === undefined
      ? ["dhcp"]
      : [address, address6].filter((text) => text !== undefined).map(bare),
  );
  return addresses.length === 0 ? "-" : addresses.join(", ");
}

function recoveryText(plan: SitePlan, options: TextOptions): string[] {
  const guests = Object.values(plan.guests).filter((guest) => guest.replica !== undefined);
  if (guests.length === 0) return [];
  const columns: Column[] = [
    { title: "guest", wrap: true },
    { title: "method" },
    { title: "schedule", wrap: true },
    { title: "RPO" },
    { title: "promised" },
    { title: "RTO" },
    { title: "promised" },
    { title: "standbys", wrap: true },
  ];
  const rows = guests.map((guest): Cell[] => {
    const { method, schedule, recoveryPoint, recoveryTime, standbyIds } = guest.replica!;
    const computed = ({ seconds, promisedSeconds }: typeof recoveryPoint): Cell => {
      const text = Number.isFinite(seconds) ? formatDuration(seconds) : "unlimited";
      const late = promisedSeconds !== undefined && seconds > promisedSeconds;
      return late ? { text, style: "red" } : text;
    };
    const promised = ({ promisedSeconds }: typeof recoveryPoint): string =>
      promisedSeconds === undefined ? "-" : formatDuration(promisedSeconds);
    return [
      guest.name,
      method,
      schedule,
      computed(recoveryPoint),
      promised(recoveryPoint),
      computed(recoveryTime),
      promised(recoveryTime),
      standbyIds?.join(", ") ?? "-",
    ];
  });
  return [
    title("How much may be lost (RPO), how long it takes (RTO), at worst", options),
    ...renderTable(columns, rows, options.width, options.paint),
  ];
}

function serversText(plan: SitePlan, options: TextOptions): string[] {
  const columns: Column[] = [
    { title: "server" },
    { title: "situation" },
    { title: "memory", align: "right" },
    { title: "virtual cores", align: "right" },
    { title: "fits" },
    { title: "runs", wrap: true },
  ];
  const rows: Cell[][] = [];
  for (const server of Object.values(plan.servers)) {
    if (!server.roles.includes("hypervisor") && server.capacity.before.guests.length === 0) continue;
    rows.push(usageRow(server.name, "now", server.capacity.before));
    for (const [lost, usage] of Object.entries(server.capacity.afterLossOf)) {
      // A loss that brings nothing here (of the backup server) would only repeat the first row.
      if (sameGuests(usage, server.capacity.before)) continue;
      rows.push(usageRow("", `without ${lost}`, usage));
    }
  }
  if (rows.length === 0) return [];
  return [
    title("Servers, before and after each loss", options),
    ...renderTable(columns, rows, options.width, options.paint),
  ];
}

function usageRow(server: string, situation: string, usage: Usage): Cell[] {
  const share = (used: number, limit: number, text: string): Cell => (used > limit ? { text, style: "red" } : text);
  return [
    server,
    situation,
    share(
      usage.memoryGiB,
      usage.memoryLimitGiB,
      `${formatNumber(usage.memoryGiB)} of ${formatGiB(usage.memoryLimitGiB)}`,
    ),
    share(usage.cores, usage.coreLimit, `${formatNumber(usage.cores)} of ${formatNumber(usage.coreLimit)}`),
    yesNo(usage.fits),
    usage.guests.length === 0 ? "-" : usage.guests.join(", "),
  ];
}

const sameGuests = (one: Usage, other: Usage): boolean =>
  one.guests.length === other.guests.length && one.guests.every((guest) => other.guests.includes(guest));

const yesNo = (fits: boolean): Cell => (fits ? { text: "yes", style: "green" } : { text: "NO", style: "red" });

function storagesText(plan: SitePlan, options: TextOptions): string[] {
  if (plan.storages.length === 0) return [];
  const columns: Column[] = [
    { title: "storage", wrap: true },
    { title: "on", wrap: true },
    ...["primaries", "replicas", "backups", "images", "total", "limit", "size"].map(
      (text): Column => ({ title: text, align: "right" }),
    ),
    { title: "fits" },
  ];
  const rows = plan.storages.map((usage): Cell[] => [
    usage.storage,
    // An export holds the very bytes of the pool behind it: counted there once more, needed only once.
    usage.backedBy ?? usage.server,
    ...[usage.primaryGiB, usage.replicaGiB, usage.backupGiB, usage.imageGiB].map((value) =>
      value === 0 ? "-" : formatNumber(value),
    ),
    usage.fits ? formatNumber(usage.totalGiB) : { text: formatNumber(usage.totalGiB), style: "red" },
    formatNumber(usage.limitGiB),
    formatNumber(usage.sizeGiB),
    yesNo(usage.fits),
  ]);
  return [title("Storage, GiB", options), ...renderTable(columns, rows, options.width, options.paint)];
}

function lossesText(plan: SitePlan, options: TextOptions): string[] {
  const lines = [title("What each loss means", options)];
  for (const loss of Object.values(plan.losses)) lines.push(...lossText(plan, loss, options));
  lines.push(options.paint("bold", "Loss of the whole site"));
  lines.push(...wrapText(plan.siteLoss.text, options.width - 2).map((line) => `  ${line}`));
  return lines;
}

function lossText(plan: SitePlan, loss: LossPlan, options: TextOptions): string[] {
  const { paint } = options;
  const verdict = loss.survives
    ? paint("green", loss.restarts.length === 0 ? "nothing stops" : "survived")
    : paint("red", "NOT survived");
  const lines = [`${paint("bold", `Loss of ${loss.server}`)}: ${verdict}`];
  if (!loss.survives) {
    // Who stays off is said below.
    const reasons = lossReasons(plan, { ...loss, lost: [] });
    if (reasons.length > 0) lines.push(...bullet(list(reasons), "  ", options).map((line) => paint("red", line)));
  }
  const rows = loss.restarts.map(({ guest, on, recoveryPointSeconds, recoveryTimeSeconds }) => [
    guest,
    `starts on ${on}`,
    Number.isFinite(recoveryTimeSeconds) ? `answers after ${formatDuration(recoveryTimeSeconds)}` : "never answers",
    // Nothing was ever copied: a restore without a backup.
    Number.isFinite(recoveryPointSeconds) ? `loses up to ${formatDuration(recoveryPointSeconds)}` : "loses everything",
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(0, ...rows.map((row) => row[column]!.length)));
  lines.push(
    ...rows.map((row) => `  ${row.map((text, column) => text.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd()),
  );
  const kept = loss.dataKept ?? [];
  const lost = loss.lost.filter((guest) => !kept.includes(guest));
  if (lost.length > 0) lines.push(...bullet(`stays off, no spare: ${lost.join(", ")}`, "  ", options));
  if (kept.length > 0)
    lines.push(...bullet(`stays off until started by hand, its disks are there: ${kept.join(", ")}`, "  ", options));
  if (loss.shed.length > 0) lines.push(...bullet(`shed by priority: ${loss.shed.join(", ")}`, "  ", options));
  if (loss.lapses.length > 0) lines.push("  until it is back:");
  for (const lapse of loss.lapses) lines.push(...bullet(`- ${lapse}`, "    ", options));
  if (loss.quorum !== undefined) {
    const { votes, expected, needed, quorate } = loss.quorum;
    const text = `quorum: ${votes} of ${expected} votes are left, ${needed} are needed`;
    lines.push(`  ${quorate ? text : paint("red", text)}`);
  }
  return lines;
}

/** Wrapped under its own first word. */
function bullet(text: string, indent: string, { width }: TextOptions): string[] {
  const hanging = `${indent}  `;
  return wrapText(text, width - hanging.length).map((line, index) => (index === 0 ? indent : hanging) + line);
}

/** Findings, errors first, each with what to change. Empty when there are none. */
export function findingsText(findings: readonly ReportedFinding[], options: TextOptions): string[] {
  const { paint, width, source } = options;
  if (findings.length === 0) return [];
  const lines = [title(`Findings: ${findingCounts(findings)}`, options)];
  for (const { severity, code, subject, message, fix, at } of findings) {
    const place = at === undefined ? "" : `  ${paint("dim", `(${at.source ?? source}:${at.line}:${at.column})`)}`;
    lines.push(
      `${paint(severityStyle[severity], severityWord[severity].padEnd(7))}  ${paint("bold", code)}  ${subject}${place}`,
    );
    lines.push(...wrapText(message, width - 9).map((line) => `         ${line}`));
    lines.push(
      ...wrapText(`fix: ${fix}`, width - 14).map((line, index) =>
        index === 0 ? `         ${line}` : `              ${line}`,
      ),
    );
  }
  return lines;
}

/** `1 error`, `2 errors`. */
function count(number: number, noun: string): string {
  return `${formatNumber(number)} ${noun}${number === 1 ? "" : "s"}`;
}

const severityWord = { error: "error", warning: "warning", info: "note" } as const;

/** For example `1 error, 2 warnings, 1 note`. */
export function findingCounts(findings: readonly Finding[]): string {
  const of = (severity: Finding["severity"]) => findings.filter((finding) => finding.severity === severity).length;
  const severities = ["error", "warning", "info"] as const;
  const named = severities.filter((each) => of(each) > 0).map((each) => count(of(each), severityWord[each]));
  return named.length === 0 ? "none" : named.join(", ");
}
