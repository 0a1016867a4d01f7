import type { DomainState, Guest, GuestConfig, ReplicationJob, StorageEntry } from "../state";

function section(config: GuestConfig): string {
  const notes = (config.description ?? "")
    .replace(/\n$/, "")
    .split("\n")
    .filter((line, _, all) => all.length > 1 || line !== "")
    .map((line) => `#${encodeURIComponent(line).replace(/%20/g, " ")}\n`);
  const lines = Object.keys(config)
    .filter((key) => key !== "description")
    .sort()
    .map((key) => `${key}: ${config[key]}\n`);
  return [...notes, ...lines].join("");
}

/** A guest's configuration file as PVE writes it: notes as comments, then the values, then each snapshot. */
export function guestFile(guest: Guest): string {
  const snapshots = Object.entries(guest.snapshots).map(([name, { config, snaptime, description, parent }]) => {
    const values = { ...config, snaptime: String(snaptime), ...(parent ? { parent } : {}) };
    return `\n[${name}]\n${section(description ? { ...values, description } : values)}`;
  });
  return [section(guest.config), ...snapshots].join("");
}

/** The current configuration in a guest's file. */
export function parseGuestFile(text: string): GuestConfig {
  const config: GuestConfig = {};
  const notes: string[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("[")) break;
    const match = /^([a-z]\w*): ?(.*)$/i.exec(line);
    if (line.startsWith("#")) notes.push(decoded(line.slice(1)));
    else if (match) config[match[1]!] = match[2]!.trim();
  }
  if (notes.length > 0) config.description = notes.join("\n");
  return config;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function block(type: string, id: string, values: Record<string, string | undefined>, flags: string[] = []): string {
  const lines = Object.entries(values).flatMap(([key, value]) =>
    value === undefined ? [] : [flags.includes(key) ? `\t${key}\n` : `\t${key} ${value}\n`],
  );
  return `${type}: ${id}\n${lines.join("")}\n`;
}

export function storageFile(storages: Record<string, StorageEntry>): string {
  return Object.values(storages)
    .map(({ storage, type, ...values }) => block(type, storage, values))
    .join("");
}

export function replicationFile(jobs: Record<string, ReplicationJob>): string {
  return Object.values(jobs)
    .map(({ id, type, guest: _guest, jobnum: _jobnum, ...values }) => block(type, id, values, ["disable"]))
    .join("");
}

/** Everything that stands below `/etc/pve`, by path. */
export function clusterFiles(state: DomainState): Map<string, string> {
  const files = new Map<string, string>([
    ["storage.cfg", storageFile(state.storages)],
    ["replication.cfg", replicationFile(state.replication)],
  ]);
  for (const [id, { password, key }] of Object.entries(state.storageSecrets ?? {})) {
    if (password) files.set(`priv/storage/${id}.pw`, `${password}\n`);
    if (key) files.set(`priv/storage/${id}.enc`, `${key}\n`);
  }
  for (const guest of Object.values(state.guests)) files.set(guestPath(guest.node, guest), guestFile(guest));
  return files;
}

export function guestPath(node: string, { type, vmid }: Pick<Guest, "type" | "vmid">): string {
  return `nodes/${node}/${type === "qemu" ? "qemu-server" : "lxc"}/${vmid}.conf`;
}
