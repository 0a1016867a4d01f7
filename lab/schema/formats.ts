import { isIPv4, isIPv6 } from "node:net";
import { isCalendarEvent } from "./calendar-event";
import { FormatError } from "./errors";
import type { PropertySchema } from "./types";

/*
 * PVE's named formats are code, so the published schema only names them. These follow `PVE::JSONSchema` and the
 * modules that register more (pve-common, pve-guest-common, qemu-server, pve-storage, pve-firewall); a name that is
 * missing here is accepted and listed by the validator as unchecked.
 */

type Check = (value: string) => void;

const CONFIG_ID = /^[a-z][a-z0-9_-]+$/i;
const STORAGE_ID = /^[a-z][a-z0-9\-_.]*[a-z0-9]$/i;
const VOLUME_ID = /^[a-z][a-z0-9\-_.]*[a-z0-9]:.+$/i;
const DNS_LABEL = /^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?$/;
const CONTENT_TYPES = new Set(["images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none"]);

function must(ok: boolean, message: string): void {
  if (!ok) throw new FormatError(message);
}

function matches(pattern: RegExp, message: (value: string) => string): Check {
  return (value) => must(pattern.test(value), message(value));
}

function isCidr(value: string, family: 4 | 6): boolean {
  const [address, bits, more] = value.split("/");
  if (address === undefined || bits === undefined || more !== undefined || !/^\d+$/.test(bits)) return false;
  return family === 4 ? isIPv4(address) && +bits > 7 && +bits <= 32 : isIPv6(address) && +bits > 7 && +bits <= 128;
}

function isAddressOrNetwork(value: string): boolean {
  const [address, bits] = value.split("/");
  if (address === undefined) return false;
  if (isIPv4(address)) return bits === undefined || (/^\d+$/.test(bits) && +bits <= 32);
  return isIPv6(address) && (bits === undefined || (/^\d+$/.test(bits) && +bits <= 128));
}

function isDnsName(value: string): boolean {
  return value.split(".").every((label) => DNS_LABEL.test(label));
}

function volumeOr(...others: string[]): Check {
  return (value) => {
    if (others.includes(value) || value.startsWith("/")) return;
    must(VOLUME_ID.test(value), `unable to parse volume ID '${value}'`);
  };
}

// The provider sends empty firewall fields for 'any'; PVE splits them into nothing.
function splitNonEmpty(value: string): string[] {
  return value === "" ? [] : value.split(",");
}

const firewallPort: Check = (value) => {
  for (const part of splitNonEmpty(value)) {
    if (/^\d+$/.test(part)) must(+part <= 65535, `invalid port '${part}'`);
    else if (/^\d+:\d+$/.test(part))
      must(
        part.split(":").every((p) => +p <= 65535),
        `invalid port range '${part}'`,
      );
    else must(/^[a-z0-9][a-z0-9+_.-]*$/i.test(part), `invalid port '${part}'`);
  }
};

const firewallAddress: Check = (value) => {
  for (const part of splitNonEmpty(value)) {
    const range = part.split("-");
    if (range.length === 2 && range.every((p) => isIPv4(p) || isIPv6(p))) continue;
    if (/^\+[A-Za-z]/.test(part) || /^(dc|guest|sdn)\/[A-Za-z]|^\+(dc|guest|sdn)\//.test(part)) continue;
    if (/^[A-Za-z][A-Za-z0-9\-_]+$/.test(part)) continue;
    must(isAddressOrNetwork(part), `invalid address '${part}'`);
  }
};

const pair =
  (what: string, id: RegExp): Check =>
  (value) =>
    must(
      value.split(":").length <= 2 && value.split(":").every((part) => id.test(part)),
      `${what} '${value}' is invalid`,
    );

/** Formats with a checker; a final `-list` or `-opt` is taken off before the look-up. */
export const CHECKS: Readonly<Record<string, Check>> = {
  "pve-vmid": matches(/^[1-9][0-9]{2,8}$/, () => "value does not look like a valid VM ID"),
  "pve-node": matches(DNS_LABEL, () => "value does not look like a valid node name"),
  "pve-configid": matches(CONFIG_ID, (v) => `invalid configuration ID '${v}'`),
  "pve-storage-id": matches(STORAGE_ID, (v) => `storage ID '${v}' contains illegal characters`),
  "pve-bridge-id": matches(/^[-_.\w]+$/, (v) => `invalid bridge ID '${v}'`),
  "pve-iface": matches(/^[a-z][a-z0-9_]{1,20}([:.]\d+)?$/i, (v) => `invalid network interface name '${v}'`),
  "pve-poolid": (v) => {
    must(v.split("/").length <= 3, `pool '${v}' is nested too deeply (max levels = 3)`);
    must(
      v.split("/").every((part) => /^[A-Za-z0-9._-]+$/.test(part)),
      `pool name '${v}' contains invalid characters`,
    );
  },
  "pve-groupid": matches(/^[A-Za-z0-9._-]+$/, (v) => `group name '${v}' contains invalid characters`),
  "pve-roleid": matches(/^[A-Za-z0-9._-]+$/, (v) => `role name '${v}' contains invalid characters`),
  "pve-realm": matches(/^[A-Za-z][A-Za-z0-9._-]+$/, () => "value does not look like a valid realm"),
  "pve-userid": matches(
    /^[^\s:/]+@[A-Za-z][A-Za-z0-9._-]+$/,
    (v) => `value '${v}' does not look like a valid user name`,
  ),
  "pve-tokenid": matches(
    /^[^\s:/]+@[A-Za-z][A-Za-z0-9._-]+![A-Za-z][A-Za-z0-9._-]+$/,
    (v) => `value '${v}' does not look like a valid token ID`,
  ),
  "pve-tag": matches(/^[a-z0-9_][a-z0-9_\-+.]*$/i, () => "invalid characters in tag"),
  "pve-replication-job-id": matches(/^[1-9][0-9]{2,8}-\d{1,9}$/, (v) => `invalid replication job id '${v}'`),
  "pve-calendar-event": (v) => must(isCalendarEvent(v), `unable to parse calendar event`),
  "pve-day-of-week": matches(/^(mon|tue|wed|thu|fri|sat|sun)$/, (v) => `invalid day '${v}'`),
  "pve-volume-id": matches(VOLUME_ID, (v) => `unable to parse volume ID '${v}'`),
  "pve-volume-id-or-qm-path": volumeOr("none", "cdrom"),
  "pve-volume-id-or-absolute-path": volumeOr(),
  "pve-lxc-mp-string": (v) => {
    must(v.startsWith("/") || /^[^/:]+:.+$/.test(v) || /^[\w.-]+$/.test(v), "unable to parse mount point string");
    must(!/(^|\/)\.\.(\/|$)/.test(v), "'..' is not allowed in a mount point");
  },
  "pve-storage-content": (v) => must(CONTENT_TYPES.has(v), `invalid content type '${v}'`),
  "pve-storage-path": matches(/^\/[^\0]*$/, (v) => `value '${v}' does not look like a valid absolute path`),
  "pve-storage-server": (v) =>
    must(isIPv4(v) || isIPv6(v) || isDnsName(v), "value does not look like a valid server name or IP address"),
  "pve-storage-options": matches(/^[\w.,=:/@-]+$/, (v) => `invalid mount options '${v}'`),
  "storage-pair": pair("storage mapping", STORAGE_ID),
  "bridge-pair": pair("bridge mapping", /^[-_.\w]+$/),
  "disk-size": matches(/^\d+(\.\d+)?[KMGT]?$/, (v) => `value does not look like a valid disk size: ${v}`),
  urlencoded: matches(/^[-%a-zA-Z0-9_.!~*'()]*$/, (v) => `invalid urlencoded string: ${v}`),
  "mac-addr": matches(
    /^[a-f0-9][02468ace](:[a-f0-9]{2}){5}$/i,
    () => "value does not look like a valid unicast MAC address",
  ),
  "mac-prefix": matches(
    /^[a-f0-9][02468ace](:[a-f0-9]{2}){0,2}:?$/i,
    () => "value is not a valid unicast MAC address prefix",
  ),
  "dns-name": (v) => must(isDnsName(v), `value '${v}' does not look like a valid DNS name`),
  address: (v) => must(isIPv4(v) || isIPv6(v) || isDnsName(v), `value does not look like a valid address: ${v}`),
  ip: (v) => must(isIPv4(v) || isIPv6(v), "value does not look like a valid IP address"),
  ipv4: (v) => must(isIPv4(v), "value does not look like a valid IPv4 address"),
  ipv6: (v) => must(isIPv6(v), "value does not look like a valid IPv6 address"),
  CIDR: (v) => must(isCidr(v, 4) || isCidr(v, 6), "value does not look like a valid CIDR network"),
  CIDRv4: (v) => must(isCidr(v, 4), "value does not look like a valid IPv4 network"),
  CIDRv6: (v) => must(isCidr(v, 6), "value does not look like a valid IPv6 network"),
  IPorCIDR: (v) => must(isAddressOrNetwork(v), "value does not look like a valid IP address or CIDR network"),
  IPorCIDRorAlias: (v) =>
    must(
      isAddressOrNetwork(v) || /^((dc|guest)\/)?[A-Za-z][A-Za-z0-9\-_]+$/.test(v),
      `value does not look like a valid IP address, network or alias`,
    ),
  "pve-ipv4-config": (v) =>
    must(["dhcp", "manual"].includes(v) || isCidr(v, 4), "value does not look like a valid ipv4 network configuration"),
  "pve-ipv6-config": (v) =>
    must(
      ["auto", "dhcp", "manual"].includes(v) || isCidr(v, 6),
      "value does not look like a valid ipv6 network configuration",
    ),
  "pve-qm-bootdev": matches(
    /^(floppy|cdrom|(net|ide|sata|scsi|virtio|hostpci|usb|unused|virtiofs)\d+|efidisk0|tpmstate0)$/,
    (v) => `invalid boot device '${v}'`,
  ),
  "pve-qm-bootdisk": matches(/^(ide|sata|scsi|virtio)\d+$/, (v) => `invalid boot disk '${v}'`),
  "pve-hotplug-features": (v) => {
    if (v === "0" || v === "1") return;
    const known = ["network", "disk", "cpu", "memory", "usb", "cloudinit"];
    must(
      v.split(",").every((part) => known.includes(part)),
      "unable to parse hotplug option",
    );
  },
  "pve-startup-order": (v) =>
    must(
      v.split(",").every((part) => /^(\d+|(order|up|down)=\d+)$/.test(part.trim())),
      "unable to parse startup options",
    ),
  "pve-fw-addr-spec": firewallAddress,
  "pve-fw-dport-spec": firewallPort,
  "pve-fw-sport-spec": firewallPort,
  "pve-fw-protocol-spec": matches(/^[a-z0-9][a-z0-9.+_-]*$/i, (v) => `unknown protocol '${v}'`),
  "pve-fw-icmp-type-spec": matches(/^[a-z0-9][a-z0-9/_-]*$/i, (v) => `unknown icmp-type '${v}'`),
  "pve-fw-comment-spec": () => {},
  email: matches(/^[^\s@]+@[^\s@]+$/, () => "value does not look like a valid email address"),
  "email-or-username": matches(
    /^[^\s@]+(@[^\s@]+)?$/,
    () => "value does not look like a valid email address or user name",
  ),
  string: () => {},
};

const text = (more: PropertySchema = {}): PropertySchema => ({ type: "string", optional: true, ...more });
const flag: PropertySchema = { type: "boolean", optional: true };
const count = (minimum?: number): PropertySchema => ({
  type: "integer",
  optional: true,
  ...(minimum === undefined ? {} : { minimum }),
});

/** Property strings that PVE registers under a name, so that the published schema does not spell them out. */
export const PROPERTY_STRINGS: Readonly<Record<string, Record<string, PropertySchema>>> = {
  "pve-qm-boot": {
    legacy: text({ default_key: true, pattern: "[acdn]{1,4}" }),
    order: text({ format: "pve-qm-bootdev-list" }),
  },
  "pve-qm-ipconfig": {
    ip: text({ format: "pve-ipv4-config" }),
    gw: text({ format: "ipv4", requires: "ip" }),
    ip6: text({ format: "pve-ipv6-config" }),
    gw6: text({ format: "ipv6", requires: "ip6" }),
  },
  "pve-vm-cpu-conf": {
    cputype: text({ default_key: true, pattern: "[\\w.:+-]+" }),
    "reported-model": text(),
    hidden: flag,
    "hv-vendor-id": text({ pattern: "[a-zA-Z0-9]{1,12}" }),
    flags: text({ pattern: "[+-][a-zA-Z0-9\\-_.]+(;[+-][a-zA-Z0-9\\-_.]+)*" }),
    "phys-bits": text({ pattern: "(host|\\d+)" }),
    "guest-phys-bits": count(32),
  },
  "pve-qm-smbios1": {
    uuid: text({ pattern: "[a-fA-F0-9]{8}(?:-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}" }),
    ...Object.fromEntries(
      ["version", "serial", "manufacturer", "product", "sku", "family"].map((key) => [key, text()]),
    ),
    base64: flag,
  },
  "pve-qm-watchdog": {
    model: text({ default_key: true, enum: ["i6300esb", "ib700"] }),
    action: text({ enum: ["reset", "shutdown", "poweroff", "pause", "debug", "none"] }),
  },
  "pve-qm-rng": {
    source: { type: "string", default_key: true, enum: ["/dev/urandom", "/dev/random", "/dev/hwrng"] },
    max_bytes: count(),
    period: count(),
  },
  "pve-qm-cicustom": Object.fromEntries(
    ["meta", "network", "user", "vendor"].map((key) => [key, text({ format: "pve-volume-id" })]),
  ),
  "prune-backups": {
    "keep-all": flag,
    ...Object.fromEntries(
      ["last", "hourly", "daily", "weekly", "monthly", "yearly"].map((key) => [`keep-${key}`, count(0)]),
    ),
  },
};
