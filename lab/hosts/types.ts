import type { LabCertificates } from "../tls";

/** How a host of the lab is made. */
export interface HostSpecification {
  /** Host name, as in the site's plan. */
  name: string;
  /** Management address (IPv4), on which its sshd listens. */
  address: string;
  /** Length of the network's prefix. */
  prefix: number;
  /** Whether guests run here; a witness is none. */
  hypervisor: boolean;
}

/** A file or folder of the machine that every host sees at another place. */
export interface HostBind {
  from: string;
  /** Absolute path inside the host; made if it is not there. */
  to: string;
  /** Leave the bind out of other hosts. @default every host */
  hosts?: string[];
  /** @default false */
  readOnly?: boolean;
}

/** An address of the site's router, by which whoever is in that network reaches the others. */
export interface RouterAddress {
  /** With prefix length, `192.168.20.1/24`. */
  address: string;
  bridge: string;
  /** Absent: the bridge's own network, without a tag. */
  vlan?: number;
}

export interface HostsOptions {
  /** Everything of the hosts lies here; a second start in the same folder first removes what a killed lab left. */
  folder: string;
  hosts: HostSpecification[];
  binds?: HostBind[];
  /** Environment of everything that runs on the hosts (units, sshd's sessions, `exec`). */
  environment?: Record<string, string>;
  /**
   * Seconds of silence of a client after which a host's watchdog-mux feeds the watchdog no more; a sixth of it later, but
   * at least a second, the watchdog resets the host (60 and 10 on a real one). @default 60
   */
  watchdogSeconds?: number;
  /** What a forwarded port does while its host cannot be reached: closes at once, or takes the connection and stays silent as a dead server would. @default "closed" */
  unreachable?: "closed" | "silent";
  /** Certificates of the BMCs. @default an authority of their own in `folder` */
  certificates?: LabCertificates;
  /**
   * Called in every boot after the host's file systems and network are there and before sshd and any unit runs: the place to
   * put files such as `/etc/pve`. `pid` is the host's pid 1 as seen from outside.
   */
  beforeUnits?: (host: string, pid: number) => Promise<void> | void;
  /** Called after a host went down for whatever reason: power cut, BMC, watchdog, `poweroff`. */
  onDown?: (host: string, why: DownReason) => void;
  /** Called after a host is up, for whatever reason it was started. */
  onUp?: (host: string) => void;
  /**
   * Addresses that the probe namespace takes as the site's router. That of the hosts' own network becomes their default route,
   * and stands on the bridge of their management address whatever is named here. @default no router
   */
  router?: RouterAddress[];
  /** Address of the probe namespace on the switch. @default the last usable address of the hosts' network */
  probeAddress?: string;
}

/** Why a host went down: `power` is a cut through the lab or its BMC, `watchdog` its own timer, `self` its own shutdown. */
export type DownReason = "power" | "watchdog" | "self";

export interface ExecOptions {
  input?: string;
  env?: Record<string, string>;
  /** The command is killed after that. @default 60 */
  timeoutSeconds?: number;
}

export interface ExecResult {
  /** Exit code; 128 + signal number when a signal ended it; 124 after the time-out. */
  code: number;
  stdout: string;
  stderr: string;
}

/** How a host's BMC misbehaves. */
export interface BmcBehaviour {
  /** Answers 401 to everything (`denied`), 500 to resets (`refuse`), accepts resets and does nothing (`ignore`), reports Off or On whatever is true (`says-off`, `says-on`), does not listen at all (`dead`). */
  fault?: "denied" | "refuse" | "ignore" | "says-off" | "says-on" | "dead";
  /** Seconds before each answer. @default 0 */
  delaySeconds?: number;
}

/** Real hosts: namespaces with file systems, network, sshd, units, watchdog and BMC of their own. */
export interface LabHosts {
  /** Namespaces, network, sshd, enabled units. Does nothing when the host is up. */
  boot(name: string): Promise<void>;
  /** Power cut: everything of the host ends at once. Resolves when nothing of it runs any more. */
  cut(name: string): Promise<void>;
  isUp(name: string): boolean;
  /** Stops every process of a host where it is; its watchdog goes on, outside. `thaw` lets them go on as if nothing was. */
  freeze(name: string): void;
  thaw(name: string): void;
  /** @throws Error when the host is down */
  exec(name: string, argv: string[], options?: ExecOptions): Promise<ExecResult>;
  /**
   * Starts a process inside the host's namespaces that outlives the call, as a child of the host's pid 1.
   *
   * @param options `log` is a file inside the host, which what the process says is appended to
   * @returns its pid as seen from outside
   */
  spawn(name: string, argv: string[], options?: { env?: Record<string, string>; log?: string }): Promise<number>;
  /**
   * A bridge of the host for (bridge, vlan), joined to the same bridge of all other hosts unless isolated.
   *
   * @returns the name of its interface in the host's network namespace; with an isolated bridge nothing leaves the host
   */
  bridge(name: string, bridge: string, vlan?: number, options?: { isolated?: boolean }): Promise<string>;
  /** Joins the probe namespace to (bridge, vlan) with this address (`192.168.20.250/24`). Done once, again is harmless. */
  probeJoin(bridge: string, vlan: number | undefined, address: string): Promise<void>;
  /** Runs a command in the probe namespace on the switch, which no partition cuts off. */
  probe(argv: string[], options?: ExecOptions): Promise<ExecResult>;
  /** No frame passes between the two sides any more. `operator` stands for the forwarded ports and the APIs. */
  split(sideA: string[], sideB: string[]): Promise<void>;
  /** Whether the two can reach each other (both `up` or not is not asked). */
  connected(a: string, b: string): boolean;
  heal(): Promise<void>;
  /** Loopback port that leads to the host's sshd. */
  sshPort(name: string): number;
  /** `ssh-ed25519 AAAA…` of the host. */
  hostKey(name: string): Promise<string>;
  /** Private key that all hosts let in as root. */
  operatorKeyFile(): string;
  /** Redfish of the host, basic auth `admin` / `bmcPassword()`. */
  bmcUrl(name: string): string;
  bmcPassword(): string;
  /** PEM file of the authority that signed the BMCs' certificate. */
  bmcCaFile(): string;
  bmc(name: string, behaviour: BmcBehaviour): void;
  /** argv of a switch for power over a command: append `on`, `off` or `status`. */
  powerSwitch(name: string): string[];
  /** The host's pid 1 as seen from outside; undefined when it is down. */
  pid(name: string): number | undefined;
  /** Folder of the machine in which the host's root file system is kept (upper layer and private folders). */
  hostFolder(name: string): string;
  stop(): Promise<void>;
}
