import { action, type ControlAction, number, text } from "../control-action";
import type { World } from "../world";
import type { BackupServer } from "./backup-server";
import type { Datastore } from "./datastore";
import { plug, pullOut } from "./media";
import { type GroupId, snapshotText } from "./snapshots";

function serverOf(world: World, name: string): BackupServer {
  const server = world.backupServers.find((candidate) => candidate.name === name);
  if (!server) throw new Error(`there is no backup server '${name}'`);
  return server;
}

/** Fills the disk of a datastore up to so many bytes, or empties it again. */
function fill(store: Datastore, leaveBytes: number): unknown {
  const { filler } = store.server.state;
  delete filler[store.name];
  const { avail } = store.usage();
  if (leaveBytes < avail) filler[store.name] = avail - leaveBytes;
  store.server.world.save();
  return store.usage();
}

/** Damages or removes a chunk: of one group if it is named, else any; the newest snapshot's first. */
function harm(store: Datastore, body: Record<string, unknown>): unknown {
  const group = body.group === undefined ? undefined : groupOf(text(body.group, "group"), body.ns);
  const snapshots = group ? store.tree.snapshots(group) : store.tree.all();
  for (const snapshot of snapshots.reverse())
    for (const { filename, index } of store.tree.indexes(snapshot)) {
      const digest = index.digests.findLast((each) => store.chunks.has(each));
      if (!digest) continue;
      if (body.missing === true) store.chunks.putAside(digest);
      else store.chunks.damage(digest);
      return { digest, snapshot: snapshotText(snapshot), file: filename };
    }
  throw new Error(`datastore '${store.name}' has no such chunk`);
}

function groupOf(name: string, ns: unknown): GroupId {
  const [type = "", id = ""] = name.split("/");
  return { ns: typeof ns === "string" ? ns : "", type, id };
}

/** What can happen to backup servers, their disks and the ways to them. */
export function pbsActions(world: World): ControlAction[] {
  return [
    action("POST", "/backup-servers/{name}/kill", ([name]) => {
      serverOf(world, name!).powerOff();
      return { name, up: false };
    }),
    action("POST", "/backup-servers/{name}/revive", ([name]) => {
      const server = serverOf(world, name!);
      server.powerOn();
      // At boot udev finds the disks that are plugged in.
      for (const [uuid, holder] of Object.entries(world.state.media ?? {}))
        if (holder === server.name) plug(world, uuid, server);
      return { name, up: true };
    }),
    action("POST", "/backup-servers/{name}/datastores/{store}/corrupt {group?, ns?, missing?}", ([name, store], body) =>
      harm(serverOf(world, name!).datastore(store!), body),
    ),
    action("POST", "/backup-servers/{name}/datastores/{store}/fill {leaveBytes?}", ([name, store], body) =>
      fill(
        serverOf(world, name!).datastore(store!),
        body.leaveBytes === undefined ? 0 : number(body.leaveBytes, "leaveBytes"),
      ),
    ),
    action("POST", "/backup-servers/{name}/datastores/{store}/empty", ([name, store]) =>
      fill(serverOf(world, name!).datastore(store!), Number.MAX_SAFE_INTEGER),
    ),
    action("POST", "/media/{uuid}/plug {server}", ([uuid], body) => {
      plug(world, uuid!, serverOf(world, text(body.server, "server")));
      return { uuid, server: body.server };
    }),
    action("POST", "/media/{uuid}/pull", ([uuid]) => {
      pullOut(world, uuid!);
      return { uuid };
    }),
    action("POST", "/links/slow {a, b, bytesPerSecond}", (_, body) => {
      const rate = number(body.bytesPerSecond, "bytesPerSecond");
      if (!(rate > 0)) throw new Error("'bytesPerSecond' must be above 0");
      world.faults.slowLink(text(body.a, "a"), text(body.b, "b"), rate);
      return { a: body.a, b: body.b, bytesPerSecond: rate };
    }),
    action("GET", "/backup-servers", () =>
      world.backupServers.map((server) => ({
        name: server.name,
        up: server.up,
        address: server.address,
        port: server.port,
        fingerprint: server.fingerprint,
        datastores: server.datastores().map((store) => ({ name: store.name, mountStatus: store.mountStatus })),
      })),
    ),
  ];
}
