/** What a branch would be: a working copy of a guest, in a network of its own, that goes away by itself. Pure. */
import { createHash } from "node:crypto";
import { type Finding, formatGiB, parseDuration } from "../../planning";
import type { ManifestGuest, ManifestNetwork, SiteManifest } from "../../planning/manifest";
import type { LiveSite } from "../live-types";
import { caution, refusal } from "../refusals";
import { choosePoint } from "./choose-point";
import { BRANCH_TAG, branchNotes } from "./notes";
import { emptyPlan, idFor, type RestoreFacts, type RestorePlan, takePoint, unknownGuest } from "./plan-restore";

/** What a person asks for. */
export interface BranchRequest {
  guest: string;
  /** `latest`, a time, or an id. */
  point: string;
  /** Default: the server where the guest is active. */
  to?: string;
  /** `isolated`: bridges without ports; otherwise a bridge of the server. */
  network: string;
  /** A duration: `7d`. */
  expires: string;
  /** Default: `<guest>-branch`. */
  name?: string;
  storage?: string;
  /** A full clone of the guest as it is now, instead of a copy that comes back. */
  live: boolean;
  start: boolean;
  /** It is there for minutes: what a failover would need meanwhile is not asked. Default: false. */
  brief?: boolean;
  by: string;
}

/** All refusals at once, as far as they can be known. Room on storages is looked at by `roomFor`. */
export function planBranch({ manifest, live, copies }: RestoreFacts, request: BranchRequest): RestorePlan {
  const name = request.name ?? `${request.guest}-branch`;
  const asked = { guest: request.guest, point: request.point, as: name, stopSeconds: 60, forceStop: false };
  const plan: RestorePlan = { ...emptyPlan(asked, manifest), kind: "branch" };
  const guest = manifest.guests[request.guest];
  if (guest === undefined) {
    plan.refusals.push(unknownGuest(request.guest));
    return plan;
  }
  plan.tags = ["coldspare", BRANCH_TAG];
  plan.start = request.start;
  plan.vmid = idFor(manifest.site, name, live.takenIds);
  if (request.storage !== undefined) plan.storage = request.storage;
  placeIt(plan, guest, live, request);
  if (request.live) takeLive(plan, guest, live);
  else {
    const chosen = choosePoint(copies.points, guest.name, request.point);
    plan.refusals.push(...chosen.refusals);
    plan.warnings.push(...chosen.warnings);
    if (chosen.point !== undefined) takePoint(plan, chosen.point, live.at);
  }
  plan.refusals.push(...nameProblems(name, live));
  if (!request.brief) plan.refusals.push(...roomAfterLoss(manifest, live, plan));
  connect(plan, guest, live, request.network);
  expire(plan, live.at, request);
  return plan;
}

function placeIt(plan: RestorePlan, guest: ManifestGuest, live: LiveSite, { to }: BranchRequest): void {
  plan.server = to ?? live.guests[guest.name]?.activeServer ?? guest.primary;
  const server = live.servers[plan.server];
  if (server?.hypervisor && server.api === "up") return;
  const message = server?.hypervisor
    ? `${plan.server} does not answer`
    : `${plan.server} is no hypervisor of this site`;
  plan.refusals.push(refusal("OPERATION-SERVER-DOWN", plan.server, message, "name another server with --to"));
}

/** Proxmox VE clones a machine while it runs; a container only from a snapshot. */
function takeLive(plan: RestorePlan, guest: ManifestGuest, live: LiveSite): void {
  const seen = live.guests[guest.name];
  const seat =
    seen?.runningOn[0] ?? seen?.seats.find(({ server, config }) => server === plan.server && config === true);
  plan.point = { id: `live ${guest.name}`, at: live.at, target: "the guest itself", verified: "none" };
  if (seat === undefined || seat.server !== plan.server) {
    const where = seat === undefined ? "is not found" : `is on ${seat.server}`;
    plan.refusals.push(
      refusal(
        "OPERATION-LIVE",
        guest.name,
        `${guest.name} ${where}, and a clone is made on the server where the guest is`,
        "leave --to out, or leave --live out: a copy comes back on any server that sees it",
      ),
    );
  } else if (guest.kind === "lxc" && seat.running)
    plan.refusals.push(
      refusal(
        "OPERATION-LIVE",
        guest.name,
        `${guest.name} is a container that runs: Proxmox VE clones it only while it is off`,
        "leave --live out: the newest copy comes back instead",
      ),
    );
  else plan.live = { vmid: seat.vmid };
}

function nameProblems(name: string, live: LiveSite): Finding[] {
  if (!/^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(name))
    return [refusal("OPERATION-NAME", name, `'${name}' is no host name`, "letters, digits and hyphens")];
  const running = Object.values(live.servers).flatMap((server) => server.running.map((each) => each.name));
  if (!Object.hasOwn(live.guests, name) && !running.includes(name)) return [];
  return [refusal("OPERATION-NAME", name, `there is a guest '${name}' already`, "give another name with --name")];
}

/** A branch is for trying things out: it never takes the memory that a failover needs. */
export function roomAfterLoss(
  manifest: SiteManifest,
  live: LiveSite,
  { server, name, memoryGiB, start }: Pick<RestorePlan, "server" | "name" | "memoryGiB" | "start">,
): Finding[] {
  if (!start) return [];
  const limit = manifest.servers[server]?.memoryLimitGiB ?? 0;
  const used = live.servers[server]?.usedGiB ?? 0;
  const { gib, lost } = worstLoss(manifest, live, server);
  const needed = memoryGiB + manifest.memoryOverheadGiB;
  // Sizes are sums of rounded figures.
  if (used + gib + needed <= limit + 0.001) return [];
  const coming = lost === undefined ? "" : `, and the loss of ${lost} would bring ${formatGiB(gib)} more`;
  return [
    refusal(
      "OPERATION-BRANCH-ROOM",
      server,
      `${name} needs ${formatGiB(needed)} on ${server}, where ${formatGiB(used)} of ${formatGiB(limit)} are taken${coming}`,
      "make it on another server with --to, or powered off with --no-start",
    ),
  ];
}

/** What the loss of another server would bring here at worst: guests that are active there and stand by here. */
function worstLoss(manifest: SiteManifest, live: LiveSite, server: string): { gib: number; lost?: string } {
  let worst: { gib: number; lost?: string } = { gib: 0 };
  for (const lost of Object.keys(manifest.servers)) {
    const coming = Object.values(manifest.guests).filter((guest) => {
      const active = live.guests[guest.name]?.activeServer ?? guest.primary;
      const other = active === guest.primary ? guest.spare : guest.primary;
      return lost !== server && active === lost && other === server && !(manifest.allowShedding && guest.sheddable);
    });
    const gib = coming.reduce((sum, each) => sum + each.memoryGiB + manifest.memoryOverheadGiB, 0);
    if (gib > worst.gib) worst = { gib, lost };
  }
  return worst;
}

function connect(plan: RestorePlan, guest: ManifestGuest, live: LiveSite, network: string): void {
  const cards = guest.primary === plan.server ? guest.networks : (guest.spareNetworks ?? guest.networks);
  if (network !== "isolated") {
    plan.bridges = Object.fromEntries(cards.map((_card, index) => [index, network]));
    if (cards.some(({ bridge }) => bridge === network) && (live.guests[guest.name]?.runningOn.length ?? 0) > 0)
      plan.warnings.push(
        caution(
          "OPERATION-SAME-ADDRESS",
          plan.name,
          `${plan.name} is put on ${network}, as ${guest.name} is, which runs: inside it has the same addresses and the same name`,
          "leave --network out: then it is in a network of its own",
        ),
      );
    return;
  }
  const name = networkName(plan.name);
  const bridges = cards.map((card) => ({ bridge: bridgeName(name, card), addresses: gatewaysOf(card) }));
  plan.bridges = Object.fromEntries(bridges.map(({ bridge }, index) => [index, bridge]));
  const distinct = bridges.filter(({ bridge }, index) => bridges.findIndex((each) => each.bridge === bridge) === index);
  if (distinct.length > 0) plan.network = { name, bridges: distinct };
}

/** As `coldspare-drill` takes it. */
export function networkName(branch: string): string {
  const name = `branch-${branch.toLowerCase()}`;
  if (name.length <= 41) return name;
  return `${name.slice(0, 32)}-${createHash("sha256").update(name).digest("hex").slice(0, 8)}`;
}

/** An interface's name has 15 characters at most. */
function bridgeName(network: string, card: ManifestNetwork): string {
  return `csd${createHash("sha256").update(`${network}/${card.network}`).digest("hex").slice(0, 8)}`;
}

/** The namespace in the network takes the gateways' addresses: that is where the guest sends what goes elsewhere. */
function gatewaysOf(card: ManifestNetwork): string[] {
  const withPrefix = (gateway: string | undefined, address: string | undefined) =>
    gateway !== undefined && address !== undefined ? [`${gateway}/${address.split("/")[1]}`] : [];
  return [...withPrefix(card.gateway, card.address), ...withPrefix(card.gateway6, card.address6)];
}

function expire(plan: RestorePlan, now: string, { expires, guest, by }: BranchRequest): void {
  const seconds = parseDuration(expires);
  if (!(seconds > 0)) {
    plan.refusals.push(refusal("OPERATION-EXPIRES", plan.name, `'${expires}' is no duration`, "write 12h, 7d or 2w"));
    return;
  }
  plan.expires = new Date(Date.parse(now) + seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");
  plan.notes = branchNotes({ guest, dataAt: plan.point.at, expires: plan.expires, by });
}
