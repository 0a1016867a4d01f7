import type { Guest } from "./state";

/** What a program on a host came back with. */
export interface ProgramResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** The real hosts behind the nodes and witnesses, as far as the simulator drives them. */
export interface HostPower {
  cut(name: string): Promise<void>;
  boot(name: string): Promise<void>;
  restart(name: string, command: "reboot" | "shutdown"): Promise<void>;
  split(a: string[], b: string[]): Promise<void>;
  heal(): Promise<void>;
  freeze(name: string): Promise<void>;
  thaw(name: string): Promise<void>;
  /** What somebody outside needs to reach the hosts, by name. */
  describe(): Promise<Record<string, unknown>>;
  /** Brings files of the hosts and the simulator's state together, e.g. after somebody moved a file below `/etc/pve`. */
  reconcile(): Promise<void>;
}

/** What of the guests is real when the lab has real hosts. Without it a running guest is a state and nothing more. */
export interface GuestRuntime {
  /** Runs a program on a host as root. @throws Error when the host is down */
  exec(node: string, argv: string[], env?: Record<string, string>): Promise<ProgramResult>;
  /** A file on a host; undefined when it is not there. */
  file(node: string, path: string): { executable: boolean; outside: string } | undefined;
  /** Whether the host has a network interface of this name, made by whoever. */
  hasInterface(node: string, name: string): boolean;
  /** Starts the guest's process. @returns its pid as seen from outside. `booted`: it answers at once, as after a live migration */
  start(node: string, guest: Guest, booted: boolean): Promise<number>;
  /**
   * Ends the guest's process: at once, or as it likes within so many real seconds.
   *
   * @returns false when it still runs after that
   */
  end(node: string, vmid: number, pid: number, how: "shutdown" | "kill", seconds?: number): Promise<boolean>;
  /** `reset` boots it again, `pause` and `resume` as for a machine. */
  signal(pid: number, what: "reset" | "pause" | "resume"): void;
  /** Asks the guest's service: from a place in its network, or on the given node from the guest itself. */
  request(
    vmid: number,
    method: string,
    path: string,
    body: string,
    node?: string,
  ): Promise<{ status: number; body: string }>;
  /** Real seconds from the guest's start until it answers. */
  bootSeconds(guest: Guest): number;
}
