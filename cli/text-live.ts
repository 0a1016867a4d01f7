/** The report of a running cluster for people at a terminal. */
import type { LiveFinding, LiveReport, ServerLoss } from "../planning/adoption/live-types";
import {
  factsLine,
  fateTone,
  fateWords,
  lossNotes,
  lossVerdict,
  MOST_URGENT,
  memoryText,
  toneStyle,
} from "./live-words";
import { type Cell, type Column, type Paint, renderTable, severityStyle, wrapText } from "./table";

export interface LiveTextOptions {
  paint: Paint;
  width: number;
  /** Headline and findings only. */
  findingsOnly?: boolean;
}

/** Headline, the most urgent things, the servers, each loss, what is left, and what would come next. */
export function liveText(report: LiveReport, options: LiveTextOptions): string {
  const sections = options.findingsOnly
    ? [headline(report, options), findings("All findings", report.findings, options)]
    : [
        headline(report, options),
        summary(report, options),
        ...report.servers.map((loss) => lossText(loss, options)),
        findings(
          report.findings.length > MOST_URGENT ? `The ${MOST_URGENT} most urgent things` : "What to do",
          report.findings.slice(0, MOST_URGENT),
          options,
        ),
        others(report.findings.slice(MOST_URGENT), options),
        next(report, options),
      ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`;
}

const title = (text: string, { paint }: LiveTextOptions): string => paint("bold", text.toUpperCase());

function headline(report: LiveReport, { paint, width }: LiveTextOptions): string[] {
  const style = report.survives ? "green" : "red";
  return [
    ...wrapText(report.headline, width).map((line) => paint("bold", paint(style, line))),
    ...wrapText(factsLine(report), width).map((line) => paint("dim", line)),
  ];
}

function summary({ servers }: LiveReport, options: LiveTextOptions): string[] {
  const columns: Column[] = [
    { title: "if it dies" },
    ...["stop", "by itself", "a person", "no room", "restore", "gone", "unknown"].map(
      (text): Column => ({ title: text, align: "right" }),
    ),
    { title: "no backup", align: "right" },
    { title: "quorum" },
  ];
  const bad = (count: number): Cell => (count === 0 ? "-" : { text: String(count), style: "red" });
  const fine = (count: number): Cell => (count === 0 ? "-" : String(count));
  const rows = servers.map(({ server, online, guests, counts, withoutBackup, quorum }): Cell[] => [
    online ? server : { text: `${server} (off)`, style: "red" },
    fine(guests.length),
    fine(counts.itself),
    fine(counts.person),
    bad(counts.noRoom),
    counts.backup === 0 ? "-" : { text: String(counts.backup), style: "yellow" },
    bad(counts.nothing),
    bad(counts.unknown),
    bad(withoutBackup),
    quorum === undefined ? "-" : quorum.quorate ? "kept" : { text: "LOST", style: "red" },
  ]);
  return [
    title("What stops with each server, and how it comes back", options),
    ...renderTable(columns, rows, options.width, options.paint),
  ];
}

function lossText(loss: ServerLoss, options: LiveTextOptions): string[] {
  const { paint, width } = options;
  const verdict = lossVerdict(loss);
  const lines = [
    `${paint("bold", loss.online ? `If ${loss.server} dies` : loss.server)}: ${paint(toneStyle[verdict.tone], verdict.text)}`,
  ];
  if (loss.guests.length > 0) {
    const columns: Column[] = [
      { title: "guest", wrap: true },
      { title: "id", align: "right" },
      { title: "memory", align: "right" },
      { title: "comes back" },
      { title: "on" },
      { title: "how", wrap: true },
    ];
    const rows = loss.guests.map((guest): Cell[] => [
      guest.title,
      String(guest.id),
      memoryText(guest),
      { text: fateWords(guest), style: toneStyle[fateTone(guest)] },
      guest.on ?? "-",
      guest.server === loss.server ? guest.how : `runs on ${guest.server}: ${guest.how}`,
    ]);
    lines.push(...renderTable(columns, rows, width - 2, paint).map((line) => `  ${line}`));
  }
  for (const note of lossNotes(loss))
    lines.push(...wrapText(note, width - 4).map((line, index) => `${index === 0 ? "  " : "    "}${line}`));
  return lines;
}

function findings(heading: string, shown: readonly LiveFinding[], options: LiveTextOptions): string[] {
  const { paint, width } = options;
  if (shown.length === 0) return [];
  const lines = [title(heading, options)];
  shown.forEach(({ severity, code, message, fix }, index) => {
    lines.push(`${String(index + 1).padStart(2)}. ${paint(severityStyle[severity], code)}`);
    lines.push(...wrapText(message, width - 4).map((line) => `    ${line}`));
    lines.push(...wrapText(`do: ${fix}`, width - 8).map((line, row) => `${row === 0 ? "    " : "        "}${line}`));
  });
  return lines;
}

/** The rest in a line each: --quiet and --json have them in full. */
function others(rest: readonly LiveFinding[], options: LiveTextOptions): string[] {
  if (rest.length === 0) return [];
  const { paint, width } = options;
  const lines = rest.flatMap(({ severity, code, message }) => {
    const [first = "", ...more] = wrapText(`${code}  ${message}`, width - 2);
    const text = [first.replace(code, paint(severityStyle[severity], code)), ...more.map((line) => `  ${line}`)];
    return text.map((line) => `  ${line}`);
  });
  return [title(`And ${rest.length} more`, options), ...lines];
}

function next({ next: steps }: LiveReport, options: LiveTextOptions): string[] {
  const lines = steps.flatMap((step) =>
    wrapText(step, options.width - 2).map((line, index) => `${index === 0 ? "- " : "  "}${line}`),
  );
  return [title("What coldspare would add", options), ...lines];
}
