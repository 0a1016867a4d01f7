import type { Domain } from "./domain";
import { isDisk, isDriveKey, parseDrive } from "./qemu-config";
import type { Guest } from "./state";
import { findVolume, parseSize } from "./volumes";

const MIB = 1024 * 1024;

function memoryOf(guest: Guest): number {
  const text = (guest.running?.config ?? guest.config).memory ?? "512";
  return Number(text.replace("current=", "")) * MIB;
}

function cpusOf(domain: Domain, guest: Guest): number {
  const config = guest.running?.config ?? guest.config;
  if (guest.type === "lxc") return Number(config.cores ?? config.cpulimit ?? domain.hardware(guest.node).cores);
  return Number(config.vcpus ?? Number(config.sockets ?? 1) * Number(config.cores ?? 1));
}

/** Size of the boot disk (or root file system), which PVE shows as the guest's disk. */
function diskSize(guest: Guest): number {
  if (guest.type === "lxc") return parseSize(parseDrive(guest.config.rootfs ?? "").size ?? "0") ?? 0;
  const order = /order=([^,]+)/.exec(guest.config.boot ?? "")?.[1]?.split(";") ?? [];
  const keys = [...order, ...Object.keys(guest.config).sort()].filter(isDriveKey);
  for (const key of keys) {
    const values = parseDrive(guest.config[key] ?? "");
    if (guest.config[key] && isDisk(values) && key !== "efidisk0" && key !== "tpmstate0")
      return parseSize(values.size ?? "0") ?? 0;
  }
  return 0;
}

function haOf(domain: Domain, guest: Guest): Record<string, unknown> {
  const sid = `${guest.type === "qemu" ? "vm" : "ct"}:${guest.vmid}`;
  const resource = domain.state.haResources[sid];
  return resource ? { managed: 1, state: resource.state ?? "started" } : { managed: 0 };
}

const SUPPORT = {
  "pbs-dirty-bitmap": true,
  "query-bitmap-info": true,
  "backup-fleecing": true,
  "backup-max-workers": true,
};
const PRESSURE = {
  pressurecpusome: 0,
  pressurecpufull: 0,
  pressureiosome: 0,
  pressureiofull: 0,
  pressurememorysome: 0,
  pressurememoryfull: 0,
};

function common(domain: Domain, guest: Guest): Record<string, unknown> {
  const { config, running } = guest;
  const uptime = running ? Math.max(0, Math.floor(domain.world.clock.now() - running.startedAt)) : 0;
  return {
    vmid: guest.vmid,
    status: running ? "running" : "stopped",
    ...(config.tags ? { tags: config.tags } : {}),
    ...(config.lock ? { lock: config.lock } : {}),
    ...(config.template === "1" ? { template: 1 } : {}),
    cpu: 0,
    cpus: cpusOf(domain, guest),
    maxmem: memoryOf(guest),
    mem: running ? Math.floor(memoryOf(guest) / 4) : 0,
    maxdisk: diskSize(guest),
    disk: 0,
    netin: 0,
    netout: 0,
    uptime,
    ...(running ? { pid: running.pid, diskread: 0, diskwrite: 0, ...PRESSURE } : {}),
  };
}

/** What `status/current` answers. */
export function currentStatus(domain: Domain, guest: Guest): Record<string, unknown> {
  const shown = { ...common(domain, guest), name: nameOf(guest), ha: haOf(domain, guest) };
  if (guest.type === "lxc") {
    const swap = Number(guest.config.swap ?? "512") * MIB;
    return { ...shown, vmid: guest.vmid, type: "lxc", swap: 0, maxswap: swap, diskread: 0, diskwrite: 0 };
  }
  return {
    ...shown,
    memhost: 0,
    qmpstatus: guest.running ? (guest.running.paused ? "paused" : "running") : "stopped",
    ...(Object.keys(guest.config).some((key) => /^serial\d$/.test(key)) ? { serial: 1 } : {}),
    ...(/(^|,)(enabled=)?1/.test(guest.config.agent ?? "") ? { agent: 1 } : {}),
    ...(guest.running
      ? { "running-qemu": "10.1.2", "running-machine": "pc-i440fx-10.1", "proxmox-support": SUPPORT }
      : {}),
  };
}

/** A guest in `/nodes/{node}/qemu` and `/nodes/{node}/lxc`. */
export function listedStatus(domain: Domain, guest: Guest): Record<string, unknown> {
  const listed = { ...common(domain, guest), name: nameOf(guest) };
  if (guest.type === "lxc")
    return {
      ...listed,
      type: "lxc",
      swap: 0,
      maxswap: Number(guest.config.swap ?? "512") * MIB,
      diskread: 0,
      diskwrite: 0,
    };
  return {
    ...listed,
    memhost: 0,
    diskread: 0,
    diskwrite: 0,
    ...(Object.keys(guest.config).some((key) => /^serial\d$/.test(key)) ? { serial: 1 } : {}),
  };
}

export function nameOf(guest: Guest): string {
  return (
    (guest.type === "qemu" ? guest.config.name : guest.config.hostname) ??
    `${guest.type === "qemu" ? "VM " : "CT"}${guest.vmid}`
  );
}

/** Virtual seconds between two rounds of the status daemon. */
export const STATUS_ROUND = 10;

/**
 * One round of every node's status daemon. `/cluster/resources` shows what it published last: a guest that is younger
 * than the last round is there with the status `unknown`, and a dead node's guests keep their last values.
 */
export function publishStatus(domain: Domain, node?: string): void {
  for (const guest of domain.guests(node))
    if (domain.state.nodes[guest.node]?.up && domain.at(guest.node) === domain)
      guest.published = resourceValues(domain, guest);
}

function resourceValues(domain: Domain, guest: Guest): Record<string, string | number> {
  const status = common(domain, guest);
  return {
    status: status.status as string,
    name: nameOf(guest),
    cpu: 0,
    maxcpu: status.cpus as number,
    mem: status.mem as number,
    maxmem: status.maxmem as number,
    disk: 0,
    maxdisk: status.maxdisk as number,
    diskread: 0,
    diskwrite: 0,
    netin: 0,
    netout: 0,
    uptime: status.uptime as number,
    template: guest.config.template === "1" ? 1 : 0,
    ...(guest.type === "qemu" ? { memhost: 0 } : {}),
  };
}

/** A guest in `/cluster/resources`. */
export function resourceOf(domain: Domain, guest: Guest): Record<string, unknown> {
  const pool = domain.poolOf(guest.vmid);
  return {
    id: `${guest.type}/${guest.vmid}`,
    vmid: guest.vmid,
    type: guest.type,
    node: guest.node,
    ...(guest.config.tags ? { tags: guest.config.tags } : {}),
    ...(guest.config.lock ? { lock: guest.config.lock } : {}),
    ...(pool ? { pool } : {}),
    ...(haOf(domain, guest).managed ? { hastate: haOf(domain, guest).state } : {}),
    ...(guest.published ?? { status: "unknown" }),
  };
}

/** Size of a guest's volume by id, for logs. */
export function sizeOf(domain: Domain, guest: Guest, volid: string): number {
  return findVolume(domain, guest.node, volid)?.size ?? 0;
}
