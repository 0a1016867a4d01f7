/** The site file that answers become: text with comments, for a person to go on with. */
import { stringify } from "yaml";
import { byName } from "../../planning/units";
import { backendUrl } from "../project";
import type { Answers, GuestAnswer, ServerAnswer, ThirdAnswer } from "./answers";

/** Proxmox VE's cluster names have 15 characters at most. */
const CLUSTER_NAME = 15;
/** What a Proxmox VE installer leaves for its own system in the directory `local`. */
const LOCAL_GIB = 50;

/** What is known beside the answers. */
export interface Surroundings {
  /** IANA name of the time zone that schedules are meant in. */
  timeZone: string;
}

/** The text of site.yaml. */
export function siteText(answers: Answers, { timeZone }: Surroundings): string {
  return [
    head(answers, timeZone),
    serversText(answers),
    sharedText(answers.third),
    networkText(answers),
    imagesText(answers.guests),
    guestsText(answers),
    backupsText(answers),
    stateText(answers),
  ]
    .filter((part) => part !== "")
    .join("\n");
}

/** `{ type: dir, content: [backup] }`, as people write it. */
const flow = (value: object): string =>
  stringify(value, { collectionStyle: "flow", lineWidth: 0 }).trimEnd().replace(/\[ /g, "[").replace(/ \]/g, "]");
/** A name that could be read as a number or as a truth value is quoted. */
const word = (text: string): string => stringify(text).trimEnd();
const block = (value: object, indent: number): string =>
  stringify(value, { lineWidth: 0 }).replace(/^(?=.)/gm, " ".repeat(indent));

function head({ name, servers }: Answers, timeZone: string): string {
  const site = {
    name,
    timeZone,
    ...(servers.length > 1 && { cluster: name.slice(0, CLUSTER_NAME).replace(/-+$/, "") }),
  };
  return `# What runs where in ${name}, what stands by for it, and where its copies lie. Sizes are GiB.
# \`npx coldspare check\` says what the plan is worth; \`npx coldspare schema\` knows every word that can stand here.
site:
${block({ ...site, fencing: "confirm" }, 2)}`;
}

function serversText({ servers, third }: Answers): string {
  const subnet = subnetOf(servers);
  return [
    "# Correct what is not so: cores are threads (`nproc`), the pool is what `zfs list` has as available, the address is that of",
    "# the web interface. local-zfs is what the installer makes on ZFS.",
    "servers:",
    ...servers.map((server) => serverText(server, subnet)),
    ...(third === undefined ? [] : [thirdText(third, subnet, servers.length)]),
  ].join("\n");
}

function serverText({ name, cores, memoryGiB, poolGiB, address }: ServerAnswer, subnet: string): string {
  const lines = [
    `  ${word(name)}:`,
    "    roles: [hypervisor]",
    `    cores: ${cores}`,
    `    memoryGiB: ${memoryGiB}`,
    ...addressLines(address, subnet),
    "    bridges: { vmbr0: {} }",
    "    storages:",
    `      local-zfs: ${flow({ type: "zfspool", pool: "rpool/data", sizeGiB: poolGiB, content: ["images", "rootdir"] })}`,
    `      local: ${flow({ type: "dir", path: "/var/lib/vz", sizeGiB: LOCAL_GIB, content: ["iso", "vztmpl", "import", "snippets"] })}`,
  ];
  return `${lines.join("\n")}`;
}

function thirdText({ name, cores, memoryGiB, diskGiB, address }: ThirdAnswer, subnet: string, servers: number): string {
  const roles = [...(diskGiB === undefined ? [] : ["backup-server"]), ...(servers === 2 ? ["witness"] : [])];
  const lines = [
    ...(servers === 2
      ? ["  # The third vote: without it the cluster stands still when either of the two is lost."]
      : []),
    `  ${word(name)}:`,
    `    roles: ${flow(roles)}`,
    `    cores: ${cores}`,
    `    memoryGiB: ${memoryGiB}`,
    `    hostReserve: ${flow({ cores: 1, memoryGiB: Math.min(memoryGiB, 2) })}`,
    ...addressLines(address, subnet),
    ...(diskGiB === undefined
      ? []
      : [
          `    storages:\n      vzdump: ${flow({ type: "dir", path: "/srv/vzdump", sizeGiB: diskGiB, content: ["backup"] })}`,
        ]),
  ];
  return lines.join("\n");
}

function addressLines(address: string, subnet: string): string[] {
  return [...(isInside(address, subnet) ? ["    network: lan"] : []), `    address: ${address}`];
}

/** The directory of the backup server, as the hypervisors see it. */
function sharedText(third: ThirdAnswer | undefined): string {
  if (third?.diskGiB === undefined) return "";
  const storage = {
    type: "nfs",
    server: third.name,
    export: "/srv/vzdump",
    sizeGiB: third.diskGiB,
    content: ["backup"],
  };
  return `
# ${third.name} exports this folder over NFS to the hypervisors, which write their backups there.
storages:
  backup-nfs: ${flow(storage)}`;
}

function networkText(answers: Answers): string {
  const subnet = subnetOf(answers.servers);
  const router = subnet.replace(/\.0\/24$/, ".1");
  const machines = [...answers.servers, ...(answers.third ? [answers.third] : []), ...answers.guests];
  const gateway = machines.some(({ address }) => address === router) ? {} : { gateway: router };
  return `
# Guests get their address from your DHCP server, unless they name one.
networks:
  lan: ${flow({ subnet, ...gateway })}`;
}

const DEBIAN = {
  kind: "disk-image",
  url: "https://cloud.debian.org/images/cloud/trixie/latest/debian-13-genericcloud-amd64.qcow2",
  fileName: "debian-13-genericcloud-amd64.qcow2",
};

function imagesText(guests: readonly GuestAnswer[]): string {
  if (!guests.some(({ os }) => os === "linux")) return "";
  return `
images:
  debian-13:
${block(DEBIAN, 4).trimEnd()}`;
}

function guestsText(answers: Answers): string {
  if (answers.guests.length === 0)
    return `
# Guests go here; examples are in node_modules/coldspare/dist/stacks/smb-site/site.yaml.
guests: {}`;
  const places = placesOf(answers);
  return [
    "\n# Each guest with the server that it normally runs on, and its powered-off replica on another one.",
    "guests:",
    ...answers.guests.map((guest) => guestText(guest, places.get(guest.name)!)),
  ].join("\n");
}

interface Places {
  primary: string;
  spare?: string;
}

function guestText(guest: GuestAnswer, { primary, spare }: Places): string {
  const { name, cores, memoryGiB, diskGiB, os, address } = guest;
  const windows = os === "windows";
  const lines = [
    `  ${word(name)}:`,
    "    kind: vm",
    `    os: ${windows ? "windows-11" : "linux"}`,
    ...(windows ? ["    bios: ovmf", "    tpm: true"] : []),
    `    on: ${word(primary)}`,
    `    cores: ${cores}`,
    `    memoryGiB: ${memoryGiB}`,
    ...(windows
      ? []
      : ["    image: debian-13", `    cloudInit: ${flow({ user: "admin", passwordSecret: `${name}-password` })}`]),
    `    disks: [${flow({ sizeGiB: diskGiB, storage: "local-zfs" })}]`,
    `    networks: [${flow({ network: "lan", ...(address && { address }) })}]`,
    ...(address ? ["    probes: [{ kind: ping }]"] : []),
    ...(spare === undefined
      ? []
      : [`    coldReplica: ${flow({ on: spare, method: "storage-replication", schedule: "*/15" })}`]),
  ];
  return lines.join("\n");
}

/** The largest first, each on the server with most memory left, its spare on the next best one. */
function placesOf({ servers, guests }: Answers): Map<string, Places> {
  const left = new Map(servers.map(({ name, memoryGiB }) => [name, memoryGiB]));
  const places = new Map<string, Places>();
  const bySize = [...guests].sort((a, b) => b.memoryGiB - a.memoryGiB || byName(a.name, b.name));
  for (const { name, memoryGiB } of bySize) {
    const [primary, spare] = [...left].sort(([, a], [, b]) => b - a).map(([server]) => server);
    if (primary === undefined) continue;
    left.set(primary, (left.get(primary) ?? 0) - memoryGiB);
    places.set(name, spare === undefined ? { primary } : { primary, spare });
  }
  return places;
}

function backupsText({ third, guests }: Answers): string {
  if (third?.diskGiB === undefined || guests.length === 0) return "";
  return `
backups:
  nightly: { storage: backup-nfs, schedule: "22:30", guests: all, keep: { daily: 7, weekly: 4 } }`;
}

function stateText({ state, name }: Answers): string {
  const passphrase = state.kind === "cloud" ? "" : "\n  # secretsKey: paper in the safe";
  return `
# What a bad day needs besides the servers, and where it is kept: not on the site itself.
state:
  backend: ${stringify(backendUrl(state), { lineWidth: 0 }).trimEnd()}${passphrase}
  # specification: ["git@git.example.org:${name}.git"]
`;
}

function subnetOf([first]: readonly ServerAnswer[]): string {
  return `${(first?.address ?? "192.168.10.11").split(".").slice(0, 3).join(".")}.0/24`;
}

const isInside = (address: string, subnet: string): boolean => address.startsWith(subnet.replace(/0\/24$/, ""));
