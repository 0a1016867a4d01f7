/** Network cards of guests, with what their configuration says about addresses. */
import { parsePrefix } from "../ip";
import { list } from "../units";
import { isTag } from "./bridges";
import type { Card, GuestDraft } from "./guest-draft";
import { flag, parseOptions } from "./words";

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;
/** More than a specification takes. */
const MOST = 32;
/** Options that have a word, or that change nothing about what is planned. */
const SAID = {
  vm: ["model", "macaddr", "bridge", "tag", "firewall", "trunks", "link_down"],
  container: ["name", "hwaddr", "bridge", "tag", "firewall", "trunks", "link_down", "type", "ip", "ip6", "gw", "gw6"],
} as const;

/** Adds the cards of a guest to its draft. */
export function readCards(draft: GuestDraft, kind: "vm" | "container"): void {
  const keys = draft.numbered(/net/);
  if (keys.some((key, index) => key !== `net${index}`))
    draft.keep("networks", `the cards ${list(keys)} are not numbered without gaps`);
  for (const key of keys) readCard(draft, key, kind);
  if (draft.cards.length > MOST) {
    draft.keep("networks", `it has ${draft.cards.length} network cards, more than the ${MOST} of a specification`);
    draft.cards.length = MOST;
  }
}

function readCard(draft: GuestDraft, key: string, kind: "vm" | "container"): void {
  const options = parseOptions(draft.config[key] ?? "", kind === "vm" ? "model" : "name");
  const model = modelOf(options);
  const bridge = options.get("bridge");
  const tag = options.get("tag");
  if (bridge === undefined || (tag !== undefined && !isTag(Number(tag)))) {
    draft.keep(
      "networks",
      `${key} is ${bridge === undefined ? "on no bridge" : `in the VLAN ${tag}, which there is not`}`,
    );
    return;
  }
  if (options.has("trunks")) draft.keep("networks", `${key} carries the VLANs ${options.get("trunks")} as a trunk`);
  const mac = model?.mac ?? options.get("macaddr") ?? options.get("hwaddr");
  draft.cards.push({
    interface: key,
    bridge,
    ...(tag !== undefined && { vlan: Number(tag) }),
    ...(mac !== undefined && MAC.test(mac) && { mac: mac.toUpperCase() }),
    firewall: flag(options.get("firewall")),
    ...(kind === "vm" ? machineAddresses(draft, key) : staticAddresses(options)),
  });
  if (flag(options.get("link_down"))) draft.left.push(`${key} is unplugged (link_down)`);
  if (kind === "vm" && model !== undefined && model.name !== "virtio")
    draft.left.push(`${key} is of the model ${model.name}`);
  const others = [...options.keys()].filter((option) => option !== model?.name && !isSaid(kind, option));
  if (others.length > 0) draft.left.push(`${key} has options without a word: ${list(others)}`);
}

function isSaid(kind: "vm" | "container", option: string): boolean {
  return (SAID[kind] as readonly string[]).includes(option);
}

/** A machine's card names its model with the address: `virtio=BC:24:11:00:00:01`. */
function modelOf(options: ReadonlyMap<string, string>): { name: string; mac?: string } | undefined {
  for (const [name, mac] of options) if (MAC.test(mac) && name !== "macaddr" && name !== "hwaddr") return { name, mac };
  const name = options.get("model");
  return name === undefined ? undefined : { name };
}

/** What cloud-init is told about a card. */
function machineAddresses(draft: GuestDraft, key: string): Partial<Card> {
  const text = draft.config[`ipconfig${key.slice("net".length)}`];
  return text === undefined ? {} : staticAddresses(parseOptions(text, "ip"));
}

function staticAddresses(options: ReadonlyMap<string, string>): Partial<Card> {
  const [ip, ip6, gw, gw6] = ["ip", "ip6", "gw", "gw6"].map((key) => options.get(key));
  return {
    ...(ip !== undefined && parsePrefix(ip, 4) && { address: ip, ...(gw && { gateway: gw }) }),
    ...(ip6 !== undefined && parsePrefix(ip6, 6) && { address6: ip6, ...(gw6 && { gateway6: gw6 }) }),
  };
}
