/** The parts of PVE's answers that this package reads. Field names are PVE's. */

/** One row of `/cluster/replication`. */
export interface ReplicationJob {
  id: string;
  guest: number | string;
  jobnum: number;
  source?: string;
  target: string;
  schedule?: string;
  rate?: number | string;
  comment?: string;
  disable?: number | boolean;
  /** Set when the job is to be removed by the guest's server. */
  remove_job?: "full" | "local";
}

/** `/nodes/<node>/replication/<id>/status`. */
export interface ReplicationJobStatus extends ReplicationJob {
  last_sync?: number;
  last_try?: number;
  next_sync?: number;
  fail_count?: number;
  error?: string;
  duration?: number;
  /** Set while it runs. */
  pid?: number;
}

/** One guest in `/cluster/resources?type=vm`. */
export interface GuestRow {
  vmid: number;
  node: string;
  type: "qemu" | "lxc";
  status: string;
  name?: string;
  tags?: string;
}

/** One row of `/nodes/<node>/tasks`. */
export interface TaskRow {
  upid: string;
  type: string;
  /** Guest id, storage or other subject; may be empty. */
  id: string;
  /** Unix time. */
  starttime: number;
  endtime?: number;
  status?: string;
}

/** One row of `/cluster/status` for a server. */
export interface ClusterRow {
  type: "cluster" | "node";
  name: string;
  online?: number;
  quorate?: number;
}

/** A guest's configuration: what we read of it; disks are under their own keys. */
export interface GuestConfig {
  name?: string;
  hostname?: string;
  description?: string;
  tags?: string;
  onboot?: number | string;
  protection?: number | string;
  startup?: string;
  lock?: string;
  digest?: string;
  [key: string]: unknown;
}

/** One volume of a storage. */
export interface StorageVolume {
  volid: string;
  content: string;
  ctime?: number;
  size?: number;
  vmid?: number | string;
  subtype?: string;
  format?: string;
  notes?: string;
}
