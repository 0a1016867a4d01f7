import { hasPrivilege } from "./access";
import { isSet, type PbsCall, type PbsRoute, pbsRoute, requirePrivilege } from "./call";
import { notFound, refused } from "./errors";
import { jobKey, jobStatus, restartSchedule, runJob } from "./jobs";
import { applyChange, checkDigest, checkSchedules, shown, withDigest } from "./sections";
import { connectRemote } from "./sync";
import { startPbsTask } from "./tasks";
import type { JobKind, Section } from "./types";

// ---- datastores

function datastoreSection(call: PbsCall): Section {
  const section = call.server.state.datastores[call.path.name ?? ""];
  if (!section) throw notFound(`no such datastore '${call.path.name}'`);
  return section;
}

function createDatastore(call: PbsCall): string {
  const { server, auth, params } = call;
  const { "reuse-datastore": reuse, "overwrite-in-use": _overwrite, ...section } = params;
  const name = section.name ?? "";
  checkSchedules(section);
  if (server.state.datastores[name]) throw refused(`datastore '${name}' already exists.`);
  for (const other of Object.values(server.state.datastores))
    if (other.path === section.path && other["backing-device"] === section["backing-device"])
      throw refused(`datastore '${other.name}' already uses the path '${section.path}'`);
  const uuid = section["backing-device"];
  if (uuid && !server.hasMedium(uuid)) throw refused(`no such device '/dev/disk/by-uuid/${uuid}'`);
  return startPbsTask(server, {
    type: "create-datastore",
    id: name,
    auth,
    work: async (handle) => {
      handle.log(`Creating datastore '${name}'`);
      await handle.takes(2);
      server.state.datastores[name] = section;
      const store = server.datastore(name);
      const found = store.exists();
      if (found !== isSet(reuse)) {
        delete server.state.datastores[name];
        server.forget(name);
        throw new Error(found ? `datastore path not empty` : `no chunkstore found in '${section.path}'`);
      }
      if (!found) store.initialise();
      if (uuid) server.state.mounted.push(name);
      restartSchedule(server, jobKey("gc", name));
    },
  }).upid;
}

function changeDatastore(call: PbsCall): null {
  const section = datastoreSection(call);
  checkDigest(call.params, call.server.state.datastores);
  checkSchedules(call.params);
  applyChange(section, call.params);
  if (call.params["gc-schedule"] !== undefined) restartSchedule(call.server, jobKey("gc", call.path.name!));
  return null;
}

function deleteDatastore(call: PbsCall): string {
  const { server, auth, params } = call;
  const name = call.path.name!;
  datastoreSection(call);
  checkDigest(params, server.state.datastores);
  const isLeft = Object.values(server.state.jobs)
    .flatMap((jobs) => Object.entries(jobs))
    .filter(([, job]) => job.store === name);
  return startPbsTask(server, {
    type: "delete-datastore",
    id: name,
    auth,
    work: async (handle) => {
      await handle.takes(1);
      const store = server.datastore(name);
      if (isSet(params["destroy-data"])) {
        handle.log("Deleting datastore data...");
        store.removeFiles();
      }
      if (!isSet(params["keep-job-configs"]))
        for (const jobs of Object.values(server.state.jobs)) for (const [id] of isLeft) delete jobs[id];
      delete server.state.datastores[name];
      delete server.state.gc[name];
      delete server.state.jobStates[jobKey("gc", name)];
      server.state.mounted = server.state.mounted.filter((mounted) => mounted !== name);
      server.forget(name);
    },
  }).upid;
}

const datastoreRoutes: PbsRoute[] = [
  pbsRoute("GET", "/config/datastore", undefined, (call) => {
    const { datastores } = call.server.state;
    const visible = Object.values(datastores).filter(({ name }) =>
      hasPrivilege(call.server, call.auth, `/datastore/${name}`, "Datastore.Audit", "Datastore.Allocate"),
    );
    return withDigest(visible.map(shown), datastores);
  }),
  pbsRoute("POST", "/config/datastore", "/datastore Datastore.Allocate", createDatastore),
  pbsRoute("GET", "/config/datastore/{name}", "/datastore/{name} Datastore.Audit|Datastore.Allocate", (call) =>
    withDigest(shown(datastoreSection(call)), call.server.state.datastores),
  ),
  pbsRoute("PUT", "/config/datastore/{name}", "/datastore/{name} Datastore.Allocate", changeDatastore),
  pbsRoute("DELETE", "/config/datastore/{name}", "/datastore/{name} Datastore.Allocate", deleteDatastore),
];

// ---- jobs

interface JobApi {
  kind: JobKind;
  /** Last part of `/config/…` and `/admin/…`. */
  name: string;
  /** Privileges on the datastore that seeing, and changing or running, a job needs. */
  see: string[];
  change: string[];
  /** What PBS adds when it is not given. */
  defaults?: Section;
}

const JOBS: JobApi[] = [
  { kind: "prune", name: "prune", see: ["Datastore.Audit"], change: ["Datastore.Modify", "Datastore.Prune"] },
  {
    kind: "verification",
    name: "verify",
    see: ["Datastore.Audit", "Datastore.Verify"],
    change: ["Datastore.Verify"],
  },
  { kind: "sync", name: "sync", see: ["Datastore.Audit"], change: ["Datastore.Modify", "Datastore.Backup"] },
];

function jobAt(call: PbsCall, { kind }: JobApi, ...any: string[]): Section {
  const job = call.server.state.jobs[kind][call.path.id ?? ""];
  if (!job) throw notFound(`no such ${kind} job '${call.path.id}'`);
  requirePrivilege(call, `/datastore/${job.store}`, ...any);
  return job;
}

function checkJob(call: PbsCall, { kind }: JobApi, job: Section): void {
  const { server } = call;
  checkSchedules(job);
  if (!server.state.datastores[job.store ?? ""]) throw refused(`datastore '${job.store}' does not exist`);
  if (kind !== "sync") return;
  if (job["sync-direction"] === "push") throw refused("the lab has no sync jobs that push");
  if (job.remote !== undefined && !server.state.remotes[job.remote])
    throw refused(`remote '${job.remote}' does not exist`);
  if (job.remote !== undefined) requirePrivilege(call, `/remote/${job.remote}/${job["remote-store"]}`, "Remote.Read");
}

function createJob(call: PbsCall, api: JobApi): null {
  const { server, params } = call;
  const { id = "" } = params;
  requirePrivilege(call, `/datastore/${params.store}`, ...api.change);
  if (server.state.jobs[api.kind][id]) throw refused(`job '${id}' already exists.`);
  checkJob(call, api, params);
  server.state.jobs[api.kind][id] = {
    ...params,
    ...(api.kind === "sync" && !params.owner ? { owner: call.auth } : {}),
  };
  restartSchedule(server, jobKey(api.kind, id));
  return null;
}

function changeJob(call: PbsCall, api: JobApi): null {
  const { server, params } = call;
  const job = jobAt(call, api, ...api.change);
  checkDigest(params, server.state.jobs[api.kind]);
  const changed = { ...job };
  applyChange(changed, params);
  checkJob(call, api, changed);
  server.state.jobs[api.kind][call.path.id!] = changed;
  if (params.schedule !== undefined) restartSchedule(server, jobKey(api.kind, call.path.id!));
  return null;
}

function deleteJob(call: PbsCall, api: JobApi): null {
  const { server, params } = call;
  jobAt(call, api, ...api.change);
  checkDigest(params, server.state.jobs[api.kind]);
  delete server.state.jobs[api.kind][call.path.id!];
  delete server.state.jobStates[jobKey(api.kind, call.path.id!)];
  return null;
}

function visibleJobs(call: PbsCall, { kind, see, change }: JobApi): [string, Section][] {
  return Object.entries(call.server.state.jobs[kind])
    .filter(([, job]) => call.params.store === undefined || job.store === call.params.store)
    .filter(([, job]) => hasPrivilege(call.server, call.auth, `/datastore/${job.store}`, ...see, ...change));
}

function jobRoutes(api: JobApi): PbsRoute[] {
  const config = `/config/${api.name}`;
  const table = (call: PbsCall) => call.server.state.jobs[api.kind];
  return [
    pbsRoute("GET", config, undefined, (call) =>
      withDigest(
        visibleJobs(call, api).map(([, job]) => shown(job)),
        table(call),
      ),
    ),
    pbsRoute("POST", config, undefined, (call) => createJob(call, api)),
    pbsRoute("GET", `${config}/{id}`, undefined, (call) =>
      withDigest(shown(jobAt(call, api, ...api.see, ...api.change)), table(call)),
    ),
    pbsRoute("PUT", `${config}/{id}`, undefined, (call) => changeJob(call, api)),
    pbsRoute("DELETE", `${config}/{id}`, undefined, (call) => deleteJob(call, api)),
    pbsRoute("GET", `/admin/${api.name}`, undefined, (call) =>
      withDigest(
        visibleJobs(call, api).map(([id, job]) => ({
          ...shown(job),
          ...jobStatus(call.server, jobKey(api.kind, id), job.disable === "1" ? undefined : job.schedule),
        })),
        table(call),
      ),
    ),
    pbsRoute("POST", `/admin/${api.name}/{id}/run`, undefined, (call) => {
      jobAt(call, api, ...api.change);
      return runJob(call.server, api.kind, call.path.id!, call.auth).upid;
    }),
  ];
}

// ---- remotes

function remoteAt(call: PbsCall): Section {
  const remote = call.server.state.remotes[call.path.name ?? ""];
  if (!remote) throw notFound(`no such remote '${call.path.name}'`);
  return remote;
}

const REMOTE = "/config/remote/{name}";

const remoteRoutes: PbsRoute[] = [
  pbsRoute("GET", "/config/remote", undefined, (call) => {
    const { remotes } = call.server.state;
    const visible = Object.values(remotes).filter(({ name }) =>
      hasPrivilege(call.server, call.auth, `/remote/${name}`, "Remote.Audit"),
    );
    return withDigest(visible.map(shown), remotes);
  }),
  pbsRoute("POST", "/config/remote", "/remote Remote.Modify", (call) => {
    const { name = "" } = call.params;
    if (call.server.state.remotes[name]) throw refused(`remote '${name}' already exists.`);
    call.server.state.remotes[name] = { ...call.params };
    return null;
  }),
  pbsRoute("GET", REMOTE, "/remote/{name} Remote.Audit", (call) =>
    withDigest(shown(remoteAt(call)), call.server.state.remotes),
  ),
  pbsRoute("PUT", REMOTE, "/remote/{name} Remote.Modify", (call) => {
    checkDigest(call.params, call.server.state.remotes);
    applyChange(remoteAt(call), call.params);
    return null;
  }),
  pbsRoute("DELETE", REMOTE, "/remote/{name} Remote.Modify", (call) => {
    remoteAt(call);
    const used = Object.entries(call.server.state.jobs.sync).find(([, job]) => job.remote === call.path.name);
    if (used)
      throw refused(`remote '${call.path.name}' is used by sync job '${used[0]}' (datastore '${used[1].store}')`);
    delete call.server.state.remotes[call.path.name!];
    return null;
  }),
  pbsRoute("GET", `${REMOTE}/scan`, "/remote/{name} Remote.Audit", (call) => {
    const source = connectRemote(call.server, remoteAt(call));
    const auth = remoteAt(call)["auth-id"] ?? "";
    return source
      .datastores()
      .filter((store) => hasPrivilege(source, auth, `/datastore/${store.name}`, "Datastore.Audit", "Datastore.Backup"))
      .map((store) => ({ store: store.name, "mount-status": store.mountStatus }));
  }),
];

/** The configuration: datastores, jobs and remotes. */
export const configRoutes: PbsRoute[] = [...datastoreRoutes, ...JOBS.flatMap(jobRoutes), ...remoteRoutes];
