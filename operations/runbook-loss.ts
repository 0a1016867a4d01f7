/** The chapter of one server: what its loss means, what to do, and how everything comes home. */
import type { ManifestGuest, SiteManifest } from "../planning/manifest";
import { byName, formatDuration, formatGiB, list, sum } from "../planning/units";
import { startOrder } from "./power-order";
import { byHand } from "./runbook-by-hand";
import type { Block } from "./runbook-document";
import { pointOf, sshTo, timeOf } from "./runbook-words";

/** @param server A server of the manifest. */
export function lossChapter(manifest: SiteManifest, server: string): Block[] {
  const carried = startOrder(manifest).filter((guest) => guest.primary === server && runsNormally(guest));
  const hypervisor = manifest.servers[server]!.roles.includes("hypervisor");
  if (!hypervisor) return helperChapter(manifest, server);
  const moving = carried.filter(({ spare }) => spare !== undefined);
  return [
    { kind: "chapter", text: `${server} is lost` },
    ...whatItCarried(manifest, server, carried),
    ...checkFirst(manifest, server),
    ...fencing(manifest, server),
    ...withLaptop(manifest, server, moving),
    ...byHand(manifest, server, moving),
    ...afterwards(server, moving),
    ...comingBack(manifest, server, moving),
  ];
}

function whatItCarried(manifest: SiteManifest, server: string, carried: readonly ManifestGuest[]): Block[] {
  const moving = carried.filter(({ spare }) => spare !== undefined);
  const staying = carried.filter(({ spare }) => spare === undefined);
  const rows = moving.map((guest, index) => [
    String(index + 1),
    `**${guest.name}**`,
    guest.spare!,
    String(guest.standbyIds ? guest.standbyIds.join(" or ") : guest.vmid),
    timeOf(guest),
    pointOf(guest),
  ]);
  const table: Block[] =
    rows.length === 0
      ? [{ kind: "text", text: "No guest with a spare has its home here." }]
      : [
          {
            kind: "table",
            head: ["", "guest", "starts on", "id there", "answers within", "data lost at most"],
            rows,
            right: [0, 3],
          },
        ];
  const uncovered = startOrder(manifest).filter(({ spare }) => spare === server);
  return [
    { kind: "heading", text: "What it carried, in the order in which it starts elsewhere" },
    ...table,
    ...(staying.length === 0
      ? []
      : [
          {
            kind: "text",
            text: `Stay off until ${server} is back or their backup is restored: ${names(staying)}.`,
          } satisfies Block,
        ]),
    ...(uncovered.length === 0
      ? []
      : [{ kind: "text", text: `Go on running, but without a spare: ${names(uncovered)}.` } satisfies Block]),
    ...room(manifest, server, moving),
  ];
}

/** A guest that is normally off is not missed when its server is lost. */
const runsNormally = ({ started }: ManifestGuest) => started !== false;

const names = (guests: readonly ManifestGuest[]) => list(guests.map(({ name }) => `**${name}**`));

/** Whether everything fits beside what runs there; if not, what stays off. */
function room(manifest: SiteManifest, server: string, moving: readonly ManifestGuest[]): Block[] {
  const spares = [...new Set(moving.map(({ spare }) => spare!))].sort(byName);
  return spares.flatMap((spare): Block[] => {
    const there = Object.values(manifest.guests).filter(
      (guest) =>
        runsNormally(guest) && (guest.primary === spare || (guest.primary === server && guest.spare === spare)),
    );
    const need = sum(there.map(({ memoryGiB }) => memoryGiB + manifest.memoryOverheadGiB));
    const limit = manifest.servers[spare]?.memoryLimitGiB ?? 0;
    const text = `${spare} then carries ${formatGiB(need)} of its ${formatGiB(limit)}.`;
    if (need <= limit) return [{ kind: "text", text }];
    const sheddable = there
      .filter((guest) => guest.sheddable)
      .sort((a, b) => a.priority - b.priority || byName(a.name, b.name));
    const first =
      sheddable.length === 0 ? "Nothing may be left off by itself: decide." : `Leave off first: ${names(sheddable)}.`;
    return [
      { kind: "warning", text: `${text} Not everything fits.` },
      { kind: "text", text: first },
    ];
  });
}

function checkFirst(manifest: SiteManifest, server: string): Block[] {
  const { address, power } = manifest.servers[server]!;
  const others = Object.keys(manifest.servers)
    .filter((name) => name !== server)
    .sort(byName);
  const bmc = power?.kind === "redfish" ? power.url : power?.kind === "ipmi" ? power.address : undefined;
  return [
    { kind: "heading", text: "Check first" },
    {
      kind: "checks",
      items: [
        `Does it answer? \`ping ${address ?? server}\` and \`${sshTo(manifest, server)}\` from two other machines. If it does, it is not lost: mend it, or move its guests with \`coldspare failover ${server} --planned\`.`,
        `Do the others answer: ${list(others)}? If nothing does, look at the switch, the router and the power first.`,
        `Is it only the network? Look at the console or the lights of ${server}. A server that is cut off goes on running its guests, and people may still be working on them.`,
        ...(bmc === undefined ? [] : [`What does its management controller say (${bmc})? On, off, a fault?`]),
        "Is it starting again? A reboot takes less time than many a failover: wait ten minutes if it is on its way.",
      ],
    },
  ];
}

/** What must be settled before a spare starts, by the site's way of fencing. */
function fencing(manifest: SiteManifest, server: string): Block[] {
  return [
    { kind: "heading", text: `Make sure that ${server} is off` },
    ...fencingText(manifest, server),
    { kind: "blanks", labels: [`${server} was seen off by, at`] },
  ];
}

function fencingText({ fencing: mode, lease, servers }: SiteManifest, server: string): Block[] {
  const pull = `Pull **all** its power cords, or hold the power button until fans and lights are off. Leave the cords out.`;
  if (mode === "power") {
    const how = servers[server]?.power === undefined ? ", but no way to do so is known for this server" : "";
    return [
      {
        kind: "text",
        text: `The command switches ${server} off itself and reads its state back${how}. It refuses to go on when it cannot.`,
      },
      { kind: "text", text: `By hand, or when its management controller is dead too: ${pull}` },
    ];
  }
  if (mode === "lease") {
    const wait = formatDuration(lease.termSeconds + lease.marginSeconds);
    return [
      {
        kind: "text",
        text: `The command blocks ${server} at the other servers and waits until its lease has surely ended: at most ${wait}. Until then a server that is only cut off stops its own guests. Nobody has to go there.`,
      },
      { kind: "text", text: `By hand nobody waits for the lease, so: ${pull}` },
    ];
  }
  return [
    {
      kind: "warning",
      text: `Somebody must see with their own eyes that ${server} is off. The command asks for that and writes it down.`,
    },
    { kind: "text", text: pull },
  ];
}

function withLaptop(manifest: SiteManifest, server: string, moving: readonly ManifestGuest[]): Block[] {
  if (moving.length === 0) return [];
  const yes = manifest.fencing === "confirm" ? ` --yes --confirm-off ${server}` : " --yes";
  return [
    { kind: "heading", text: "With the laptop" },
    {
      kind: "code",
      lines: [
        "coldspare status                          # who is where, how old the copies are",
        `${`coldspare failover ${server} --dry-run`.padEnd(41)} # the plan, nothing is changed`,
        `${`coldspare failover ${server}`.padEnd(41)} # shows the plan, asks once, does it`,
        `# without questions: coldspare failover ${server}${yes}`,
        "# broken off half-way: type the same again, it goes on where it was",
      ],
    },
  ];
}

function afterwards(server: string, moving: readonly ManifestGuest[]): Block[] {
  if (moving.length === 0) return [];
  return [
    { kind: "heading", text: "Afterwards" },
    {
      kind: "checks",
      items: [
        `Everything answers: ${moving.map(({ name, networks }) => `${name}${addressOf(networks)}`).join(", ")}.`,
        `People know that the newest data may be missing (at most: ${list([...new Set(moving.map(pointOf))])}) and look at what they did last.`,
        "Who is active is in the stack's config: `coldspare failover` writes it there, or says what to type. By hand: " +
          moving.map(({ name }) => `\`pulumi config set --path 'coldspare:active.${name}' spare\``).join(", ") +
          ".",
        `Changes with Pulumi while ${server} is away: \`coldspare up\`, not \`pulumi up\`.`,
        `These guests have no spare now. Order the parts for ${server}.`,
      ],
    },
  ];
}

function addressOf(networks: ManifestGuest["networks"]): string {
  const address = networks.find((card) => card.address !== undefined)?.address?.split("/")[0];
  return address === undefined ? "" : ` (${address})`;
}

function comingBack(manifest: SiteManifest, server: string, moving: readonly ManifestGuest[]): Block[] {
  if (moving.length === 0) return [];
  const first = moving[0]!;
  return [
    { kind: "heading", text: `When ${server} comes back` },
    {
      kind: "list",
      ordered: true,
      items: [
        `Before it gets power: pull its network cables if anything was started **by hand**, and put them back once you have seen that its old guests are stopped (\`qm list\`, \`pct list\` at its console).`,
        `Its old guests stay stopped: the guard refuses to start them, and they are marked \`coldspare-diverged\`. Do not start them, do not delete them. What was written on ${server} last is only there.`,
        "Wait until the cluster is whole again: `pvecm status`" +
          (manifest.cluster === undefined ? " (no cluster here)" : `, votes: ${manifest.expectedVotes}`) +
          ", then `coldspare status`.",
        `In a quiet hour, home again, one guest or all. Decide what becomes of the data that only ${server} has:`,
      ],
    },
    {
      kind: "table",
      head: ["`--diverged`", "what becomes of the old volumes"],
      rows: [
        ["`discard`", "overwritten by the last synchronisation: they are gone"],
        ["`keep`", "a full copy of them stays as a powered-off guest `NAME-diverged`"],
        ["`extract`", "as `keep`, and it says how to get single files out"],
      ],
    },
    {
      kind: "code",
      lines: [
        `coldspare failback ${first.name} --diverged keep --dry-run`,
        `${`coldspare failback ${server} --diverged keep`.padEnd(44)} # everything that has its home on ${server}`,
        `${`coldspare commit ${first.name} --diverged keep`.padEnd(44)} # or: it stays where it is, that is its home now`,
      ],
    },
  ];
}

/** A server that runs no guests: its loss stops nobody, and nothing must be started. */
function helperChapter(manifest: SiteManifest, server: string): Block[] {
  const { roles } = manifest.servers[server]!;
  const votes = Object.values(manifest.guests).filter(({ voters }) => voters.includes(server));
  const restored = Object.values(manifest.guests).filter(({ method }) => method === "restore");
  const others = Object.keys(manifest.servers).filter((name) => manifest.servers[name]?.roles.includes("hypervisor"));
  return [
    { kind: "chapter", text: `${server} is lost` },
    {
      kind: "text",
      text: `${server} (${list(roles)}) runs no guests: everything goes on. **Nothing is to be failed over.**`,
    },
    { kind: "heading", text: "What is missing meanwhile" },
    {
      kind: "list",
      items: [
        ...(votes.length === 0
          ? []
          : [
              `Its voice in who may run ${names(votes)}: from now on the loss of one more server stops them until somebody decides by hand.`,
            ]),
        ...(manifest.cluster !== undefined && server === manifest.witness
          ? [
              `The third vote of the cluster: **do not restart** ${list(others, "or")} before it is back, or the other one stops accepting changes.`,
            ]
          : []),
        ...(roles.includes("backup-server")
          ? [
              "No backups are made, and none can be restored.",
              ...(restored.length === 0
                ? []
                : [`The spares of ${names(restored)} grow old: they are restored from backups.`]),
            ]
          : []),
      ],
    },
    { kind: "heading", text: "What to do" },
    {
      kind: "checks",
      items: [
        `Does it answer? \`${sshTo(manifest, server)}\`. Power, network, console.`,
        "`coldspare status` shows which voters answer.",
        `Repair it, or install another one under the same name and address, then \`pulumi up\`. Its records come back from the other servers: \`coldspare-node reconcile\` on each hypervisor.`,
        "After it is back: the backups of last night, the age of the newest copies (`coldspare status`), the medium on the shelf.",
      ],
    },
  ];
}
