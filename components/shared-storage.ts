import * as proxmoxve from "@pulumi/proxmoxve";
import * as pulumi from "@pulumi/pulumi";
import { type SharedStorageSpec, type SitePlan, shareOf } from "../planning";

/**
 * The storage entry of something that several servers mount; undefined where it is there already or is only counted, or, of a share, where the
 * specification does not say who logs in.
 *
 * @param secrets Values of the secrets that the specification names, by name.
 */
export function createSharedStorage(
  name: string,
  id: string,
  { spec }: SitePlan,
  secrets: Secrets,
  parent: pulumi.Resource,
): pulumi.CustomResource | undefined {
  const storage = spec.storages[id];
  const share = storage && shareOf(storage);
  if (!storage?.managed || share === undefined) return undefined;
  const common = {
    resourceId: id,
    server: spec.servers[share.server]?.address ?? spec.devices[share.server]?.address ?? share.server,
    contents: storage.content,
    nodes: storage.mountedBy ?? Object.keys(spec.servers).filter((each) => isHypervisor(spec, each)),
  };
  if (share.type === "nfs") return new proxmoxve.storage.Nfs(name, { ...common, export: share.export }, { parent });
  const { username } = storage;
  if (username === undefined) return undefined;
  const password = pulumi.secret(passwordOf(id, storage, secrets));
  return new proxmoxve.storage.Cifs(name, { ...common, share: share.export, username, password }, { parent });
}

function isHypervisor(spec: SitePlan["spec"], server: string): boolean {
  return spec.servers[server]?.roles.includes("hypervisor") ?? false;
}

type Secrets = Readonly<Record<string, pulumi.Input<string>>>;

/** @throws RunError when a share that is to be made has a user and no password */
export function refuseMissingPasswords({ spec }: SitePlan, secrets: Secrets): void {
  for (const [id, storage] of Object.entries(spec.storages)) {
    if (storage.managed && storage.type === "cifs" && storage.username !== undefined) passwordOf(id, storage, secrets);
  }
}

function passwordOf(id: string, { passwordSecret }: SharedStorageSpec, secrets: Secrets): pulumi.Input<string> {
  const value = passwordSecret === undefined ? undefined : secrets[passwordSecret];
  if (value !== undefined) return value;
  throw new pulumi.RunError(
    passwordSecret === undefined
      ? `The storage ${id} has a user and no password. Fix: name the secret with it in storages.${id}.passwordSecret`
      : `The storage ${id} names the secret ${passwordSecret}, which has no value. Fix: pulumi config set --secret coldspare:${passwordSecret}`,
  );
}
