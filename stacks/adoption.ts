/**
 * Taking over what is there. With COLDSPARE_ADOPT every resource of the bridged provider that exists on the hypervisors is imported by
 * an id out of its own inputs instead of being made; everything else is made as always. It applies to guests that somebody else
 * made, and as well to a site of our own whose state was lost. `coldspare adopt` sets the variable, looks at the preview and
 * completes the state; see operations/adopt.ts.
 */
import * as pulumi from "@pulumi/pulumi";
import type { SitePlan } from "../planning";
import { providerFlags } from "../planning/adoption/provider-flags";
import type { Existing } from "./existing";

/**
 * `look`: nothing is ignored, so that a preview shows every difference between program and hypervisor. `take`: what exists in the
 * state alone is ignored, so that the import ends without a call that changes anything.
 */
export type AdoptionMode = "look" | "take";

/** What COLDSPARE_ADOPT says. @throws RunError for a word that it does not know */
export function adoptionMode(env: Readonly<Record<string, string | undefined>>): AdoptionMode | undefined {
  const word = env.COLDSPARE_ADOPT ?? "";
  if (word === "" || word === "false") return undefined;
  if (word === "look") return "look";
  if (word === "take" || word === "true") return "take";
  throw new pulumi.RunError(`COLDSPARE_ADOPT is '${word}'; write look or take, or let \`coldspare adopt\` set it`);
}

/** Names of the resources that are in the state already, as `coldspare adopt` tells them: they are not imported a second time. */
export function knownNames(env: Readonly<Record<string, string | undefined>>): ReadonlySet<string> {
  return new Set((env.COLDSPARE_ADOPT_KNOWN ?? "").split(" "));
}

/** For the options of the site: each of its resources that exists, and is not in the state, is imported. */
export function adopting(
  existing: Existing,
  mode: AdoptionMode,
  known: ReadonlySet<string> = new Set(),
): pulumi.ResourceTransformation {
  return ({ type, name, props, opts }) => {
    const id = importId(type, props, existing);
    if (id === undefined) return undefined;
    const given = opts as pulumi.CustomResourceOptions;
    const flags = mode === "take" ? providerFlags(type, props) : [];
    const ignoreChanges = [...(given.ignoreChanges ?? []), ...flags];
    const imported = known.has(name) ? {} : { import: id };
    return { props, opts: { ...given, ...imported, ignoreChanges } as pulumi.CustomResourceOptions };
  };
}

/** The id by which the provider imports what these inputs stand for; undefined where that is not there, or cannot be imported. */
export function importId(type: string, inputs: pulumi.Inputs, existing: Existing): string | undefined {
  const [module = "", kind = ""] = type.replace(/^proxmoxve:/, "").split("/");
  if (!type.startsWith("proxmoxve:")) return undefined;
  if (kind === "vmLegacy:VmLegacy") return guestId("qemu", inputs, existing);
  if (kind === "containerLegacy:ContainerLegacy") return guestId("lxc", inputs, existing);
  if (module === "storage") return existing.storages(text(inputs.nodes?.[0]), text(inputs.resourceId));
  if (module === "backup") return existing.jobs(text(inputs.resourceId));
  if (kind === "poolLegacy:PoolLegacy") return existing.pools(text(inputs.poolId));
  if (module === "network") return existing.networks(text(inputs.nodeName), text(inputs.name));
  // A server always has them.
  if (kind === "dnsLegacy:DnsLegacy" || kind === "timeLegacy:TimeLegacy") return text(inputs.nodeName);
  return undefined;
}

function guestId(kind: "qemu" | "lxc", inputs: pulumi.Inputs, existing: Existing): string | undefined {
  const server = existing.guest(kind, Number(inputs.vmId), text(inputs.nodeName));
  return server === undefined ? undefined : `${server}/${inputs.vmId}`;
}

/** Ids are computed from plain values; what is not known yet is the id of nothing that exists. */
function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/**
 * What the dynamic resources would change at a replication job that exists: they are no part of the preview of an import, so it is said
 * before.
 *
 * @throws RunError with all of them
 */
export function refuseOtherReplication(plan: SitePlan, existing: Existing): void {
  const lines = Object.values(plan.guests).flatMap((guest) => {
    const { name, id, primary, replica } = guest;
    if (replica?.method !== "storage-replication") return [];
    const job = existing.replication(id, [primary, replica.server]);
    if (job === undefined) return [];
    const at = `guests.${name}.coldReplica`;
    const schedule = job.schedule ?? "*/15";
    return [
      ...(schedule === replica.schedule
        ? []
        : [`${at}.schedule: ${job.id} runs at '${schedule}', the site file says '${replica.schedule}'`]),
      ...(job.rate === replica.rateMBps
        ? []
        : [`${at}.rateMBps: ${job.id} has ${job.rate ?? "none"}, the site file says ${replica.rateMBps ?? "none"}`]),
    ];
  });
  if (lines.length === 0) return;
  throw new pulumi.RunError(
    `Taking over would change replication jobs that exist:\n${lines.map((line) => `  ${line}`).join("\n")}\n` +
      "  fix: write into the site file what is there; once it is taken over, change it there",
  );
}
