import type { Domain } from "../../../lab/domain";
import { type WrittenGuest, writeGuest } from "../../../lab/prepare";
import type { GuestConfig } from "../../../lab/state";
import type { LabTopology } from "../../../lab/topology";

/** What a test cluster is made of. */
export interface Kind {
  topology: LabTopology;
  /** Puts what people made there into the lab, before it starts. */
  fill(domain: Domain): void;
  /** Locks of guests by id: a lab that starts has none, so they come afterwards. */
  locks?: Record<number, string>;
  /** Servers that are off. */
  off?: string[];
}

/** A MAC address that is the same every time. */
export function mac(vmid: number, card = 0): string {
  const hex = vmid.toString(16).padStart(6, "0").toUpperCase();
  return `BC:24:11:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${(Number.parseInt(hex.slice(4), 16) ^ (card << 6)).toString(16).toUpperCase().padStart(2, "0")}`;
}

/** Identity that Proxmox VE gives every virtual machine. */
export function identity(vmid: number): GuestConfig {
  const tail = String(vmid).padStart(12, "0");
  return {
    smbios1: `uuid=1b4e28ba-2fa1-11d2-883f-${tail}`,
    vmgenid: `6fa459ea-ee8a-3ca4-894e-${tail}`,
    meta: "creation-qemu=10.1.2,ctime=1767225600",
  };
}

/** A virtual machine; `running` has what differs from what it was started with, with `undefined` for what it had not. */
export function vm(node: string, vmid: number, config: GuestConfig, more: Extra = {}): WrittenGuest {
  return guest("qemu", node, vmid, { ...identity(vmid), ...config }, more);
}

/** A container. */
export function ct(node: string, vmid: number, config: GuestConfig, more: Extra = {}): WrittenGuest {
  return guest("lxc", node, vmid, { arch: "amd64", ostype: "debian", ...config }, more);
}

type Extra = Pick<WrittenGuest, "pool" | "snapshots"> & { running?: true | Record<string, string | undefined> };

function guest(type: "qemu" | "lxc", node: string, vmid: number, config: GuestConfig, more: Extra): WrittenGuest {
  const { running, ...rest } = more;
  const written = { vmid, type, node, config, ...rest };
  if (running === undefined) return written;
  const started = running === true ? [] : Object.entries({ ...config, ...running });
  const before = started.filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { ...written, running: running === true ? true : Object.fromEntries(before) };
}

export function write(domain: Domain, guests: readonly WrittenGuest[]): void {
  for (const guest of guests) writeGuest(domain, guest);
}

/** A replication job, and how its last run went. */
export function replicate(
  domain: Domain,
  id: string,
  target: string,
  more: { schedule?: string; rate?: string; disable?: "1"; comment?: string; error?: string } = {},
): void {
  const [vmid = "", jobnum = ""] = id.split("-");
  const { error, ...values } = more;
  const now = domain.world.clock.seconds();
  const guest = Number(vmid);
  const source = domain.guest(guest)!.node;
  domain.state.replication[id] = { id, guest, jobnum: Number(jobnum), type: "local", target, source, ...values };
  domain.state.replicationState[id] = {
    last_sync: error ? now - 7200 : now - 300,
    last_try: now - 300,
    next_sync: now + 600,
    fail_count: error ? 4 : 0,
    ...(error ? { error } : { duration: 3.4 }),
    log: [],
    storages: [],
  };
}

/** A vzdump job. */
export function backup(domain: Domain, id: string, values: Record<string, string>): void {
  domain.state.backupJobs[id] = values;
  domain.state.backupLastRun[id] = domain.world.clock.seconds();
}

/** The server's network: one bridge on a card, with the server's own address. */
export function onBridge(domain: Domain, node: string, cidr: string, gateway: string, vlanAware = true): void {
  const [address = "", netmask = ""] = cidr.split("/");
  Object.assign(domain.state.nodes[node]!.interfaces.vmbr0!, {
    method: "static",
    cidr,
    address,
    netmask,
    gateway,
    ...(vlanAware ? { bridge_vlan_aware: "1", bridge_vids: "2-4094" } : {}),
  });
}
