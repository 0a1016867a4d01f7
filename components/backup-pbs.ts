/** What a target on Proxmox Backup Server follows from in the plan: its host, its rights, its retention, its storage entry. */
import * as pulumi from "@pulumi/pulumi";
import type { KeepSpec, PbsTargetSpec, SitePlan } from "../planning";
import { storageOf } from "../planning";
import type { PbsRole } from "../providers/pbs";
import { PlanError } from "./plan-error";

/** How the hypervisors log in. */
export interface StorageAccess {
  /** `user@realm!token`. */
  username: pulumi.Input<string>;
  /** The token's secret alone. */
  password: pulumi.Input<string>;
}

/** The port that Proxmox VE's storage entries use when they name none; the provider cannot name one. */
const PORT = 8007;

/** Address or host name of a target's backup server. */
export function pbsHost(site: SitePlan, spec: PbsTargetSpec): string {
  const server = spec.on === undefined ? undefined : site.spec.servers[spec.on];
  return server?.address ?? server?.address6 ?? spec.host ?? spec.on ?? "";
}

/** The target that another one is fetched from. */
export function sourceOf(site: SitePlan, name: string): PbsTargetSpec {
  const source = site.spec.targets[name];
  if (source?.kind === "pbs") return source;
  throw new pulumi.RunError(
    `The target ${name} is no datastore of Proxmox Backup Server: nothing can be fetched from it`,
  );
}

/** Rights of a target's user and token: to make backups and read one's own, and to see how full the datastore is. */
export function rightsOf({ datastore, namespace }: PbsTargetSpec): {
  name: string;
  path: string;
  role: PbsRole;
  propagate: boolean;
}[] {
  const store = `/datastore/${datastore}`;
  const path = namespace === undefined ? store : `${store}/${namespace}`;
  const rights = [{ name: "backup", path, role: "DatastoreBackup" as const, propagate: true }];
  // Without it, a storage entry of a namespace shows no size.
  const audit = { name: "audit", path: store, role: "DatastoreAudit" as const, propagate: false };
  return namespace === undefined ? rights : [...rights, audit];
}

/**
 * Retention of a target: of each period the most that one of its policies keeps, as a prune job knows no policies. Of a copy of another
 * target that target's, unless what vanishes there vanishes here. Undefined: nothing is pruned.
 */
export function keepOf(site: SitePlan, name: string, spec: PbsTargetSpec): KeepSpec | undefined {
  const own = policiesOf(site, name);
  const { syncFrom } = spec;
  const source = syncFrom === undefined || syncFrom.removeVanished ? [] : policiesOf(site, syncFrom.target);
  const most: KeepSpec = {};
  for (const keep of [...own, ...source]) {
    for (const [period, count = 0] of Object.entries(keep) as [keyof KeepSpec, number | undefined][])
      most[period] = Math.max(most[period] ?? 0, count);
  }
  return Object.values(most).some((count = 0) => count > 0) ? most : undefined;
}

function policiesOf(site: SitePlan, target: string): KeepSpec[] {
  return Object.values(site.backups.policies)
    .filter((policy) => policy.target === target)
    .map(({ keep }) => keep);
}

/** Inputs of the storage entry, without who logs in. */
export function pbsArguments(name: string, spec: PbsTargetSpec, site: SitePlan) {
  const { servers } = site.spec;
  return {
    resourceId: storageOf(name, spec) ?? name,
    server: pbsHost(site, spec),
    datastore: spec.datastore,
    ...(spec.namespace === undefined ? {} : { namespace: spec.namespace }),
    ...(spec.fingerprint === undefined ? {} : { fingerprint: spec.fingerprint }),
    contents: ["backup"],
    nodes: Object.keys(servers).filter((server) => servers[server]?.roles.includes("hypervisor")),
    // The backup server prunes; the token could not.
    backups: { keepAll: true },
    ...(spec.encryption === "client" ? { generateEncryptionKey: true } : {}),
  };
}

/** `user@realm!token:secret` in its two parts. */
export function tokenParts(token: pulumi.Input<string>): StorageAccess {
  const parts = pulumi.output(token).apply((text) => {
    const [, username, password] = text.trim().match(/^([^:=\s]+![^:=\s]+)[:=](\S+)$/) ?? [];
    if (username === undefined || password === undefined) {
      throw new pulumi.RunError("A token of a backup server does not have the form user@realm!name:secret");
    }
    return { username, password };
  });
  return { username: parts.username, password: pulumi.secret(parts.password) };
}

/** @throws PlanError for a port that the provider cannot say */
export function refuseOtherPort(name: string, { port }: PbsTargetSpec): void {
  if (port === PORT) return;
  throw new PlanError(`Backup target ${name}`, [
    {
      code: "TARGET-PBS-PORT",
      severity: "error",
      subject: `targets.${name}.port`,
      message: `the backup server listens on ${port}, and the provider makes storage entries for port ${PORT} only`,
      fix: `let it listen on ${PORT}, or forward that port to it`,
    },
  ]);
}
