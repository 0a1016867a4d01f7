import * as proxmoxve from "@pulumi/proxmoxve";
import * as pulumi from "@pulumi/pulumi";
import type {
  Finding,
  GuestPlan,
  ImageSpec,
  ManifestAccess,
  PlanOptions,
  SiteManifest,
  SitePlan,
  SiteSpecInput,
} from "../planning";
import { idsOf, parseSite, planSite, type SiteReport, siteManifest, siteReport } from "../planning";
import type { BackupAgent } from "../providers/backup-agent";
import { RegisteredGuest } from "../providers/registered-guest";
import { ServerGuard } from "../providers/server-guard";
import { createBackupAgents } from "./backup-agents";
import { BackupPolicy } from "./backup-policy";
import { BackupTarget, provedTarget } from "./backup-target";
import { Container } from "./container";
import type { GuestComponentArgs } from "./guest-component";
import { residence } from "./guest-inputs";
import { createStorageEntry, PhysicalServer } from "./physical-server";
import { logWarnings, refuseErrors } from "./plan-error";
import { createSharedStorage, refuseMissingPasswords } from "./shared-storage";
import { VirtualMachine } from "./virtual-machine";

/** Arguments of {@link Site}. */
export interface SiteArgs extends PlanOptions {
  /** The whole specification, or a plan that was made of one. */
  site: SiteSpecInput | SitePlan;
  /** Values of the secrets that the specification names, by name. */
  secrets?: Record<string, pulumi.Input<string>>;
  /** Deny deletion of guests and datastores by the engine until they are unprotected. Default: true. */
  protect?: boolean;
  /** A changed value refreshes every `restore` replica from its newest backup at the next update. */
  refreshToken?: pulumi.Input<string>;
  /** Findings of what was read from the hypervisors before the plan was made. */
  findings?: Finding[];
  /**
   * The way to the servers. Each server with an SSH host key in it gets the guard, which keeps two sides of a guest from
   * running at once. Default: none, so that nothing is installed on any server.
   */
  access?: ManifestAccess;
  /**
   * Of hypervisors without a cluster, each one's own provider, by server: servers and guests are made with that of their (primary)
   * server. Default: every resource is made with the provider of the component's options.
   */
  serverProviders?: Record<string, proxmoxve.Provider>;
}

/** The resources a site consists of, by name. */
export interface SiteNodes {
  servers: Record<string, PhysicalServer>;
  storages: Record<string, pulumi.CustomResource>;
  pools: Record<string, proxmoxve.PoolLegacy>;
  guests: Record<string, VirtualMachine | Container>;
  /** Where copies lie. */
  targets: Record<string, BackupTarget>;
  /** What is copied, when and for how long. */
  policies: Record<string, BackupPolicy>;
  /** The policies' backup jobs, by policy, or by policy and server without a cluster; those of folders, volumes and data sets have none. */
  backups: Record<string, proxmoxve.backup.Job>;
  /** By server; of those that are reached over SSH. */
  guards: Record<string, ServerGuard>;
  /** By server; of those that are reached over SSH and have something to copy. */
  backupAgents: Record<string, BackupAgent>;
}

/**
 * A whole site: servers, storages, guests with their replicas, and backup jobs, out of one specification that is
 * proved before the first resource is registered.
 *
 * ```ts
 * const site = new Site("smb", { site: defineSite(specification) }, { provider });
 * export const guests = site.report.guests;
 * ```
 *
 * @throws PlanError with every error of the plan at once.
 */
export class Site extends pulumi.ComponentResource {
  readonly plan: SitePlan;
  /** What the plan says, in the shape that stacks export. */
  readonly report: SiteReport;
  /** What the operator's commands need to know of the site, without secrets. */
  readonly manifest: SiteManifest;
  readonly nodes: SiteNodes;

  constructor(name: string, args: SiteArgs, opts?: pulumi.ComponentResourceOptions) {
    const plan = provedPlan(name, args);
    refuseMissing(plan, args);
    super("coldspare:index:Site", name, {}, opts);
    this.plan = plan;
    this.report = siteReport(plan);
    this.manifest = siteManifest(plan, args.access ?? { endpoints: {} });
    const servers = this.createServers(args);
    const storages = this.createStorages(name, args);
    const pools = this.createPools(name);
    const targets = this.createTargets(args);
    const shared = [...Object.values(storages), ...Object.values(pools)];
    const guests = this.createGuests(args, servers, shared);
    const policies = this.createPolicies(name, args, targets, [...shared, ...Object.values(guests)]);
    const guards = this.createGuards(guests);
    const secrets = args.secrets === undefined ? {} : { secrets: args.secrets };
    const backupAgents = createBackupAgents(this.manifest, { guards, ...secrets, parent: this });
    this.nodes = {
      servers,
      storages,
      pools,
      guests,
      targets,
      policies,
      backups: jobsOf(policies),
      guards,
      backupAgents,
    };
    logWarnings(plan.findings, this);
    this.registerOutputs({ guests: this.report.guests });
  }

  private createServers(site: SiteArgs): SiteNodes["servers"] {
    const clustered = this.plan.site.cluster !== undefined;
    return mapValues(this.plan.servers, (name, server) => {
      const args = { server: server.spec, images: this.imagesOf(name), storageEntries: !clustered };
      return new PhysicalServer(name, args, { parent: this, ...providerOf(site, name) });
    });
  }

  /** A server downloads the images of the guests that it carries or stands by for. */
  private imagesOf(server: string): Record<string, ImageSpec> {
    const wanted = Object.values(this.plan.guests)
      .filter((guest) => guest.primary === server || guest.spare === server)
      .flatMap((guest) => (guest.spec.image ? [guest.spec.image] : []));
    return Object.fromEntries(Object.entries(this.plan.spec.images).filter(([name]) => wanted.includes(name)));
  }

  private createStorages(site: string, args: SiteArgs): SiteNodes["storages"] {
    const { spec } = this.plan;
    const storages: SiteNodes["storages"] = {};
    for (const id of Object.keys(spec.storages)) {
      const entry = createSharedStorage(`${site}-storage-${id}`, id, this.plan, args.secrets ?? {}, this);
      if (entry !== undefined) storages[id] = entry;
    }
    const hypervisors = Object.keys(spec.servers).filter((name) => spec.servers[name]?.roles.includes("hypervisor"));
    return { ...storages, ...this.createClusterStorages(site, hypervisors) };
  }

  /** In a cluster one entry stands for the pool of that name on each of its servers. */
  private createClusterStorages(site: string, hypervisors: string[]): SiteNodes["storages"] {
    const { spec } = this.plan;
    if (spec.site.cluster === undefined) return {};
    const ids = new Set(hypervisors.flatMap((name) => Object.keys(spec.servers[name]?.storages ?? {})));
    const entries = [...ids].flatMap((id): [string, pulumi.CustomResource][] => {
      const nodes = hypervisors.filter((name) => spec.servers[name]?.storages[id]?.managed);
      const storage = nodes[0] === undefined ? undefined : spec.servers[nodes[0]]?.storages[id];
      return storage ? [[id, createStorageEntry(`${site}-storage-${id}`, id, storage, nodes, this)]] : [];
    });
    return Object.fromEntries(entries);
  }

  private createPools(site: string): SiteNodes["pools"] {
    const names = new Set(Object.values(this.plan.guests).flatMap((guest) => guest.spec.pool ?? []));
    const pools = [...names].sort().map((pool): [string, proxmoxve.PoolLegacy] => {
      const comment = `Guests of ${this.plan.site.name}`;
      // The comment of a pool that was there before is somebody else's words.
      const options = { parent: this, ignoreChanges: ["comment"] };
      return [pool, new proxmoxve.PoolLegacy(`${site}-pool-${pool}`, { poolId: pool, comment }, options)];
    });
    return Object.fromEntries(pools);
  }

  /** A guest waits for its own server and its replica for both: a server that is down holds up nobody else's guests. */
  private createGuests(args: SiteArgs, servers: SiteNodes["servers"], shared: pulumi.Resource[]): SiteNodes["guests"] {
    const guests: SiteNodes["guests"] = {};
    const made = (names: (string | undefined)[]) =>
      names.flatMap((name) => (name !== undefined && servers[name] ? [servers[name]] : []));
    for (const guest of Object.values(this.plan.guests)) {
      // The server that the guest is on comes with the guest: named twice, it would only be in the state of each replica twice.
      const others = [guest.primary, guest.spare].filter((server) => server !== residence(guest).nodeName);
      const replicaDependsOn = made(others);
      const common = { ...this.guestArgs(guest, args), replicaDependsOn };
      const { nodeName } = residence(guest);
      const options = { parent: this, dependsOn: [...made([nodeName]), ...shared], ...providerOf(args, nodeName) };
      guests[guest.name] =
        guest.spec.kind === "vm"
          ? new VirtualMachine(guest.name, { ...guest.spec, ...common }, options)
          : new Container(guest.name, { ...guest.spec, ...common }, options);
    }
    return guests;
  }

  private guestArgs(guest: GuestPlan, args: SiteArgs): GuestComponentArgs & { password?: pulumi.Input<string> } {
    const secret = guest.spec.kind === "vm" ? guest.spec.cloudInit?.passwordSecret : undefined;
    return {
      site: this.plan,
      ...(args.protect === undefined ? {} : { protect: args.protect }),
      ...(args.refreshToken === undefined ? {} : { refreshToken: args.refreshToken }),
      ...(secret === undefined ? {} : { password: secretValue(args, guest.name, secret) }),
    };
  }

  private createTargets(args: SiteArgs): SiteNodes["targets"] {
    const { secrets, protect, serverProviders } = args;
    const given = {
      ...(secrets === undefined ? {} : { secrets }),
      ...(protect === undefined ? {} : { protect }),
      ...(serverProviders === undefined ? {} : { serverProviders }),
    };
    return mapValues(
      this.plan.spec.targets,
      (name) => new BackupTarget(name, { site: this.plan, ...given }, { parent: this }),
    );
  }

  /** A policy waits for its own target only: a backup server that is down holds up nobody else's job. */
  private createPolicies(
    prefix: string,
    { serverProviders }: SiteArgs,
    targets: SiteNodes["targets"],
    common: pulumi.Resource[],
  ): SiteNodes["policies"] {
    return mapValues(this.plan.backups.policies, (name, { target }) => {
      const { storage, serverStorages = {} } = targets[target]?.nodes ?? {};
      const entries = [...(storage === undefined ? [] : [storage]), ...Object.values(serverStorages)];
      const providers = serverProviders === undefined ? {} : { serverProviders };
      const policy = { site: this.plan, prefix, dependsOn: [...common, ...entries], ...providers };
      return new BackupPolicy(name, policy, { parent: this });
    });
  }

  /**
   * The hook script is set at guests, so all that a server can run exist before its guard is installed, and are there until it
   * is gone. The machines alone, as each name is kept in the state: they wait for the servers themselves, and a
   * component would bring all its children along. Standbys that come later get theirs from the agent.
   */
  private createGuards(guests: SiteNodes["guests"]): SiteNodes["guards"] {
    const guards: SiteNodes["guards"] = {};
    for (const [server, { ssh }] of Object.entries(this.manifest.servers)) {
      if (ssh === undefined) continue;
      const here = Object.values(this.manifest.guests).filter((guest) =>
        idsOf(guest).some((id) => id.server === server),
      );
      const dependsOn = here.flatMap(({ name }) => machinesOf(guests[name]));
      const args = { server, manifest: this.manifest };
      guards[server] = new ServerGuard(`${server}-guard`, args, { parent: this, dependsOn });
    }
    return guards;
  }
}

/** What a hook script is set at on some server: the guest, and its registered side. */
function machinesOf(guest: VirtualMachine | Container | undefined): pulumi.Resource[] {
  const { guest: machine, replica } = guest?.nodes ?? {};
  return [...(machine ? [machine] : []), ...(replica instanceof RegisteredGuest ? [replica] : [])];
}

function providerOf({ serverProviders }: SiteArgs, server: string): Pick<pulumi.ComponentResourceOptions, "providers"> {
  const provider = serverProviders?.[server];
  return provider === undefined ? {} : { providers: { proxmoxve: provider } };
}

function provedPlan(name: string, args: SiteArgs): SitePlan {
  if ("losses" in args.site) {
    refuseErrors(`Site ${name}`, args.site.findings);
    return args.site;
  }
  const parsed = parseSite(args.site);
  const plan = parsed.spec ? planSite(parsed.spec, args) : undefined;
  const findings = [...parsed.findings, ...(plan?.findings ?? []), ...(args.findings ?? [])];
  refuseErrors(`Site ${name}`, findings);
  if (!plan) throw new Error(`the specification of ${name} could not be read`);
  return { ...plan, findings };
}

/** What copies need of secrets, asked for before anything is registered. */
function refuseMissing(site: SitePlan, { secrets = {} }: SiteArgs): void {
  refuseMissingPasswords(site, secrets);
  for (const name of Object.keys(site.spec.targets)) provedTarget(name, { site, secrets });
}

function secretValue(args: SiteArgs, guest: string, secret: string): pulumi.Input<string> {
  const value = args.secrets?.[secret];
  if (value === undefined) {
    throw new pulumi.RunError(
      `Guest ${guest} names the secret ${secret}, which has no value. Set it: pulumi config set --secret coldspare:${secret}`,
    );
  }
  return value;
}

function jobsOf(policies: SiteNodes["policies"]): SiteNodes["backups"] {
  const jobs: SiteNodes["backups"] = {};
  for (const [name, { nodes }] of Object.entries(policies)) {
    if (nodes.job !== undefined) jobs[name] = nodes.job;
    for (const [server, job] of Object.entries(nodes.serverJobs)) jobs[`${name}-${server}`] = job;
  }
  return jobs;
}

function mapValues<V, R>(record: Record<string, V>, make: (name: string, value: V) => R): Record<string, R> {
  // A loop, as every frame between here and a resource is recorded in the state of that resource.
  const made: Record<string, R> = {};
  for (const [name, value] of Object.entries(record)) made[name] = make(name, value);
  return made;
}
