import type { MethodSchema } from "./types";

/** What of one endpoint (`PUT /nodes/{node}/qemu/{vmid}/config`) has been used. */
export interface EndpointCoverage {
  endpoint: string;
  /** Whether the lab has a handler for it. */
  handled: boolean;
  /** How often it was called. */
  calls: number;
  /** Parameters that calls have carried, as the schema names them (`net[n]` once for all numbers). */
  seen: string[];
  /** How many parameters the schema knows there. */
  known: number;
}

/** How much of the published API the lab answers, and how much of that has been used. */
export interface CoverageReport {
  /** Version of PVE that the schema describes. */
  version: string;
  endpoints: { handled: number; called: number; all: number };
  /** Over the endpoints that are handled. */
  parameters: { seen: number; all: number };
  /** One entry for each endpoint that is handled or was called, sorted by path. */
  perEndpoint: EndpointCoverage[];
  /** Handlers for endpoints that the schema does not know: mistakes of the lab, or ways round the API. */
  notInSchema: string[];
  /** Named formats that are accepted without a check. */
  uncheckedFormats: string[];
}

/** Counts what has been asked for. */
export class CoverageLog {
  private readonly used = new Map<string, { calls: number; seen: Set<string> }>();

  /** @param parameters - names as the schema has them */
  record(endpoint: string, parameters: Iterable<string>): void {
    let entry = this.used.get(endpoint);
    if (!entry) {
      entry = { calls: 0, seen: new Set() };
      this.used.set(endpoint, entry);
    }
    entry.calls++;
    for (const name of parameters) entry.seen.add(name);
  }

  /** @param handled - endpoints that the lab answers, as `METHOD /template` */
  report(
    version: string,
    endpoints: ReadonlyMap<string, MethodSchema>,
    handled: Iterable<string>,
    uncheckedFormats: Iterable<string>,
  ): CoverageReport {
    const handlers = new Set(handled);
    const perEndpoint: EndpointCoverage[] = [];
    const parameters = { seen: 0, all: 0 };
    for (const [endpoint, schema] of endpoints) {
      const used = this.used.get(endpoint);
      if (!used && !handlers.has(endpoint)) continue;
      const known = Object.keys(schema.parameters ?? {}).length;
      const seen = [...(used?.seen ?? [])].sort();
      perEndpoint.push({ endpoint, handled: handlers.has(endpoint), calls: used?.calls ?? 0, seen, known });
      if (handlers.has(endpoint)) {
        parameters.seen += seen.length;
        parameters.all += known;
      }
    }
    const path = (entry: EndpointCoverage) => entry.endpoint.split(" ").reverse().join(" ");
    perEndpoint.sort((a, b) => (path(a) < path(b) ? -1 : 1));
    return {
      version,
      endpoints: {
        handled: perEndpoint.filter((entry) => entry.handled).length,
        called: perEndpoint.filter((entry) => entry.calls > 0).length,
        all: endpoints.size,
      },
      parameters,
      perEndpoint,
      notInSchema: [...handlers].filter((endpoint) => !endpoints.has(endpoint)).sort(),
      uncheckedFormats: [...uncheckedFormats].sort(),
    };
  }
}

/** The report as a table for people; the first line is the summary. */
export function formatCoverage(report: CoverageReport): string {
  const { endpoints, parameters } = report;
  const width = Math.max(8, ...report.perEndpoint.map((entry) => entry.endpoint.length));
  const row = (endpoint: string, handled: string, calls: string, seen: string) =>
    `${endpoint.padEnd(width)}  ${handled.padEnd(7)}  ${calls.padStart(6)}  ${seen.padStart(10)}`;
  return [
    `PVE API ${report.version}: ${endpoints.handled} of ${endpoints.all} endpoints answered, ${endpoints.called} called; ` +
      `${parameters.seen} of ${parameters.all} parameters of the answered ones seen`,
    row("endpoint", "handled", "calls", "parameters"),
    ...report.perEndpoint.map((entry) =>
      row(entry.endpoint, entry.handled ? "yes" : "no", String(entry.calls), `${entry.seen.length} of ${entry.known}`),
    ),
    ...(report.notInSchema.length > 0 ? [`not in the schema: ${report.notInSchema.join(", ")}`] : []),
    ...(report.uncheckedFormats.length > 0
      ? [`formats accepted unchecked: ${report.uncheckedFormats.join(", ")}`]
      : []),
  ].join("\n");
}
