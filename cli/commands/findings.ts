/** `coldspare findings`: the catalogue of what a plan can report and a command can refuse, or one entry of it. */
import { operationFindings } from "../../operations/refusals";
import { liveFindings } from "../../planning/adoption/live-catalogue";
import { type CatalogueEntry, FindingCatalogue } from "../../planning/catalogue";
import { type Io, textWidth, UsageError, wantsColor } from "../io";
import { didYouMean } from "../suggest";
import { type Cell, type Paint, painter, renderTable, severityStyle, wrapText } from "../table";

export interface FindingsOptions {
  json?: boolean;
  color: boolean;
}

/** Prints one entry, or all. @throws UsageError for a code that does not exist, with the nearest that does. */
export function explainFindings(code: string | undefined, options: FindingsOptions, io: Io): void {
  const entries = Object.entries<CatalogueEntry>({ ...FindingCatalogue, ...liveFindings, ...operationFindings });
  const shown = code === undefined ? entries : [entryOf(code, entries)];
  const paint = painter(wantsColor(options.color, io.stdout, io.env));
  const width = textWidth(io.stdout);
  if (options.json) io.stdout.write(`${JSON.stringify(Object.fromEntries(shown), null, 2)}\n`);
  else if (code === undefined) io.stdout.write(listText(shown, width, paint));
  else for (const entry of shown) io.stdout.write(entryText(entry, width, paint));
}

function entryOf(code: string, entries: [string, CatalogueEntry][]): [string, CatalogueEntry] {
  const entry = entries.find(([known]) => known === code.toUpperCase());
  if (entry !== undefined) return entry;
  const near = didYouMean(
    code,
    entries.map(([known]) => known),
  );
  throw new UsageError(`there is no finding '${code}'${near || "; 'coldspare findings' lists all of them"}`);
}

function listText(entries: [string, CatalogueEntry][], width: number, paint: Paint): string {
  const rows = entries.map(([code, { severity, title }]): Cell[] => [
    code,
    { text: severity, style: severityStyle[severity] },
    title,
  ]);
  const columns = [{ title: "code" }, { title: "severity" }, { title: "what it says", wrap: true }];
  return `${renderTable(columns, rows, width, paint).join("\n")}\n`;
}

function entryText([code, entry]: [string, CatalogueEntry], width: number, paint: Paint): string {
  const indented = (label: string, text: string): string[] =>
    text === "" ? [] : ["", ...wrapText(`${label}${text}`, width - 2).map((line) => `  ${line}`)];
  const lines = [
    `${paint("bold", code)}  ${paint(severityStyle[entry.severity], entry.severity)}`,
    ...wrapText(entry.title, width),
    ...indented("", entry.explanation),
    ...indented("example: ", entry.example),
    ...indented("fix: ", entry.fix),
  ];
  return `${lines.join("\n")}\n`;
}
