/** Activation of spares without laptop, API token or this program: what one types on the server that stands by. */
import type { ManifestCommand, ManifestGuest, ManifestNetwork, SiteManifest } from "../planning/manifest";
import { byName, formatDuration } from "../planning/units";
import type { Block } from "./runbook-document";
import { sshTo, toolsOf } from "./runbook-words";

/** @param moving The guests in the order of their start. */
export function byHand(manifest: SiteManifest, lost: string, moving: readonly ManifestGuest[]): Block[] {
  if (moving.length === 0) return [];
  const spares = [...new Set(moving.map(({ spare }) => spare!))].sort(byName);
  return [
    { kind: "heading", text: "By hand, without the laptop" },
    {
      kind: "warning",
      text: `Only when ${lost} is off and stays off: no power cord in it. One guest after the other, in this order.`,
    },
    ...spares.flatMap((spare): Block[] => [
      { kind: "text", text: `On **${spare}** (at its console, or from any machine with the key):` },
      {
        kind: "code",
        lines: [
          sshTo(manifest, spare),
          ...quorum(manifest, lost),
          ...moving
            .filter((guest) => guest.spare === spare)
            .flatMap((guest) => ["", ...oneGuest(manifest, lost, guest, moving)]),
        ],
      },
    ]),
  ];
}

function quorum({ cluster }: SiteManifest, lost: string): string[] {
  if (cluster === undefined) return [];
  return [
    "pvecm status                         # Quorate: Yes? Then leave out the next line",
    `pvecm expected 1                     # only with "Quorate: No", and only now that ${lost} is off`,
  ];
}

function oneGuest(
  manifest: SiteManifest,
  lost: string,
  guest: ManifestGuest,
  moving: readonly ManifestGuest[],
): string[] {
  const { name, boot, group } = guest;
  const ofGroup = group === undefined ? undefined : manifest.groups[group];
  // The others of the group, if there are any, run on elsewhere.
  const members = moving.filter((each) => each.group === group);
  const first = members[0] === guest;
  const last = members.at(-1) === guest;
  const wait = boot.delaySeconds > 0 ? `, then another ${formatDuration(boot.delaySeconds)}` : "";
  return [
    `# --- ${name}${group === undefined ? "" : ` (group ${group})`}`,
    ...(first ? commandLines(ofGroup?.commands ?? [], "before-start") : []),
    `coldspare-node allow ${name} --because "${lost} is off, seen by NAME at TIME"`,
    ...activation(lost, guest),
    ...commandLines(guest.commands, "before-start"),
    ...starting(guest),
    `# wait until it answers: about ${formatDuration(boot.seconds)}${wait}`,
    ...commandLines(guest.commands, "after-start"),
    ...(last ? commandLines(ofGroup?.commands ?? [], "after-start") : []),
  ];
}

function activation(lost: string, guest: ManifestGuest): string[] {
  const { program, folder } = toolsOf(guest);
  const { vmid, spare, method, standbyIds } = guest;
  if (method === "restore") {
    return [
      ...(standbyIds ?? []).map((id) => `${program} config ${id} | grep -o 'Recovery point: [^ ]*'`),
      "# start the one with the newer recovery point; one without that line is not whole: leave it alone",
    ];
  }
  if (method === "zfs-sync")
    return [
      `coldspare-zfs replica points ${guest.name}       # what is there; the newest complete one is taken`,
      `coldspare-zfs replica activate ${guest.name}     # an earlier one: --point <name>`,
      ...networkLines(guest, vmid),
    ];
  const moved =
    method === "storage-replication"
      ? [
          `pvesr list | grep '^${vmid}-'           # the job's number; normally ${vmid}-0`,
          `pvesr disable ${vmid}-0`,
          `mv /etc/pve/nodes/${lost}/${folder}/${vmid}.conf /etc/pve/nodes/${spare}/${folder}/`,
        ]
      : [];
  return [...moved, ...networkLines(guest, vmid)];
}

function starting(guest: ManifestGuest): string[] {
  const { program } = toolsOf(guest);
  const { vmid, method, standbyIds } = guest;
  if (method !== "restore") return [`${program} start ${vmid}`];
  const [one = vmid, other] = standbyIds ?? [];
  const changes = [one, ...(other === undefined ? [] : [other])].map((id) => networkLines(guest, id));
  const start = `${program} start ${one}${other === undefined ? "" : `                         # or ${program} start ${other}: one of them only`}`;
  return [
    ...(changes[0] ?? []),
    ...(changes[0]?.length && other !== undefined ? [`# or the same for ${other}`] : []),
    start,
  ];
}

/** On a spare in another subnet a guest needs other network cards; its MAC addresses stay. */
function networkLines(guest: ManifestGuest, vmid: number): string[] {
  const { spareNetworks, kind, cloudInit } = guest;
  if (spareNetworks === undefined) return [];
  const { program } = toolsOf(guest);
  return [
    `${program} config ${vmid} | grep '^net'        # keep the model and whatever else stands there`,
    ...spareNetworks.flatMap((card, index) => {
      const tag = card.vlan === undefined ? "" : `,tag=${card.vlan}`;
      if (kind === "lxc") {
        return [
          `${program} set ${vmid} --net${index} name=eth${index},hwaddr=${card.mac},bridge=${card.bridge}${tag}${addresses(card, ",")}`,
        ];
      }
      return [
        `${program} set ${vmid} --net${index} virtio=${card.mac},bridge=${card.bridge}${tag}`,
        cloudInit
          ? `${program} set ${vmid} --ipconfig${index} ${addresses(card, "")}`
          : `# inside the guest: ${card.address ?? "DHCP"}${card.gateway === undefined ? "" : `, gateway ${card.gateway}`}`,
      ];
    }),
  ];
}

function addresses({ address, address6, gateway, gateway6 }: ManifestNetwork, before: string): string {
  const parts = [
    `ip=${address ?? "dhcp"}`,
    ...(address !== undefined && gateway !== undefined ? [`gw=${gateway}`] : []),
    ...(address6 === undefined ? [] : [`ip6=${address6}`]),
    ...(address6 !== undefined && gateway6 !== undefined ? [`gw6=${gateway6}`] : []),
  ];
  return `${before}${parts.join(",")}`;
}

function commandLines(commands: readonly ManifestCommand[], when: ManifestCommand["when"]): string[] {
  return commands
    .filter((command) => command.when === when)
    .map(({ on, run }) => `# on ${on === "operator" ? "your own machine" : on}: ${run.map(quote).join(" ")}`);
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
