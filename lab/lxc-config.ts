import type { Domain } from "./domain";
import { badParameters, fail } from "./errors";
import { parseProperties, printProperties, randomMac } from "./property-string";
import { configDigest, normalTags } from "./qemu-config";
import { addUnused } from "./qemu-drives";
import type { Guest, GuestConfig } from "./state";
import { gib } from "./topology";
import { allocateDisk, findVolume, formatSize, removeVolume } from "./volumes";

const NUMBERS = new Set([
  "cores",
  "cpuunits",
  "memory",
  "swap",
  "onboot",
  "protection",
  "template",
  "tty",
  "unprivileged",
  "console",
  "debug",
]);
const NEW_VOLUME = /^([A-Za-z][\w.-]*):(\d+(?:\.\d+)?)$/;

/** Parameters of create and restore that the configuration does not keep. */
const NOT_CONFIG = new Set([
  "vmid",
  "node",
  "ostemplate",
  "password",
  "ssh-public-keys",
  "storage",
  "force",
  "restore",
  "unique",
  "pool",
  "start",
  "bwlimit",
  "ignore-unpack-errors",
  "digest",
  "delete",
  "revert",
  "ha-managed",
]);

export function isMountKey(key: string): boolean {
  return /^(rootfs|mp\d+)$/.test(key);
}

export function showContainer(guest: Guest, config: GuestConfig = guest.config): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  // Lines of LXC's own that somebody wrote into the file come in one list.
  const raw = Object.entries(config).filter(([key]) => key.startsWith("lxc."));
  for (const [key, value] of Object.entries(config))
    if (!key.startsWith("lxc.")) shown[key] = NUMBERS.has(key) ? Number(value) : value;
  if (raw.length > 0) shown.lxc = raw;
  // Kept as comment lines in a container's file, a description comes back with a line feed at its end.
  if (config.description) shown.description = `${config.description.replace(/\n$/, "")}\n`;
  shown.digest = configDigest(guest, config);
  return shown;
}

function parseMount(text: string): Record<string, string> {
  return parseProperties(text, "volume");
}

/** A network interface as PVE stores it: a fixed order, an address, and the type. */
export function storedInterface(key: string, text: string): string {
  const values = parseProperties(text, "name");
  if (!values.name)
    throw badParameters({
      [key]: `invalid format - format error\n${key}.name: property is missing and it is not optional\n`,
    });
  const { name, ...others } = values;
  const rest = { ...others, hwaddr: values.hwaddr ?? randomMac(), type: values.type ?? "veth" };
  return printProperties({ ...rest, "": `name=${name}` }, "");
}

/** What PVE checks before it makes volumes. */
export function checkMounts(domain: Domain, node: string, params: Record<string, string>): void {
  const wanted = new Set(
    Object.entries(params).flatMap(([key, text]) =>
      isMountKey(key) ? [NEW_VOLUME.exec(parseMount(text).volume ?? "")?.[1]] : [],
    ),
  );
  if (params.storage) wanted.add(params.storage);
  for (const storage of wanted) {
    if (!storage) continue;
    const entry = domain.state.storages[storage];
    if (!entry) throw fail(`storage '${storage}' does not exist`);
    if (!entry.content.split(",").includes("rootdir"))
      throw badParameters({ storage: `storage '${storage}' does not support container directories` });
  }
  for (const [key, text] of Object.entries(params)) {
    if (!isMountKey(key)) continue;
    const { volume = "" } = parseMount(text);
    if (volume.includes(":") && !NEW_VOLUME.test(volume) && !findVolume(domain, node, volume))
      throw fail(`volume '${volume}' does not exist`);
    if (volume.startsWith("/")) throw fail(`mount point type bind is only allowed for root@pam`);
  }
}

/** Makes or attaches the volume of one mount point. */
export function setMount(domain: Domain, guest: Guest, key: string, text: string, log: (line: string) => void): void {
  const values = parseMount(text);
  const volume = values.volume ?? "";
  const fresh = NEW_VOLUME.exec(volume);
  let volid = volume;
  let size: number;
  if (fresh) {
    size = gib(Number(fresh[2]));
    const made = allocateDisk(domain, guest.node, fresh[1]!, guest.vmid, { size, content: "rootdir", format: "raw" });
    volid = made.volid;
    log(
      made.entry.type === "zfspool"
        ? `# zfs create -o acltype=posixacl -o xattr=sa -o refquota=${size} ${made.entry.pool}/${made.volume.name}`
        : `Formatting '${volid}', fmt=raw size=${size} preallocation=off`,
    );
  } else {
    const found = findVolume(domain, guest.node, volume);
    if (!found) throw fail(`volume '${volume}' does not exist`);
    size = found.size;
    for (const [other, value] of Object.entries(guest.config))
      if (/^unused\d+$/.test(other) && value === volume) delete guest.config[other];
  }
  const before = guest.config[key] ? parseMount(guest.config[key]!).volume : undefined;
  const { volume: _volume, size: _size, ...rest } = values;
  guest.config[key] = printProperties({ ...rest, size: formatSize(size), "": volid }, "");
  if (before && before !== volid) addUnused(guest.config, before);
}

/** Takes a mount point out; its volume stays as `unusedN`. Deleting `unusedN` removes the volume. */
export function detachMount(domain: Domain, guest: Guest, key: string): void {
  const text = guest.config[key];
  if (text === undefined) return;
  if (key === "rootfs") throw fail("unable to delete required option 'rootfs'");
  delete guest.config[key];
  if (/^unused\d+$/.test(key)) {
    const volume = findVolume(domain, guest.node, text);
    if (volume) removeVolume(domain, volume);
  } else addUnused(guest.config, parseMount(text).volume ?? "");
}

export function setContainerValues(guest: Guest, params: Record<string, string>): void {
  for (const [key, value] of Object.entries(params)) {
    if (NOT_CONFIG.has(key) || isMountKey(key)) continue;
    if (key === "tags") {
      const tags = normalTags(value);
      if (tags === "") delete guest.config.tags;
      else guest.config.tags = tags;
    } else if (/^net\d+$/.test(key)) guest.config[key] = storedInterface(key, value);
    else guest.config[key] = value;
  }
}
