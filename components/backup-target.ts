import * as proxmoxve from "@pulumi/proxmoxve";
import * as pulumi from "@pulumi/pulumi";
import { type KeepSpec, type PbsTargetSpec, type SitePlan, storageOf, type TargetSpec } from "../planning";
import {
  PbsAcl,
  PbsDatastore,
  PbsNamespace,
  PbsPruneJob,
  PbsRemote,
  PbsSyncJob,
  PbsToken,
  PbsUser,
  PbsVerifyJob,
} from "../providers/pbs";
import { jobName } from "./backup-names";
import {
  keepOf,
  pbsArguments,
  pbsHost,
  refuseOtherPort,
  rightsOf,
  type StorageAccess,
  sourceOf,
  tokenParts,
} from "./backup-pbs";

/** Arguments of {@link BackupTarget}. */
export interface BackupTargetArgs {
  /** The plan of the site; the target is the one of the component's name. */
  site: SitePlan;
  /** Values of the secrets that the specification names, by name. */
  secrets?: Record<string, pulumi.Input<string>>;
  /** Deny removal of datastore and namespace by the engine until they are unprotected. Default: true. */
  protect?: boolean;
  /** Of hypervisors without a cluster, each one's own provider, by server: each gets a storage entry of its own. */
  serverProviders?: Record<string, proxmoxve.Provider>;
  /** Changes a child's inputs or options before it is made, by the child's role: `storage`, `datastore`, `token` … */
  transform?: Record<string, (inputs: pulumi.Inputs, options: pulumi.CustomResourceOptions) => void>;
}

/** The resources of a target, by role; those that it does not need are absent. */
export interface BackupTargetNodes {
  datastore?: PbsDatastore;
  namespace?: PbsNamespace;
  user?: PbsUser;
  token?: PbsToken;
  rights: Record<string, PbsAcl>;
  prune?: PbsPruneJob;
  /** `scheduled`, and those of policies that want every copy read again. */
  verify: Record<string, PbsVerifyJob>;
  remote?: PbsRemote;
  /** The right to read the other datastore, and the token for it, where that server is managed, too. */
  remoteToken?: PbsToken;
  sync?: PbsSyncJob;
  /** Storage entry of the cluster. */
  storage?: proxmoxve.storage.Pbs;
  /** Storage entries of hypervisors without a cluster, by server. */
  serverStorages: Record<string, proxmoxve.storage.Pbs>;
}

/**
 * A place where copies lie, ready to be written to.
 *
 * ```ts
 * new BackupTarget("office", { site: plan, secrets }, { provider });
 * ```
 *
 * Of a `pbs` target: datastore (where the specification gives its folder), namespace, jobs that prune, verify and fetch, a user with
 * a token, and on the hypervisors the storage entry with that token. The token may make backups and read its own; it
 * removes none: retention is the backup server's own work, so that whoever takes a hypervisor cannot take the backups.
 * The way to the backup server's API is `coldspare:pbs.<target>`. Of a server that is not managed there is only the storage entry;
 * where `storage` names it and there is no `tokenSecret`, it is there already, and nothing is made.
 *
 * Other kinds have no resources here: the storage of a `vzdump` target is in the section storages, and folders, ZFS data sets
 * and rotated media are the business of the programs on the servers.
 */
export class BackupTarget extends pulumi.ComponentResource {
  readonly spec: TargetSpec;
  readonly nodes: BackupTargetNodes = { rights: {}, verify: {}, serverStorages: {} };
  /** Id of the storage entry on the hypervisors, for a backup job; set when the target is one. */
  readonly storageId: string | undefined;

  /**
   * Key of a target with `encryption: client`, a secret: without it nothing there can be restored. The hypervisors have it, and the
   * state of the stack; keep it in a third place.
   */
  readonly encryptionKey: pulumi.Output<string> | undefined;

  constructor(
    private readonly targetName: string,
    private readonly args: BackupTargetArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    const spec = provedTarget(targetName, args);
    super("coldspare:index:BackupTarget", targetName, {}, opts);
    this.spec = spec;
    if (spec.kind === "pbs") {
      if (spec.managed) {
        this.createPlace(spec);
        this.createAccess(spec);
        this.createRetention(spec);
        this.createVerification(spec);
        this.createSync(spec);
      }
      if (!isThereAlready(spec)) this.createStorages(spec);
    }
    this.storageId = storageOf(targetName, spec);
    const entry = this.nodes.storage ?? Object.values(this.nodes.serverStorages)[0];
    this.encryptionKey =
      spec.kind === "pbs" && spec.encryption === "client" ? entry?.generatedEncryptionKey : undefined;
    this.registerOutputs({ kind: spec.kind, storageId: this.storageId });
  }

  /** Datastore and namespace: what holds the copies, and so what the engine must not take away by mistake. */
  private createPlace(spec: PbsTargetSpec): void {
    const { datastore, path, namespace, removableDevice, gcSchedule } = spec;
    const kept = { protect: this.args.protect ?? true };
    if (path !== undefined) {
      const removable = removableDevice === undefined ? {} : { backingDevice: removableDevice, gcOnUnmount: true };
      const inputs = {
        name: datastore,
        path: removableDevice ? path.replace(/^\/+/, "") : path,
        gcSchedule,
        ...removable,
      };
      this.nodes.datastore = this.make("datastore", PbsDatastore, { ...this.common(), ...inputs }, kept);
    }
    if (namespace !== undefined) {
      const inputs = { server: this.targetName, store: datastore, ns: namespace };
      this.nodes.namespace = this.make("namespace", PbsNamespace, inputs, { ...kept, dependsOn: this.place() });
    }
  }

  /** A user without a password, a token of it for this target, and the same rights for both, as a token has no more than its user. */
  private createAccess(spec: PbsTargetSpec): void {
    const { targetName } = this;
    const { site } = this.args.site;
    const comment = `Hypervisors of ${site.name}`;
    const user = this.make("user", PbsUser, { server: targetName, userId: spec.username, comment });
    const dependsOn = [user];
    const inputs = { server: targetName, userId: spec.username, tokenName: jobName(site.name, targetName), comment };
    const token = this.make("token", PbsToken, inputs, { dependsOn });
    this.nodes.user = user;
    this.nodes.token = token;
    for (const { role, path, propagate, name } of rightsOf(spec)) {
      for (const [who, authId] of [
        ["user", spec.username],
        ["token", token.tokenId],
      ] as const) {
        const right = { server: targetName, path, authId, role, propagate };
        const options = { dependsOn: [...dependsOn, ...this.place()] };
        this.nodes.rights[`${who}-${name}`] = this.make(`${who}-${name}`, PbsAcl, right, options);
      }
    }
  }

  private createRetention(spec: PbsTargetSpec): void {
    const keep = keepOf(this.args.site, this.targetName, spec);
    if (keep === undefined) return;
    const inputs = { ...this.job(spec, "prune"), schedule: spec.pruneSchedule, ...keepInputs(keep) };
    this.nodes.prune = this.make("prune", PbsPruneJob, inputs, { dependsOn: this.place() });
  }

  private createVerification(spec: PbsTargetSpec): void {
    const { schedule, reverifyAfterDays } = spec.verify;
    const dependsOn = this.place();
    const scheduled = { ...this.job(spec, "verify"), schedule, ignoreVerified: true, outdatedAfter: reverifyAfterDays };
    this.nodes.verify.scheduled = this.make("verify", PbsVerifyJob, scheduled, { dependsOn });
    for (const { name, target, spec: policy } of Object.values(this.args.site.backups.policies)) {
      const { reread } = policy.verify;
      if (target !== this.targetName || reread === undefined) continue;
      const all = { ...this.job(spec, `reread-${name}`), schedule: reread, ignoreVerified: false };
      this.nodes.verify[name] = this.make(`reread-${name}`, PbsVerifyJob, all, { dependsOn });
    }
  }

  /** A copy of another datastore, fetched by this one: it belongs to this target's token, so that its hypervisors can restore it. */
  private createSync(spec: PbsTargetSpec): void {
    const { syncFrom } = spec;
    if (syncFrom === undefined) return;
    const source = sourceOf(this.args.site, syncFrom.target);
    const isLocal = pbsHost(this.args.site, source) === pbsHost(this.args.site, spec) && source.port === spec.port;
    const remote = isLocal ? undefined : this.createRemote(syncFrom.target, source);
    const inputs = {
      ...this.job(spec, "sync"),
      ...(remote === undefined ? {} : { remote: remote.name }),
      remoteStore: source.datastore,
      ...(source.namespace === undefined ? {} : { remoteNs: source.namespace }),
      schedule: syncFrom.schedule,
      removeVanished: syncFrom.removeVanished,
      resyncCorrupt: true,
      ...(syncFrom.rateMBps === undefined ? {} : { rateIn: `${syncFrom.rateMBps}MB` }),
      ...(syncFrom.transferLast === undefined ? {} : { transferLast: syncFrom.transferLast }),
      ...(spec.removableDevice === undefined ? {} : { runOnMount: true }),
      ...(this.nodes.token === undefined ? {} : { owner: this.nodes.token.tokenId }),
    };
    const dependsOn = [...this.place(), ...Object.values(this.nodes.rights), ...(remote === undefined ? [] : [remote])];
    this.nodes.sync = this.make("sync", PbsSyncJob, inputs, { dependsOn });
  }

  private createRemote(sourceName: string, source: PbsTargetSpec): PbsRemote {
    const access = source.managed
      ? this.createRemoteToken(sourceName, source)
      : tokenParts(tokenOf(sourceName, source, this.args.secrets));
    const inputs = {
      ...this.common(),
      name: jobName(sourceName),
      host: pbsHost(this.args.site, source),
      port: source.port,
      authId: access.username,
      password: access.password,
      ...(source.fingerprint === undefined ? {} : { fingerprint: source.fingerprint }),
    };
    this.nodes.remote = this.make("remote", PbsRemote, inputs);
    return this.nodes.remote;
  }

  /** On the other server: a user that may read this one datastore and no more, with a token. */
  private createRemoteToken(server: string, { datastore, namespace }: PbsTargetSpec): StorageAccess {
    const path = ["", "datastore", datastore, ...(namespace === undefined ? [] : [namespace])].join("/");
    const userId = `${jobName(this.targetName, "sync")}@pbs`;
    const user = this.make("remote-user", PbsUser, { server, userId, comment: `Fetches for ${this.targetName}` });
    const token = this.make("remote-token", PbsToken, { server, userId, tokenName: "sync" }, { dependsOn: [user] });
    const role = "DatastoreReader" as const;
    for (const [who, authId] of [
      ["remote-user", userId],
      ["remote-token", token.tokenId],
    ] as const) {
      const inputs = { server, path, authId, role };
      this.nodes.rights[`${who}-read`] = this.make(`${who}-read`, PbsAcl, inputs, { dependsOn: [user] });
    }
    this.nodes.remoteToken = token;
    return { username: token.tokenId, password: token.secret };
  }

  private createStorages(spec: PbsTargetSpec): void {
    const { token } = this.nodes;
    const access =
      token === undefined
        ? tokenParts(tokenOf(this.targetName, spec, this.args.secrets))
        : { username: token.tokenId, password: token.secret };
    const inputs = { ...pbsArguments(this.targetName, spec, this.args.site), ...access };
    const dependsOn = [...this.place(), ...Object.values(this.nodes.rights)];
    const { serverProviders } = this.args;
    if (serverProviders === undefined) {
      this.nodes.storage = this.make("storage", proxmoxve.storage.Pbs, inputs, { dependsOn });
      return;
    }
    let first: proxmoxve.storage.Pbs | undefined;
    for (const [server, provider] of Object.entries(serverProviders)) {
      const own: proxmoxve.storage.PbsArgs = { ...inputs, nodes: [server] };
      // One key for all, or what one of them wrote none of the others could read.
      if (first !== undefined && spec.encryption === "client") {
        delete own.generateEncryptionKey;
        own.encryptionKey = first.generatedEncryptionKey;
      }
      const entry = this.make(`storage-${server}`, proxmoxve.storage.Pbs, own, { dependsOn, provider });
      this.nodes.serverStorages[server] = entry;
      first ??= entry;
    }
  }

  /** A child called after its role. */
  private make<A extends object, R extends pulumi.CustomResource>(
    role: string,
    Kind: new (name: string, args: A, opts?: pulumi.CustomResourceOptions) => R,
    inputs: A,
    more: pulumi.CustomResourceOptions = {},
  ): R {
    const options: pulumi.CustomResourceOptions = { ...more, parent: this };
    this.args.transform?.[role]?.(inputs, options);
    return new Kind(`${this.targetName}-${role}`, inputs, options);
  }

  private common() {
    return { server: this.targetName, comment: `Made for ${this.args.site.site.name}` };
  }

  private job(spec: PbsTargetSpec, role: string) {
    const { datastore, namespace } = spec;
    const name = jobName(this.args.site.site.name, this.targetName, role);
    return { ...this.common(), jobId: name, store: datastore, ...(namespace === undefined ? {} : { ns: namespace }) };
  }

  private place(): pulumi.Resource[] {
    const { datastore, namespace } = this.nodes;
    return [datastore, namespace].filter((node) => node !== undefined);
  }
}

function keepInputs({ last, hourly, daily, weekly, monthly, yearly }: KeepSpec) {
  const all = {
    keepLast: last,
    keepHourly: hourly,
    keepDaily: daily,
    keepWeekly: weekly,
    keepMonthly: monthly,
    keepYearly: yearly,
  };
  return Object.fromEntries(Object.entries(all).filter(([, count]) => count !== undefined && count > 0));
}

/** The target of a name, when all that it needs is at hand: nothing is registered before. @throws RunError, PlanError */
export function provedTarget(name: string, { site, secrets }: Pick<BackupTargetArgs, "site" | "secrets">): TargetSpec {
  const spec = site.spec.targets[name];
  if (spec === undefined) {
    const known = Object.keys(site.spec.targets).join(", ") || "none";
    throw new pulumi.RunError(`The plan of ${site.site.name} has no backup target ${name} (it has ${known})`);
  }
  if (spec.kind !== "pbs") return spec;
  if (!isThereAlready(spec)) refuseOtherPort(name, spec);
  if (!spec.managed && !isThereAlready(spec)) tokenOf(name, spec, secrets);
  const source = spec.syncFrom === undefined ? undefined : sourceOf(site, spec.syncFrom.target);
  if (spec.managed && source?.managed === false) tokenOf(spec.syncFrom!.target, source, secrets);
  return spec;
}

/** Of a backup server that is not managed, an entry that is named and has no token here: the hypervisors have it. */
function isThereAlready({ managed, storage, tokenSecret }: PbsTargetSpec): boolean {
  return !managed && storage !== undefined && tokenSecret === undefined;
}

/** The token of a backup server that is not managed. */
function tokenOf(
  target: string,
  { tokenSecret }: PbsTargetSpec,
  secrets: BackupTargetArgs["secrets"],
): pulumi.Input<string> {
  const value = tokenSecret === undefined ? undefined : secrets?.[tokenSecret];
  if (value !== undefined) return value;
  throw new pulumi.RunError(
    tokenSecret === undefined
      ? `The backup server of the target ${target} is not managed, and the specification names no token for it. Fix: targets.${target}.tokenSecret, and its value, user@realm!name:secret, in coldspare:<that name>; or targets.${target}.storage, where the hypervisors have its storage entry already`
      : `The target ${target} names the secret ${tokenSecret}, which has no value. Fix: pulumi config set --secret coldspare:${tokenSecret} 'user@realm!name:secret'`,
  );
}
