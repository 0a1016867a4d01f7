/** The life of an access right on a backup server; see `PbsAcl`. Rights add up: others at the same path stay as they are. */
import type { Handler, PbsContext } from "../serve";
import { checkAuthId } from "./names";

/** Roles of Proxmox Backup Server 4. */
export type PbsRole =
  | "Admin"
  | "Audit"
  | "NoAccess"
  | "DatastoreAdmin"
  | "DatastoreReader"
  | "DatastoreBackup"
  | "DatastorePowerUser"
  | "DatastoreAudit"
  | "RemoteAudit"
  | "RemoteAdmin"
  | "RemoteSyncOperator"
  | "RemoteSyncPushOperator"
  | "RemoteDatastorePowerUser"
  | "RemoteDatastoreAdmin";

/** Inputs of an access right. */
export interface PbsAclInputs {
  server: string;
  path: string;
  authId: string;
  role: PbsRole;
  propagate?: boolean;
}

interface AclRow {
  path: string;
  ugid: string;
  roleid: string;
  propagate: boolean | number;
}

const FIXED = ["server", "path", "authId", "role"] as const;

/** The handler. */
export function aclHandler(): Handler<PbsAclInputs, PbsAclInputs, PbsContext> {
  return {
    check: ({ path, authId }) => [
      ...checkAuthId("authId", authId),
      ...(path === undefined || path.startsWith("/")
        ? []
        : [{ property: "path", reason: `'${path}' is no path of rights; write for instance /datastore/main/office` }]),
    ],
    diff(olds, news) {
      const wanted = { ...olds, ...news };
      const replaces = FIXED.filter((key) => wanted[key] !== olds[key]);
      return { changes: replaces.length > 0 || spreads(news) !== spreads(olds), replaces };
    },
    async create(context, inputs) {
      const there = await find(context, inputs);
      if (there === undefined || spreads(there) !== spreads(inputs)) await set(context, inputs);
      const { server, path, authId, role } = inputs;
      return { id: [server, path, authId, role].join(" "), outs: inputs };
    },
    async read(context, _id, props) {
      const there = await find(context, props);
      if (there === undefined) return undefined;
      return spreads(there) === spreads(props) ? props : { ...props, propagate: spreads(there) };
    },
    async update(context, _id, _olds, news) {
      await set(context, news);
      return news;
    },
    async delete(context, _id, props) {
      if ((await find(context, props)) === undefined) return;
      await set(context, props, true);
    },
  };
}

async function find({ pbs }: PbsContext, inputs: PbsAclInputs): Promise<AclRow | undefined> {
  const { server, path, authId, role } = inputs;
  const about = { doing: `look at the rights of ${authId} on ${path}` };
  const rows = await pbs(server).get<AclRow[]>("/access/acl", { path, exact: true }, about);
  return rows.find((row) => row.path === path && row.ugid === authId && row.roleid === role);
}

async function set({ pbs }: PbsContext, inputs: PbsAclInputs, isRemoval = false): Promise<void> {
  const { server, path, authId, role } = inputs;
  const what = isRemoval ? `take ${role} on ${path} from ${authId}` : `give ${role} on ${path} to ${authId}`;
  const form = { path, role, "auth-id": authId, ...(isRemoval ? { delete: true } : { propagate: spreads(inputs) }) };
  await pbs(server).put("/access/acl", form, { doing: what });
}

/** Whether it holds below the path, too; that is the default. */
function spreads({ propagate = true }: { propagate?: boolean | number }): boolean {
  return propagate === true || propagate === 1;
}
