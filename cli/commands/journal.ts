/** `coldspare journal`: what was done to the site, by whom, and how far it came. */
import type { JournalLine, OperationHistory } from "../../operations/journal";
import { exitCode, type Io, textWidth, UsageError, wantsColor } from "../io";
import { openSite, type SiteOptions } from "../open-site";
import { didYouMean } from "../suggest";
import { type Cell, type Column, type Paint, painter, renderTable } from "../table";

export interface JournalOptions extends SiteOptions {
  json?: boolean;
  close?: string;
  color: boolean;
}

/** What `coldspare journal --json` prints of one operation. */
interface ReportedOperation {
  id: string;
  kind: string;
  subject: string;
  by: string;
  openedAt: string;
  state: "open" | "done" | "abandoned";
  closedAt?: string;
  lines: JournalLine[];
}

export async function journal(id: string | undefined, options: JournalOptions, io: Io): Promise<number> {
  const paint = painter(wantsColor(options.color, io.stdout, io.env));
  const { operator, close } = await openSite(options, io);
  try {
    const operations = await operator.journal.operations();
    const find = (wanted: string): OperationHistory => {
      const found = operations.find((each) => each.id === wanted);
      if (found) return found;
      throw new UsageError(
        `the journal has no operation '${wanted}'${didYouMean(
          wanted,
          operations.map((each) => each.id),
        )}`,
      );
    };
    if (options.close !== undefined) {
      const found = find(options.close);
      if (found.closed !== undefined) throw new UsageError(`${found.id} has ended at ${found.closed.at}`);
      await operator.journal.write(found, {
        event: "closed",
        outcome: "abandoned",
        by: operator.by,
        text: "given up by hand",
      });
      io.stdout.write(
        `${found.id} is given up. Guests that it has blocked stay so: \`coldspare status\` names them, \`coldspare undo\` gives them back\n`,
      );
      return exitCode.fine;
    }
    const shown = id === undefined ? operations : [find(id)];
    if (options.json) {
      io.stdout.write(
        `${JSON.stringify({ formatVersion: 1, site: operator.manifest.site, operations: shown.map(reported) }, null, 2)}\n`,
      );
    } else if (id === undefined) io.stdout.write(listText(shown, textWidth(io.stdout), paint));
    else io.stdout.write(operationText(shown[0]!, paint));
    return exitCode.fine;
  } finally {
    await close();
  }
}

function stateOf({ closed }: OperationHistory): ReportedOperation["state"] {
  return closed?.outcome ?? "open";
}

function reported(operation: OperationHistory): ReportedOperation {
  const { id, kind, subject, by, openedAt, closed, lines } = operation;
  return { id, kind, subject, by, openedAt, state: stateOf(operation), ...(closed && { closedAt: closed.at }), lines };
}

const stateStyle = { open: "yellow", done: "green", abandoned: "dim" } as const;

function listText(operations: readonly OperationHistory[], width: number, paint: Paint): string {
  if (operations.length === 0) return "nothing was done to this site yet\n";
  const columns: Column[] = [
    { title: "begun" },
    { title: "operation", wrap: true },
    { title: "state" },
    { title: "steps", align: "right" },
    { title: "by", wrap: true },
  ];
  const rows = operations.map((operation): Cell[] => {
    const state = stateOf(operation);
    return [
      operation.openedAt.slice(0, 19).replace("T", " "),
      operation.id,
      { text: state, style: stateStyle[state] },
      String(operation.done.size),
      operation.by,
    ];
  });
  return `${renderTable(columns, rows, width, paint).join("\n")}\n`;
}

function operationText(operation: OperationHistory, paint: Paint): string {
  const { id, kind, subject, by, openedAt, lines } = operation;
  const state = stateOf(operation);
  const head = [
    paint("bold", id),
    `${kind} of ${subject}, begun by ${by} at ${openedAt}: ${paint(stateStyle[state], state)}`,
    "",
  ];
  return `${[...head, ...lines.flatMap((line) => lineText(line, paint))].join("\n")}\n`;
}

function lineText(line: JournalLine, paint: Paint): string[] {
  const at = paint("dim", line.at.slice(11, 19));
  switch (line.event) {
    case "opened":
      return [];
    case "resumed":
      return [`${at}  resumed by ${line.by}`];
    case "begin":
      return [];
    case "note":
      return [`${at}  ${line.guest === undefined ? "" : `${line.guest}: `}${line.text}`];
    case "closed":
      return [
        `${at}  ${paint(stateStyle[line.outcome], line.outcome)} (${line.by})${line.text === undefined ? "" : `: ${line.text}`}`,
      ];
    default: {
      const took = line.seconds === undefined || line.seconds === 0 ? "" : ` (${line.seconds} s)`;
      const style = line.event === "fail" ? "red" : "green";
      return [
        `${at}  ${paint(style, line.event.padEnd(4))} ${line.title}${took}${line.text === undefined ? "" : `: ${line.text}`}`,
      ];
    }
  }
}
