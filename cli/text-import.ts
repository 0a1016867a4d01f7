/** What `coldspare import` says: what was taken over, what was not and why, what the plan finds, what to type next. */
import type { ComparedPart } from "../planning/adoption/compare";
import type { Interpretation } from "../planning/adoption/interpretation";
import type { ClusterSnapshot } from "../planning/adoption/snapshot";
import type { Finding } from "../planning/plan";
import { type Cell, type Paint, renderTable, type Style, severityStyle, wrapText } from "./table";
import { findingCounts } from "./text";

export interface ImportSummary {
  snapshot: ClusterSnapshot;
  interpretation: Interpretation;
  findings: readonly Finding[];
  seconds: number;
  /** The folder that was written; absent: nothing was. */
  folder?: string;
  /** What would have been written, with --dry-run. */
  wouldBe?: string;
}

interface Look {
  paint: Paint;
  width: number;
}

const MOST = 12;

export function importText(summary: ImportSummary, look: Look): string {
  return `${[
    ...headline(summary, look),
    ...notTaken(summary, look),
    ...leftAsItIs(summary, look),
    ...findings(summary, look),
    ...next(summary),
  ].join("\n")}\n`;
}

function headline({ snapshot, interpretation, seconds }: ImportSummary, { paint, width }: Look): string[] {
  const { site, guests } = interpretation;
  const count = (record: object | undefined, noun: string) => amount(Object.keys(record ?? {}).length, noun);
  const taken = guests.filter(({ name }) => name !== undefined).length;
  const storages = new Set([
    ...Object.keys(site.storages ?? {}),
    ...Object.values(site.servers).flatMap((server) => Object.keys(server.storages ?? {})),
  ]);
  const parts = [
    `${taken} of ${amount(guests.length, "guest")}`,
    count(site.servers, "server"),
    amount(storages.size, "storage"),
    count(site.networks, "network"),
    count(site.backups, "backup job"),
  ];
  const read = `${site.site.name}: Proxmox VE ${snapshot.version}, read in ${seconds.toFixed(1)} s; nothing on it was changed`;
  return [
    paint("bold", read),
    ...wrapText(`taken over as they are: ${parts.join(", ")}`, width),
    ...(snapshot.quorate ? [] : [paint("yellow", "the cluster has no quorum: what is off could not be read")]),
  ];
}

function notTaken({ interpretation: { guests } }: ImportSummary, { paint, width }: Look): string[] {
  const refused = guests.filter(({ name }) => name === undefined);
  if (refused.length === 0) return [];
  const rows = refused.map(({ vmid, title, node, reason }): Cell[] => [String(vmid), title, node, reason ?? ""]);
  const columns = [
    { title: "id" },
    { title: "guest", wrap: true },
    { title: "on" },
    { title: "why, and what to do", wrap: true },
  ];
  return ["", paint("bold", "Not taken over, and not touched"), ...renderTable(columns, rows, width, paint)];
}

function leftAsItIs({ interpretation: { guests, left } }: ImportSummary, { paint, width }: Look): string[] {
  const withRest = guests.filter((guest) => guest.left.length > 0);
  const rows: Cell[][] = left.slice(0, MOST).map(({ subject, what }) => [subject, what]);
  if (left.length > MOST) rows.push([`${left.length - MOST} more`, "all of it stands at the end of site.yaml"]);
  if (withRest.length > 0)
    rows.push([amount(withRest.length, "guest"), "settings without a word; they stand above each guest in site.yaml"]);
  if (rows.length === 0) return [];
  const columns = [
    { title: "what", wrap: true },
    { title: "what that means", wrap: true },
  ];
  return [
    "",
    paint("bold", "Left as it is: the specification does not say it"),
    ...renderTable(columns, rows, width, paint),
  ];
}

/** Each kind of finding once: an imported site has many of the same. */
function findings({ findings: all }: ImportSummary, { paint, width }: Look): string[] {
  const groups = new Map<string, Finding[]>();
  for (const finding of all.filter(({ severity }) => severity !== "info"))
    groups.set(finding.code, [...(groups.get(finding.code) ?? []), finding]);
  if (groups.size === 0) return ["", paint("green", "The plan finds nothing wrong.")];
  const rows = [...groups].map(([code, group]): Cell[] => [
    { text: code, style: severityStyle[group[0]?.severity ?? "warning"] },
    String(group.length),
    group[0]?.message ?? "",
  ]);
  const columns = [
    { title: "finding" },
    { title: "times", align: "right" as const },
    { title: "for example", wrap: true },
  ];
  return ["", paint("bold", `What the plan finds: ${findingCounts(all)}`), ...renderTable(columns, rows, width, paint)];
}

function next({ folder, wouldBe, findings: all }: ImportSummary): string[] {
  if (folder === undefined)
    return ["", `Nothing was written${wouldBe === undefined ? "" : `; without --dry-run: ${wouldBe}`}.`];
  const stops = all.some(({ severity }) => severity === "error");
  return [
    "",
    `${folder} is written. Go on with:`,
    "",
    `  cd ${folder}`,
    "  npm install",
    `  npx coldspare check                               ${stops ? "the errors have to be settled first" : "every finding, with what to change"}`,
    "  pulumi config set --secret coldspare:apiToken     the token is in no file of that folder",
    "  npx coldspare adopt                               into the state, untouched",
    "",
    `${folder}/README.md says each step, up to the first drill.`,
  ];
}

const STYLE: Readonly<Record<ComparedPart["state"], { word: string; style: Style }>> = {
  exists: { word: "exists", style: "green" },
  differs: { word: "differs", style: "red" },
  missing: { word: "missing", style: "red" },
  beside: { word: "beside", style: "yellow" },
};

/** A specification beside its cluster. */
export function comparisonText(site: string, parts: readonly ComparedPart[], { paint, width }: Look): string {
  const of = (state: ComparedPart["state"]) => parts.filter((part) => part.state === state);
  const order = ["missing", "differs", "beside", "exists"] as const;
  const rows = order.flatMap((state) =>
    of(state).map(({ subject, note }): Cell[] => [
      { text: STYLE[state].word, style: STYLE[state].style },
      subject,
      note ?? "",
    ]),
  );
  const columns = [{ title: "state" }, { title: "what", wrap: true }, { title: "note", wrap: true }];
  const open = of("missing").length + of("differs").length;
  return `${[
    paint(
      "bold",
      `${site}: ${amount(of("exists").length, "part")} of the specification ${of("exists").length === 1 ? "exists" : "exist"} on the cluster, ${of("missing").length} missing, ${of("differs").length} different, ${of("beside").length} beside it`,
    ),
    "",
    ...renderTable(columns, rows, width, paint),
    "",
    ...wrapText(
      open === 0
        ? "`coldspare adopt` takes all of it into a new state, and changes nothing on the servers."
        : "`coldspare adopt` takes what exists into a new state. Settle the rest first, or `pulumi up` would make what is missing and change what differs; `pulumi preview` shows it.",
      width,
    ),
    ...(of("beside").length === 0 ? [] : wrapText("What stands beside the specification is never touched.", width)),
  ].join("\n")}\n`;
}

function amount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
