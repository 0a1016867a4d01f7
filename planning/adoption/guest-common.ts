/** What machines and containers have in common in their configuration. */
import type { z } from "zod";
import type { container } from "../schema";
import { list } from "../units";
import type { GuestDraft } from "./guest-draft";
import type { GuestSnapshot } from "./snapshot";
import { counted, flag, parseOptions, wholeNumber } from "./words";

export type BootInput = NonNullable<z.input<typeof container>["boot"]>;

/** Whether it starts with its server, and in which order. */
export function bootOf(draft: GuestDraft): BootInput | undefined {
  const { onboot, startup } = draft.config;
  const options = parseOptions(startup ?? "", "order");
  const order = wholeNumber(options.get("order"));
  const up = wholeNumber(options.get("up"));
  if (order === 0) draft.left.push("its start order is 0, the words begin at 1");
  if (options.has("down")) draft.left.push(`its server waits ${options.get("down")} s for its shutdown`);
  const boot: BootInput = {
    ...(order !== undefined && order >= 1 && { order }),
    ...(up !== undefined && up > 0 && { delaySeconds: up }),
    ...(!flag(onboot) && { atHostBoot: false }),
  };
  return Object.keys(boot).length === 0 ? undefined : boot;
}

/** MiB in GiB, with what Proxmox VE takes where nothing is said. */
export function memoryGiB(draft: GuestDraft): number {
  const text = parseOptions(draft.config.memory ?? "512", "current").get("current");
  return (wholeNumber(text) ?? 0) / 1024;
}

/** Facts of a guest that are no part of its configuration, or that have no word there. */
export function tellCommon(draft: GuestDraft, guest: GuestSnapshot): void {
  const { left, config } = draft;
  if (guest.tags.length > 0) left.push(`tags ${list(guest.tags)}`);
  if (guest.pool !== undefined) left.push(`member of the pool ${guest.pool}`);
  if (guest.snapshots.length > 0) left.push(`snapshots (${list(guest.snapshots)}): the room they take is not planned`);
  if (guest.firewall.enabled || guest.firewall.rules > 0)
    left.push(
      `its firewall is ${guest.firewall.enabled ? "on" : "off"}, with ${counted(guest.firewall.rules, "rule")}`,
    );
  if (config.hookscript !== undefined)
    left.push(`hook script ${config.hookscript}: a guest has one only, so coldspare's guard cannot be set beside it`);
  for (const key of draft.numbered(/hostpci|usb|dev/))
    left.push(`${key} is a device of ${guest.node}: without it, or elsewhere, the guest may not start`);
}

/** Keys of the configuration that nothing was said about, as one line. */
export function tellOthers(draft: GuestDraft, said: RegExp): void {
  const others = Object.keys(draft.config)
    .filter((key) => !said.test(key) && !COMMON.test(key))
    .sort();
  if (others.length > 0) draft.left.push(`settings without a word: ${list(others)}`);
}

/** Said by a word or told of above, or of no meaning for a plan. */
const COMMON =
  /^(digest|lock|parent|snaptime|template|description|tags|hookscript|onboot|startup|protection|memory|cores|ostype|arch|net\d+|unused\d+|usb\d+)$/;
