/** Storage definitions that one cluster cannot have at once, and exports that come from nowhere. */
import { type Context, own, sorted } from "../context";
import { nearest } from "../nearest";
import type { LocalStorageSpec, SharedStorageSpec } from "../schema";
import { backingPool } from "../storage";
import { byName, list } from "../units";

/** Checks that definitions agree, and that exports come from somewhere. */
export function checkStorageDefinitions(context: Context): void {
  for (const [id, shared] of sorted(context.spec.storages)) checkExporter(context, id, shared);
  // In a cluster /etc/pve/storage.cfg is one file for all nodes: a storage id has one type, one pool or path, one content.
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

function checkExporter(context: Context, id: string, shared: SharedStorageSpec): void {
  const path = `storages.${id}`;
  const { server } = shared;
  if (server === undefined) return;
  if (context.server(server) !== undefined) {
    if (shared.type === "nfs" && backingPool(context, shared) === undefined)
      context.add(
        "STORAGE-EXPORT-UNPLANNED",
        `${path}.export`,
        `Storage ${id} is ${shared.export} of ${server}, which has no storage there: its bytes are counted on no disk of ${server}.`,
        `Add the storage that holds it to servers.${server}.storages, with its path, or correct ${path}.export.`,
      );
    return;
  }
  // With a dot or a colon it is a full host name or an address.
  if (own(context.spec.devices, server) || /[.:]/.test(server)) return;
  const known = [...context.servers.map(({ name }) => name), ...Object.keys(context.spec.devices)];
  const close = nearest(server, known);
  if (close !== undefined)
    context.add(
      "STORAGE-SERVER-UNKNOWN",
      `${path}.server`,
      `Storage ${id} comes from '${server}', which is no server or device of this site: did you mean ${close}?`,
      `Write '${close}'; or, if it is another host, its name with the domain, or its address.`,
    );
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
