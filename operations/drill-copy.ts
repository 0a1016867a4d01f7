/** Copies of a replica for a drill: how they are made, and that nothing else is ever removed. */
import type { Operator } from "./context";
import { resumePaused, whilePaused } from "./drill-pause";
import type { DrillCopy, DrillUnit } from "./drill-plan";
import { must } from "./drill-server";
import { copyArguments, dataDrives, parseGuestConf } from "./guest-conf";

export { must } from "./drill-server";

/** The tag without which nothing is ever removed by a drill. */
export const DRILL_TAG = "coldspare-drill";

/** Name of a copy on its server. */
export function drillName(guest: string): string {
  return `${guest}-drill`;
}

/** @param paused Filled with the replication jobs that had to be switched off for it and could not be switched on again. */
export async function makeCopy(
  operator: Operator,
  unit: DrillUnit,
  copy: DrillCopy,
  paused: Set<string> = new Set(),
): Promise<void> {
  if (copy.from === "standby") return cloneStandby(operator, unit, copy);
  await copyVolumes(operator, unit, copy, paused);
}

async function cloneStandby({ manifest, pve }: Operator, unit: DrillUnit, copy: DrillCopy): Promise<void> {
  const { server } = unit;
  const guest = manifest.guests[copy.guest]!;
  const about = { guest: copy.guest, doing: "clone the standby for a drill of" };
  const name = guest.kind === "qemu" ? { name: drillName(copy.guest) } : { hostname: drillName(copy.guest) };
  await pve.task(
    server,
    "POST",
    `/nodes/${server}/${guest.kind}/${copy.standbyId}/clone`,
    { newid: copy.drillId, full: true, ...name, description: `Drill of ${copy.guest}. Managed by coldspare.` },
    about,
  );
  // A clone gets hardware addresses of its own, and a system with a fixed address would not know its card any more.
  const config = await pve.get<Record<string, string | number>>(
    `/nodes/${server}/${guest.kind}/${copy.standbyId}/config`,
  );
  const cards: Record<string, string> = {};
  for (const [key, value] of Object.entries(config)) {
    const index = /^net(\d+)$/.exec(key)?.[1];
    const bridge = index === undefined ? undefined : copy.bridges[Number(index)];
    if (bridge !== undefined) cards[key] = `${isolated(String(value))},bridge=${bridge}`;
  }
  await pve.put(
    `/nodes/${server}/${guest.kind}/${copy.drillId}/config`,
    { ...cards, onboot: false, tags: DRILL_TAG },
    about,
  );
}

/** A network card without the bridge, VLAN and firewall of the guest itself. */
function isolated(card: string): string {
  return card
    .split(",")
    .filter((each) => !/^(bridge|tag|trunks|firewall|link_down|rate)=/.test(each))
    .join(",");
}

/** A machine under storage-replication: here are its volumes, its configuration is on the server where it runs. */
async function copyVolumes(operator: Operator, unit: DrillUnit, copy: DrillCopy, paused: Set<string>): Promise<void> {
  const { server } = unit;
  const guest = operator.manifest.guests[copy.guest]!;
  const folders = Object.keys(operator.manifest.servers).map((name) => `/etc/pve/nodes/${name}/qemu-server`);
  const text = await must(
    operator,
    server,
    ["sh", "-c", 'for f; do cat "$f" 2>/dev/null; done; true', "sh"].concat(
      folders.map((folder) => `${folder}/${guest.vmid}.conf`),
    ),
  );
  const conf = parseGuestConf(text);
  const drives = dataDrives(conf);
  if (drives.length === 0) throw new Error(`the configuration of ${copy.guest} was not found on ${server}`);
  const paths: Record<string, string> = {};
  for (const { volume } of drives) paths[volume] = (await must(operator, server, ["pvesm", "path", volume])).trim();
  await refuseFullStorage(operator, unit, drives);
  const created = copyArguments(conf, {
    name: drillName(copy.guest),
    tags: [DRILL_TAG],
    description: `Drill of ${copy.guest}. Managed by coldspare.`,
    paths,
    bridges: copy.bridges,
    addresses: cloudInitAddresses(operator, unit, copy),
  });
  await whilePaused(operator, server, guest.vmid, paused, async () => {
    // A copy of a large disk takes hours; ssh must not give up before.
    await must(operator, server, ["qm", "create", String(copy.drillId), ...created], 24 * 3600);
  });
}

/** Cloud-init tells a machine on the spare the addresses of the spare's networks, where these differ. */
function cloudInitAddresses({ manifest }: Operator, unit: DrillUnit, copy: DrillCopy): Record<number, string> {
  const guest = manifest.guests[copy.guest]!;
  if (!guest.cloudInit || guest.primary === unit.server || !guest.spareNetworks) return {};
  return Object.fromEntries(
    guest.spareNetworks.map((card, index) => [
      index,
      [
        ...(card.address === undefined
          ? ["ip=dhcp"]
          : [`ip=${card.address}`, ...(card.gateway ? [`gw=${card.gateway}`] : [])]),
        ...(card.address6 === undefined
          ? []
          : [`ip6=${card.address6}`, ...(card.gateway6 ? [`gw6=${card.gateway6}`] : [])]),
      ].join(","),
    ]),
  );
}

const UNITS: Record<string, number> = { K: 1 / 1024 ** 2, M: 1 / 1024, G: 1, T: 1024 };

async function refuseFullStorage(
  { pve }: Operator,
  { server }: DrillUnit,
  drives: readonly { volume: string; options: string[] }[],
): Promise<void> {
  const needed = new Map<string, number>();
  for (const { volume, options } of drives) {
    const [, size, unit] =
      /^size=(\d+(?:\.\d+)?)([KMGT])$/.exec(options.find((each) => each.startsWith("size=")) ?? "") ?? [];
    const storage = volume.split(":")[0]!;
    needed.set(storage, (needed.get(storage) ?? 0) + Number(size ?? 0) * (UNITS[unit ?? "G"] ?? 1));
  }
  for (const [storage, gib] of needed) {
    const { avail } = await pve.get<{ avail: number }>(`/nodes/${server}/storage/${storage}/status`);
    const free = avail / 1024 ** 3;
    if (free < gib)
      throw new Error(
        `${storage} on ${server} has ${Math.floor(free)} GiB free, the copy may take ${Math.ceil(gib)} GiB`,
      );
  }
}

interface ClusterGuest {
  vmid: number;
  type: "qemu" | "lxc";
  node: string;
  name?: string;
  tags?: string;
}

/** What an earlier drill on this server left when it was killed: copies by their tag, paused jobs by their note. */
export async function removeLeftovers(operator: Operator, unit: DrillUnit): Promise<void> {
  const rows = await operator.pve.get<ClusterGuest[]>("/cluster/resources", { type: "vm" });
  const names = unit.copies.map(({ guest }) => drillName(guest));
  for (const row of rows)
    if (row.node === unit.server && names.includes(row.name ?? "")) await removeCopy(operator, unit.server, row.vmid);
  for (const text of (await resumePaused(operator, unit.server)).values())
    operator.say({ at: operator.clock.now().toISOString(), step: "drill", text, state: "note" });
}

/** Removes a copy, and never anything that is no copy: its configuration must carry the drill's tag, and its name. */
export async function removeCopy({ pve }: Operator, server: string, vmid: number): Promise<void> {
  const rows = await pve.get<ClusterGuest[]>("/cluster/resources", { type: "vm" });
  const row = rows.find((each) => each.vmid === vmid && each.node === server);
  if (!row) return;
  const path = `/nodes/${server}/${row.type}/${vmid}`;
  const config = await pve.get<{ tags?: string; name?: string; hostname?: string }>(`${path}/config`);
  // A clone that was interrupted before its tags were set has the drill's name at least.
  const isCopy =
    (config.tags ?? "").split(/[;, ]/).includes(DRILL_TAG) || /-drill$/.test(config.name ?? config.hostname ?? "");
  if (!isCopy) throw new Error(`guest ${vmid} on ${server} is no copy of a drill: it is left alone`);
  const about = { doing: `remove the copy ${vmid} of a drill` };
  const { status } = await pve.get<{ status: string }>(`${path}/status/current`);
  if (status === "running") await pve.task(server, "POST", `${path}/status/stop`, {}, about);
  await pve.task(server, "DELETE", path, { purge: true, "destroy-unreferenced-disks": false }, about);
}
