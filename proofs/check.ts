/** What a scenario claims, line by line, and the table that a sceptic can read. */
import { painter, renderTable } from "../cli/table";

export interface Claim {
  text: string;
  ok: boolean;
  /** What was seen, where it is not what was claimed. */
  seen?: string;
}

/** Collects the claims of one scenario. */
export class Check {
  readonly claims: Claim[] = [];
  /** Measured figures, shown beside the result. */
  readonly figures: string[] = [];

  that(text: string, ok: boolean, seen?: string): void {
    this.claims.push({ text, ok, ...(ok || seen === undefined ? {} : { seen }) });
  }

  equal(text: string, seen: unknown, wanted: unknown): void {
    const [a, b] = [JSON.stringify(seen), JSON.stringify(wanted)];
    this.that(text, a === b, `${a} instead of ${b}`);
  }

  figure(text: string): void {
    this.figures.push(text);
  }
}

export interface Row {
  scenario: string;
  /** What it is run with or belongs to: the way of fencing, the kind of target. */
  part: string;
  seconds: number;
  claims: Claim[];
  figures: string[];
}

/** @param partTitle Title of the second column. */
export function table(rows: readonly Row[], partTitle: string): string[] {
  const columns = [
    { title: "scenario", wrap: true },
    { title: partTitle },
    { title: "claims", align: "right" as const },
    { title: "result" },
    { title: "seconds", align: "right" as const },
    { title: "measured", wrap: true },
  ];
  const cells = rows.map(({ scenario, part, seconds, claims, figures }) => {
    const held = claims.filter(({ ok }) => ok).length;
    return [
      scenario,
      part,
      `${held}/${claims.length}`,
      held === claims.length ? "passed" : "FAILED",
      seconds.toFixed(0),
      figures.join("; "),
    ];
  });
  return renderTable(columns, cells, 140, painter(false));
}

const HEAD = ["claims", "result", "seconds", "measured", "run on"];

/**
 * The same as Markdown, for docs/proofs/. Scenarios that were not run now keep the row that they have in `before`, with its date.
 */
export function markdown(
  rows: readonly Row[],
  before: string,
  date: string,
  partTitle: string,
): { table: string; verdict: string } {
  const now = rows.map(({ scenario, part, seconds, claims, figures }) => {
    const held = claims.filter(({ ok }) => ok).length;
    const result = held === claims.length ? "passed" : "**FAILED**";
    return [scenario, part, `${held}/${claims.length}`, result, seconds.toFixed(0), figures.join("; "), date];
  });
  const key = ([scenario, part]: string[]) => `${part}: ${scenario}`;
  const byKey = new Map([...rowsIn(before), ...now].map((cells) => [key(cells), cells]));
  const cells = [...byKey.values()];
  const counts = cells.map((each) => each[2]!.split("/").map(Number));
  const held = counts.reduce((sum, [ok = 0]) => sum + ok, 0);
  const all = counts.reduce((sum, [, of = 0]) => sum + of, 0);
  const line = (each: readonly string[]) => `| ${each.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  const head = ["scenario", partTitle, ...HEAD];
  const table = [line(head), `|${"---|".repeat(head.length)}`, ...cells.map(line)].join("\n");
  return { table, verdict: `${held} passed, ${all - held} failed` };
}

/** Cells of a table that was written before. */
function rowsIn(page: string): string[][] {
  return page.split("\n").flatMap((line) => {
    const cells = line.startsWith("| ") ? line.slice(2, -2).split(/(?<!\\) \| /) : [];
    return cells.length === HEAD.length + 2 && cells[0] !== "scenario"
      ? [cells.map((cell) => cell.replaceAll("\\|", "|"))]
      : [];
  });
}
