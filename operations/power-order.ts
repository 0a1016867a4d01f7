/**
 * In which order a whole site goes down and comes up: for a power cut that was announced, and for the program that watches
 * the UPS. Pure: from the manifest and, where it is known, from where the guests run now.
 */
import type { ManifestGuest, SiteManifest } from "../planning/manifest";
import { idsOf } from "../planning/node-conf";
import { startOrder as orderOfStarts, type StartStep } from "../planning/start-order";
import { byName } from "../planning/units";

/** One guest or server that is switched, in its turn. */
export type PowerAction =
  | { kind: "guest"; guest: string; vmid: number; guestKind: "qemu" | "lxc"; server: string; waitSeconds: number }
  | { kind: "server"; server: string; why: string };

/** Both ways. */
export interface PowerOrder {
  down: PowerAction[];
  up: PowerAction[];
}

/** Where a guest runs, or would run: the active side. */
export interface PowerSeat {
  server: string;
  vmid: number;
}

/** Guests in the order of their start. @param names Only these; default all. */
export function startOrder(manifest: SiteManifest, names?: readonly string[]): ManifestGuest[] {
  return startSteps(manifest, names).map(({ guest }) => manifest.guests[guest]!);
}

/** The same, with what is waited for after each start. */
export function startSteps(manifest: SiteManifest, names?: readonly string[]): StartStep[] {
  const all = Object.values(manifest.guests);
  return orderOfStarts(names === undefined ? all : all.filter(({ name }) => names.includes(name)), manifest.groups);
}

/**
 * Down: guests against the order of their start, then hypervisors, then what the others lean on (backup servers, for the
 * storage they export), witnesses last of all: a hypervisor that goes down while it can still ask its voters ends cleanly.
 * Up: the other way round.
 *
 * @param seats Where guests are active now; default: all at home.
 */
export function powerOrder(manifest: SiteManifest, seats: Readonly<Record<string, PowerSeat>> = {}): PowerOrder {
  const steps = startSteps(manifest);
  const up = steps.map(({ guest, waitSeconds }) => guestAction(manifest.guests[guest]!, seats, waitSeconds));
  const down = [...steps].reverse().map(({ guest }) => guestAction(manifest.guests[guest]!, seats, 0));
  const servers = serversDown(manifest);
  const first = servers.map(({ server }): PowerAction => ({ kind: "server", server, why: "switch it on" })).reverse();
  return { down: [...down, ...servers], up: [...first, ...up] };
}

function guestAction(guest: ManifestGuest, seats: Readonly<Record<string, PowerSeat>>, wait: number): PowerAction {
  const seat = Object.hasOwn(seats, guest.name) ? seats[guest.name] : undefined;
  return {
    kind: "guest",
    guest: guest.name,
    vmid: seat?.vmid ?? guest.vmid,
    guestKind: guest.kind,
    server: seat?.server ?? guest.primary,
    waitSeconds: wait,
  };
}

function serversDown(manifest: SiteManifest): Extract<PowerAction, { kind: "server" }>[] {
  const rank = (server: string) => {
    const { roles } = manifest.servers[server]!;
    if (roles.includes("hypervisor")) return 0;
    return server === manifest.witness || roles.includes("witness") ? 2 : 1;
  };
  const why = [
    "a hypervisor, once its guests are off",
    "others keep their backups there",
    "its vote is needed to the end",
  ];
  return Object.keys(manifest.servers)
    .sort((a, b) => rank(a) - rank(b) || byName(a, b))
    .map((server) => ({ kind: "server" as const, server, why: why[rank(server)]! }));
}

/** For one guest to end before it is stopped hard: a battery lasts minutes. */
const GUEST_SECONDS = 180;

const TITLE = { down: "Going down", up: "Coming up" } as const;

/** The order for people: two numbered lists. */
export function powerOrderText(manifest: SiteManifest, order: PowerOrder): string {
  const line = (action: PowerAction, index: number): string => {
    const number = String(index + 1).padStart(3);
    if (action.kind === "server") return `${number}. ${action.server}: ${action.why}`;
    const wait = action.waitSeconds > 0 ? `, then wait ${action.waitSeconds} s` : "";
    return `${number}. ${action.guest} (${action.vmid}) on ${action.server}${wait}`;
  };
  const part = (way: "down" | "up") => [`${TITLE[way]}:`, ...order[way].map(line)].join("\n");
  return `Site ${manifest.site}\n\n${part("down")}\n\n${part("up")}\n`;
}

/**
 * A script for the shutdown command of NUT (`SHUTDOWNCMD` of upsmon.conf) on the machine that is wired to the UPS. It needs
 * nothing but ssh: no Node.js, no API. That machine itself is left out: NUT switches it off when the script has ended.
 *
 * @param self The machine that runs it: the witness by default, as that is switched off last.
 */
export function powerOrderNut(
  manifest: SiteManifest,
  order: PowerOrder,
  self: string | undefined = manifest.witness,
): string {
  const steps = order.down.flatMap((action): string[] => {
    if (action.kind === "server") return action.server === self ? [] : [`down ${action.server}`];
    // The active side may have changed since this was written.
    const program = action.guestKind === "qemu" ? "qm" : "pct";
    const guest = manifest.guests[action.guest]!;
    return [
      `stop ${action.guest} ${idsOf(guest)
        .map(({ server, vmid }) => `${server}:${program}:${vmid}`)
        .join(" ")}`,
    ];
  });
  const ways = Object.entries(manifest.servers).flatMap(([name, { ssh, address }]) => {
    const host = ssh?.host ?? address;
    return host === undefined ? [] : [`    ${name}) ssh_to ${ssh?.port ?? 22} ${ssh?.user ?? "root"}@${host} "$@" ;;`];
  });
  return `#!/bin/sh
# Switches off site ${manifest.site} in order: guests against the order of their start, hypervisors, then the rest.
# For NUT, on the machine that is wired to the UPS${self === undefined ? "" : ` (${self}, which NUT itself switches off afterwards)`}:
#   upsmon.conf:  SHUTDOWNCMD "/usr/local/sbin/coldspare-power-down && /sbin/shutdown -h +0"
# It goes on whatever fails: a battery does not wait. Written by: coldspare power-order --format nut
# Each guest is asked to stop under every id and on every server that it may run on: where it does not run, nothing happens.
# On the way up the guard and the boot unit of each server start what belongs there, in order.
set -u
ssh_to() { port=$1; to=$2; shift 2; ssh -p "$port" -o BatchMode=yes -o ConnectTimeout=5 "$to" "$@"; }
on() {
  server=$1; shift
  case $server in
${ways.join("\n")}
    *) echo "no way to $server is known" >&2; return 1 ;;
  esac
}
# stop NAME SERVER:qm|pct:ID ...
stop() {
  logger -t coldspare "stopping $1"; shift
  for seat in "$@"; do
    server=\${seat%%:*}; rest=\${seat#*:}
    on "$server" "\${rest%%:*}" shutdown "\${rest#*:}" --timeout ${GUEST_SECONDS} --forceStop 1 2>/dev/null
  done
}
down() { logger -t coldspare "switching off $1"; on "$1" shutdown -h now; }

${steps.join("\n")}
exit 0
`;
}
