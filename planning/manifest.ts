/**
 * What the operator's commands need to know of a site, without the engine and without secrets. Each `pulumi up` exports it as
 * the output `manifest` and places it on every server. Which side of a guest is active is not in it: that is asked on the
 * servers. Sizes in GiB, times in seconds.
 */
import type { Fencing, ReplicaMethod, ServerSpec } from "./schema";

/** Grows by keys only; a reader refuses a greater number than it knows. */
export const MANIFEST_FORMAT = 1;

export interface SiteManifest {
  format: typeof MANIFEST_FORMAT;
  site: string;
  /** Absent: independent hypervisors. */
  cluster?: string;
  domain?: string;
  fencing: Fencing;
  lease: LeaseTimes;
  /** The third voter of guests, beside primary and spare: a server that is no hypervisor. */
  witness?: string;
  /** PEM of the authority of the hypervisors' certificates. */
  ca?: string;
  /** After a loss, sheddable guests may stay off by priority. */
  allowShedding: boolean;
  /** Votes that the cluster expects. */
  expectedVotes: number;
  memoryOverheadGiB: number;
  servers: Record<string, ManifestServer>;
  guests: Record<string, ManifestGuest>;
  /** Application groups by name; a guest is in one at most. */
  groups: Record<string, ManifestGroup>;
  drills: Record<string, ManifestDrill>;
}

/** Seconds; see docs/guard.md for what each bounds. */
export interface LeaseTimes {
  termSeconds: number;
  renewSeconds: number;
  marginSeconds: number;
  watchdogSeconds: number;
}

export interface ManifestServer {
  roles: ServerSpec["roles"];
  /** Management address, without prefix length. */
  address?: string;
  /** API of Proxmox VE, hypervisors only. */
  endpoint?: string;
  /** SHA-256 of its certificate, where no authority is given. */
  fingerprint?: string;
  /** Absent: this server is not reached over SSH, and what needs it is refused by name. */
  ssh?: { host: string; port: number; user: string; hostKeys: string[] };
  /** What guests may take together. */
  memoryLimitGiB: number;
  coreLimit: number;
  power?: ManifestPower;
}

/** How a server is switched off and its state is read back. Passwords by the name of their secret. */
export type ManifestPower =
  | { kind: "redfish"; url: string; username: string; passwordSecret: string; system?: string; ca?: string }
  | { kind: "ipmi"; address: string; username: string; passwordSecret: string }
  /** Commands on the operator's machine; `status` prints `on` or `off`. */
  | { kind: "command"; off: string[]; on?: string[]; status: string[] };

export interface ManifestGuest {
  name: string;
  kind: "qemu" | "lxc";
  /** Id of the guest on its primary; with `storage-replication` and `zfs-sync` the id on either side. */
  vmid: number;
  role?: string;
  primary: string;
  spare?: string;
  method?: ReplicaMethod;
  /** Only with `restore`: the two ids on the spare, used in turn. */
  standbyIds?: [number, number];
  backupStorage?: string;
  /** Storage on the spare for `restore`. */
  standbyStorage?: string;
  /** Servers that keep the record of who may run it, primary and spare first. */
  voters: string[];
  memoryGiB: number;
  cores: number;
  /** Name of the group it is in. */
  group?: string;
  boot: { order: number; delaySeconds: number; seconds: number; atHostBoot: boolean };
  /** Greater is more important. */
  priority: number;
  sheddable: boolean;
  /** RPO in seconds: what is promised, or else what the plan computed. Absent without a spare. */
  recoveryPointSeconds?: number;
  recoveryTimeSeconds?: number;
  recoveryTimePromisedSeconds?: number;
  storages: string[];
  networks: ManifestNetwork[];
  /** The networks as they are on the spare, where that differs (another bridge, VLAN or subnet). Same order and length. */
  spareNetworks?: ManifestNetwork[];
  cloudInit: boolean;
  agent: boolean;
  probes: ManifestProbe[];
  commands: ManifestCommand[];
}

/** One network card: `net0`, `net1` … in order. */
export interface ManifestNetwork {
  network: string;
  bridge: string;
  vlan?: number;
  mac: string;
  /** With prefix length; absent: DHCP. */
  address?: string;
  address6?: string;
  gateway?: string;
  gateway6?: string;
  dnsServers?: string[];
}

/** Guests that belong together, started one after another in this order. */
export interface ManifestGroup {
  guests: string[];
  /** Smaller starts first; a group starts when the one before is up. */
  order: number;
  /** Wait after the group's last guest. */
  delaySeconds: number;
  commands: ManifestCommand[];
}

/** A command around a switch. It gets COLDSPARE_GUEST or COLDSPARE_GROUP, COLDSPARE_FROM, COLDSPARE_TO in its environment. */
export interface ManifestCommand {
  when: "before-stop" | "after-stop" | "before-start" | "after-start";
  /** `operator`: the machine of whoever types the command; otherwise a server's name, `spare`, `primary`, or `guest` (by its agent). */
  on: string;
  run: string[];
  timeoutSeconds: number;
  /** A failure stops the operation. Default: it is reported and the operation goes on. */
  required: boolean;
}

/** How one sees that a guest's service answers. Addresses default to the guest's first one. */
export type ManifestProbe =
  | { kind: "ping"; timeoutSeconds: number }
  | { kind: "tcp"; port: number; timeoutSeconds: number }
  | { kind: "http"; port: number; path: string; expect?: string; status?: number; tls: boolean; timeoutSeconds: number }
  | { kind: "agent"; timeoutSeconds: number }
  /** Run inside the probing namespace of the drill, on the spare. */
  | { kind: "command"; run: string[]; timeoutSeconds: number };

export interface ManifestDrill {
  guests: string[];
  /** systemd calendar event. */
  schedule?: string;
  /** A drill older than this is overdue. */
  maximumAgeSeconds?: number;
}

/** What the stack's config says of the way to the servers. */
export interface ManifestAccess {
  endpoints: Record<string, string>;
  fingerprints?: Record<string, string>;
  ca?: string;
  ssh?: {
    user?: string;
    port?: number;
    /** `host` or `host:port` by server; default: the server's management address. */
    hosts?: Record<string, string>;
    /** Public host keys by server: `ssh-ed25519 AAAA…`. Without a key a server is not reached over SSH. */
    hostKeys: Record<string, string[]>;
  };
}
