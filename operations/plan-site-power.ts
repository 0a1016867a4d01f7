/** Switching a whole site off and on: what is to be done, in which order, over which way. Pure. */

import type { Finding } from "../planning";
import type { ManifestGuest } from "../planning/manifest";
import { list } from "../planning/units";
import type { Operator } from "./context";
import type { LiveGuest, LiveServer, LiveSite } from "./live-types";
import { ACTIVE_TAG } from "./live-types";
import { type PowerAction, type PowerSeat, powerOrder } from "./power-order";
import { caution, refusal } from "./refusals";

/** How a server is asked to do something. */
export type PowerWay = "api" | "ssh";

/** A guest in its turn, and how sure its place is. */
export type GuestAction = Extract<PowerAction, { kind: "guest" }> & {
  /** Down only. */
  over?: PowerWay;
  /** Up only: where it belongs is asked when the servers are up; `server` and `vmid` are its home until then. */
  seatUnknown?: true;
};

/** A server in its turn; `why` says it in words, also why it goes over SSH. */
export type ServerAction = Extract<PowerAction, { kind: "server" }> & {
  /** Down only. */
  over?: PowerWay;
};

export type SiteAction = GuestAction | ServerAction;

/** What is to be done: plain data, kept in the journal. */
export interface SitePowerPlan {
  formatVersion: 1;
  way: "down" | "up";
  actions: SiteAction[];
  /** Guests stop; the servers stay on. */
  guestsOnly: boolean;
  stopSeconds: number;
}

export interface PlannedSitePower {
  plan: SitePowerPlan;
  refusals: Finding[];
  warnings: Finding[];
}

export interface SiteDownOptions {
  guestsOnly: boolean;
  stopSeconds: number;
  /** Servers whose API would not let this token switch them off. */
  mayNotSwitchOff?: readonly string[];
}

/** Where a guest is active now, as far as that is known: by what runs, and by its record. */
export function seatNow({ runningOn, activeServer, seats, standbys }: LiveGuest): PowerSeat | undefined {
  const running = runningOn[0];
  if (running !== undefined) return { server: running.server, vmid: running.vmid };
  const there = seats.filter(({ server, config }) => server === activeServer && config === true);
  const active = standbys.find(({ tags, server }) => server === activeServer && tags.includes(ACTIVE_TAG));
  const seat = there.find(({ vmid }) => vmid === active?.vmid) ?? there[0];
  return seat === undefined ? undefined : { server: seat.server, vmid: seat.vmid };
}

/** The same for all guests; those of which nothing is known are left out. */
export function seatsNow({ guests }: LiveSite): Record<string, PowerSeat> {
  return Object.fromEntries(
    Object.values(guests).flatMap((guest) => {
      const seat = seatNow(guest);
      return seat === undefined ? [] : [[guest.name, seat] as const];
    }),
  );
}

/** The way down: guests that run, or may run where nobody can see it, then the servers that are on. */
export function planSiteDown(
  manifest: Operator["manifest"],
  live: LiveSite,
  options: SiteDownOptions,
): PlannedSitePower {
  const { guestsOnly, stopSeconds, mayNotSwitchOff = [] } = options;
  const refusals = bothRun(live);
  const warnings: Finding[] = [];
  const actions = powerOrder(manifest, seatsNow(live)).down.flatMap((action): SiteAction[] => {
    if (action.kind === "guest") return guestsDown(live, action);
    const server = live.servers[action.server];
    if (server === undefined) return [];
    if (isSilent(server) && (server.hypervisor || !guestsOnly)) warnings.push(silent(server, live, guestsOnly));
    if (guestsOnly) return [];
    const way = wayOff(server, mayNotSwitchOff.includes(server.name));
    if (way.refusal !== undefined) refusals.push(way.refusal);
    if (way.over === undefined) return [];
    return [{ ...action, over: way.over, ...(way.because !== undefined && { why: way.because }) }];
  });
  return { plan: { formatVersion: 1, way: "down", actions, guestsOnly, stopSeconds }, refusals, warnings };
}

function bothRun({ guests }: LiveSite): Finding[] {
  return Object.values(guests)
    .filter(({ runningOn }) => runningOn.length > 1)
    .map(({ name, runningOn }) =>
      refusal(
        "OPERATION-BOTH-RUN",
        name,
        `${name} runs on ${runningOn.map(({ server }) => server).join(" and ")} at the same time`,
        "decide which one is right and stop the other one by hand (`qm stop`), then run this again",
      ),
    );
}

/** Whether only SSH leads to a server that carries guests. */
const overSshOnly = (server: LiveServer | undefined) =>
  server?.hypervisor && server.api !== "up" && server.ssh === "up";

/** Where it runs; and where its server's API does not say so, every id under which it may. */
function guestsDown(live: LiveSite, action: Extract<PowerAction, { kind: "guest" }>): GuestAction[] {
  const { runningOn, seats, activeServer } = live.guests[action.guest]!;
  if (runningOn.length > 0) return [{ ...action, over: "api" }];
  return seats
    .filter(({ server, config }) => overSshOnly(live.servers[server]) && config !== false)
    .filter(({ server }) => activeServer === undefined || activeServer === server)
    .map(({ server, vmid }) => ({ ...action, server, vmid, over: "ssh" as const }));
}

/** Nothing of it answers, and nobody says that it is on. */
const isSilent = ({ hypervisor, api, ssh }: LiveServer) =>
  hypervisor ? (api === "down" || api === "none") && (ssh === "down" || ssh === "none") : ssh === "down";

function silent({ name, online }: LiveServer, { guests }: LiveSite, guestsOnly: boolean): Finding {
  const active = Object.values(guests)
    .filter(({ activeServer }) => activeServer === name)
    .map((guest) => guest.name);
  const there =
    active.length > 0 ? `, with ${list(active)}, which ${active.length === 1 ? "is" : "are"} active there` : "";
  const taken =
    online === true
      ? `although the rest of the cluster sees it${guestsOnly ? "" : "; switching it off is tried all the same"}`
      : "it is taken to be off, and left alone";
  return caution(
    "OPERATION-SERVER-SILENT",
    name,
    `${name} does not answer${there}: ${taken}`,
    "look whether it is off; if it is on, switch it off at its console or with a short press of its button",
  );
}

interface WayOff {
  over?: PowerWay;
  because?: string;
  refusal?: Finding;
}

function wayOff(server: LiveServer, mayNot: boolean): WayOff {
  return server.hypervisor ? hypervisorOff(server, mayNot) : helperOff(server);
}

function hypervisorOff(server: LiveServer, mayNot: boolean): WayOff {
  const { api, ssh, sshProblem, online } = server;
  if (api === "up" && !mayNot) return { over: "api" };
  if (ssh === "up") {
    const because = api === "up" ? "the token lacks Sys.PowerMgmt there" : "its API does not answer as it should";
    return { over: "ssh", because };
  }
  if (api === "up") return { refusal: lacksPrivilege(server) };
  if (api === "refused") return { refusal: noWay(server) };
  // It lives, and what leads to it may be well again in a minute: tried, and told when it fails.
  if (ssh === "refused") return { over: "ssh", because: sshProblem ?? "it refuses" };
  if (online === true) {
    return { over: ssh === "none" ? "api" : "ssh", because: "it does not answer, but its cluster sees it" };
  }
  return {};
}

function helperOff(server: LiveServer): WayOff {
  if (server.ssh === "up") return { over: "ssh" };
  return server.ssh === "down" ? {} : { refusal: noWay(server) };
}

function lacksPrivilege({ name }: LiveServer): Finding {
  return refusal(
    "OPERATION-PRIVILEGE",
    name,
    `the token lacks Sys.PowerMgmt on /nodes/${name}, which is needed to switch ${name} off, and SSH does not lead there`,
    "`pveum role add ColdsparePower --privs Sys.PowerMgmt` and `pveum acl modify /nodes --tokens '<user>!<token>' --roles ColdsparePower` " +
      "on a hypervisor, or another token in COLDSPARE_API_TOKEN; or add --guests-only and switch it off by hand",
  );
}

function noWay({ name, apiProblem, sshProblem }: LiveServer): Finding {
  return refusal(
    "OPERATION-NO-SSH",
    name,
    `${name} cannot be switched off from here: ${apiProblem ?? sshProblem ?? "the manifest knows no way to it"}`,
    `add --guests-only and switch it off by hand afterwards; or mend the way, see docs/guard.md`,
  );
}

/** The way up: servers that do not answer yet, then guests that belong to be on and do not run. */
export function planSiteUp(
  manifest: Operator["manifest"],
  live: LiveSite,
  options: { stopSeconds: number },
): PlannedSitePower {
  const warnings: Finding[] = [];
  const seats = seatsNow(live);
  const actions = powerOrder(manifest, seats).up.flatMap((action): SiteAction[] => {
    if (action.kind === "guest") {
      const guest = manifest.guests[action.guest]!;
      const runs = (live.guests[action.guest]?.runningOn.length ?? 0) > 0;
      if (!guest.boot.atHostBoot || runs) return [];
      return [isSeatKnown(guest, seats) ? action : { ...action, seatUnknown: true }];
    }
    const server = live.servers[action.server];
    const off = server !== undefined && (server.hypervisor ? server.api !== "up" : server.ssh === "down");
    if (off && !canSwitchOn(manifest.servers[action.server]?.power)) {
      warnings.push(
        caution(
          "OPERATION-SWITCH-ON",
          action.server,
          `no way to switch ${action.server} on is known: it is waited for`,
          `press its button now`,
        ),
      );
    }
    return off ? [action] : [];
  });
  return { plan: { formatVersion: 1, way: "up", actions, guestsOnly: false, ...options }, refusals: [], warnings };
}

const isSeatKnown = ({ name, spare }: ManifestGuest, seats: Readonly<Record<string, PowerSeat>>) =>
  spare === undefined || Object.hasOwn(seats, name);

/** Whether the site knows how to switch a server on. */
export function canSwitchOn(power: Operator["manifest"]["servers"][string]["power"]): boolean {
  return power !== undefined && (power.kind !== "command" || power.on !== undefined);
}
