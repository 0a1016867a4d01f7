/**
 * What to do for the loss of each server, with this site's names, times and commands: for the wall, for the day when the
 * laptop is gone too. Pure: from the manifest, so that it says what is on the servers.
 */
import type { ManifestGuest, SiteManifest } from "../planning/manifest";
import { byName, formatDuration, formatGiB, list } from "../planning/units";
import { type PowerAction, powerOrder } from "./power-order";
import type { Block } from "./runbook-document";
import { lossChapter } from "./runbook-loss";
import { pointOf, timeOf } from "./runbook-words";

export interface RunbookOptions {
  /** The loss of this server only. Default: all, and the whole site. */
  server?: string;
  /** Date for the head of the book, for example 2026-11-22: a printed copy must show how old it is. */
  date?: string;
}

/** The runbook's parts, for `toMarkdown` or `toHtml`. @throws RangeError for a server that the manifest does not have */
export function runbook(manifest: SiteManifest, options: RunbookOptions = {}): Block[] {
  const { server, date } = options;
  if (server !== undefined && !Object.hasOwn(manifest.servers, server)) {
    throw new RangeError(`Site ${manifest.site} has no server '${server}'.`);
  }
  const head = firstPage(manifest, date);
  if (server !== undefined) return [...head, ...lossChapter(manifest, server)];
  const carries = (name: string) => Object.values(manifest.guests).filter(({ primary }) => primary === name).length;
  const servers = Object.keys(manifest.servers).sort(
    (a, b) => Math.sign(carries(b)) - Math.sign(carries(a)) || byName(a, b),
  );
  return [
    ...head,
    ...servers.flatMap((name) => lossChapter(manifest, name)),
    ...powerChapter(manifest),
    ...rehearsals(manifest),
  ];
}

function firstPage(manifest: SiteManifest, date: string | undefined): Block[] {
  const { site, domain } = manifest;
  return [
    { kind: "title", text: `Runbook of site ${site}${domain === undefined ? "" : ` (${domain})`}` },
    {
      kind: "text",
      text:
        `${date === undefined ? "" : `As of ${date}. `}Print it again after each change of the site: \`coldspare runbook --html --out runbook.html\`. ` +
        "Times count from the moment at which somebody begins.",
    },
    {
      kind: "warning",
      text: "A guest must never run twice. A server that does not answer is not off: first make sure, then start the spare.",
    },
    { kind: "heading", text: "Whom to call" },
    {
      kind: "blanks",
      labels: [
        "First",
        "Second",
        "Hardware support, contract no.",
        "Internet provider",
        "Who has the keys of the room",
        "Where the laptop and the sealed credentials are",
      ],
    },
    { kind: "heading", text: "Servers" },
    serverTable(manifest),
    { kind: "heading", text: "Guests, in the order of their start" },
    guestTable(manifest),
  ];
}

function serverTable({ servers, guests }: SiteManifest): Block {
  const rows = Object.entries(servers)
    .sort(([a], [b]) => byName(a, b))
    .map(([name, { roles, address, ssh, endpoint, memoryLimitGiB }]) => [
      `**${name}**`,
      list(roles),
      address ?? ssh?.host ?? "",
      endpoint === undefined ? "" : `\`${endpoint}\``,
      roles.includes("hypervisor") ? formatGiB(memoryLimitGiB) : "",
      list(
        Object.values(guests)
          .filter(({ primary }) => primary === name)
          .map((guest) => guest.name),
      ),
    ]);
  return { kind: "table", head: ["server", "roles", "address", "web interface", "for guests", "home of"], rows };
}

function guestTable(manifest: SiteManifest): Block {
  const rows = powerOrder(manifest).up.flatMap((action) => {
    const guest = action.kind === "guest" ? manifest.guests[action.guest] : undefined;
    return guest === undefined ? [] : [guestRow(guest)];
  });
  return {
    kind: "table",
    head: ["guest", "id", "home", "spare", "made by", "data lost at most", "back within"],
    rows,
    right: [1],
  };
}

function guestRow(guest: ManifestGuest): string[] {
  const { name, vmid, primary, spare, method, standbyIds } = guest;
  return [
    `**${name}**`,
    String(vmid),
    primary,
    spare === undefined ? "none" : `${spare}${standbyIds ? ` (${standbyIds.join(" or ")})` : ""}`,
    method ?? "",
    pointOf(guest),
    timeOf(guest),
  ];
}

function powerChapter(manifest: SiteManifest): Block[] {
  const { down, up } = powerOrder(manifest);
  return [
    { kind: "chapter", text: "Power cut of the whole site" },
    { kind: "heading", text: "Before the battery is empty" },
    { kind: "text", text: "With the laptop, in this order by itself:" },
    { kind: "code", lines: ["coldspare shutdown --dry-run", "coldspare shutdown"] },
    { kind: "text", text: "By hand, each on its server:" },
    { kind: "code", lines: down.map((action) => downLine(manifest, action)) },
    { kind: "heading", text: "When the power is back" },
    {
      kind: "list",
      ordered: true,
      items: [
        "Wait until the power has been back for ten minutes: the second cut comes in the first ones.",
        `Switch on, one after another: ${list(up.flatMap((action) => (action.kind === "server" ? [`**${action.server}**`] : [])))}.`,
        "The guests start by themselves: the guard lets each start once enough servers have answered it, and the boot unit of each server tries again in order. That takes some minutes; do not help.",
        "Look: `coldspare status`, or on each hypervisor `coldspare-node status`.",
      ],
    },
    { kind: "text", text: "Order in which they come up:" },
    {
      kind: "list",
      ordered: true,
      items: up.flatMap((action) => (action.kind === "guest" ? [upLine(manifest, action)] : [])),
    },
    {
      kind: "text",
      text: "If one server stays dead, go to its chapter. Guests that were active on their spare stay there.",
    },
  ];
}

function downLine(manifest: SiteManifest, action: PowerAction): string {
  if (action.kind === "server") return `shutdown -h now                  # on ${action.server}: ${action.why}`;
  const program = action.guestKind === "qemu" ? "qm" : "pct";
  const spare = manifest.guests[action.guest]?.spare;
  const where = spare === undefined ? action.server : `${action.server}, or ${spare} if it is active there`;
  return `${`${program} shutdown ${action.vmid} --timeout 180`.padEnd(32)} # ${action.guest} on ${where}`;
}

function upLine(manifest: SiteManifest, action: Extract<PowerAction, { kind: "guest" }>): string {
  const guest = manifest.guests[action.guest];
  const boot = guest === undefined ? "" : `, boots in ${formatDuration(guest.boot.seconds)}`;
  const wait = action.waitSeconds > 0 ? `; the next one ${formatDuration(action.waitSeconds)} later` : "";
  return `**${action.guest}** (${action.vmid}) on ${action.server}${boot}${wait}`;
}

function rehearsals(manifest: SiteManifest): Block[] {
  const drills = Object.entries(manifest.drills).map(([name, { guests, schedule }]) => [
    name,
    guests.join(", "),
    schedule ?? "by hand",
  ]);
  return [
    { kind: "chapter", text: "Rehearsals" },
    {
      kind: "text",
      text: "A plan that was never tried is a hope. `coldspare drill --all` starts every replica in isolation and throws it away.",
    },
    ...(drills.length === 0
      ? []
      : [{ kind: "table", head: ["drill", "guests", "when"], rows: drills } satisfies Block]),
    { kind: "text", text: "Who rehearsed what from this paper, and how long it took:" },
    { kind: "blanks", labels: ["Date, who", "Date, who", "Date, who", "Date, who"] },
  ];
}
