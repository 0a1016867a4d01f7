import { fail } from "../errors";
import { nameOf } from "../guest-status";
import { isDriveKey, parseDrive } from "../qemu-config";
import { importFile } from "../qemu-drives";
import type { Guest, GuestType } from "../state";
import { allocateDisk, parseSize } from "../volumes";
import { CommandFailed, follow, type HostCommand, readOptions } from "./commands-io";

interface Wanted {
  command: HostCommand;
  type: GuestType;
  vmid: string;
  /** The guest's place in the API of this node. */
  path: string;
  options: Record<string, string>;
  rest: string[];
}

type Verb = (wanted: Wanted) => Promise<void>;

function bootDiskGiB(guest: Guest): string {
  const key = Object.keys(guest.config)
    .filter(isDriveKey)
    .sort()
    .find((each) => parseDrive(guest.config[each]!).size);
  const bytes = key ? (parseSize(parseDrive(guest.config[key]!).size!) ?? 0) : 0;
  return (bytes / 1024 ** 3).toFixed(2);
}

function list({ command: { domain, node, out }, type }: Wanted): void {
  const guests = domain.guests(node, type);
  if (type === "lxc") {
    if (guests.length > 0)
      out(`${["VMID", "Status", "Lock", "Name"].map((text, at) => text.padEnd([10, 10, 12, 20][at]!)).join(" ")}\n`);
    for (const guest of guests)
      out(
        `${String(guest.vmid).padEnd(10)} ${(guest.running ? "running" : "stopped").padEnd(10)} ${(guest.config.lock ?? "").padEnd(12)} ${nameOf(guest).padEnd(20)}\n`,
      );
    return;
  }
  if (guests.length > 0)
    out(
      `${"VMID".padStart(10)} ${"NAME".padEnd(20)} ${"STATUS".padEnd(10)} ${"MEM(MB)".padEnd(10)} ${"BOOTDISK(GB)".padStart(12)} ${"PID".padEnd(10)}\n`,
    );
  for (const guest of guests)
    out(
      `${String(guest.vmid).padStart(10)} ${nameOf(guest).padEnd(20)} ${(guest.running ? "running" : "stopped").padEnd(10)} ${String(guest.config.memory ?? 512).padEnd(10)} ${bootDiskGiB(guest).padStart(12)} ${String(guest.running?.pid ?? 0).padEnd(10)}\n`,
    );
}

async function status({ command, path, options }: Wanted): Promise<void> {
  const now = (await command.api("GET", `${path}/status/current`)) as Record<string, unknown>;
  if (!options.verbose) return command.out(`status: ${now.status}\n`);
  for (const key of Object.keys(now).sort())
    command.out(`${key}: ${typeof now[key] === "object" ? JSON.stringify(now[key]) : now[key]}\n`);
}

async function config({ command, path, options }: Wanted): Promise<void> {
  const values = (await command.api("GET", `${path}/config`, options)) as Record<string, unknown>;
  for (const key of Object.keys(values).sort()) {
    if (key === "digest") continue;
    const value = key === "description" ? encodeURIComponent(String(values[key])) : values[key];
    command.out(`${key}: ${value}\n`);
  }
}

function act(verb: string): Verb {
  return async ({ command, path, options: { skiplock: _skiplock, ...options } }) =>
    follow(command, await command.api("POST", `${path}/status/${verb}`, options));
}

async function set({ command, type, vmid, path, options }: Wanted): Promise<void> {
  await command.api("PUT", `${path}/config`, options);
  const shown = Object.entries(options).map(([key, value]) => ` -${key} ${value}`);
  if (type === "qemu") command.out(`update VM ${vmid}:${shown.join("")}\n`);
}

async function create({ command, type, vmid, options, rest }: Wanted): Promise<void> {
  const params = { ...options, vmid, ...(type === "lxc" && rest[0] ? { ostemplate: rest[0] } : {}) };
  await follow(command, await command.api("POST", `/nodes/${command.node}/${type}`, params));
}

async function destroy({ command, path, options: { skiplock: _skiplock, ...options } }: Wanted): Promise<void> {
  await follow(command, await command.api("DELETE", path, options));
}

async function clone({ command, path, options, rest }: Wanted): Promise<void> {
  await follow(command, await command.api("POST", `${path}/clone`, { ...options, newid: rest[0] ?? "" }));
}

async function migrate({ command, path, options, rest }: Wanted): Promise<void> {
  await follow(command, await command.api("POST", `${path}/migrate`, { ...options, target: rest[0] ?? "" }));
}

async function unlock({ command: { domain, node }, type, vmid }: Wanted): Promise<void> {
  const guest = domain.guestOn(node, type, vmid);
  if (!domain.quorate(node)) {
    const file = `/etc/pve/nodes/${node}/${type === "qemu" ? "qemu-server" : "lxc"}/${vmid}.conf`;
    throw fail(`unable to open file '${file}.tmp.102' - Permission denied`);
  }
  delete guest.config.lock;
  domain.save();
}

/** `qm importdisk ID FILE STORAGE`: the bytes of a file become an unused disk. */
async function importDisk({ command, vmid, rest }: Wanted): Promise<void> {
  const { domain, node } = command;
  const guest = domain.guestOn(node, "qemu", vmid);
  const [file = "", storage = ""] = rest;
  const source = importFile(domain, node, file);
  if (!source) throw new CommandFailed(`error with import source '${file}': no such file`);
  const { volid, volume } = allocateDisk(domain, node, storage, guest.vmid, { size: source.size });
  source.copyTo(volume);
  let number = 0;
  while (guest.config[`unused${number}`] !== undefined) number++;
  guest.config[`unused${number}`] = volid;
  domain.save();
  command.out(`unused${number}: successfully imported disk '${volid}'\n`);
}

async function agent({ command, path, rest }: Wanted): Promise<void> {
  const [verb = ""] = rest;
  const method = verb.startsWith("get-") || verb.startsWith("network-get") || verb === "info" ? "GET" : "POST";
  const answer = (await command.api(method, `${path}/agent/${verb}`)) as { result?: unknown };
  if (method === "GET") command.out(`${JSON.stringify(answer.result, null, 3)}\n`);
}

const VERBS: Record<string, Verb> = {
  status,
  config,
  set,
  create,
  destroy,
  clone,
  migrate,
  unlock,
  importdisk: importDisk,
  agent,
  ...Object.fromEntries(
    ["start", "stop", "shutdown", "reboot", "reset", "suspend", "resume"].map((verb) => [verb, act(verb)]),
  ),
};

/** `qm` (machines) and `pct` (containers). */
export async function guestCommand(command: HostCommand, type: GuestType, words: string[]): Promise<void> {
  const program = type === "qemu" ? "qm" : "pct";
  const [first = "help", ...others] = words;
  // `qm guest cmd ID ping` and `qm disk import ID FILE STORAGE` are the newer names.
  const isPair = /^(guest cmd|disk import)$/.test(`${first} ${others[0]}`);
  const verb = isPair ? (first === "guest" ? "agent" : "importdisk") : first;
  const { options, rest } = readOptions(isPair ? others.slice(1) : others);
  if (verb === "list") return list({ command, type, vmid: "", path: "", options, rest });
  const handler = VERBS[verb];
  if (!handler) throw new CommandFailed(`ERROR: unknown command '${program} ${words.join(" ")}'`);
  const vmid = rest.shift() ?? options.vmid;
  if (vmid === undefined || !/^\d+$/.test(vmid))
    throw new CommandFailed(`400 not enough arguments\n${program} ${verb} <vmid> [OPTIONS]`);
  const { vmid: _vmid, ...values } = options;
  await handler({ command, type, vmid, path: `/nodes/${command.node}/${type}/${vmid}`, options: values, rest });
}
