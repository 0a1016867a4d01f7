/** What a scenario claims, line by line, and the table that a sceptic can read. */
import { painter, renderTable } from "../../cli/table";

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
  fencing: string;
  seconds: number;
  claims: Claim[];
  figures: string[];
}

export function table(rows: readonly Row[]): string[] {
  const columns = [
    { title: "scenario", wrap: true },
    { title: "fencing" },
    { title: "claims", align: "right" as const },
    { title: "result" },
    { title: "seconds", align: "right" as const },
    { title: "measured", wrap: true },
  ];
  const cells = rows.map(({ scenario, fencing, seconds, claims, figures }) => {
    const held = claims.filter(({ ok }) => ok).length;
    return [
      scenario,
      fencing,
      `${held}/${claims.length}`,
      held === claims.length ? "passed" : "FAILED",
      seconds.toFixed(0),
      figures.join("; "),
    ];
  });
  return renderTable(columns, cells, 140, painter(false));
}

/** The same as Markdown, for docs/proofs/. */
export function markdown(rows: readonly Row[]): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  const lines = rows.map(({ scenario, fencing, seconds, claims, figures }) => {
    const held = claims.filter(({ ok }) => ok).length;
    const result = held === claims.length ? "passed" : "**FAILED**";
    return line([scenario, fencing, `${held}/${claims.length}`, result, seconds.toFixed(0), figures.join("; ")]);
  });
  return [
    line(["scenario", "fencing", "claims", "result", "seconds", "measured"]),
    "|---|---|---|---|---|---|",
    ...lines,
  ].join("\n");
}
