/** What an undo would do: back to the primaries as they were, and what is lost by it. Pure. */

import type { Finding } from "../planning";
import type { ManifestGuest, SiteManifest } from "../planning/manifest";
import { startOrder } from "../planning/start-order";
import { list } from "../planning/units";
import type { LiveGuest, LiveSite } from "./live-types";
import { ACTIVE_TAG } from "./live-types";
import { refusal } from "./refusals";
import { goOnWith } from "./run-operation";
import { majorityOf, recordsOf } from "./voters";

export interface UndoRequest {
  /** A guest, or a server: everything whose primary it is. */
  what: string;
  /** The word of consent, or somebody will be asked for it. */
  acceptLoss: boolean;
}

/** What is known beside the live state. */
export interface UndoFacts {
  /** Operations that have not ended and concern these guests, without the switches that are undone. */
  open: readonly { id: string; kind: string; subject: string; by: string; openedAt: string; plan: unknown }[];
  manifest: readonly Finding[];
}

export interface UndoMove {
  guest: string;
  kind: "qemu" | "lxc";
  method: NonNullable<ManifestGuest["method"]>;
  primary: string;
  spare: string;
  vmid: number;
  /** Id under which its spare side runs, or ran. */
  spareId: number;
  /** Where its record stands: `nobody` after a switch that was left in the middle. */
  side: "spare" | "nobody";
  job?: string;
  networks: boolean;
  /** ISO time from which on what was written is lost; absent when the spare side was never started. */
  lostSince?: string;
  group?: string;
  waitSeconds: number;
}

export interface UndoPlan {
  formatVersion: 1;
  site: string;
  what: string;
  /** In the order of their start. */
  moves: UndoMove[];
}

export interface PlannedUndo {
  plan: UndoPlan;
  refusals: Finding[];
}

export function planUndo(manifest: SiteManifest, live: LiveSite, facts: UndoFacts, request: UndoRequest): PlannedUndo {
  const named = manifest.guests[request.what];
  const concerned = named ? [named] : Object.values(manifest.guests).filter(({ primary }) => primary === request.what);
  const away = concerned.filter((guest) => isAway(live.guests[guest.name]!));
  const refusals: Finding[] = [...facts.manifest, ...facts.open.map(openFinding)];
  const unclear = concerned.filter(
    ({ name, spare }) => spare !== undefined && live.guests[name]!.activeSide === "unknown",
  );
  refusals.push(...unclear.map(({ name }) => unclearFinding(name)));
  if (away.length === 0 && unclear.length === 0) refusals.push(nothingAway(request.what, named));
  const order = startOrder(away, manifest.groups);
  const moves = order.map(({ guest: name, group, waitSeconds }) => ({
    ...moveOf(manifest.guests[name]!, live.guests[name]!),
    ...(group !== undefined && { group }),
    waitSeconds,
  }));
  for (const move of moves) refusals.push(...checks(manifest, live, move));
  const lossy = moves.filter(({ lostSince }) => lostSince !== undefined);
  if (lossy.length > 0 && !request.acceptLoss) refusals.push(consentMissing(lossy));
  return { plan: { formatVersion: 1, site: manifest.site, what: request.what, moves }, refusals };
}

function isAway({ activeSide }: LiveGuest): boolean {
  return activeSide === "spare" || activeSide === "nobody";
}

function moveOf(guest: ManifestGuest, seen: LiveGuest): Omit<UndoMove, "waitSeconds"> {
  const { name, kind, method = "storage-replication", primary, spare, vmid, standbyIds } = guest;
  const running = seen.runningOn.find(({ server }) => server === spare);
  const active = seen.standbys.find(({ tags }) => tags.includes(ACTIVE_TAG));
  const spareId = running?.vmid ?? active?.vmid ?? standbyIds?.[0] ?? vmid;
  // A spare that took over has its configuration there (by replication), or the mark of the active side.
  const marked = seen.seats.some(({ server, tags }) => server === spare && tags.includes(ACTIVE_TAG));
  const took =
    method === "zfs-sync"
      ? marked
      : method === "restore"
        ? active !== undefined
        : seen.seats.some(({ server, config }) => server === spare && config);
  const was = running !== undefined || (seen.activeSide === "spare" && took);
  return {
    guest: name,
    kind,
    method,
    primary,
    spare: spare!,
    vmid,
    spareId,
    side: seen.activeSide === "nobody" ? "nobody" : "spare",
    ...(seen.job !== undefined && { job: seen.job.id }),
    networks: guest.spareNetworks !== undefined,
    ...(was && { lostSince: seen.record?.since ?? "unknown" }),
  };
}

function checks(manifest: SiteManifest, live: LiveSite, move: UndoMove): Finding[] {
  const { guest, primary, spare } = move;
  const seen = live.guests[guest]!;
  const found: Finding[] = [];
  for (const server of [primary, spare]) {
    const { api, ssh, apiProblem, sshProblem } = live.servers[server]!;
    if (api === "up" && ssh === "up") continue;
    const why = api === "up" ? sshProblem : apiProblem;
    found.push(
      refusal(
        "OPERATION-SERVER-DOWN",
        server,
        `${server}, the ${server === primary ? "primary" : "spare"} of ${guest}, does not answer as it should: ${why ?? "no way to it is known"}`,
        server === primary
          ? `bring ${server} back: undo starts ${guest} there as it was`
          : `bring ${server} back: nothing may start elsewhere before it has let ${guest} go`,
      ),
    );
  }
  const { job } = seen;
  if (move.method === "storage-replication" && job !== undefined && !job.disabled && job.source === spare)
    found.push(
      refusal(
        "OPERATION-NOTHING-TO-UNDO",
        guest,
        `the old side of ${guest} on ${primary} is not kept: replication ${job.id} writes to it`,
        `take it home with its data: \`coldspare failback ${guest}\``,
      ),
    );
  if (move.method === "zfs-sync" && isCopied(seen, spare))
    found.push(
      refusal(
        "OPERATION-NOTHING-TO-UNDO",
        guest,
        `the old side of ${guest} on ${primary} is not kept: since the switch ${spare} sends to it what is written there`,
        `take it home with its data: \`coldspare failback ${guest}\`; an earlier point is there, too: \`coldspare-zfs replica points ${guest}\` on ${primary}`,
      ),
    );
  const voters = manifest.guests[guest]!.voters;
  const answering = recordsOf(manifest.guests[guest]!, live.readings);
  if (answering.length < majorityOf(voters))
    found.push(
      refusal(
        "OPERATION-NO-MAJORITY",
        guest,
        `${answering.length} of the ${voters.length} voters of ${guest} answer, ${majorityOf(voters)} are needed`,
        `bring back ${list(voters.filter((voter) => !answering.some((each) => each.voter === voter)))}`,
      ),
    );
  return found;
}

/** A run since the switch that was good has made the old side a copy of the new one. */
function isCopied({ zfs, record }: LiveGuest, active: string): boolean {
  const { state, at } = zfs?.[active]?.sync ?? {};
  return state === "ok" && at !== undefined && Date.parse(at) > Date.parse(record?.since ?? "");
}

function openFinding(operation: UndoFacts["open"][number]): Finding {
  const { id, kind, subject, by, openedAt } = operation;
  return refusal(
    "OPERATION-OPEN",
    id,
    `${kind} ${subject}, begun by ${by} at ${openedAt}, has not ended`,
    `let ${by} finish it, or go on with it yourself: \`${goOnWith(operation)}\`; if it was given up: \`coldspare journal --close ${id}\``,
  );
}

function unclearFinding(guest: string): Finding {
  return refusal(
    "OPERATION-SIDE-UNKNOWN",
    guest,
    `which side of ${guest} is active is not known`,
    "`coldspare status` says what is; bring its servers and its witness back first",
  );
}

function nothingAway(what: string, named: ManifestGuest | undefined): Finding {
  return refusal(
    "OPERATION-NOT-AWAY",
    what,
    named
      ? `${what} is active at home: there is nothing to undo`
      : `no guest of ${what} is active elsewhere: there is nothing to undo`,
    "`coldspare status` shows which guest is active where",
  );
}

function consentMissing(moves: readonly UndoMove[]): Finding {
  const each = moves.map(({ guest, lostSince, spare }) => `${guest} on ${spare} since ${lostSince}`);
  return refusal(
    "OPERATION-LOSS",
    list(moves.map(({ guest }) => guest)),
    `undo throws away what was written to ${list(each)}`,
    `if that is to be: add --accept-loss; to keep it: \`coldspare failback\``,
  );
}
