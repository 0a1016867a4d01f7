/** What a specification can say and this release does not carry out: said at once, not half-way through an update. */
import { type Context, sorted } from "../context";
import { list } from "../units";

/** Checks storages and sites without a cluster. */
export function checkUnbuilt(context: Context): void {
  for (const [id, storage] of sorted(context.spec.storages))
    if (storage.type === "cifs" && storage.managed && !(storage.username && storage.passwordSecret))
      context.add(
        "STORAGE-NOT-BUILT",
        `storages.${id}.managed`,
        `Storage ${id} is of type cifs and managed, and does not say who logs in to the share.`,
        `Name the user in storages.${id}.username and the secret with the password in storages.${id}.passwordSecret; or set storages.${id}.managed to false if the entry is there.`,
      );
  if (context.spec.site.cluster === undefined && context.hypervisors.length > 1) checkIndependent(context);
}

/** Each server of its own has its own API: what one entry of a cluster stands for would have to be made on each of them. */
function checkIndependent(context: Context): void {
  const { spec } = context;
  const servers = list(context.hypervisors);
  const report = (path: string, what: string, fix: string) =>
    context.add("SITE-NO-CLUSTER-NOT-BUILT", path, `${servers} are in no cluster, and ${what}`, fix);
  for (const [id, { managed }] of sorted(spec.storages))
    if (managed)
      report(
        `storages.${id}.managed`,
        `the entry of storage ${id} is to be made: this release makes shared storages in a cluster only.`,
        `Make it on each server (\`pvesm add\`), and set storages.${id}.managed to false; or join the servers to one cluster.`,
      );
  for (const { name, spec: guest } of context.guests) {
    if (guest.pool !== undefined)
      report(
        `guests.${name}.pool`,
        `${name} is to be in pool ${guest.pool}: this release makes pools in a cluster only.`,
        `Leave guests.${name}.pool out, or join the servers to one cluster.`,
      );
    if (guest.coldReplica?.method === "restore")
      report(
        `guests.${name}.coldReplica.method`,
        `${name} is refreshed by restore: this release looks for standbys through one server of a cluster.`,
        `Set guests.${name}.coldReplica.method to zfs-sync, or join the servers to one cluster.`,
      );
  }
}
