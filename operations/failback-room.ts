/** Whether there is room for what is kept of old sides, before anything is copied. */
import { type Finding, formatGiB } from "../planning";
import type { Operator } from "./context";
import { configAt } from "./failback-moves";
import type { ReturnGuest, ReturnPlan } from "./failback-plan";
import { dataDrives } from "./guest-conf";
import { caution, refusal } from "./refusals";

const GIB = 1024 ** 3;
const UNITS: Record<string, number> = { "": 1 / GIB, K: 1 / 1024 ** 2, M: 1 / 1024, G: 1, T: 1024 };

/** Storages that take room for a disk's whole size when it is made. */
const RESERVES = ["zfspool", "lvm", "rbd"];

/** GiB of a guest's disks by storage, by their full size. Pure. */
export function sizesOf(config: Readonly<Record<string, unknown>>): Record<string, number> {
  const sizes: Record<string, number> = {};
  const strings = Object.fromEntries(Object.entries(config).map(([key, value]) => [key, String(value)]));
  const volumes = [...dataDrives(strings), ...mountsOf(strings)];
  for (const { volume, options } of volumes) {
    const [, size = "0", unit = ""] =
      /^size=(\d+(?:\.\d+)?)([KMGT]?)$/.exec(options.find((each) => each.startsWith("size=")) ?? "") ?? [];
    const storage = volume.split(":")[0]!;
    sizes[storage] = (sizes[storage] ?? 0) + Number(size) * (UNITS[unit] ?? 0);
  }
  return sizes;
}

/** Of a container: its root file system and its mount points on storages. */
function mountsOf(config: Readonly<Record<string, string>>): { volume: string; options: string[] }[] {
  return Object.entries(config).flatMap(([key, value]) => {
    const [volume = "", ...options] = value.split(",");
    return /^(rootfs|mp\d+)$/.test(key) && volume.includes(":") ? [{ volume, options }] : [];
  });
}

/** Refusals where a storage reserves what it gives, warnings where it may still fit by what is really used. */
export async function roomForOldData(operator: Operator, plan: ReturnPlan): Promise<Finding[]> {
  const needed = new Map<string, { home: string; storage: string; gib: number; guests: string[] }>();
  const keeps = ({ diverged, method }: ReturnGuest) =>
    // With zfs-sync what is kept stays where it is, under another name.
    method !== "zfs-sync" && (diverged === "keep" || diverged === "extract");
  for (const each of plan.guests.filter(keeps)) {
    for (const [storage, gib] of Object.entries(await sizesAt(operator, each))) {
      const key = `${each.home}/${storage}`;
      const known = needed.get(key) ?? { home: each.home, storage, gib: 0, guests: [] };
      needed.set(key, { ...known, gib: known.gib + gib, guests: [...known.guests, each.guest] });
    }
  }
  const findings: Finding[] = [];
  for (const { home, storage, gib, guests } of needed.values()) {
    const free = await freeGiB(operator, home, storage);
    if (free === undefined || gib <= free.gib) continue;
    const make = free.reserves ? refusal : caution;
    findings.push(
      make(
        "OPERATION-NO-ROOM",
        home,
        `copies of what only ${home} has of ${guests.join(", ")} take ${free.reserves ? "" : "up to "}${formatGiB(gib)} on ${storage}, which has ${formatGiB(Math.floor(free.gib))} left there`,
        guests.length > 1
          ? `bring them home one after another, and look through each copy and remove it before the next; or \`--diverged discard\` for those whose old data nobody needs`
          : `make room on ${storage} of ${home}, or \`--diverged discard\` if nobody needs the old data`,
      ),
    );
  }
  return findings;
}

/** Under replication the configuration is where the guest is active, and names the same disks. */
async function sizesAt(operator: Operator, each: ReturnGuest): Promise<Record<string, number>> {
  const server = each.method === "restore" ? each.home : each.away;
  return sizesOf(await configAt(operator, each, server, each.vmid));
}

async function freeGiB({ pve }: Operator, home: string, storage: string) {
  const status = await pve.get<{ avail?: number; type?: string }>(`/nodes/${home}/storage/${storage}/status`);
  if (status.avail === undefined) return undefined;
  const { sparse } = await pve.get<{ sparse?: number | boolean }>(`/storage/${storage}`).catch(() => ({ sparse: 0 }));
  return { gib: status.avail / GIB, reserves: RESERVES.includes(status.type ?? "") && Number(sparse ?? 0) !== 1 };
}
