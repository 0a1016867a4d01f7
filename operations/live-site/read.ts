/** Reads a running Proxmox VE cluster, with GET alone and few calls: what `check --live` and `import` begin with. */
import type { ClusterSnapshot, GuestSnapshot, NodeSnapshot } from "../../planning/adoption/snapshot";
import type { PveClient } from "../../providers/pve/client";
import { checkPrivileges, readVersion } from "./access";
import { type Changes, changesBetween, isGuest } from "./changes";
import { LiveSiteError, notProxmox, readable } from "./error";
import { readGuest } from "./guests";
import { Reader } from "./reader";
import { guestEntry, type Row } from "./rows";
import { readNetworks, readWhole, serversOf, type Whole } from "./whole";

/** How far the reading is. */
export interface ReadProgress {
  done: number;
  total: number;
  /** What was just read, for example `guest 113`. */
  what: string;
}

export interface ReadOptions {
  say?: (progress: ReadProgress) => void;
  /** Calls at a time. Default 8: a pveproxy has three workers. */
  concurrency?: number;
  /** Milliseconds since 1970; default: the machine's clock. */
  clock?: () => number;
}

/** How often a cluster that does not hold still is read again, after the first time. */
const AGAIN = 3;

/**
 * Reads a cluster. Never changes anything.
 *
 * Calls: 16 for the cluster, one for each server, one for each virtual machine and two for each container; one more for a guest with
 * snapshots, and with the cluster's firewall on two more for each guest that uses it. What changes meanwhile is read again.
 *
 * @throws LiveSiteError when it cannot be read: see its `kind`
 */
export async function readCluster(pve: PveClient, options: ReadOptions = {}): Promise<ClusterSnapshot> {
  try {
    const version = await readVersion(pve);
    const hidden = await checkPrivileges(pve);
    const found = await new Reading(pve, options).read();
    const readAt = Math.floor((options.clock ?? Date.now)() / 1000);
    return { readAt, version, ...found, unread: [...hidden, ...found.unread] };
  } catch (error) {
    throw readable(error);
  }
}

type Found = Omit<ClusterSnapshot, "readAt" | "version">;

/** One reading: rounds of looking, reading, and looking again whether all is where it was. */
class Reading {
  private readonly guests = new Map<number, GuestSnapshot>();
  private readonly astray = new Set<number>();
  private readonly say: (progress: ReadProgress) => void;
  private readonly reader: Reader;
  private progress = { done: 0, total: 0 };

  constructor(pve: PveClient, { say = () => undefined, concurrency = 8 }: ReadOptions) {
    this.say = say;
    this.reader = new Reader(pve, concurrency);
  }

  async read(): Promise<Found> {
    let rows = await this.look();
    let due = rows.filter(isGuest).map(({ vmid }) => Number(vmid));
    for (let round = 0; ; round++) {
      // What stands once for the cluster goes with the guests: a migration turns replication jobs around.
      const whole = await readWhole(this.reader);
      const nodes = await this.readRound(whole, rows, new Set(due));
      const before = rows;
      rows = await this.look();
      const changes = changesBetween(before, rows, this.astray);
      if (changes.said.length === 0) return this.result(whole, nodes, rows);
      if (round === AGAIN) throw stillChanging(changes);
      due = changes.again;
    }
  }

  /** @throws LiveSiteError when there is no cluster to see */
  private async look(): Promise<Row[]> {
    const rows = await this.reader.rows("/cluster/resources", "list servers, guests and storages");
    if (!rows.some(({ type }) => type === "node")) throw notProxmox("/cluster/resources lists no server");
    return rows;
  }

  private async readRound(whole: Whole, rows: readonly Row[], due: ReadonlySet<number>): Promise<NodeSnapshot[]> {
    const nodes = serversOf(rows, whole.addresses);
    const online = new Set(nodes.filter((node) => node.online).map(({ name }) => name));
    this.progress.total += nodes.length + due.size;
    const { reader } = this;
    const reading = { reader, online, firewall: whole.firewall.enabled };
    const guests = rows.filter((row) => isGuest(row) && due.has(Number(row.vmid)));
    await Promise.all([
      ...nodes.map(async (node) => {
        node.networks = await readNetworks(reader, node);
        this.step(`server ${node.name}`);
      }),
      ...guests.map(async (row) => {
        const { guest, astray } = await readGuest(reading, row);
        this.guests.set(guest.vmid, guest);
        if (astray) this.astray.add(guest.vmid);
        else this.astray.delete(guest.vmid);
        this.step(`guest ${guest.vmid}`);
      }),
    ]);
    return nodes;
  }

  private step(what: string): void {
    this.progress.done++;
    this.say({ ...this.progress, what });
  }

  /** The guests as they were listed last, each once, with what was read of them. */
  private result(whole: Whole, nodes: NodeSnapshot[], rows: readonly Row[]): Found {
    const { addresses: _addresses, ...rest } = whole;
    const guests = rows
      .filter(isGuest)
      .map(guestEntry)
      .map(({ vmid, status, lock }) => {
        const { lock: _before, ...guest } = this.guests.get(vmid)!;
        return { ...guest, status, ...(lock === undefined ? {} : { lock }) };
      });
    return { ...rest, nodes, guests: guests.sort((a, b) => a.vmid - b.vmid), unread: this.reader.unread };
  }
}

function stillChanging({ said }: Changes): LiveSiteError {
  return new LiveSiteError(
    "changing",
    `the cluster changes while it is read, ${AGAIN + 1} times in a row; the last time: ${said.join(", ")}. ` +
      "Fix: run this again when migrations and other changes have ended",
  );
}
