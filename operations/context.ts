/** Who carries out an operation, on which site, with what. Everything that touches the world goes through it. */
import type { SiteManifest } from "../planning/manifest";
import type { PveClient } from "../providers/pve/client";
import type { SshRunner } from "../providers/ssh";
import type { Journal } from "./journal";

/** The operator's machine and its ways to the site. */
export interface Operator {
  manifest: SiteManifest;
  /** All endpoints, short patience. A call about one server goes to that server's own endpoint if it lives. */
  pve: PveClient;
  /** One server's endpoint alone: its own view, which differs from the others' while the network is split. */
  pveAt(server: string): PveClient | undefined;
  ssh: SshRunner;
  journal: Journal;
  clock: Clock;
  /** Who types: `user@host`. */
  by: string;
  /** What happens, for whoever looks on. */
  say(event: Progress): void;
  /** COLDSPARE_SECRET_<NAME> of the environment, or the break-glass file. */
  secret(name: string): string | undefined;
  /** Environment of the operator, for commands of the site's own that run on this machine. */
  env: Readonly<Record<string, string | undefined>>;
}

/** Time: handed in, so that tests need none. */
export interface Clock {
  now(): Date;
  sleep(seconds: number): Promise<void>;
}

/** One line of what happens. */
export interface Progress {
  /** ISO time. */
  at: string;
  guest?: string;
  step: string;
  text: string;
  state: "begin" | "done" | "skip" | "fail" | "note";
}

/** Time as it is. */
export const systemClock: Clock = {
  now: () => new Date(),
  sleep: (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000)),
};

/** Where the program for servers lies. */
export const NODE_PROGRAM = "/usr/local/sbin/coldspare-node";

/** Servers of the manifest that are reached over SSH. */
export function sshServers({ servers }: SiteManifest): string[] {
  return Object.keys(servers).filter((name) => servers[name]?.ssh !== undefined);
}

/** Servers that carry guests. */
export function hypervisors({ servers }: SiteManifest): string[] {
  return Object.keys(servers).filter((name) => servers[name]?.roles.includes("hypervisor"));
}
