/** Whether what is to be started fits beside what runs on the spare now, and what stays off if it does not. Pure. */
import type { Finding } from "../planning";
import type { SiteManifest } from "../planning/manifest";
import { byName, formatGiB, list } from "../planning/units";
import type { LiveSite } from "./live-types";
import { caution, refusal } from "./refusals";

/** A less important guest of the spare that makes room. */
export interface StopOnSpare {
  guest: string;
  server: string;
  vmid: number;
  kind: "qemu" | "lxc";
}

export interface Room {
  stops: StopOnSpare[];
  /** Not started. */
  left: string[];
  refusals: Finding[];
  warnings: Finding[];
}

/**
 * Sheddable guests go by priority, the least important first, and only where the site allows it. One that was asked for by
 * name is never left out.
 */
export function chooseRoom(
  manifest: SiteManifest,
  live: LiveSite,
  moves: readonly { guest: string; to: string; toId: number }[],
  named: boolean,
): Room {
  const room: Room = { stops: [], left: [], refusals: [], warnings: [] };
  for (const server of [...new Set(moves.map(({ to }) => to))].sort(byName)) {
    roomOn(
      server,
      manifest,
      live,
      moves.filter(({ to }) => to === server),
      named,
      room,
    );
  }
  return room;
}

function roomOn(
  server: string,
  manifest: SiteManifest,
  live: LiveSite,
  moves: readonly { guest: string; toId: number }[],
  named: boolean,
  room: Room,
): void {
  const limit = manifest.servers[server]?.memoryLimitGiB ?? 0;
  const running = live.servers[server]?.running ?? [];
  const takes = (name: string) => (manifest.guests[name]?.memoryGiB ?? 0) + manifest.memoryOverheadGiB;
  const coming = moves.filter(
    ({ guest, toId }) => !running.some(({ vmid }) => vmid === toId && manifest.guests[guest]),
  );
  const used = live.servers[server]?.usedGiB ?? 0;
  const needed = coming.reduce((sum, { guest }) => sum + takes(guest), 0);
  let short = used + needed - limit;
  // Sizes are sums of rounded figures.
  if (short <= 0.001) return;
  const candidates = [
    ...running.flatMap(({ guest, vmid, kind }) => (guest === undefined ? [] : [{ guest, vmid, kind, runs: true }])),
    ...(named
      ? []
      : coming.map(({ guest, toId }) => ({ guest, vmid: toId, kind: manifest.guests[guest]!.kind, runs: false }))),
  ]
    .filter(({ guest }) => manifest.allowShedding && manifest.guests[guest]?.sheddable === true)
    .filter(({ guest, runs }) => !runs || moreImportant(manifest, coming, guest))
    .sort((a, b) => priority(manifest, a.guest) - priority(manifest, b.guest) || byName(a.guest, b.guest));
  const shed: string[] = [];
  const stops: StopOnSpare[] = [];
  const left: string[] = [];
  for (const { guest, vmid, kind, runs } of candidates) {
    if (short <= 0.001) break;
    short -= takes(guest);
    shed.push(guest);
    if (runs) stops.push({ guest, server, vmid, kind });
    else left.push(guest);
  }
  if (short > 0.001) {
    const others = candidates.length === 0 ? "" : `, also without ${list(shed)}`;
    room.refusals.push(
      refusal(
        "OPERATION-NO-MEMORY",
        server,
        `${server} lacks ${formatGiB(short)}${others}: ${formatGiB(used)} of ${formatGiB(limit)} are taken by what runs there now, and ${list(coming.map(({ guest }) => guest))} need ${formatGiB(needed)}`,
        `${manifest.allowShedding ? "stop" : "allow shedding in the specification (policies.allowShedding, guests.*.sheddable), stop"} something on ${server}, or take fewer guests with --guest`,
      ),
    );
    return;
  }
  room.stops.push(...stops);
  room.left.push(...left);
  for (const guest of shed)
    room.warnings.push(
      caution(
        "OPERATION-SHED",
        guest,
        left.includes(guest)
          ? `${guest} (priority ${priority(manifest, guest)}) is not started: ${server} has no room for it`
          : `${guest} (priority ${priority(manifest, guest)}) is stopped on ${server}, to make room`,
        "start it when there is room again: `coldspare failover … --guest`, or `qm start` on its server",
      ),
    );
}

function priority(manifest: SiteManifest, guest: string): number {
  return manifest.guests[guest]?.priority ?? 0;
}

/** Whether something that comes is more important than this one, which runs. */
function moreImportant(manifest: SiteManifest, coming: readonly { guest: string }[], guest: string): boolean {
  return coming.some((each) => priority(manifest, each.guest) > priority(manifest, guest));
}
