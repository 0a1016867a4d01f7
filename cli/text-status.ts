/** The status of a site for people. */
import type { GuestState, GuestStatus, ServerStatus, SiteStatus } from "../operations/status";
import { formatDuration, formatGiB } from "../planning/units";
import { type Cell, type Column, type Paint, renderTable, type Style, wrapText } from "./table";
import { backupSections } from "./text-copies";

const stateStyle: Record<GuestState, Style> = {
  ready: "green",
  refreshing: "green",
  stale: "yellow",
  "no-spare": "dim",
  "failing-over": "yellow",
  "failing-back": "yellow",
  "failed-over": "cyan",
  diverged: "yellow",
  unknown: "red",
};

const serverStyle: Record<ServerStatus["state"], Style> = {
  up: "green",
  partly: "yellow",
  down: "red",
  unknown: "dim",
};

/** Servers, guests, and what is to be looked at. */
export function statusText(status: SiteStatus, width: number, paint: Paint): string {
  const sections = [
    heading(status, paint),
    serversTable(Object.values(status.servers), width, paint),
    guestsTable(Object.values(status.guests), width, paint),
    ...(status.backups === undefined ? [] : backupSections(status.backups, status.at, width, paint)),
    problems(status, width, paint),
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`;
}

function heading({ site, at, fencing, ok }: SiteStatus, paint: Paint): string[] {
  const verdict = ok ? paint("green", "all is well") : paint("yellow", "look at what is named below");
  return [paint("bold", `Site ${site}: ${verdict}`), paint("dim", `${at} · fencing: ${fencing}`)];
}

function serversTable(servers: readonly ServerStatus[], width: number, paint: Paint): string[] {
  const columns: Column[] = [
    { title: "server" },
    { title: "state" },
    { title: "quorum" },
    { title: "guests", align: "right" },
    { title: "memory", align: "right" },
    { title: "manifest", align: "right" },
    { title: "roles", wrap: true },
  ];
  const rows = servers.map(({ name, state, quorate, running, usedGiB, limitGiB, generation, roles }): Cell[] => {
    const hypervisor = roles.includes("hypervisor");
    return [
      name,
      { text: state, style: serverStyle[state] },
      quorate === undefined ? "-" : quorate ? "yes" : { text: "no", style: "red" },
      hypervisor && state !== "down" ? String(running) : "-",
      hypervisor && state !== "down" ? `${formatGiB(usedGiB)} of ${formatGiB(limitGiB)}` : "-",
      generation === undefined ? "-" : String(generation),
      roles.join(", "),
    ];
  });
  return renderTable(columns, rows, width, paint);
}

function guestsTable(guests: readonly GuestStatus[], width: number, paint: Paint): string[] {
  const columns: Column[] = [
    { title: "guest", wrap: true },
    { title: "state" },
    { title: "active on" },
    { title: "primary" },
    { title: "spare" },
    { title: "copy is", align: "right" },
    { title: "promised", align: "right" },
    { title: "last drill", wrap: true },
  ];
  const rows = guests.map((guest): Cell[] => [
    guest.name,
    { text: guest.state, style: stateStyle[guest.state] },
    activeCell(guest),
    guest.primary,
    guest.spare ?? "-",
    ageCell(guest),
    guest.recoveryPoint?.promisedSeconds === undefined ? "-" : formatDuration(guest.recoveryPoint.promisedSeconds),
    drillCell(guest),
  ]);
  return renderTable(columns, rows, width, paint);
}

function activeCell({ activeServer, activeSide, primary, runsOn, runsUnseen }: GuestStatus): Cell {
  if (activeSide === "none") return { text: "nowhere", style: "yellow" };
  if (activeServer === undefined) return { text: "unknown", style: "red" };
  if (runsUnseen.includes(activeServer)) return { text: `${activeServer}?`, style: "red" };
  const text = runsOn.includes(activeServer) ? activeServer : `${activeServer} (off)`;
  return { text, style: activeServer === primary && runsOn.length > 0 ? "green" : "yellow" };
}

function ageCell({ spare, recoveryPoint }: GuestStatus): Cell {
  if (spare === undefined) return "-";
  if (recoveryPoint === undefined) return { text: "unknown", style: "red" };
  const text = `${formatDuration(recoveryPoint.ageSeconds)} old`;
  return recoveryPoint.kept ? text : { text, style: "red" };
}

function drillCell({ spare, lastDrill }: GuestStatus): Cell {
  if (lastDrill === undefined) return spare === undefined ? "-" : { text: "never", style: "dim" };
  const took = lastDrill.recoveryTimeSeconds === undefined ? "" : `, ${formatDuration(lastDrill.recoveryTimeSeconds)}`;
  const text = `${lastDrill.ok ? "ok" : "failed"} ${formatDuration(lastDrill.ageSeconds)} ago${took}`;
  return { text, style: lastDrill.ok ? (lastDrill.overdue ? "yellow" : "green") : "red" };
}

function problems({ servers, guests, backups }: SiteStatus, width: number, paint: Paint): string[] {
  const named = [...Object.values(servers), ...Object.values(guests)].flatMap(({ name, problems: found }) =>
    found.map((text) => `${name}: ${text}`),
  );
  return [...named, ...(backups?.problems ?? [])].flatMap((text) =>
    wrapText(text, width - 2).map((line, index) =>
      index === 0 ? paint("yellow", line) : paint("yellow", `  ${line}`),
    ),
  );
}
