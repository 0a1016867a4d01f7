/**
 * `pulumi up` while a server is dead. The engine would ask that server for everything that lives on it, and fail; so what lives
 * there is left out, and nothing whatever is deleted or replaced until it is back. Pure but for {@link runUp}.
 */
import { stripVTControlCharacters } from "node:util";
import type { Finding } from "../planning";
import type { SiteManifest } from "../planning/manifest";
import { byName, list } from "../planning/units";
import type { LiveSite } from "./live-types";
import { refusal } from "./refusals";
import type { Engine, EngineCall } from "./up-engine";

/** What is needed of a resource in `pulumi stack export`. */
export interface StateResource {
  urn: string;
  type: string;
  custom?: boolean;
  parent?: string;
  inputs?: Record<string, unknown>;
  outputs?: Record<string, unknown>;
}

/** What must be known of the site as it is now. */
export interface UpFacts {
  /** Hypervisors and other servers that do not answer. */
  dead: readonly string[];
  /** The server on which each guest's configuration is now, by guest; absent where nobody could be asked. */
  seats: Readonly<Record<string, string | undefined>>;
  /** Server through which the API is reached. */
  endpoint?: string;
}

/** A resource, or all resources of a name, that this update leaves alone. */
export interface LeftOut {
  /** What `--exclude` is given: a URN, or a pattern for what is not in the state yet. */
  urn: string;
  name: string;
  server: string;
  why: string;
}

export interface UpPlan {
  leftOut: LeftOut[];
  /** Guests that are on another server than the state says: the state must be refreshed first. */
  moved: string[];
  refusals: Finding[];
  args: string[];
}

/** The name at the end of a URN. */
export const nameOf = (urn: string): string => urn.slice(urn.lastIndexOf("::") + 2);

/**
 * What to leave out, and with which arguments Pulumi is called.
 *
 * @param extra Arguments of the person's own, after `--`.
 */
export function planUp(
  manifest: SiteManifest,
  resources: readonly StateResource[],
  facts: UpFacts,
  extra: readonly string[] = [],
): UpPlan {
  const dead = new Set(facts.dead);
  const refusals =
    facts.endpoint === undefined
      ? [
          refusal(
            "OPERATION-UP-NO-SERVER",
            manifest.site,
            `no hypervisor of ${manifest.site} answers, so there is nobody to change anything at`,
            "bring a hypervisor back, or mend the way to it; `coldspare status` says how each of them is reached",
          ),
        ]
      : [];
  const leftOut =
    dead.size === 0 ? [] : [...known(manifest, resources, facts, dead), ...unmade(manifest, resources, facts, dead)];
  const moved = movedGuests(manifest, resources, facts, dead);
  return { leftOut, moved, refusals, args: [...refreshArgs(moved, dead, extra), ...excludeArgs(leftOut), ...extra] };
}

/** The resources of the state that live on a dead server. */
function known(
  manifest: SiteManifest,
  resources: readonly StateResource[],
  facts: UpFacts,
  dead: ReadonlySet<string>,
): LeftOut[] {
  return resources
    .filter(({ custom, type }) => custom !== false && !type.startsWith("pulumi:"))
    .flatMap((resource) => {
      const reason = whyLeftOut(manifest, resource, facts, dead);
      return reason === undefined ? [] : [{ urn: resource.urn, name: nameOf(resource.urn), ...reason }];
    })
    .sort((a, b) => byName(a.server, b.server) || byName(a.urn, b.urn));
}

type Reason = Pick<LeftOut, "server" | "why">;

function whyLeftOut(
  manifest: SiteManifest,
  { urn, parent, inputs = {}, outputs = {} }: StateResource,
  facts: UpFacts,
  dead: ReadonlySet<string>,
): Reason | undefined {
  const name = nameOf(urn);
  const owner = Object.keys(manifest.guests).find((guest) => childrenOf(guest).includes(name));
  if (owner !== undefined) return guestReason(manifest, owner, name, facts, dead);
  const component = parent === undefined ? undefined : /coldspare:index:PhysicalServer::(.+)$/.exec(parent)?.[1];
  const server = component ?? firstText(outputs.nodeName, inputs.nodeName, inputs.node, inputs.server);
  if (server !== undefined && dead.has(server)) return { server, why: `it is a setting of ${server}` };
  const guarded = Object.keys(manifest.servers).find((each) => name === `${each}-guard`);
  if (guarded !== undefined && dead.has(guarded)) return { server: guarded, why: `it is installed on ${guarded}` };
  const nodes = textsOf(outputs.nodes ?? inputs.nodes);
  const only = nodes.find((node) => dead.has(node));
  if (only !== undefined && nodes.every((node) => dead.has(node)))
    return { server: only, why: `only ${list(nodes)} has it` };
  return undefined;
}

/** Names of the resources that a guest consists of; see the components. */
function childrenOf(guest: string): string[] {
  return ["vm", "container", "replication", "standby", "registered"].map((role) => `${guest}-${role}`);
}

function guestReason(
  manifest: SiteManifest,
  guest: string,
  name: string,
  facts: UpFacts,
  dead: ReadonlySet<string>,
): Reason | undefined {
  const { primary, spare } = manifest.guests[guest]!;
  const gone = [primary, spare].find((server) => server !== undefined && dead.has(server));
  // A job between two servers cannot be changed while one of them is away: Proxmox VE waits for it, without end.
  if (name.endsWith("-replication")) {
    return gone === undefined ? undefined : { server: gone, why: `the pair needs both ${primary} and ${spare}` };
  }
  // Its settings are taken from the one and written on the other.
  if (name.endsWith("-registered")) {
    return gone === undefined ? undefined : { server: gone, why: `it is ${primary}'s guest, registered on ${spare}` };
  }
  if (name.endsWith("-standby")) {
    return spare !== undefined && dead.has(spare)
      ? { server: spare, why: `${guest}'s standby is on ${spare}` }
      : undefined;
  }
  const seat = seatOf(manifest, guest, facts);
  return dead.has(seat) ? { server: seat, why: `${guest} is on ${seat}` } : undefined;
}

/** Where the guest's own id is: it may have failed over since the state was written. */
function seatOf(manifest: SiteManifest, guest: string, { seats }: UpFacts): string {
  // On both servers, and the one that the program makes is the primary's.
  if (manifest.guests[guest]!.method === "zfs-sync") return manifest.guests[guest]!.primary;
  return (Object.hasOwn(seats, guest) ? seats[guest] : undefined) ?? manifest.guests[guest]!.primary;
}

/** What the program would make on a dead server for the first time: not in the state, so left out by its name. */
function unmade(
  manifest: SiteManifest,
  resources: readonly StateResource[],
  facts: UpFacts,
  dead: ReadonlySet<string>,
): LeftOut[] {
  const there = new Set(resources.map(({ urn }) => nameOf(urn)));
  const guests = Object.keys(manifest.guests)
    .sort(byName)
    .flatMap((guest) =>
      childrenOf(guest).flatMap((name) => {
        if (there.has(name)) return [];
        const reason = guestReason(manifest, guest, name, facts, dead);
        return reason === undefined || !isMade(manifest, guest, name) ? [] : [{ urn: `**::${name}`, name, ...reason }];
      }),
    );
  const servers = [...dead].filter((server) => Object.hasOwn(manifest.servers, server)).sort(byName);
  const ofServers = servers.flatMap((server) =>
    SERVER_RESOURCES.map((what) => ({
      urn: `**coldspare:index:PhysicalServer$**::${server}-${what}`,
      name: `${server}-${what}`,
      server,
      why: `it would be made on ${server}`,
    })),
  );
  return [...guests, ...ofServers];
}

/** As the component of a server names them. */
const SERVER_RESOURCES = ["bridge-*", "vlan-*", "storage-*", "image-*", "dns", "time", "guard"];

function isMade(manifest: SiteManifest, guest: string, name: string): boolean {
  const { kind, method } = manifest.guests[guest]!;
  const roles = [
    kind === "qemu" ? "vm" : "container",
    ...(method === "storage-replication" ? ["replication"] : []),
    ...(method === "restore" ? ["standby"] : []),
    ...(method === "zfs-sync" ? ["registered"] : []),
  ];
  return roles.some((role) => name === `${guest}-${role}`);
}

/** Guests that the state has on a dead server, and that are on a live one now. */
function movedGuests(
  manifest: SiteManifest,
  resources: readonly StateResource[],
  facts: UpFacts,
  dead: ReadonlySet<string>,
): string[] {
  return Object.keys(manifest.guests)
    .filter((guest) => {
      const seat = seatOf(manifest, guest, facts);
      const names = [`${guest}-vm`, `${guest}-container`];
      const resource = resources.find(({ urn }) => names.includes(nameOf(urn)));
      const recorded = firstText(resource?.outputs?.nodeName, resource?.inputs?.nodeName);
      return recorded !== undefined && recorded !== seat && !dead.has(seat);
    })
    .sort(byName);
}

/**
 * Without a refresh the engine would ask the provider to migrate a guest away from the dead server. A refresh by itself uses the
 * endpoint that the state remembers, which may be the dead one; with `--run-program` the program chooses one that answers.
 */
function refreshArgs(moved: readonly string[], dead: ReadonlySet<string>, extra: readonly string[]): string[] {
  const asked = extra.some((arg) => arg === "--refresh" || arg === "--refresh=true" || arg === "-r");
  const off = extra.includes("--refresh=false");
  if (off || (!asked && moved.length === 0)) return [];
  const program = dead.size === 0 || extra.some((arg) => arg.startsWith("--run-program")) ? [] : ["--run-program"];
  return asked ? program : ["--refresh", ...program];
}

function excludeArgs(leftOut: readonly LeftOut[]): string[] {
  return leftOut.flatMap(({ urn }) => ["--exclude", urn]);
}

const textsOf = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((each): each is string => typeof each === "string") : [];

function firstText(...values: unknown[]): string | undefined {
  return values.find((value): value is string => typeof value === "string" && value !== "");
}

/** What {@link planUp} needs of a site that was read. A server that answers but lets nobody in is not dead: the engine says so itself. */
export function upFacts(manifest: SiteManifest, live: LiveSite): UpFacts {
  const servers = Object.values(live.servers);
  const answers = servers.find(({ hypervisor, api }) => hypervisor && api === "up")?.name;
  const seats = Object.values(manifest.guests).map(({ name, vmid }) => {
    const seat = live.guests[name]?.seats.find((each) => each.vmid === vmid && each.config === true);
    return [name, seat?.server];
  });
  return {
    dead: servers.filter(({ hypervisor, api, ssh }) => (hypervisor ? api : ssh) === "down").map(({ name }) => name),
    seats: Object.fromEntries(seats),
    ...(answers !== undefined && { endpoint: answers }),
  };
}

/** A step of a preview that must not happen now. */
export interface ForbiddenStep {
  op: string;
  urn: string;
}

const DESTROYS = /delete|replace|discard/;

/**
 * The steps of `pulumi preview --json` that would delete or replace something. Providers are no things of the site: the
 * engine replaces them freely.
 *
 * @throws SyntaxError for what is no answer of a preview: then nothing is known, and nothing may be run
 */
export function forbiddenSteps(preview: string): ForbiddenStep[] {
  const { steps } = JSON.parse(preview) as { steps?: { op?: string; urn?: string }[] };
  if (!Array.isArray(steps)) throw new SyntaxError("the preview lists no steps");
  return steps.flatMap(({ op = "", urn = "" }) =>
    DESTROYS.test(op) && !urn.includes("::pulumi:providers:") ? [{ op, urn }] : [],
  );
}

export interface UpRun {
  plan: UpPlan;
  project: string;
  stack?: string;
  env: EngineCall["env"];
  engine: Engine;
}

export interface UpOutcome {
  /** That of Pulumi; 1 when it was not run. */
  code: number;
  refusals: Finding[];
}

/**
 * While a server is dead: looks at what the update would do, refuses if that deletes or replaces anything, and then runs it.
 *
 * @param before Called with the plan proved, before Pulumi runs in the person's terminal.
 */
export async function runUp(run: UpRun, before: () => void = () => undefined): Promise<UpOutcome> {
  const { plan, engine, project: cwd, env } = run;
  if (plan.refusals.length > 0) return { code: 1, refusals: plan.refusals };
  const stack = run.stack === undefined ? [] : ["--stack", run.stack];
  const args = [...plan.args, ...stack];
  // Where everything is alive this is `pulumi up`, which shows its own preview and asks.
  if (plan.leftOut.length > 0) {
    const refusals = await proveHarmless(run, args);
    if (refusals.length > 0) return { code: 1, refusals };
  }
  before();
  const { code, stderr } = await engine(["up", ...args], { cwd, env, terminal: true });
  return { code: code === 127 || code === 126 ? 1 : code, refusals: code === 127 ? [unreadable(stderr)] : [] };
}

async function proveHarmless({ engine, project: cwd, env }: UpRun, args: readonly string[]): Promise<Finding[]> {
  const shown = await engine(["preview", "--json", "--non-interactive", ...forPreview(args)], {
    cwd,
    env: plainJson(env),
  });
  return shown.code === 0 ? destroying(shown.stdout) : [unreadable(whyFailed(shown))];
}

/** With this set, the engine prints its steps as a stream of events, not as one document. */
function plainJson(env: EngineCall["env"]): EngineCall["env"] {
  const { PULUMI_ENABLE_STREAMING_JSON_PREVIEW: _, ...rest } = env;
  return rest;
}

/** What `up` knows and `preview` does not. */
function forPreview(args: readonly string[]): string[] {
  const only = /^(--yes|-y|--skip-preview|-f|--continue-on-error|--non-interactive|--json|-j)(=.*)?$/;
  return args.filter((arg) => !only.test(arg));
}

function destroying(preview: string): Finding[] {
  let steps: ForbiddenStep[];
  try {
    steps = forbiddenSteps(preview);
  } catch (error) {
    return [unreadable((error as Error).message)];
  }
  return steps.map(({ op, urn }) =>
    refusal(
      "OPERATION-UP-DESTROYS",
      nameOf(urn),
      `the update would ${op} ${nameOf(urn)}, and while a server is away nothing is deleted or replaced`,
      `put what changed back until the server is back, or leave it out: \`coldspare up -- --exclude '${urn}'\``,
    ),
  );
}

function unreadable(reason: string): Finding {
  return refusal(
    "OPERATION-UP-UNREADABLE",
    "pulumi preview",
    `what the update would do could not be read, so it was not run: ${reason.trim() || "no reason given"}`,
    "run `pulumi preview` by hand and mend what it says",
  );
}

/** With `--json` the engine puts its errors into the document, and nothing on its error output. */
export function whyFailed({ stdout, stderr }: { stdout: string; stderr: string }): string {
  try {
    const { diagnostics = [] } = JSON.parse(stdout) as { diagnostics?: Diagnostic[] };
    const errors = diagnostics.filter(({ severity }) => severity === "error");
    const said = errors.map(({ message = "" }) => stripVTControlCharacters(message).trim());
    if (said.length > 0) return said.join("\n");
  } catch {
    // No document: what it printed last has to do.
  }
  return stderr.trim() || (stdout.trim().split("\n").at(-1) ?? "");
}

interface Diagnostic {
  severity?: string;
  message?: string;
}
