/** What a site's accounts on the hypervisors may do: no more than the calls that its specification makes necessary. */

/**
 * - `pulumi`: preview, up, refresh and destroy of the program
 * - `operate`: failover, failback, drills, backups, restore: the operator's commands
 * - `monitor`: status, metrics, `check --live`, `import`: reads, and changes nothing
 */
export type AccountDuty = "pulumi" | "operate" | "monitor";

/** Where in Proxmox VE's tree of permissions a call is checked, for a site of the specification. */
export type Scope =
  /** `/` and everything below. */
  | "everything"
  /** `/` alone, nothing below. */
  | "root"
  | "all-guests"
  | "guests"
  | "standbys"
  | "replicated"
  /** Copies that a drill makes and removes, and what is kept of an old side. */
  | "copies"
  | "disk-storages"
  | "backup-storages"
  | "image-storages"
  | "all-storages"
  | "managed-storages"
  | "bridges"
  | "all-bridges"
  | "hypervisors"
  | "managed-servers"
  | "image-servers"
  | "all-pools"
  | "pools"
  | "guests-with-agent";

/** One call, and what it asks for. */
export interface Need {
  duties: readonly AccountDuty[];
  /** Method and path as the published API names them. */
  call: string;
  /** What it is made for. */
  purpose: string;
  scope: Scope;
  /** All of them. */
  privileges: readonly string[];
  /** Only where a policy's backup job is managed. */
  onlyWithJobs?: true;
  /** Where the published API says no more than that everybody may call it: what it checks inside. */
  inside?: string;
}

/** A role and where it counts. */
export interface AccountRole {
  /** For example `coldspare-smb-pulumi-guests`. */
  name: string;
  privileges: string[];
  /** `propagate: false`: that path alone. */
  paths: { path: string; propagate: boolean }[];
}

/** A user of realm pve without a password, and a token of it with separate privileges. */
export interface Account {
  duty: AccountDuty;
  user: string;
  tokenName: string;
  roles: AccountRole[];
}
