/** The lab asks for what the published API says that each call asks for: no more, and no less. */
import { existsSync, readFileSync } from "node:fs";
import type { Permission } from "../../lab/call";
import { routes } from "../../lab/routes";

/**
 * Calls of which the published API says that everybody may make them, and whose code asks all the same: what the lab asks for them
 * before anything else. Others of the kind (new guests, replication, vzdump, lists) ask within their handlers.
 */
const INSIDE: Record<string, string> = {
  "GET /nodes/{node}/storage/{storage}/content/{volume}": "whoever may see the storage's volumes",
  "PUT /nodes/{node}/storage/{storage}/content/{volume}": "notes and protection: Datastore.Allocate on the storage",
  "DELETE /nodes/{node}/storage/{storage}/prunebackups": "Datastore.Allocate on the storage",
  "GET /nodes/{node}/storage/{storage}/file-restore/list": "read access to the volume",
  "GET /nodes/{node}/storage/{storage}/file-restore/download": "read access to the volume",
  "POST /nodes/{node}/startall": "VM.PowerMgmt on / or on each guest",
  "GET /cluster/sdn/zones": "lists what may be seen",
  "GET /cluster/sdn/vnets": "lists what may be seen",
  "GET /cluster/sdn/vnets/{vnet}": "SDN.Audit on the zone",
  "PUT /cluster/sdn/vnets/{vnet}": "SDN.Allocate on the zone",
  "DELETE /cluster/sdn/vnets/{vnet}": "SDN.Allocate on the zone",
  "GET /cluster/sdn/vnets/{vnet}/subnets": "lists what may be seen",
  "POST /cluster/sdn/vnets/{vnet}/subnets": "SDN.Allocate on the zone",
  "GET /cluster/sdn/vnets/{vnet}/subnets/{subnet}": "SDN.Audit on the zone",
  "PUT /cluster/sdn/vnets/{vnet}/subnets/{subnet}": "SDN.Allocate on the zone",
  "DELETE /cluster/sdn/vnets/{vnet}/subnets/{subnet}": "SDN.Allocate on the zone",
  "GET /cluster/sdn/ipams": "lists what may be seen",
  "GET /nodes/{node}/sdn/zones": "lists what may be seen",
};

interface Published {
  user?: string;
  check?: unknown[];
}
type Schema = { paths: Record<string, Record<string, { permissions?: Published }>> };

/** A published check as the lab writes it. */
function understood(check: readonly unknown[]): Permission {
  const [kind, first, second, ...rest] = check;
  if (kind === "and") return { every: check.slice(1).map((part) => understood(part as unknown[])) };
  if (kind === "or") return { some: check.slice(1).map((part) => understood(part as unknown[])) };
  if (kind === "perm") {
    const required = rest[rest.indexOf("require_param") + 1];
    return {
      path: first as string,
      privileges: [...new Set(second as string[])],
      ...(rest.includes("any") && { any: true }),
      ...(rest.includes("require_param") && { requires: required as string }),
    };
  }
  if (kind === "perm-modify") return { path: first as string, privileges: ["Permissions.Modify"] };
  if (kind === "userid-param")
    return first === "self" ? { self: true } : { path: "/access/realm", privileges: [first as string] };
  if (kind === "userid-group") {
    const privileges = first as string[];
    return { path: "/access/groups", privileges, ...(privileges.length > 1 && { any: true }) };
  }
  throw new Error(`a kind of check that nobody here knows: ${JSON.stringify(check)}`);
}

const file = process.env.COLDSPARE_PVE_SCHEMA;
const known = file !== undefined && existsSync(file);
if (!known) process.stderr.write("tests/lab/access-schema: SKIPPED: no published API schema (COLDSPARE_PVE_SCHEMA)\n");

(known ? describe : describe.skip)("permissions of the lab's calls", () => {
  const { paths } = JSON.parse(known ? readFileSync(file, "utf8") : '{"paths":{}}') as Schema;
  const publishedOf = ({ method, template }: (typeof routes)[number]) => paths[template]?.[method]?.permissions;

  it.each(routes.map((route) => [`${route.method} ${route.template}`, route] as const))("%s", (name, route) => {
    const published = publishedOf(route);
    if (published?.check === undefined || published.user === "all") {
      if (INSIDE[name] === undefined) expect(route.permission).toBeUndefined();
      return;
    }
    expect(route.permission).toEqual(understood(published.check));
  });

  it("lists among those that ask inside only calls that the lab answers and that the API leaves open", () => {
    const open = routes.filter((route) => publishedOf(route)?.check === undefined && route.permission !== undefined);
    expect(Object.keys(INSIDE).sort()).toEqual(open.map(({ method, template }) => `${method} ${template}`).sort());
  });
});
