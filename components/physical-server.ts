import * as proxmoxve from "@pulumi/proxmoxve";
import * as pulumi from "@pulumi/pulumi";
import type { ImageSpec, LocalStorageSpec, ServerSpec } from "../planning";
import { imageContent } from "./guest-inputs";

/** Arguments of {@link PhysicalServer}. */
export interface PhysicalServerArgs {
  /** Hardware, roles, storages, bridges and settings, as the specification gives them. */
  server: ServerSpec;
  /** Images that this server must have, by name. */
  images?: Record<string, ImageSpec>;
  /** false where storage entries belong to the cluster and the site makes them. Default: true. */
  storageEntries?: boolean;
}

/** The resources a server consists of, by name. */
export interface PhysicalServerNodes {
  bridges: Record<string, proxmoxve.network.linux.Bridge>;
  vlans: Record<string, proxmoxve.network.linux.Vlan>;
  storages: Record<string, pulumi.CustomResource>;
  images: Record<string, proxmoxve.download.File>;
  dns?: proxmoxve.DnsLegacy;
  time?: proxmoxve.TimeLegacy;
}

/**
 * A machine of the site: what it has, what it is for, and those of its settings that Proxmox VE's API can set.
 *
 * Bridges and storages are made only where they are `managed`; the others are taken as they are and only planned with.
 * A server that is no hypervisor (a backup server, a witness) is a component without resources of its own here.
 *
 * ```ts
 * new PhysicalServer("srv1", { server: plan.spec.servers.srv1!, images: plan.spec.images });
 * ```
 */
export class PhysicalServer extends pulumi.ComponentResource {
  readonly nodes: PhysicalServerNodes;
  readonly roles: pulumi.Output<string[]>;
  readonly address: pulumi.Output<string | undefined>;

  constructor(
    private readonly serverName: string,
    args: PhysicalServerArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("coldspare:index:PhysicalServer", serverName, {}, opts);
    const { server } = args;
    const hypervisor = server.roles.includes("hypervisor");
    const bridges = hypervisor ? this.createBridges(server) : {};
    this.nodes = hypervisor
      ? {
          bridges,
          vlans: this.createVlans(server, bridges),
          storages: args.storageEntries === false ? {} : this.createStorages(server),
          images: this.createImages(args.images ?? {}),
          ...this.createSettings(server),
        }
      : { bridges, vlans: {}, storages: {}, images: {} };
    this.roles = pulumi.output(server.roles);
    this.address = pulumi.output(server.address);
    this.registerOutputs({ roles: this.roles, address: this.address });
  }

  private createBridges(server: ServerSpec): PhysicalServerNodes["bridges"] {
    const managed = Object.entries(server.bridges).filter(([, bridge]) => bridge.managed);
    return mapValues(managed, (name, bridge) => {
      const { ports, vlanAware, address, address6, gateway } = bridge;
      return new proxmoxve.network.linux.Bridge(
        `${this.serverName}-bridge-${name}`,
        {
          nodeName: this.serverName,
          name,
          ports,
          vlanAware,
          ...(address ? { address } : {}),
          ...(address6 ? { address6 } : {}),
          ...(gateway ? { gateway } : {}),
        },
        { parent: this },
      );
    });
  }

  private createVlans(server: ServerSpec, bridges: PhysicalServerNodes["bridges"]): PhysicalServerNodes["vlans"] {
    const managed = Object.entries(server.vlans).filter(([, vlan]) => vlan.managed);
    return mapValues(managed, (name, { interface: carrier, tag, address, address6, gateway }) => {
      const bridge = bridges[carrier];
      return new proxmoxve.network.linux.Vlan(
        `${this.serverName}-vlan-${name}`,
        {
          nodeName: this.serverName,
          // Proxmox VE reads carrier and tag out of a name of this form.
          name: `${carrier}.${tag}`,
          comment: name,
          ...(address ? { address } : {}),
          ...(address6 ? { address6 } : {}),
          ...(gateway ? { gateway } : {}),
        },
        { parent: this, ...(bridge ? { dependsOn: [bridge] } : {}) },
      );
    });
  }

  private createStorages(server: ServerSpec): PhysicalServerNodes["storages"] {
    const managed = Object.entries(server.storages).filter(([, storage]) => storage.managed);
    return mapValues(managed, (id, storage) =>
      createStorageEntry(`${this.serverName}-storage-${id}`, id, storage, [this.serverName], this),
    );
  }

  private createImages(images: Record<string, ImageSpec>): PhysicalServerNodes["images"] {
    return mapValues(
      Object.entries(images),
      (name, image) =>
        new proxmoxve.download.File(
          `${this.serverName}-image-${name}`,
          {
            nodeName: this.serverName,
            datastoreId: image.storage,
            contentType: imageContent(image),
            url: image.url,
            fileName: image.fileName,
            // A publisher who replaces the file behind the same name must not replace it here behind our back.
            overwrite: false,
            ...(image.checksum ? { checksum: image.checksum.value, checksumAlgorithm: image.checksum.algorithm } : {}),
          },
          { parent: this },
        ),
    );
  }

  private createSettings(server: ServerSpec): Pick<PhysicalServerNodes, "dns" | "time"> {
    const { dnsServers, dnsDomain, timeZone } = server.settings;
    const nodeName = this.serverName;
    const parent = { parent: this };
    return {
      ...(dnsDomain
        ? {
            dns: new proxmoxve.DnsLegacy(
              `${nodeName}-dns`,
              { nodeName, domain: dnsDomain, ...(dnsServers ? { servers: dnsServers } : {}) },
              parent,
            ),
          }
        : {}),
      ...(timeZone ? { time: new proxmoxve.TimeLegacy(`${nodeName}-time`, { nodeName, timeZone }, parent) } : {}),
    };
  }
}

/** A storage entry for a pool or directory that is on the servers `nodes`. */
export function createStorageEntry(
  name: string,
  id: string,
  storage: LocalStorageSpec,
  nodes: string[],
  parent: pulumi.Resource,
): pulumi.CustomResource {
  const common = { resourceId: id, nodes, contents: storage.content };
  const [group, thinPool] = (storage.pool ?? id).split("/");
  switch (storage.type) {
    case "zfspool":
      return new proxmoxve.storage.Zfspool(
        name,
        { ...common, zfsPool: storage.pool ?? id, thinProvision: true },
        { parent },
      );
    case "dir":
      return new proxmoxve.storage.Directory(name, { ...common, path: storage.path ?? `/srv/${id}` }, { parent });
    case "lvmthin":
      return new proxmoxve.storage.Lvmthin(
        name,
        { ...common, volumeGroup: group ?? id, thinPool: thinPool ?? id },
        { parent },
      );
    case "lvm":
    case "btrfs":
      throw new pulumi.RunError(`A storage of type ${storage.type} is only counted. Fix: set managed: false on ${id}`);
  }
}

function mapValues<V, R>(entries: [string, V][], make: (name: string, value: V) => R): Record<string, R> {
  return Object.fromEntries(entries.map(([name, value]) => [name, make(name, value)]));
}
