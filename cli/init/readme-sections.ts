/** What the README of a new site says beyond the steps that every project has. */
import { list } from "../../planning/units";
import type { Answers, ThirdAnswer } from "./answers";

/** Sections as Markdown. */
export function readmeSections(answers: Answers): string[] {
  return [siteSection(answers), ...beforeSection(answers)];
}

function siteSection({ servers, third, guests }: Answers): string {
  const hypervisors = list(servers.map(({ name }) => name));
  const lines = [
    `- ${hypervisors} ${servers.length === 1 ? "runs" : "run"} Proxmox VE, with guests on the storage \`local-zfs\`.`,
    ...(third === undefined ? [] : [`- ${third.name} ${dutiesOf(third, servers.length)}.`]),
    ...(guests.length === 0 ? ["- No guests yet: add them in the section `guests`."] : []),
    ...guests.map(
      ({ name, os }) => `- ${name} is a guest with ${os === "windows" ? "Windows" : "Debian"}. ${firstStart(name, os)}`,
    ),
  ];
  return `## The site\n\n${lines.join("\n")}`;
}

function dutiesOf({ diskGiB }: ThirdAnswer, servers: number): string {
  return [servers === 2 ? "has the third vote" : "", diskGiB === undefined ? "" : "takes the backups"]
    .filter((duty) => duty !== "")
    .join(" and ");
}

function firstStart(name: string, os: "linux" | "windows"): string {
  if (os === "windows") return "Its first disk is empty: install it from an image of your own.";
  return `Its user is \`admin\`; set the password with \`pulumi config set --secret coldspare:${name}-password\`, or one is made up and kept in the state, encrypted.`;
}

/** What `pulumi up` takes for granted. */
function beforeSection({ name, servers, third }: Answers): string[] {
  const [first, ...others] = servers;
  if (first === undefined) return [];
  const parts: string[] = [];
  if (others.length > 0) {
    parts.push(
      `The servers form one cluster. If they do not yet, as root on ${first.name}, then on ${list(others.map((server) => server.name))}:`,
      shell(`pvecm create ${name.slice(0, 15).replace(/-+$/, "")}`, `pvecm add ${first.address}`),
    );
  }
  if (third !== undefined && servers.length === 2)
    parts.push(
      `${third.name} has a vote. As root on ${third.name}, then on both servers, then on ${first.name}:`,
      shell("apt install corosync-qnetd", "apt install corosync-qdevice", `pvecm qdevice setup ${third.address}`),
    );
  if (third?.diskGiB !== undefined)
    parts.push(
      `${third.name} exports a folder to the servers. As root on ${third.name}:`,
      shell(
        "apt install nfs-kernel-server && mkdir -p /srv/vzdump",
        `echo '/srv/vzdump ${servers.map(({ address }) => `${address}(rw,no_root_squash,no_subtree_check)`).join(" ")}' >> /etc/exports && exportfs -ra`,
      ),
    );
  return parts.length === 0 ? [] : [`## What must be there first\n\n${parts.join("\n\n")}`];
}

const shell = (...lines: string[]): string => ["```sh", ...lines, "```"].join("\n");
