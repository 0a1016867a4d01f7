/** What a specification can say and this release does not carry out: said at once, not half-way through an update. */
import { type Context, sorted } from "../context";
import { list } from "../units";

/** Checks storages and sites without a cluster. */
export function checkUnbuilt(context: Context): void {
  for (const [id, storage] of sorted(context.spec.storages))
    if (storage.type === "cifs" && storage.managed)
      context.add(
        "STORAGE-NOT-BUILT",
        `storages.${id}.managed`,
        `Storage ${id} is of type cifs and managed, which this release does not build.`,
        `Make it by hand (\`pvesm add cifs ${id} --server … --share … --username … --password\`), and set storages.${id}.managed to false.`,
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
