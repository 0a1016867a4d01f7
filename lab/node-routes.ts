import { AnswerWith, type Call, flag, perm, type Route, route } from "./call";
import { digestOf } from "./domain";
import { fail } from "./errors";
import { restartNode } from "./node-power";
import { startById } from "./power";
import { hasPrivilege } from "./privileges";
import type { Task } from "./state";
import { startTask, taskListed, taskStatus } from "./tasks";

const NODE = "/nodes/{node}";
const AUDIT = perm("/nodes/{node}", "Sys.Audit");
const MODIFY = perm("/nodes/{node}", "Sys.Modify");

function findTask(call: Call): Task {
  const task = call.domain.state.tasks.find((candidate) => candidate.upid === call.path.upid);
  if (!task || task.node !== call.node) throw fail("no such task");
  const own = task.user === call.identity.user;
  if (!own && !hasPrivilege(call.domain, call.identity, `/nodes/${call.node}`, "Sys.Audit")) throw fail("no such task");
  return task;
}

function taskLog(call: Call): AnswerWith {
  const task = findTask(call);
  const start = Number(call.params.start ?? 0);
  const limit = Number(call.params.limit ?? 50);
  const end = limit === 0 ? undefined : start + limit;
  const data = task.log.slice(start, end).map((t, index) => ({ n: start + index + 1, t }));
  return new AnswerWith(data, { total: task.log.length });
}

function stopTask(call: Call): null {
  const task = findTask(call);
  if (task.exitstatus === undefined) {
    task.exitstatus = "interrupted by signal";
    task.endtime = call.world.clock.seconds();
    task.log.push("TASK ERROR: interrupted by signal");
  }
  return null;
}

function listTasks(call: Call): AnswerWith {
  const { domain, node, params } = call;
  const found = domain.state.tasks
    .filter((task) => task.node === node)
    .filter((task) => !params.vmid || task.id === params.vmid)
    .filter((task) => !params.typefilter || task.type === params.typefilter)
    .filter((task) => !params.since || task.starttime >= Number(params.since))
    .filter((task) => !params.until || task.starttime <= Number(params.until))
    .filter((task) =>
      params.source === "active"
        ? task.exitstatus === undefined
        : params.source === "all" || task.exitstatus !== undefined,
    )
    .filter((task) => !flag(params.errors) || (task.exitstatus !== undefined && task.exitstatus !== "OK"))
    .reverse();
  const start = Number(params.start ?? 0);
  return new AnswerWith(found.slice(start, start + Number(params.limit ?? 50)).map(taskListed), {
    total: found.length,
  });
}

function nodeStatus(call: Call): Record<string, unknown> {
  const { domain, node } = call;
  const hardware = domain.hardware(node);
  const total = hardware.memoryGiB * 1024 ** 3;
  const used = domain
    .guests(node)
    .filter((guest) => guest.running)
    .reduce((sum, guest) => sum + Number(guest.running!.config.memory ?? 512) * 1024 * 1024, 1.5 * 1024 ** 3);
  const local = domain.state.storages.local;
  const root = local ? domain.usage(local, node) : { total: 0, used: 0, avail: 0 };
  return {
    uptime: Math.floor(call.world.clock.now() - domain.nodeState(node).bootedAt),
    cpu: 0.02,
    wait: 0,
    idle: 0,
    loadavg: ["0.10", "0.12", "0.09"],
    kversion: "Linux 6.14.8-2-pve #1 SMP PREEMPT_DYNAMIC",
    "current-kernel": {
      sysname: "Linux",
      release: "6.14.8-2-pve",
      version: "#1 SMP PREEMPT_DYNAMIC",
      machine: "x86_64",
    },
    pveversion: "pve-manager/9.2.11/1ab0000000000000",
    cpuinfo: {
      cpus: hardware.cores,
      cores: Math.max(1, Math.floor(hardware.cores / 2)),
      sockets: 1,
      mhz: "2400.000",
      model: "Lab CPU",
      hvm: "1",
      flags: "fpu vmx",
      user_hz: 100,
    },
    memory: { total, used, free: total - used, available: total - used },
    swap: { total: 0, used: 0, free: 0 },
    ksm: { shared: 0 },
    rootfs: { total: root.total, used: root.used, free: root.total - root.used, avail: root.total - root.used },
    "boot-info": { mode: "efi", secureboot: 0 },
  };
}

function putDns(call: Call): null {
  const { node: _node, ...values } = call.params;
  call.domain.nodeState(call.node).dns = values;
  return null;
}

function reboot(call: Call): null {
  const command = call.params.command;
  if (command !== "reboot" && command !== "shutdown") throw fail(`unable to parse command '${command}'`);
  restartNode(call.world, call.node, command);
  return null;
}

/** Starts what has `onboot`, in the order of `startup`. */
function startAll(call: Call): string {
  const { domain, node, identity } = call;
  return startTask(domain, {
    node,
    type: "startall",
    id: "",
    user: identity.full,
    work: async (handle) => {
      for (const guest of domain.guests(node)) {
        if (guest.running || (guest.config.onboot !== "1" && !flag(call.params.force))) continue;
        handle.log(`Starting ${guest.type === "qemu" ? "VM" : "CT"} ${guest.vmid}`);
        startById(domain, node, guest.type, guest.vmid, identity.full);
        await handle.takes(1);
      }
    },
  });
}

/** The calls on one node. */
export const nodeRoutes: Route[] = [
  route("GET", NODE, undefined, () =>
    ["qemu", "lxc", "storage", "network", "tasks", "status", "replication", "vzdump", "dns", "time", "version"].map(
      (name) => ({ name }),
    ),
  ),
  route("GET", `${NODE}/status`, AUDIT, nodeStatus),
  route("POST", `${NODE}/status`, perm("/nodes/{node}", "Sys.PowerMgmt"), reboot),
  route("GET", `${NODE}/version`, undefined, () => ({ version: "9.2.11", release: "9.2", repoid: "1ab0000000000000" })),
  route("GET", `${NODE}/time`, AUDIT, (call) => ({
    time: call.world.clock.seconds(),
    localtime: call.world.clock.seconds(),
    timezone: call.domain.nodeState(call.node).timezone,
  })),
  route("PUT", `${NODE}/time`, MODIFY, (call) => {
    call.domain.nodeState(call.node).timezone = call.params.timezone ?? "UTC";
    return null;
  }),
  route("GET", `${NODE}/dns`, AUDIT, (call) => call.domain.nodeState(call.node).dns),
  route("PUT", `${NODE}/dns`, MODIFY, putDns),
  route("GET", `${NODE}/hosts`, perm("/", "Sys.Audit"), (call) => {
    const { hosts } = call.domain.nodeState(call.node);
    return { data: hosts, digest: digestOf(hosts) };
  }),
  route("POST", `${NODE}/hosts`, MODIFY, (call) => {
    const state = call.domain.nodeState(call.node);
    if (call.params.digest && call.params.digest !== digestOf(state.hosts))
      throw fail("detected modified configuration - file changed by other user? Try again.");
    state.hosts = call.params.data ?? "";
    return null;
  }),
  route("GET", `${NODE}/config`, perm("/", "Sys.Audit"), (call) => {
    const { options } = call.domain.nodeState(call.node);
    return { ...options, digest: digestOf(options) };
  }),
  route("PUT", `${NODE}/config`, perm("/", "Sys.Modify"), (call) => {
    const { options } = call.domain.nodeState(call.node);
    const { node: _node, delete: gone, digest: _digest, ...values } = call.params;
    for (const key of (gone ?? "").split(",")) delete options[key];
    Object.assign(options, values);
    return null;
  }),
  route("GET", `${NODE}/certificates/info`, undefined, () => [
    { filename: "pveproxy-ssl.pem", subject: "/CN=localhost", issuer: "/CN=Lab CA", san: ["localhost", "127.0.0.1"] },
  ]),
  route("GET", `${NODE}/subscription`, undefined, () => ({
    status: "notfound",
    message: "There is no subscription key",
  })),
  route("GET", `${NODE}/capabilities/qemu/machines`, undefined, () => [
    { id: "pc-i440fx-10.1", type: "i440fx", version: "10.1" },
    { id: "pc-q35-10.1", type: "q35", version: "10.1" },
  ]),
  route("GET", `${NODE}/capabilities/qemu/cpu`, undefined, () =>
    ["host", "kvm64", "qemu64", "x86-64-v2-AES", "x86-64-v3", "x86-64-v4"].map((name) => ({
      name,
      custom: 0,
      vendor: "default",
    })),
  ),
  route("POST", `${NODE}/startall`, perm("/", "VM.PowerMgmt"), startAll),
  route("GET", `${NODE}/tasks`, undefined, listTasks),
  route("GET", `${NODE}/tasks/{upid}`, undefined, () => ["log", "status"].map((name) => ({ name }))),
  route("DELETE", `${NODE}/tasks/{upid}`, undefined, stopTask),
  route("GET", `${NODE}/tasks/{upid}/status`, undefined, (call) => taskStatus(findTask(call))),
  route("GET", `${NODE}/tasks/{upid}/log`, undefined, taskLog),
];
