/**
 * Work on one server as one story: everything away, the work, and back what was moved for it. The operation stays open in the
 * journal while the work goes on, for hours or days, and whoever looks there finds it, with what it moved.
 */
import type { Finding } from "../planning";
import type { SiteManifest } from "../planning/manifest";
import { list } from "../planning/units";
import type { Operator } from "./context";
import { returnSteps } from "./failback";
import { type DivergedChoice, planReturn, type ReturnPlan } from "./failback-plan";
import { failoverSteps } from "./failover";
import { failoverFacts } from "./failover-facts";
import type { OperationHistory } from "./journal";
import { type LiveSite, readLive } from "./live";
import { manifestFindings } from "./manifest-age";
import { type FailoverPlan, type FailoverRequest, planFailover } from "./plan-failover";
import { refusal } from "./refusals";
import { type RunOptions, runSteps, type Step } from "./steps";
import { agreed } from "./voters";

/** What a maintenance does; kept in its journal. */
export interface MaintenancePlan {
  formatVersion: 1;
  server: string;
  /** Guests that it moves away, and brings back. */
  guests: string[];
  away: FailoverPlan;
}

/** - `leaving`: guests are being moved away, or that was left in the middle - `working`: nothing of the site runs there - `returning` */
export type MaintenancePhase = "leaving" | "working" | "returning";

export interface OpenMaintenance {
  operation: OperationHistory;
  plan: MaintenancePlan;
  phase: MaintenancePhase;
  /** Fixed when the return was begun. */
  back?: Way;
}

/** The way back: guests that come home, and guests that had failed over to this server before the work. */
export interface Way {
  home?: ReturnPlan;
  /** By the server that they are on meanwhile. */
  again: FailoverPlan[];
}

export interface PlannedWay extends Way {
  refusals: Finding[];
  warnings: Finding[];
}

const KIND = "maintenance";
const AWAY = "away";
const BACK = "back";
/** Steps that only mark a place in the journal. */
const LEFT = "left";

/** Every maintenance that was begun and not ended, newest first. */
export async function openMaintenances(operator: Operator): Promise<OpenMaintenance[]> {
  const open = await operator.journal.openOperations();
  return open.flatMap((operation) => {
    const plan = operation.plan as Partial<MaintenancePlan> | null;
    if (operation.kind !== KIND || !Array.isArray(plan?.guests) || plan.away === undefined) return [];
    const back = wayIn(operation);
    const phase = back !== undefined ? "returning" : operation.done.has(LEFT) ? "working" : "leaving";
    return [{ operation, plan: plan as MaintenancePlan, phase, ...(back && { back }) } satisfies OpenMaintenance];
  });
}

function wayIn({ lines }: OperationHistory): Way | undefined {
  const noted = lines.flatMap((line) => (line.event === "note" && line.data !== undefined ? [line.data] : []));
  const found = noted.find((data): data is { way: Way } => typeof data === "object" && data !== null && "way" in data);
  return found?.way;
}

/** Everything that is active on the server, away from it, with a last synchronisation. */
export async function planLeaving(
  operator: Operator,
  server: string,
): Promise<{ plan: MaintenancePlan; refusals: Finding[]; warnings: Finding[] }> {
  const live = await readLive(operator);
  const { plan: away, refusals, warnings } = await plannedFailover(operator, live, server, []);
  return { plan: { formatVersion: 1, server, guests: away.moves.map(({ guest }) => guest), away }, refusals, warnings };
}

async function plannedFailover(operator: Operator, live: LiveSite, server: string, guests: readonly string[]) {
  const request: FailoverRequest = { server, guests, planned: true, acceptStale: false, forceFence: false };
  const open = (await operator.journal.openOperations()).filter(({ kind }) => kind !== KIND);
  return planFailover(operator.manifest, live, await failoverFacts(operator, live, request, open), request);
}

/** Back what was moved, as far as it is still where it was moved to: what a person moved on meanwhile is theirs. */
export async function planReturning(
  operator: Operator,
  { server, away }: MaintenancePlan,
  options: { stopSeconds: number; forceStop: boolean; diverged?: DivergedChoice },
): Promise<PlannedWay> {
  const { manifest } = operator;
  const live = await readLive(operator);
  const there = away.moves.filter(({ guest, to }) => live.guests[guest]?.activeServer === to);
  const elsewhere = away.moves.filter((move) => !there.includes(move));
  const warnings = elsewhere
    .filter(({ guest }) => live.guests[guest]?.activeServer !== server)
    .map(({ guest, to }) => movedOn(guest, to, live.guests[guest]?.activeServer));
  const home = there.filter(({ guest }) => manifest.guests[guest]?.primary === server).map(({ guest }) => guest);
  const others = there.filter(({ guest }) => !home.includes(guest));
  const refusals = manifestFindings(manifest, live);
  let homePlan: ReturnPlan | undefined;
  if (home.length > 0) {
    const { diverged = oldSidesOf(manifest, live, server, home), ...how } = options;
    const request = { kind: "failback" as const, subjects: home, ...how, ...(diverged && { diverged }) };
    homePlan = planReturn(manifest, live, request);
    refusals.push(...homePlan.refusals);
    warnings.push(...homePlan.warnings);
  }
  const again: FailoverPlan[] = [];
  for (const from of [...new Set(others.map(({ to }) => to))].sort()) {
    const names = others.filter(({ to }) => to === from).map(({ guest }) => guest);
    const planned = await plannedFailover(operator, live, from, names);
    refusals.push(...planned.refusals);
    warnings.push(...planned.warnings);
    again.push(planned.plan);
  }
  return { ...(homePlan && { home: homePlan }), again, refusals, warnings };
}

/**
 * The guests were shut down before they were moved: the old side has nothing that did not go along. Unless a guest was switched
 * again since, by somebody else: then a person has to say what becomes of what lies there.
 */
function oldSidesOf(
  { guests }: SiteManifest,
  { readings }: LiveSite,
  server: string,
  home: readonly string[],
): DivergedChoice | undefined {
  const byUs = (name: string) => agreed(guests[name]!, readings)?.by.startsWith(`${KIND}-${server}-`) === true;
  return home.every(byUs) ? "discard" : undefined;
}

function movedOn(guest: string, to: string, now: string | undefined): Finding {
  return {
    ...refusal(
      "OPERATION-MOVED-ON",
      guest,
      `${guest} was moved to ${to}, and is on ${now ?? "an unknown server"} now: it is left alone`,
      `see \`coldspare status\`; \`coldspare failback ${guest}\` brings it home`,
    ),
    severity: "warning",
  };
}

/** Begins, or goes on with, the way away. The operation stays open afterwards. */
export async function leave(
  operator: Operator,
  plan: MaintenancePlan,
  open: OpenMaintenance | undefined,
  options: Omit<RunOptions, "done"> = {},
): Promise<void> {
  const { journal, by } = operator;
  const operation = open?.operation ?? (await journal.open(KIND, plan.server, by, plan));
  if (open !== undefined) await journal.write(operation, { event: "resumed", by });
  const steps = leavingSteps(operator, operation, plan);
  await runSteps(operator, operation, steps, { ...options, done: open?.operation.done ?? new Set() });
}

export function leavingSteps(
  operator: Operator,
  operation: Parameters<typeof failoverSteps>[1],
  { server, away }: MaintenancePlan,
): Step[] {
  const left: Step = {
    id: LEFT,
    title: `${server} is free: do the work`,
    seconds: 0,
    moot: async ({ failed }) =>
      failed.size > 0 ? `${server} is not free: ${list([...failed.keys()])} could not be moved away` : undefined,
    run: async () => undefined,
  };
  return [...failoverSteps(operator, operation, away).map(prefixed(AWAY)), left];
}

/** The way back of an open maintenance, and its end. */
export async function returnFrom(
  operator: Operator,
  open: OpenMaintenance,
  planned: Way,
  options: Omit<RunOptions, "done"> = {},
): Promise<void> {
  const { journal, by } = operator;
  const { operation } = open;
  const way = open.back ?? plain(planned);
  if (open.back === undefined) await journal.write(operation, { event: "note", text: "the way back", data: { way } });
  else await journal.write(operation, { event: "resumed", by });
  await runSteps(operator, operation, returningSteps(operator, operation, way), { ...options, done: operation.done });
  await journal.write(operation, { event: "closed", outcome: "done", by });
}

export function returningSteps(operator: Operator, operation: OperationHistory, { home, again }: Way): Step[] {
  return [
    ...(home === undefined ? [] : returnSteps(operator, operation, home)),
    ...again.flatMap((plan) => failoverSteps(operator, operation, plan)),
  ].map(prefixed(BACK));
}

/** Both ways have steps of the same names. */
function prefixed(way: string): (step: Step) => Step {
  return (step) => ({ ...step, id: `${way}-${step.id}` });
}

function plain({ home, again }: Way): Way {
  return { ...(home && { home: { ...home, refusals: [], warnings: [] } }), again };
}
