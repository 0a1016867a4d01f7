import { hasPrivilege, userOf } from "./access";
import { isSet, PbsAnswer, type PbsCall, type PbsRoute, pbsRoute } from "./call";
import { forbidden, notFound } from "./errors";
import { stopTask } from "./tasks";
import type { PbsTask } from "./types";

/** Whoever may look into the system, or whoever (or whose token) started it. */
function maySee(call: PbsCall, task: PbsTask): boolean {
  const isOwn = task.auth === call.auth || (userOf(task.auth) === call.auth && task.auth.includes("!"));
  return isOwn || hasPrivilege(call.server, call.auth, "/system/tasks", "Sys.Audit");
}

function taskAt(call: PbsCall): PbsTask {
  const task = call.server.state.tasks.find(({ upid }) => upid === call.path.upid);
  if (!task) throw notFound(`no such task '${call.path.upid}'`);
  if (!maySee(call, task)) throw forbidden();
  return task;
}

function listed(call: PbsCall, task: PbsTask): Record<string, unknown> {
  return {
    upid: task.upid,
    node: call.server.name,
    pid: task.pid,
    pstart: task.pstart,
    starttime: task.starttime,
    worker_type: task.type,
    worker_id: task.id === "" ? null : task.id,
    user: task.auth,
    ...(task.endtime === undefined ? {} : { endtime: task.endtime }),
    ...(task.exitstatus === undefined ? {} : { status: task.exitstatus }),
  };
}

const STATE = (task: PbsTask) => {
  if (task.exitstatus === "OK") return "ok";
  if (task.exitstatus === "unknown") return "unknown";
  return task.exitstatus?.startsWith("WARNINGS") ? "warning" : "error";
};

function listTasks(call: PbsCall): PbsAnswer {
  const { params, server } = call;
  const filters = params.statusfilter?.split(/[\0,]/);
  const found = server.state.tasks
    .filter((task) => maySee(call, task))
    .filter((task) => !isSet(params.running) || task.exitstatus === undefined)
    .filter((task) => !isSet(params.errors) || (task.exitstatus !== undefined && task.exitstatus !== "OK"))
    .filter((task) => !params.typefilter || task.type.includes(params.typefilter))
    .filter((task) => !params.userfilter || task.auth.includes(params.userfilter))
    .filter((task) => !params.store || task.id === params.store || task.id.startsWith(`${params.store}:`))
    .filter((task) => !params.since || task.starttime >= Number(params.since))
    .filter((task) => !params.until || task.starttime <= Number(params.until))
    .filter((task) => !filters || filters.includes(STATE(task)))
    .reverse();
  const start = Number(params.start ?? 0);
  const limit = Number(params.limit ?? 50);
  const page = limit === 0 ? found.slice(start) : found.slice(start, start + limit);
  return new PbsAnswer(
    page.map((task) => listed(call, task)),
    { total: found.length },
  );
}

function taskStatus(call: PbsCall): Record<string, unknown> {
  const task = taskAt(call);
  const [user, tokenid] = task.auth.split("!");
  return {
    upid: task.upid,
    node: call.server.name,
    pid: task.pid,
    pstart: task.pstart,
    starttime: task.starttime,
    type: task.type,
    id: task.id === "" ? null : task.id,
    user,
    ...(tokenid === undefined ? {} : { tokenid }),
    status: task.exitstatus === undefined ? "running" : "stopped",
    ...(task.exitstatus === undefined ? {} : { exitstatus: task.exitstatus }),
  };
}

function taskLog(call: PbsCall): PbsAnswer {
  const { log } = taskAt(call);
  const start = Number(call.params.start ?? 0);
  const limit = Number(call.params.limit ?? 50);
  const lines = limit === 0 ? log.slice(start) : log.slice(start, start + limit);
  const numbered = lines.map((t, index) => ({ n: start + index + 1, t }));
  return new PbsAnswer(numbered, { total: log.length });
}

const TASKS = "/nodes/{node}/tasks";

/** Tasks, and what is known of the server itself. */
export const taskRoutes: PbsRoute[] = [
  pbsRoute("GET", TASKS, undefined, listTasks),
  pbsRoute("GET", `${TASKS}/{upid}/status`, undefined, taskStatus),
  pbsRoute("GET", `${TASKS}/{upid}/log`, undefined, taskLog),
  pbsRoute("DELETE", `${TASKS}/{upid}`, undefined, (call) => {
    const task = taskAt(call);
    const isOwn = task.auth === call.auth || userOf(task.auth) === call.auth;
    if (!isOwn && !hasPrivilege(call.server, call.auth, "/system/tasks", "Sys.Modify")) throw forbidden();
    stopTask(call.server, task);
    return null;
  }),
  pbsRoute("GET", "/ping", undefined, () => ({ pong: true })),
  pbsRoute("GET", "/version", undefined, () => ({ version: "4.1", release: "2", repoid: "lab" })),
  pbsRoute("GET", "/nodes", undefined, (call) => [{ node: call.server.name }]),
  pbsRoute("GET", "/nodes/{node}/status", "/system/status Sys.Audit", (call) => ({
    uptime: Math.floor(call.world.clock.now() - call.server.state.bootedAt),
    info: { fingerprint: call.server.fingerprint },
  })),
  pbsRoute("GET", "/nodes/{node}/certificates/info", "/system/certificates Sys.Audit", (call) => [
    {
      filename: "proxy.pem",
      subject: `CN=${call.server.name}`,
      fingerprint: call.server.fingerprint,
      pem: call.server.certificate.cert,
      san: [],
      issuer: "CN=Lab CA",
    },
  ]),
];
