import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { BackupServer } from "./backup-server";
import { forbidden, PbsError } from "./errors";

/** PBS's built-in roles that concern backups. There are no others: roles cannot be made. */
export const ROLES: Readonly<Record<string, readonly string[]>> = (() => {
  const datastoreAdmin = ["Audit", "Modify", "Read", "Verify", "Backup", "Prune"].map((name) => `Datastore.${name}`);
  const remoteAdmin = ["Audit", "Modify", "Read"].map((name) => `Remote.${name}`);
  const audit = ["Sys.Audit", "Datastore.Audit", "Remote.Audit", "Tape.Audit"];
  const push = ["Audit", "DatastoreBackup", "DatastorePrune", "DatastoreModify"].map((name) => `Remote.${name}`);
  return {
    Admin: [
      ...audit,
      ...datastoreAdmin,
      ...remoteAdmin,
      ...push.slice(1),
      "Datastore.Allocate",
      "Sys.Modify",
      "Sys.Console",
      "Sys.PowerManagement",
      "Permissions.Modify",
      "Realm.Allocate",
      "Tape.Modify",
      "Tape.Read",
      "Tape.Write",
    ],
    Audit: audit,
    NoAccess: [],
    DatastoreAdmin: datastoreAdmin,
    DatastoreReader: ["Datastore.Audit", "Datastore.Read"],
    DatastoreBackup: ["Datastore.Backup"],
    DatastorePowerUser: ["Datastore.Prune", "Datastore.Backup"],
    DatastoreAudit: ["Datastore.Audit"],
    RemoteAudit: ["Remote.Audit"],
    RemoteAdmin: remoteAdmin,
    RemoteSyncOperator: ["Remote.Audit", "Remote.Read"],
    RemoteSyncPushOperator: ["Remote.Audit", "Remote.DatastoreBackup"],
    RemoteDatastorePowerUser: ["Remote.DatastoreBackup", "Remote.DatastorePrune"],
    RemoteDatastoreAdmin: push,
    TapeAudit: ["Tape.Audit"],
    TapeAdmin: ["Tape.Audit", "Tape.Modify", "Tape.Read", "Tape.Write"],
    TapeOperator: ["Tape.Audit", "Tape.Read", "Tape.Write"],
    TapeReader: ["Tape.Audit", "Tape.Read"],
  };
})();

const TICKET_SECONDS = 7200;

export function hashSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** The user behind `user@realm!token`. */
export function userOf(auth: string): string {
  return auth.split("!")[0]!;
}

export function isToken(auth: string): boolean {
  return auth.includes("!");
}

// ---- who is it

function isEnabled(server: BackupServer, values: Record<string, string>): boolean {
  const expire = Number(values.expire ?? "0");
  return values.enable !== "0" && (expire === 0 || expire > server.world.clock.now());
}

function activeUser(server: BackupServer, user: string): boolean {
  const found = server.state.users[user];
  return found !== undefined && isEnabled(server, found.values);
}

/** The token's identity when its secret is right and both it and its user may log in. */
export function tokenIdentity(server: BackupServer, auth: string, secret: string): string | undefined {
  const [user = "", name = ""] = auth.split("!");
  const token = server.state.users[user]?.tokens[name];
  if (!token || !activeUser(server, user) || !isEnabled(server, token.values)) return undefined;
  return same(hashSecret(secret), token.secretHash) ? auth : undefined;
}

export function passwordIdentity(server: BackupServer, user: string, password: string): string | undefined {
  const hash = server.state.users[user]?.passwordHash;
  return hash && activeUser(server, user) && same(hash, hashSecret(password)) ? user : undefined;
}

/** Token or password, as the configuration of a client (a PVE storage, a remote) holds it. */
export function clientIdentity(server: BackupServer, auth: string, secret: string): string | undefined {
  return isToken(auth) ? tokenIdentity(server, auth, secret) : passwordIdentity(server, auth, secret);
}

function sign(server: BackupServer, text: string): string {
  return createHmac("sha256", server.state.ticketKey).update(text).digest("base64url");
}

export function issueTicket(server: BackupServer, user: string): { ticket: string; CSRFPreventionToken: string } {
  const time = server.world.clock.seconds().toString(16).toUpperCase().padStart(8, "0");
  return {
    ticket: `PBS:${user}:${time}::${sign(server, `${user}:${time}`)}`,
    CSRFPreventionToken: `${time}:${sign(server, `csrf:${user}:${time}`)}`,
  };
}

export function ticketUser(server: BackupServer, ticket: string): string | undefined {
  const [, user, time, signature] = /^PBS:([^:]+):([0-9A-F]{8})::(.+)$/.exec(ticket) ?? [];
  if (!user || !time || !signature || !same(sign(server, `${user}:${time}`), signature)) return undefined;
  const age = server.world.clock.now() - Number.parseInt(time, 16);
  // The virtual clock may run many times as fast as the client's: a ticket is good for as many real seconds.
  return age > -300 && age < TICKET_SECONDS * server.world.clock.speed && activeUser(server, user) ? user : undefined;
}

/** Who makes a request. @throws PbsError 401 after the three seconds that PBS holds it back */
export async function authenticate(server: BackupServer, request: IncomingMessage): Promise<string> {
  const header = request.headers.authorization;
  if (header?.startsWith("PBSAPIToken")) {
    const [, auth = "", secret = ""] = /^PBSAPIToken[= ]([^:]+!.+?):(.+)$/.exec(header) ?? [];
    return tokenIdentity(server, auth, secret) ?? deny(server, "invalid API token");
  }
  const cookie = /(?:^|;\s*)(?:__Host-)?PBSAuthCookie=([^;]+)/.exec(request.headers.cookie ?? "")?.[1];
  if (!cookie) return deny(server, "no authentication credentials provided.");
  const user = ticketUser(server, decodeURIComponent(cookie));
  if (!user) return deny(server, "invalid ticket");
  if (request.method === "GET") return user;
  const [time = "", signature = ""] = String(request.headers.csrfpreventiontoken ?? "").split(":");
  return same(sign(server, `csrf:${user}:${time}`), signature) ? user : deny(server, "invalid CSRF token");
}

export async function deny(server: BackupServer, reason: string): Promise<never> {
  await server.world.clock.sleep(3);
  throw new PbsError(401, `authentication failed - ${reason}`);
}

// ---- what may he do

/** Privileges that the entries of the access list give one identity on a path, and whether they go on below it. */
function granted(server: BackupServer, ugid: string, path: string): Map<string, boolean> {
  const parts = path.split("/").filter((part) => part !== "");
  const chain = ["/", ...parts.map((_, index) => `/${parts.slice(0, index + 1).join("/")}`)];
  let current = new Map<string, boolean>();
  for (const [depth, step] of chain.entries()) {
    const entries = server.state.acl.filter((acl) => acl.path === step && acl.ugid === ugid);
    const counting = entries.filter((acl) => acl.propagate || depth === chain.length - 1);
    // An entry further down replaces what came from above.
    if (counting.length === 0) continue;
    current = new Map();
    for (const acl of counting)
      for (const privilege of ROLES[acl.role] ?? [])
        current.set(privilege, acl.propagate || current.get(privilege) === true);
  }
  return current;
}

/** Privileges on a path. A token has at most what its user has. */
export function privileges(server: BackupServer, auth: string, path: string): Map<string, boolean> {
  const user = userOf(auth);
  if (auth === "root@pam") return new Map(ROLES.Admin!.map((privilege) => [privilege, true]));
  const own = granted(server, auth, path);
  if (!isToken(auth)) return own;
  const ofUser = privileges(server, user, path);
  return new Map([...own].filter(([privilege]) => ofUser.has(privilege)));
}

export function hasPrivilege(server: BackupServer, auth: string, path: string, ...any: string[]): boolean {
  const found = privileges(server, auth, path);
  return any.some((privilege) => found.has(privilege));
}

export function datastorePath(store: string, ns = ""): string {
  return ns === "" ? `/datastore/${store}` : `/datastore/${store}/${ns}`;
}

/**
 * Checks what a call on groups needs: one privilege for any group, or another for the owner's own.
 *
 * @returns true when only the caller's own groups may be touched
 * @throws PbsError 403 when neither is there
 */
export function limitedToOwn(
  server: BackupServer,
  auth: string,
  path: string,
  full: string[],
  own: string[] = [],
): boolean {
  if (hasPrivilege(server, auth, path, ...full)) return false;
  if (own.length > 0 && hasPrivilege(server, auth, path, ...own)) return true;
  throw forbidden(`${[...full, ...own].join("|")} on ${path}`);
}

/** A user owns also what his tokens made; a token owns what it made itself. */
export function isOwner(owner: string, auth: string): boolean {
  return owner === auth || (isToken(owner) && userOf(owner) === auth);
}

/** @throws PbsError with PBS's words when the group is somebody else's */
export function checkOwner(owner: string, auth: string): void {
  if (!isOwner(owner, auth)) throw new PbsError(400, `backup owner check failed (${auth} != ${owner})`);
}
