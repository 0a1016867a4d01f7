import * as fs from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { component, presentVotes, regroup } from "../membership";
import { DEFAULT_SCHEDULE, nextSync, runJob, stateOf } from "../replication";
import type { ReplicationJob } from "../state";
import { splitVolid, volumePath } from "../volumes";
import { CommandFailed, follow, type HostCommand, readOptions } from "./commands-io";

/** `pvesh get|set|create|delete|ls PATH`. */
export async function pvesh(command: HostCommand, words: string[]): Promise<void> {
  const { options, rest } = readOptions(words);
  const [verb = "", path = "/"] = rest;
  const method = { get: "GET", ls: "GET", set: "PUT", create: "POST", delete: "DELETE" }[verb];
  if (!method) throw new CommandFailed(`ERROR: unknown command 'pvesh ${verb}'`);
  const { "output-format": format, noborder: _border, noheader: _header, quiet, ...params } = options;
  const answer = await command.api(method, path, params);
  if (typeof answer === "string" && answer.startsWith("UPID:")) await follow(command, answer);
  if (quiet || answer === null || answer === undefined) return;
  const text = JSON.stringify(answer, null, format === "json" ? undefined : 3);
  command.out(`${typeof answer === "string" && format !== "json" ? answer : text}\n`);
}

function time(seconds: number): string {
  if (seconds === 0) return "-";
  return new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", "_");
}

function jobsHere({ domain, node }: HostCommand): ReplicationJob[] {
  return Object.values(domain.state.replication)
    .filter((job) => job.source === node)
    .sort((a, b) => a.id.localeCompare(b.id));
}

function jobTable({ domain, out }: HostCommand): void {
  const line = (id: string, target: string, schedule: string, rate: string, enabled: string) =>
    out(`${id.padEnd(20)} ${target.padEnd(20)} ${schedule.padStart(10)} ${rate.padStart(5)} ${enabled.padStart(8)}\n`);
  line("JobID", "Target", "Schedule", "Rate", "Enabled");
  for (const job of Object.values(domain.state.replication))
    line(
      job.id,
      `local/${job.target}`,
      job.schedule ?? DEFAULT_SCHEDULE,
      job.rate ?? "-",
      job.disable === "1" ? "no" : "yes",
    );
}

function jobStates(command: HostCommand, guest: string | undefined): void {
  const { domain, out } = command;
  const line = (cells: string[]) =>
    out(
      `${cells.map((text, at) => (at < 3 ? text.padEnd([10, 10, 20][at]!) : at < 7 ? text.padStart([20, 20, 10, 10][at - 3]!) : text)).join(" ")}\n`,
    );
  line(["JobID", "Enabled", "Target", "LastSync", "NextSync", "Duration", "FailCount", "State"]);
  for (const job of jobsHere(command)) {
    if (guest !== undefined && String(job.guest) !== guest) continue;
    const state = stateOf(domain, job.id);
    line([
      job.id,
      job.disable === "1" ? "No" : "Yes",
      `local/${job.target}`,
      time(state.last_sync),
      job.disable === "1" ? "-" : time(nextSync(job, state)),
      state.duration === undefined ? "-" : String(state.duration),
      String(state.fail_count),
      state.error ?? (state.running ? "SYNCING" : "OK"),
    ]);
  }
}

/** `pvesr list|status|enable|disable|schedule-now|run|delete|create-local-job|update`. */
export async function pvesr(command: HostCommand, words: string[]): Promise<void> {
  const { options, rest } = readOptions(words);
  const [verb = "", id = "", third] = rest;
  const { domain, node } = command;
  const job = `/cluster/replication/${id}`;
  if (verb === "list") return jobTable(command);
  if (verb === "status") return jobStates(command, options.guest);
  if (verb === "enable") return void (await command.api("PUT", job, { disable: "0" }));
  if (verb === "disable") return void (await command.api("PUT", job, { disable: "1" }));
  if (verb === "update") return void (await command.api("PUT", job, options));
  if (verb === "delete") return void (await command.api("DELETE", job, options));
  if (verb === "create-local-job")
    return void (await command.api("POST", "/cluster/replication", {
      ...options,
      id,
      target: third ?? "",
      type: "local",
    }));
  if (verb === "schedule-now") return void (await command.api("POST", `/nodes/${node}/replication/${id}/schedule_now`));
  if (verb !== "run") throw new CommandFailed(`ERROR: unknown command 'pvesr ${verb}'`);
  const wanted = jobsHere(command).filter((each) => options.id === undefined || each.id === options.id);
  if (options.id !== undefined && wanted.length === 0)
    throw new CommandFailed(`no such replication job '${options.id}'`);
  for (const each of wanted) {
    // The scheduler may be at it: both take the same lock.
    while (stateOf(domain, each.id).running) await pause(20);
    await runJob(domain, each);
    const state = stateOf(domain, each.id);
    if (options.verbose) for (const line of state.log) command.out(`${line}\n`);
    if (state.error) throw new CommandFailed(state.error);
  }
}

/** `pvecm status|nodes|expected N`. */
export async function pvecm({ domain, node, out }: HostCommand, words: string[]): Promise<void> {
  const [verb = "status", votes] = words;
  const { cluster } = domain.state;
  if (!cluster)
    throw new CommandFailed(
      "Error: Corosync config '/etc/pve/corosync.conf' does not exist - is this node part of a cluster?",
      2,
    );
  if (verb === "expected") {
    domain.nodeState(node).expectedVotes = Number(votes);
    return regroup(domain);
  }
  const members = component(domain, node);
  const id = (name: string) => `0x${(domain.nodeNames().indexOf(name) + 1).toString(16).padStart(8, "0")}`;
  const rows = members.map(
    (name) => `${id(name).padStart(10)} ${"1".padStart(10)} ${domain.address(name)}${name === node ? " (local)" : ""}`,
  );
  if (verb === "nodes")
    return out(`\nMembership information\n----------------------\n    Nodeid      Votes Name\n${rows.join("\n")}\n`);
  const expected = domain.expectedVotes(node);
  const total = presentVotes(domain, node);
  const isQuorate = domain.quorate(node);
  const witnesses = Object.keys(domain.world.state.witnesses).length;
  const device = witnesses > 0 ? `\n0x00000000 ${String(total - members.length).padStart(10)} Qdevice` : "";
  out(
    [
      "Cluster information\n-------------------",
      `Name:             ${cluster}`,
      "Config Version:   1\nTransport:        knet\nSecure auth:      on\n",
      "Quorum information\n------------------",
      `Date:             ${new Date(domain.world.clock.now() * 1000).toUTCString()}`,
      "Quorum provider:  corosync_votequorum",
      `Nodes:            ${members.length}`,
      `Node ID:          ${id(node)}`,
      "Ring ID:          1.1",
      `Quorate:          ${isQuorate ? "Yes" : "No"}\n`,
      "Votequorum information\n----------------------",
      `Expected votes:   ${expected}`,
      `Highest expected: ${expected}`,
      `Total votes:      ${total}`,
      `Quorum:           ${Math.floor(expected / 2) + 1}${isQuorate ? "" : " Activity blocked"}`,
      `Flags:            ${isQuorate ? "Quorate " : ""}${witnesses > 0 ? "Qdevice" : ""}\n`,
      "Membership information\n----------------------",
      `    Nodeid      Votes Name\n${rows.join("\n")}${device}`,
      "",
    ].join("\n"),
  );
}

/** `pvesm path|status|list|free`. */
export async function pvesm(command: HostCommand, words: string[]): Promise<void> {
  const { options, rest } = readOptions(words);
  const [verb = "", subject = ""] = rest;
  const { domain, node, out } = command;
  if (verb === "path") {
    const { storage, name } = splitVolid(subject);
    return out(`${volumePath(domain.storage(storage, node), name)}\n`);
  }
  if (verb === "free")
    return follow(
      command,
      await command.api("DELETE", `/nodes/${node}/storage/${splitVolid(subject).storage}/content/${subject}`),
    );
  if (verb === "list") {
    const rows = (await command.api("GET", `/nodes/${node}/storage/${subject}/content`, {
      ...(options.vmid ? { vmid: options.vmid } : {}),
      ...(options.content ? { content: options.content } : {}),
    })) as { volid: string; format: string; content: string; size: number; vmid?: number }[];
    const width = Math.max(5, ...rows.map(({ volid }) => volid.length));
    out(`${"Volid".padEnd(width)} ${"Format".padEnd(7)} ${"Type".padEnd(10)} ${"Size".padStart(14)} VMID\n`);
    for (const { volid, format, content, size, vmid } of rows)
      out(
        `${volid.padEnd(width)} ${format.padEnd(7)} ${content.padEnd(10)} ${String(size).padStart(14)} ${vmid ?? ""}\n`,
      );
    return;
  }
  if (verb !== "status") throw new CommandFailed(`ERROR: unknown command 'pvesm ${verb}'`);
  const rows = (await command.api("GET", `/nodes/${node}/storage`)) as Record<string, string | number>[];
  const wanted = rows.filter((row) => !options.storage || row.storage === options.storage);
  const width = Math.max(4, ...wanted.map(({ storage }) => String(storage).length));
  const kib = (value: unknown) => String(Math.floor(Number(value) / 1024)).padStart(15);
  out(
    `${"Name".padEnd(width)} ${"Type".padStart(10)} ${"Status".padStart(10)} ${"Total".padStart(15)} ${"Used".padStart(15)} ${"Available".padStart(15)} ${"%".padStart(8)}\n`,
  );
  for (const row of wanted) {
    const state = row.enabled ? (row.active ? "active" : "inactive") : "disabled";
    const share = Number(row.total) > 0 ? ((100 * Number(row.used)) / Number(row.total)).toFixed(2) : "0.00";
    out(
      `${String(row.storage).padEnd(width)} ${String(row.type).padStart(10)} ${state.padStart(10)} ${kib(row.total)} ${kib(row.used)} ${kib(row.avail)} ${`${share}%`.padStart(8)}\n`,
    );
  }
}

/** `lxc-info -n ID -p -H`: the first process of a running container, by its pid on this host. */
export async function lxcInfo({ domain, node, out }: HostCommand, words: string[]): Promise<void> {
  const vmid = words[words.indexOf("-n") + 1] ?? "";
  const pid = domain.guestOn(node, "lxc", vmid).running?.pid;
  if (pid === undefined) throw new CommandFailed(`${vmid} doesn't exist`, 1);
  const inside = /^NSpid:\s+(.*)$/m
    .exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
    ?.split(/\s+/)
    .at(-1);
  out(words.includes("-H") ? `${inside}\n` : `PID:            ${inside}\n`);
}
