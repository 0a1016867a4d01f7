/** The life of a namespace in a datastore; see `PbsNamespace`. One with content is never removed. */
import type { Handler, PbsContext } from "../serve";
import { PbsError } from "./errors";
import { checkId, checkNamespace } from "./names";

/** Inputs of a namespace. */
export interface PbsNamespaceInputs {
  server: string;
  store: string;
  ns: string;
}

/** The handler. */
export function namespaceHandler(): Handler<PbsNamespaceInputs, PbsNamespaceInputs, PbsContext> {
  return {
    check: ({ store, ns }) => [
      ...checkId("store", store),
      ...checkNamespace("ns", ns),
      ...(ns === ""
        ? [{ property: "ns", reason: "is empty: the root needs not be made; leave the namespace out" }]
        : []),
    ],
    diff(olds, news) {
      const wanted = { ...olds, ...news };
      const replaces = (["server", "store", "ns"] as const).filter((key) => wanted[key] !== olds[key]);
      return { changes: replaces.length > 0, replaces };
    },
    async create(context, inputs) {
      await make(context, inputs);
      return { id: `${inputs.server}/${inputs.store}/${inputs.ns}`, outs: inputs };
    },
    async read(context, _id, props) {
      return (await namespaces(context, props)).has(props.ns) ? props : undefined;
    },
    async update(context, _id, _olds, news) {
      await make(context, news);
      return news;
    },
    delete: (context, _id, props) => remove(context, props),
  };
}

/** Makes it, and what is missing above it. */
async function make(context: PbsContext, inputs: PbsNamespaceInputs): Promise<void> {
  const { server, store, ns } = inputs;
  const there = await namespaces(context, inputs, true);
  const levels = ns.split("/");
  for (const [depth, name] of levels.entries()) {
    const parent = levels.slice(0, depth).join("/");
    if (there.has(parent === "" ? name : `${parent}/${name}`)) continue;
    await context
      .pbs(server)
      .post(
        `${pathOf(store)}/namespace`,
        { name, ...(parent === "" ? {} : { parent }) },
        { doing: `make the namespace '${ns}' in the datastore '${store}'` },
      );
  }
}

async function remove(context: PbsContext, props: PbsNamespaceInputs): Promise<void> {
  const { server, store, ns } = props;
  const there = await namespaces(context, props);
  if (!there.has(ns)) return;
  const pbs = context.pbs(server);
  const groups = await pbs.get<unknown[]>(
    `${pathOf(store)}/groups`,
    { ns },
    { doing: `look into the namespace '${ns}' of the datastore '${store}'` },
  );
  const below = [...there].filter((each) => each.startsWith(`${ns}/`));
  if (groups.length > 0 || below.length > 0) {
    const what = [
      ...(groups.length > 0 ? [`${groups.length} backup groups`] : []),
      ...(below.length > 0 ? [`the namespaces ${below.join(", ")}`] : []),
    ];
    context.progress(
      `${server}: the namespace '${ns}' of the datastore '${store}' stays, with ${what.join(" and ")} in it. Who really wants it gone removes it on ${server} (Datastore > Content)`,
    );
    return;
  }
  // Without delete-groups the server removes an empty one only, should a backup have begun this very moment.
  await pbs.delete(`${pathOf(store)}/namespace`, { ns }, { doing: `remove the empty namespace '${ns}' of '${store}'` });
}

/** Names of all namespaces; none where the datastore is gone, unless that matters. */
async function namespaces(
  { pbs }: PbsContext,
  { server, store }: PbsNamespaceInputs,
  isNeeded = false,
): Promise<Set<string>> {
  try {
    const about = { doing: `list the namespaces of the datastore '${store}'` };
    const rows = await pbs(server).get<{ ns: string }[]>(`${pathOf(store)}/namespace`, {}, about);
    return new Set(rows.map(({ ns }) => ns));
  } catch (error) {
    if (!isNeeded && error instanceof PbsError && error.isMissing) return new Set();
    throw error;
  }
}

function pathOf(store: string): string {
  return `/admin/datastore/${encodeURIComponent(store)}`;
}
