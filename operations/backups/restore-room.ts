/** Whether a restored guest finds room: on the storages of its server, and in its memory when it is started. */
import { type Finding, formatGiB } from "../../planning";
import { PveError } from "../../providers/pve/errors";
import { isOn } from "../../providers/replication-health";
import type { Operator } from "../context";
import { sizesOf } from "../failback-room";
import { parseGuestConf } from "../guest-conf";
import type { LiveSite } from "../live-types";
import { caution, refusal } from "../refusals";
import type { RestorePlan } from "./plan-restore";

const GIB = 1024 ** 3;

/** Storages that take room for a disk's whole size when it is made. */
const RESERVES = ["zfspool", "lvm", "rbd"];

/** The configuration that is in a copy, as `qm config` would show it. */
export async function configIn(operator: Operator, server: string, volid: string): Promise<Record<string, string>> {
  const pve = operator.pveAt(server) ?? operator.pve;
  const about = { doing: `read the configuration in ${volid}` };
  return parseGuestConf(await pve.get<string>(`/nodes/${server}/vzdump/extractconfig`, { volume: volid }, about));
}

/** @param config That of the copy. */
export async function roomFor(
  operator: Operator,
  live: LiveSite,
  plan: RestorePlan,
  config: Readonly<Record<string, string>>,
): Promise<Finding[]> {
  const needed = sizesNeeded(plan, sizesOf(config));
  const findings = await Promise.all(
    Object.entries(needed).map(([storage, gib]) => storageRoom(operator, plan, storage, gib)),
  );
  return [...findings.flat(), ...memoryRoom(operator, live, plan)];
}

/** While a guest that is kept is copied, its disks are there twice; what is written over gives its room back. */
function sizesNeeded({ storage, existing }: RestorePlan, sizes: Record<string, number>): Record<string, number> {
  const total = Object.values(sizes).reduce((sum, gib) => sum + gib, 0);
  const placed = storage === undefined ? sizes : { [storage]: total };
  return existing?.keep === "backup" ? {} : placed;
}

async function storageRoom(
  { pve }: Operator,
  { server, guest, name }: RestorePlan,
  storage: string,
  gib: number,
): Promise<Finding[]> {
  let status: { avail?: number; type?: string };
  try {
    status = await pve.get(`/nodes/${server}/storage/${storage}/status`);
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    return [
      refusal(
        "OPERATION-NO-STORAGE",
        guest,
        `the copy wants its disks on ${storage}, which ${server} does not have (${error.reason})`,
        "name a storage of that server with --storage",
      ),
    ];
  }
  const free = (status.avail ?? Number.POSITIVE_INFINITY) / GIB;
  if (gib <= free) return [];
  const { sparse } = await pve.get<{ sparse?: unknown }>(`/storage/${storage}`).catch(() => ({ sparse: 0 }));
  const reserves = RESERVES.includes(status.type ?? "") && !isOn(sparse);
  const make = reserves ? refusal : caution;
  return [
    make(
      "OPERATION-NO-ROOM",
      server,
      `the disks of ${name} take ${reserves ? "" : "up to "}${formatGiB(gib)} on ${storage}, which has ${formatGiB(Math.floor(free))} left on ${server}`,
      "make room there, or name another storage with --storage",
    ),
  ];
}

function memoryRoom({ manifest }: Operator, live: LiveSite, plan: RestorePlan): Finding[] {
  if (!plan.start || plan.existing?.running) return [];
  const { server, name, memoryGiB } = plan;
  const limit = manifest.servers[server]?.memoryLimitGiB ?? 0;
  const used = live.servers[server]?.usedGiB ?? 0;
  const needed = memoryGiB + manifest.memoryOverheadGiB;
  // Sizes are sums of rounded figures.
  if (used + needed <= limit + 0.001) return [];
  return [
    refusal(
      "OPERATION-NO-MEMORY",
      server,
      `${name} needs ${formatGiB(needed)} on ${server}, where ${formatGiB(used)} of ${formatGiB(limit)} are taken by what runs there now`,
      "leave --start out, name another server with --to, or stop something there",
    ),
  ];
}
