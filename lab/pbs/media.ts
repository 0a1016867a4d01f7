import type { World } from "../world";
import type { BackupServer } from "./backup-server";
import type { Datastore } from "./datastore";
import { refused } from "./errors";
import { runGarbageCollection, runJob } from "./jobs";
import { startPbsTask, taskEnd } from "./tasks";
import type { PbsTask } from "./types";

/** Mounts a removable datastore and starts the sync jobs that wait for it. */
export function mountDatastore(store: Datastore, auth: string): PbsTask {
  const { server } = store;
  if (!store.removable) throw refused(`datastore '${store.name}' is not removable`);
  return startPbsTask(server, {
    type: "mount-device",
    id: store.name,
    auth,
    work: async (handle) => {
      const uuid = store.section["backing-device"]!;
      if (!server.hasMedium(uuid)) throw new Error(`no such device '/dev/disk/by-uuid/${uuid}'`);
      if (store.mountStatus === "mounted") throw new Error(`datastore '${store.name}' is already mounted`);
      await handle.takes(1);
      if (!store.exists()) throw new Error(`datastore '${store.name}' is not on the device with uuid '${uuid}'`);
      store.reopen();
      server.state.mounted.push(store.name);
      handle.log(`mounted '/dev/disk/by-uuid/${uuid}' for datastore '${store.name}'`);
      setImmediate(() => runOnMount(server, store.name, auth));
    },
  });
}

function runOnMount(server: BackupServer, name: string, auth: string): void {
  for (const [id, job] of Object.entries(server.state.jobs.sync)) {
    if (job["run-on-mount"] !== "1" || ![job.store, job.remote ? undefined : job["remote-store"]].includes(name))
      continue;
    const task = runJob(server, "sync", id, auth);
    if (job["unmount-on-done"] !== "1") continue;
    void taskEnd(server, task).then(() => {
      if (server.datastore(name).mountStatus === "mounted") unmountDatastore(server.datastore(name), auth);
    });
  }
}

/** Unmounts it once nobody uses it any more; collects garbage before if its configuration says so. */
export function unmountDatastore(store: Datastore, auth: string): PbsTask {
  const { server } = store;
  if (!store.removable) throw refused(`datastore '${store.name}' is not removable`);
  if (store.mountStatus !== "mounted") throw refused(`datastore '${store.name}' is not mounted`);
  return startPbsTask(server, {
    type: "unmount-device",
    id: store.name,
    auth,
    work: async (handle) => {
      if (store.section["gc-on-unmount"] === "1") await taskEnd(server, runGarbageCollection(server, store.name, auth));
      while (store.writers.size > 0 || store.collecting) await handle.takes(1);
      server.state.mounted = server.state.mounted.filter((name) => name !== store.name);
      handle.log(`unmounted datastore '${store.name}'`);
    },
  });
}

/** Puts a medium into a server, which mounts its datastores by itself, as udev does. */
export function plug(world: World, uuid: string, server: BackupServer): PbsTask[] {
  if (!(world.topology.media ?? []).some((medium) => medium.uuid === uuid))
    throw new Error(`there is no medium '${uuid}'`);
  const holder = world.state.media?.[uuid];
  if (holder && holder !== server.name) throw new Error(`the medium is in '${holder}': pull it there first`);
  world.state.media = { ...world.state.media, [uuid]: server.name };
  world.save();
  return server
    .datastores()
    .filter((store) => store.section["backing-device"] === uuid && store.mountStatus !== "mounted")
    .map((store) => mountDatastore(store, "root@pam"));
}

/** Pulls a medium out, unmounted or not. */
export function pullOut(world: World, uuid: string): void {
  if (world.state.media?.[uuid] === undefined) throw new Error(`the medium '${uuid}' is in no server`);
  delete world.state.media[uuid];
  for (const server of world.backupServers) {
    const gone = server.datastores().filter((store) => store.section["backing-device"] === uuid);
    server.state.mounted = server.state.mounted.filter((name) => !gone.some((store) => store.name === name));
  }
  world.save();
}
