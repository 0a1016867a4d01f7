/** Whether a place that somebody writes down (an URL, host:/path, a name) lies on the site itself. */
import { sorted } from "./context";
import { contains, type Family, parseAddress, parsePrefix } from "./ip";
import type { SiteSpec } from "./schema";

/** What of a site a place lies on. */
export interface OnSite {
  kind: "server" | "guest" | "device" | "storage" | "domain" | "network";
  name: string;
}

/** The computer that paths without a host are on, where it is known. */
export interface Machine {
  /** Its names and addresses. */
  hosts: readonly string[];
  /** What it has mounted from elsewhere: folder, and the host that exports it. */
  mounts: readonly { folder: string; host: string }[];
}

/**
 * What of the site a place lies on; undefined for one elsewhere, and for words that name no host (`paper in the safe`).
 *
 * @param text `file:///srv/state`, `s3://bucket?endpoint=https://…`, `https://…`, `user@host:path`, `host`, `/path`
 * @param machine whose paths those without a host are. Default: unknown; only a path of a storage of the site tells then
 */
export function onSite(spec: SiteSpec, text: string, machine?: Machine): OnSite | undefined {
  const { host, path } = hostAndPath(text);
  if (host !== undefined) return hostOnSite(spec, host);
  if (path === undefined) return undefined;
  const mount = longest(machine?.mounts.filter(({ folder }) => isBelow(path, folder)) ?? []);
  if (mount !== undefined) return hostOnSite(spec, mount.host);
  for (const name of machine?.hosts ?? []) {
    const found = knownHost(spec, name);
    if (found !== undefined) return found;
  }
  return pathOnSite(spec, path, machine);
}

/** In words: `vault, a server of office`. */
export function describeOnSite({ kind, name }: OnSite, site: string): string {
  switch (kind) {
    case "domain":
      return `${name}, in the domain of ${site}`;
    case "network":
      return `${name}, an address of ${site}`;
    default:
      return `${name}, a ${kind} of ${site}`;
  }
}

/** The text without a password that an URL may hold. */
export function withoutPassword(text: string): string {
  return text.replace(/^([a-z][a-z0-9+.-]*:\/\/[^/@\s:]*):[^/@\s]+@/i, "$1:…@");
}

/** Whether an URL holds a password, which no specification may. */
export function hasPassword(text: string): boolean {
  return withoutPassword(text) !== text;
}

interface HostAndPath {
  host?: string;
  path?: string;
}

function hostAndPath(text: string): HostAndPath {
  const place = text.trim();
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(place)?.[1]?.toLowerCase();
  if (scheme === "file") return fromFile(place);
  if (scheme === "s3") return fromBucket(place);
  // Buckets of the large clouds, and their stores of keys: none of them is a host of anybody's site.
  if (scheme !== undefined && /^(gs|azblob|mem|awskms|azurekeyvault|gcpkms)$/.test(scheme)) return {};
  if (scheme !== undefined) return withHost(hostOfUrl(place));
  if (place.startsWith("/")) return { path: place };
  if (isAddress(place)) return { host: place };
  const remote = /^(?:[^\s@/:]+@)?(\[[0-9a-f:.]+\]|[^\s@/:]+)(?::.*)?$/i.exec(place);
  return withHost(remote?.[1]);
}

function withHost(host: string | undefined): HostAndPath {
  return host === undefined ? {} : { host: host.replace(/^\[|\]$/g, "") };
}

function hostOfUrl(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).hostname || undefined : undefined;
}

/** `./` and `~` are folders of the computer that the engine runs on. */
function fromFile(url: string): HostAndPath {
  const path = url.slice("file://".length).split("?", 1)[0] ?? "";
  return { path: path.startsWith("/") ? path : `./${path}` };
}

function fromBucket(url: string): HostAndPath {
  const endpoint = URL.canParse(url) ? new URL(url).searchParams.get("endpoint") : null;
  if (endpoint === null) return {};
  return withHost(hostOfUrl(endpoint.includes("://") ? endpoint : `https://${endpoint}`));
}

const family = (text: string): Family => (text.includes(":") ? 6 : 4);
const isAddress = (text: string): boolean => parseAddress(text, family(text)) !== undefined;

function hostOnSite(spec: SiteSpec, host: string): OnSite | undefined {
  return knownHost(spec, host) ?? inNetworks(spec, host) ?? inDomain(spec, host);
}

/** By name, by full name, or by address. */
function knownHost(spec: SiteSpec, host: string): OnSite | undefined {
  return namedHosts(spec).find(({ names }) => names.some((name) => isSameHost(name, host)))?.found;
}

function isSameHost(one: string, other: string): boolean {
  if (isAddress(one) && isAddress(other))
    return family(one) === family(other) && parseAddress(one, family(one)) === parseAddress(other, family(other));
  return one.toLowerCase() === other.toLowerCase().replace(/\.$/, "");
}

function namedHosts(spec: SiteSpec): { found: OnSite; names: string[] }[] {
  const hosts: { found: OnSite; names: string[] }[] = [];
  const add = (kind: OnSite["kind"], name: string, domains: (string | undefined)[], more: (string | undefined)[]) => {
    const full = domains.flatMap((domain) => (domain === undefined ? [] : [`${name}.${domain}`]));
    const others = more.flatMap((text) => (text === undefined ? [] : [text.split("/", 1)[0] ?? text]));
    hosts.push({ found: { kind, name }, names: [name, ...full, ...others] });
  };
  const { domain } = spec.site;
  for (const [name, server] of sorted(spec.servers)) {
    const cards = [...Object.values(server.bridges), ...Object.values(server.vlans)];
    const addresses = [server, ...cards].flatMap(({ address, address6 }) => [address, address6]);
    add("server", name, [domain, server.settings.dnsDomain], addresses);
  }
  for (const [name, guest] of sorted(spec.guests))
    add("guest", name, [domain], [guest.hostname, ...guest.networks.flatMap((card) => [card.address, card.address6])]);
  for (const [name, device] of sorted(spec.devices)) add("device", name, [domain], [device.address, device.address6]);
  return hosts;
}

function inDomain({ site: { domain } }: SiteSpec, host: string): OnSite | undefined {
  const isBelowDomain = domain !== undefined && host.toLowerCase().endsWith(`.${domain.toLowerCase()}`);
  return isBelowDomain ? { kind: "domain", name: host } : undefined;
}

function inNetworks({ networks }: SiteSpec, host: string): OnSite | undefined {
  const address = parseAddress(host, family(host));
  if (address === undefined) return undefined;
  const prefixes = Object.values(networks).flatMap(
    ({ subnet, subnet6 }) => (family(host) === 4 ? subnet : subnet6) ?? [],
  );
  const isInside = prefixes.some((text) => {
    const prefix = parsePrefix(text, family(host));
    return prefix !== undefined && contains(prefix, address);
  });
  return isInside ? { kind: "network", name: host } : undefined;
}

/** Folders that only a server of the site has: where Proxmox VE mounts a shared storage, and its own directories. */
function pathOnSite(spec: SiteSpec, path: string, machine: Machine | undefined): OnSite | undefined {
  for (const [id, { server }] of sorted(spec.storages))
    if (isBelow(path, `/mnt/pve/${id}`))
      return server === undefined || hostOnSite(spec, server) !== undefined ? { kind: "storage", name: id } : undefined;
  if (isBelow(path, "/etc/pve") && Object.keys(spec.servers).length > 0) return { kind: "storage", name: "/etc/pve" };
  // A known computer of one's own may well have a folder of that name.
  if (machine !== undefined) return undefined;
  for (const [, server] of sorted(spec.servers))
    for (const [id, storage] of sorted(server.storages))
      if (storage.type === "dir" && storage.path !== undefined && isBelow(path, storage.path))
        return { kind: "storage", name: id };
  return undefined;
}

function isBelow(path: string, folder: string): boolean {
  const end = folder.replace(/\/+$/, "");
  return path === end || path.startsWith(`${end}/`);
}

/** The innermost mount hides those around it. */
function longest<T extends { folder: string }>(mounts: readonly T[]): T | undefined {
  return [...mounts].sort((a, b) => b.folder.length - a.folder.length)[0];
}
