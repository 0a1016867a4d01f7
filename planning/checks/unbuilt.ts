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
  const { cluster } = context.spec.site;
  // The provider speaks to one endpoint, and no server answers for another one outside its cluster.
  if (cluster === undefined && context.hypervisors.length > 1)
    context.add(
      "SITE-NO-CLUSTER-NOT-BUILT",
      "site.cluster",
      `${list(context.hypervisors)} are in no cluster: this release plans such a site, and builds one cluster or one server only.`,
      "Join them to one cluster and name it at site.cluster.",
    );
}
