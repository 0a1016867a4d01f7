/** Storage definitions that one cluster cannot have at once. */
import { type Context, own, sorted } from "../context";
import type { LocalStorageSpec } from "../schema";
import { byName, list } from "../units";

/** In a cluster /etc/pve/storage.cfg is one file for all nodes: a storage id has one type, one pool or path, one content. */
export function checkStorageDefinitions(context: Context): void {
  if (context.spec.site.cluster === undefined) return;
  const first = new Map<string, { server: string; storage: LocalStorageSpec }>();
  for (const server of context.hypervisors)
    for (const [id, storage] of sorted(context.server(server)?.storages ?? {})) {
      const path = `servers.${server}.storages.${id}`;
      const known = first.get(id);
      if (own(context.spec.storages, id))
        report(context, path, `Storage ${id} of ${server} has the id of a shared storage`);
      else if (known === undefined) first.set(id, { server, storage });
      else {
        const differs = difference(id, known.storage, storage);
        if (differs !== undefined)
          report(context, path, `Storage ${id} has ${differs[0]} on ${known.server} and ${differs[1]} on ${server}`);
      }
    }
}

function report(context: Context, path: string, message: string): void {
  context.add(
    "STORAGE-DEFINITION-DIFFERS",
    path,
    `${message}: in cluster ${context.spec.site.cluster} an id stands for one definition.`,
    `Make both the same, or rename one of them (${path}).`,
  );
}

function difference(id: string, one: LocalStorageSpec, other: LocalStorageSpec): [string, string] | undefined {
  const facts = ({ type, pool, path, content }: LocalStorageSpec) => [
    `type ${type}`,
    type === "dir" ? `path ${path ?? "none"}` : `pool ${pool ?? id}`,
    `content ${list([...content].sort(byName))}`,
  ];
  const [a, b] = [facts(one), facts(other)];
  const index = a.findIndex((fact, position) => fact !== b[position]);
  return index < 0 ? undefined : [a[index] ?? "", b[index] ?? ""];
}
