/**
 * What a lab is made of: hosts with their storages and bridges, shared storages, exports that a storage
 * may be made from later, and third votes. One plain object, so that a stack can derive it from a site.
 */

/** Types of storages on one node. */
const NODE_TYPES = ["zfspool", "dir", "lvmthin", "lvm", "btrfs"] as const;
/** Types of shared storages. Of `rbd`, `cephfs` and `iscsi` the lab knows no more than entry, size and volumes. */
const SHARED_TYPES = ["nfs", "cifs", "dir", "rbd", "cephfs", "iscsi"] as const;

/** A storage that lies on one node. The same id on several nodes is one storage entry, restricted to these nodes. */
export interface LabNodeStorage {
  id: string;
  type: (typeof NODE_TYPES)[number];
  /** Capacity in GiB. */
  sizeGiB: number;
  /** Content types as PVE names them, e.g. `images`, `rootdir`, `backup`, `iso`, `vztmpl`, `snippets`, `import`. */
  content: string[];
  /** ZFS pool. @default the storage's id */
  pool?: string;
  /** Directory. @default `/mnt/pve/<id>` */
  path?: string;
}

/** A hypervisor of the lab. */
export interface LabNode {
  name: string;
  /** Logical cores. */
  cores: number;
  memoryGiB: number;
  /** Bridges that exist from the start, e.g. `vmbr0`. */
  bridges: string[];
  storages: LabNodeStorage[];
  /** Capacity of the storage `local` (`/var/lib/vz`), which every node has. @default 100 GiB */
  localGiB?: number;
}

/** A storage that all nodes (or those named) see with the same content. */
export interface LabSharedStorage {
  id: string;
  type: (typeof SHARED_TYPES)[number];
  sizeGiB: number;
  content: string[];
  server?: string;
  export?: string;
  nodes?: string[];
}

/** Something that `POST /storage` can attach: an NFS export or a CIFS share of a machine outside the cluster. */
export interface LabExport {
  server: string;
  path: string;
  sizeGiB: number;
}

/** A Proxmox Backup Server of the lab. One that has the name of a node or a witness goes with that machine. */
export interface LabBackupServer {
  name: string;
  /** Address that nodes are told as the storage's server. @default the name */
  address?: string;
  /** Datastores that are there from the beginning, each on a disk of its own (`/mnt/datastore/<name>`). */
  datastores: { name: string; sizeGiB: number }[];
  /** Disks for datastores that are made later, by the path that they are mounted at. @default all on one of 100 GiB */
  disks?: { path: string; sizeGiB: number }[];
}

/** A removable disk for a datastore; `server` names the backup server that it is in at the beginning. */
export interface LabMedium {
  /** UUID of its file system. */
  uuid: string;
  sizeGiB: number;
  server?: string;
}

/** The whole lab. */
export interface LabTopology {
  /** Name of the cluster that all nodes form. Absent: each node is a host of its own. */
  cluster?: string;
  /** Machines that give a third vote (QDevice). */
  witnesses: string[];
  nodes: LabNode[];
  shared: LabSharedStorage[];
  exports?: LabExport[];
  /** Management address with prefix length of nodes and witnesses, for real hosts. @default `10.99.0.1/24` and so on */
  addresses?: Record<string, string>;
  /**
   * Addresses of the site's router (`192.168.20.1/24`) and the networks they are in. With real hosts it leads from each of these
   * networks to the others. @default no router
   */
  gateways?: { address: string; bridge: string; vlan?: number }[];
  /** Address with prefix length by MAC address in lower case, of guests that PVE does not tell the address of. */
  guestAddresses?: Record<string, string>;
  /** Real seconds from power-on until the guest answers, by MAC address in lower case. Real guests only. @default 1 */
  guestBootSeconds?: Record<string, number>;
  /** Proxmox Backup Servers. @default none */
  backupServers?: LabBackupServer[];
  /** Removable disks that their datastores may lie on. @default none */
  media?: LabMedium[];
  /** Content types of the storage `local`. @default `backup`, `import`, `iso`, `vztmpl`, as the installer sets it */
  localContent?: string[];
}

const GIB = 1024 ** 3;

/** Bytes of so many GiB. */
export function gib(amount: number): number {
  return Math.round(amount * GIB);
}

/**
 * All mistakes of a topology, each with the path of the value.
 *
 * @returns an empty list when the topology can be started
 */
export function checkTopology(topology: LabTopology): string[] {
  const mistakes: string[] = [];
  const names = new Set<string>();
  if (!Array.isArray(topology.nodes) || topology.nodes.length === 0)
    mistakes.push("nodes: at least one node is needed");
  for (const [index, node] of (topology.nodes ?? []).entries()) {
    const at = `nodes[${index}]`;
    if (!/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/i.test(node.name ?? ""))
      mistakes.push(`${at}.name: '${node.name}' is no host name`);
    if (names.has(node.name)) mistakes.push(`${at}.name: '${node.name}' is used twice`);
    names.add(node.name);
    if (!(node.cores > 0)) mistakes.push(`${at}.cores: must be above 0`);
    if (!(node.memoryGiB > 0)) mistakes.push(`${at}.memoryGiB: must be above 0`);
    for (const [position, storage] of (node.storages ?? []).entries()) {
      if (!NODE_TYPES.includes(storage.type))
        mistakes.push(`${at}.storages[${position}].type: '${storage.type}' is none of ${NODE_TYPES.join(", ")}`);
      if (!(storage.sizeGiB > 0)) mistakes.push(`${at}.storages[${position}].sizeGiB: must be above 0`);
    }
  }
  for (const [index, shared] of (topology.shared ?? []).entries()) {
    for (const name of shared.nodes ?? [])
      if (!names.has(name)) mistakes.push(`shared[${index}].nodes: there is no node '${name}'`);
    if (!SHARED_TYPES.includes(shared.type))
      mistakes.push(`shared[${index}].type: '${shared.type}' is none of ${SHARED_TYPES.join(", ")}`);
  }
  mistakes.push(...checkBackupServers(topology));
  for (const witness of topology.witnesses ?? [])
    if (names.has(witness)) mistakes.push(`witnesses: '${witness}' is a node; a third vote must be another machine`);
  for (const [index, { address }] of (topology.gateways ?? []).entries())
    if (!/^(\d{1,3}\.){3}\d{1,3}\/\d{1,2}$/.test(address ?? ""))
      mistakes.push(`gateways[${index}].address: '${address}' is no IPv4 address with prefix length`);
  return mistakes;
}

function checkBackupServers({ backupServers = [], media = [] }: LabTopology): string[] {
  const mistakes: string[] = [];
  const names = new Set<string>();
  for (const [index, server] of backupServers.entries()) {
    if (names.has(server.name)) mistakes.push(`backupServers[${index}].name: '${server.name}' is used twice`);
    names.add(server.name);
    for (const [position, { name, sizeGiB }] of server.datastores.entries()) {
      const at = `backupServers[${index}].datastores[${position}]`;
      if (!/^[A-Za-z0-9_][A-Za-z0-9._-]{2,31}$/.test(name))
        mistakes.push(`${at}.name: '${name}' is no datastore's name`);
      if (!(sizeGiB > 0)) mistakes.push(`${at}.sizeGiB: must be above 0`);
    }
  }
  for (const [index, { uuid, server }] of media.entries()) {
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid))
      mistakes.push(`media[${index}].uuid: '${uuid}' is no UUID`);
    if (server !== undefined && !names.has(server)) mistakes.push(`media[${index}].server: there is no '${server}'`);
  }
  return mistakes;
}
