/** What the powered-off side of a guest by `zfs-sync` is: the same for the stack that registers it and for whoever looks at it. */
import { createHash } from "node:crypto";
import type { GuestPlan } from "./plan";

/** A machine that is registered on its spare under the id that it has on its primary. */
export interface RegisteredPlan {
  /** The guest's name; the registered one has the same, unless `hostname` says another. */
  guest: string;
  /** Its name on the hypervisor, where that is another one. */
  hostname?: string;
  /** Its id on both servers. */
  vmid: number;
  /** The server whose guest it is a side of: its settings are taken from there. */
  source: string;
  /** The spare. */
  node: string;
  /** Changes when the guest's settings do, so that they are taken over again. */
  settings: string;
  /** Tags, at least one: a guest of that id without one of them is not ours. */
  tags: string[];
  notes: string;
  /** It was started and is the active side: it is only looked at, until this is false again. Default: false. */
  active?: boolean;
  /** Order of start on its server, for the day it is activated (PVE `startup`). */
  bootOrder: number;
  /** Seconds that the next guest waits after this one was started. */
  bootDelaySeconds?: number;
}

/** The registered side of a guest; undefined for one whose spare is not made by `zfs-sync`. */
export function registeredOf(guest: GuestPlan): RegisteredPlan | undefined {
  const { replica, spec } = guest;
  if (replica?.method !== "zfs-sync" || spec.kind !== "vm") return undefined;
  return {
    guest: guest.name,
    ...(guest.hostname === guest.name ? {} : { hostname: guest.hostname }),
    vmid: guest.id,
    source: guest.primary,
    node: replica.server,
    settings: digest([spec, guest.addresses]),
    tags: guest.tags.map((tag) => (tag === "coldspare-primary" ? "coldspare-spare" : tag)).sort(),
    notes: `Powered-off spare of ${guest.name} (primary: ${guest.primary}). Managed by coldspare.`,
    ...(guest.activeSide === "spare" ? { active: true } : {}),
    bootOrder: spec.boot.order,
    ...(spec.boot.delaySeconds > 0 ? { bootDelaySeconds: spec.boot.delaySeconds } : {}),
  };
}

function digest(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 12);
}
