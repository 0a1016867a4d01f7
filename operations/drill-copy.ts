/** Copies of a replica for a drill: how they are made, and that nothing else is ever removed. */
import type { Operator } from "./context";
import type { DrillCopy, DrillUnit } from "./drill-plan";
import { copyArguments, dataDrives, parseGuestConf } from "./guest-conf";
import { agreed, NOBODY, readVoters } from "./voters";

/** On each server: the last drill of each guest, and the jobs that a drill has paused. */
export const DRILL_FOLDER = "/var/lib/coldspare/drills";

/** The tag without which nothing is ever removed by a drill. */
export const DRILL_TAG = "coldspare-drill";

/** Name of a copy on its server. */
export function drillName(guest: string): string {
  return `${guest}-drill`;
}

export async function makeCopy(operator: Operator, unit: DrillUnit, copy: DrillCopy): Promise<void> {
  if (copy.from === "standby") return cloneStandby(operator, unit, copy);
  await copyVolumes(operator, unit, copy);
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
async function copyVolumes(operator: Operator, unit: DrillUnit, copy: DrillCopy): Promise<void> {
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
  await whilePaused(operator, server, guest.vmid, async () => {
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

/** Replication receives into the very volumes that are copied: it waits meanwhile. What is paused is written down first. */
async function whilePaused(operator: Operator, server: string, vmid: number, work: () => Promise<void>): Promise<void> {
  const { pve } = operator;
  const jobs = (await pve.get<ReplicationJob[]>("/cluster/replication")).filter(
    ({ guest, target, disable }) => guest === vmid && target === server && !isOn(disable),
  );
  for (const job of jobs) {
    await must(operator, server, [
      "sh",
      "-c",
      `mkdir -p ${DRILL_FOLDER} && : > "${DRILL_FOLDER}/paused-$1"`,
      "sh",
      job.id,
    ]);
    await pve.put(`/cluster/replication/${job.id}`, { disable: true });
    await untilIdle(operator, job);
  }
  try {
    await work();
  } finally {
    for (const { id } of jobs) await resumeJob(operator, server, id);
  }
}

/**
 * Switches a job on again that a drill on `server` has paused. Unless the guest has failed over meanwhile: then the job is off for
 * another reason, and its next run would go over what the old side alone has. While nobody can say, it stays paused and noted.
 */
export async function resumeJob(operator: Operator, server: string, job: string): Promise<void> {
  const guest = Object.values(operator.manifest.guests).find(({ vmid }) => vmid === Number(job.split("-")[0]));
  if (guest?.spare !== undefined) {
    const record = agreed(guest, await readVoters(operator, [guest]));
    if (record === undefined) return;
    if (record.server === server || record.server === NOBODY) return forgetPause(operator, server, job);
  }
  await operator.pve.put(`/cluster/replication/${job}`, { disable: false });
  await forgetPause(operator, server, job);
}

async function forgetPause({ ssh }: Operator, server: string, job: string): Promise<void> {
  await ssh.run(server, ["rm", "-f", `${DRILL_FOLDER}/paused-${job}`]);
}

interface ReplicationJob {
  id: string;
  guest: number;
  source?: string;
  target: string;
  disable?: boolean | number | string;
}

function isOn(value: ReplicationJob["disable"]): boolean {
  return value === true || value === 1 || value === "1";
}

/** A run that has begun is not ended by a pause. */
async function untilIdle({ pve, clock }: Operator, { id, source }: ReplicationJob): Promise<void> {
  if (source === undefined) return;
  for (;;) {
    const { pid } = await pve.get<{ pid?: number }>(`/nodes/${source}/replication/${id}/status`);
    if (pid === undefined) return;
    await clock.sleep(2);
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
  const { stdout } = await operator.ssh.run(unit.server, ["sh", "-c", `ls ${DRILL_FOLDER} 2>/dev/null; true`]);
  for (const [, job] of stdout.matchAll(/^paused-(\d+-\d+)$/gm)) await resumeJob(operator, unit.server, job!);
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

/** @throws Error with what the command printed */
export async function must(operator: Operator, server: string, argv: string[], timeoutSeconds = 60): Promise<string> {
  const { code, stdout, stderr } = await operator.ssh.run(server, argv, { timeoutSeconds });
  if (code !== 0)
    throw new Error(
      `${server}: '${argv.slice(0, 3).join(" ")} …' ended with ${code}: ${stderr.trim() || stdout.trim()}`,
    );
  return stdout;
}
