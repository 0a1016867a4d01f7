import * as proxmoxve from "@pulumi/proxmoxve";
import * as pulumi from "@pulumi/pulumi";
import type { KeepSpec, MailSpec, PolicyPlan, SitePlan } from "../planning";

/** Arguments of {@link BackupPolicy}. */
export interface BackupPolicyArgs {
  /** The plan of the site; the policy is the one of the component's name. */
  site: SitePlan;
  /** What the job's name begins with, here and on the hypervisors. Default: the site's name. */
  prefix?: string;
  /** Of hypervisors without a cluster, each one's own provider, by server: each gets a job for the guests that run there. */
  serverProviders?: Record<string, proxmoxve.Provider>;
  /** What the policy's storage and guests must exist before. */
  dependsOn?: pulumi.Resource[];
  /** Changes the job's inputs or options before it is made. */
  transform?: { job?: (inputs: proxmoxve.backup.JobArgs, options: pulumi.CustomResourceOptions) => void };
}

/** The resources of a policy. */
export interface BackupPolicyNodes {
  /** The cluster's backup job; absent in a policy without guests, and in one that is not managed: its job is there already. */
  job?: proxmoxve.backup.Job;
  /** Backup jobs of hypervisors without a cluster, by server. */
  serverJobs: Record<string, proxmoxve.backup.Job>;
}

/**
 * What is copied, when, how and for how long: of guests, a backup job of Proxmox VE.
 *
 * ```ts
 * new BackupPolicy("nightly", { site: plan }, { provider });
 * ```
 *
 * Retention of a `vzdump` storage is part of the job. Of Proxmox Backup Server it is that of the target, see `BackupTarget`: the
 * hypervisors may remove nothing there. A run that was missed, as its server was off, is made up for when it is back.
 * Folders, volumes and data sets are the business of the programs on the servers.
 */
export class BackupPolicy extends pulumi.ComponentResource {
  readonly plan: PolicyPlan;
  readonly nodes: BackupPolicyNodes;

  constructor(name: string, args: BackupPolicyArgs, opts?: pulumi.ComponentResourceOptions) {
    const plan = args.site.backups.policies[name];
    if (plan === undefined) throw unknownPolicy(name, args.site);
    super("coldspare:index:BackupPolicy", name, {}, opts);
    this.plan = plan;
    const { serverProviders } = args;
    if (serverProviders === undefined) {
      // Before there were policies the job was the site's own.
      const aliases = opts?.parent === undefined ? {} : { aliases: [{ parent: opts.parent }] };
      const job = this.createJob(name, args, plan, aliases);
      this.nodes = { ...(job === undefined ? {} : { job }), serverJobs: {} };
    } else {
      this.nodes = { serverJobs: this.createServerJobs(name, args, serverProviders) };
    }
    this.registerOutputs({ recoveryPointSeconds: plan.recoveryPointSeconds });
  }

  /** A guest has the same id on its spare: only where it runs is it backed up. */
  private createServerJobs(
    name: string,
    args: BackupPolicyArgs,
    providers: Record<string, proxmoxve.Provider>,
  ): BackupPolicyNodes["serverJobs"] {
    const { guests } = args.site;
    const jobs: BackupPolicyNodes["serverJobs"] = {};
    for (const [server, provider] of Object.entries(providers)) {
      const subjects = this.plan.subjects.filter(({ subject }) => guests[subject]?.activeServer === server);
      const job = this.createJob(`${name}-${server}`, args, { ...this.plan, subjects }, { provider });
      if (job !== undefined) jobs[server] = job;
    }
    return jobs;
  }

  private createJob(
    name: string,
    { site, prefix = site.site.name, dependsOn, transform }: BackupPolicyArgs,
    plan: PolicyPlan,
    more: pulumi.CustomResourceOptions,
  ): proxmoxve.backup.Job | undefined {
    const inputs = jobInputs(`${prefix}-${name}`, plan, site);
    if (inputs === undefined) return undefined;
    const options: pulumi.CustomResourceOptions = {
      parent: this,
      ...(dependsOn === undefined ? {} : { dependsOn }),
      ...more,
    };
    transform?.job?.(inputs, options);
    return new proxmoxve.backup.Job(`${prefix}-backup-${name}`, inputs, options);
  }
}

/** Inputs of a policy's backup job; undefined where Proxmox VE has nothing to do with it. */
function jobInputs(resourceId: string, plan: PolicyPlan, site: SitePlan): proxmoxve.backup.JobArgs | undefined {
  const { spec, storage, kind } = plan;
  const guests = plan.subjects.flatMap(({ vmid }) => vmid ?? []).sort((a, b) => a - b);
  if (!spec.managed || storage === undefined || guests.length === 0) return undefined;
  return {
    resourceId,
    storage,
    schedule: spec.schedule,
    mode: spec.mode,
    compress: spec.compression === "none" ? "0" : spec.compression,
    // The guests by id, never 'all': the standby copies are no guests to back up.
    vmids: guests.map(String),
    enabled: true,
    repeatMissed: true,
    notesTemplate: `{{guestname}}, {{node}}, policy ${plan.name}`,
    ...(kind === "pbs" ? { remove: false } : { pruneBackups: keepOptions(plan.keep) }),
    ...(spec.bandwidthMBps === undefined ? {} : { bwlimit: kibibytes(spec.bandwidthMBps) }),
    ...(spec.fleecing === undefined ? {} : { fleecing: { enabled: true, storage: spec.fleecing.storage } }),
    ...mailInputs(spec.notify, site.spec.policies.mail),
  };
}

/** Proxmox VE counts in KiB/s, the specification in MB/s. Never 0, which would be no limit. */
function kibibytes(megabytes: number): number {
  return Math.max(1, Math.floor((megabytes * 1e6) / 1024));
}

function keepOptions(keep: KeepSpec): Record<string, string> {
  const entries = Object.entries(keep).filter(([, count]) => count !== undefined && count > 0);
  return Object.fromEntries(entries.map(([period, count]) => [`keep-${period}`, String(count)]));
}

/** Without an address the notification settings of the cluster decide. */
function mailInputs(
  notify: PolicyPlan["spec"]["notify"],
  mail: MailSpec | undefined,
): Pick<proxmoxve.backup.JobArgs, "mailnotification" | "mailtos"> {
  return mail === undefined || notify === "never" ? {} : { mailnotification: notify, mailtos: mail.to };
}

function unknownPolicy(name: string, site: SitePlan): pulumi.RunError {
  const known = Object.keys(site.backups.policies).join(", ") || "none";
  return new pulumi.RunError(`The plan of ${site.site.name} has no backup policy ${name} (it has ${known})`);
}
