import { createHash, createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import * as fs from "node:fs";
import type { IncomingMessage } from "node:http";
import * as path from "node:path";
import type { Identity } from "./call";
import type { Domain } from "./domain";
import { ApiError } from "./errors";
import { writePrivate } from "./tls";
import type { World } from "./world";

const TICKET_SECONDS = 7200;
const TOKEN_NAME = "lab";

/** Access data of a lab folder, made at the first start. */
export interface LabTokens {
  /** `root@pam!lab=<secret>`, as the provider's `apiToken` wants it. */
  root: string;
  /** Password of root@pam, for tickets. */
  rootPassword: string;
}

export function hashSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** The folder's root token and password: generated once, kept in a file that only its owner can read. */
export function labTokens(world: World): LabTokens {
  const file = path.join(world.folder, "tokens.json");
  let tokens: LabTokens;
  if (fs.existsSync(file)) tokens = JSON.parse(fs.readFileSync(file, "utf8")) as LabTokens;
  else {
    tokens = { root: `root@pam!${TOKEN_NAME}=${randomUUID()}`, rootPassword: randomUUID() };
    writePrivate(file, `${JSON.stringify(tokens, null, 2)}\n`);
  }
  for (const domain of world.domains) {
    const root = domain.state.users["root@pam"]!;
    root.passwordHash = hashSecret(tokens.rootPassword);
    root.tokens[TOKEN_NAME] ??= {
      values: { privsep: "0", expire: "0" },
      secretHash: hashSecret(tokens.root.split("=")[1]!),
    };
  }
  return tokens;
}

function sign(world: World, text: string): string {
  return createHmac("sha256", world.state.ticketKey).update(text).digest("base64url");
}

/** A ticket and its CSRF token, as `POST /access/ticket` gives them out. */
export function issueTicket(world: World, user: string): { ticket: string; CSRFPreventionToken: string } {
  const time = Math.floor(world.clock.now()).toString(16).toUpperCase().padStart(8, "0");
  const ticket = `PVE:${user}:${time}::${sign(world, `${user}:${time}`)}`;
  return { ticket, CSRFPreventionToken: `${time}:${sign(world, `csrf:${user}:${time}`)}` };
}

/** The user of a valid ticket. */
export function ticketUser(world: World, ticket: string): string | undefined {
  const match = /^PVE:([^:]+):([0-9A-F]{8})::(.+)$/.exec(ticket);
  if (!match) return undefined;
  const [, user, time, signature] = match;
  if (!same(sign(world, `${user}:${time}`), signature!)) return undefined;
  const age = world.clock.now() - Number.parseInt(time!, 16);
  // The virtual clock may run many times as fast as the client's: a ticket is good for as many real seconds.
  return age > -300 && age < TICKET_SECONDS * world.clock.speed ? user : undefined;
}

function checkCsrf(world: World, user: string, token: string | undefined): void {
  const [time, signature] = (token ?? "").split(":");
  if (!time || !signature || !same(sign(world, `csrf:${user}:${time}`), signature))
    throw new ApiError(401, "Permission denied - invalid csrf token", undefined, true);
}

/** PVE holds a refused login back for three seconds, so that guessing is slow. */
async function refuse(world: World, reason: string): Promise<never> {
  await world.clock.sleep(3);
  throw new ApiError(401, reason, undefined, true);
}

function enabled(domain: Domain, userid: string): boolean {
  const user = domain.state.users[userid];
  if (!user || user.values.enable === "0") return false;
  const expire = Number(user.values.expire ?? "0");
  return expire === 0 || expire > domain.world.clock.now();
}

/** Who makes a request: by API token, or by ticket (with a CSRF token when something changes). */
export async function authenticate(world: World, domain: Domain, request: IncomingMessage): Promise<Identity> {
  const header = request.headers.authorization;
  if (header?.startsWith("PVEAPIToken")) {
    const match = /^PVEAPIToken[= ]([^!]+)!([^=:]+)[=:](.+)$/.exec(header);
    if (!match) return refuse(world, "Authentication failed!");
    const [, user, name, secret] = match as unknown as [string, string, string, string];
    const token = domain.state.users[user]?.tokens[name];
    const expire = Number(token?.values.expire ?? "0");
    const expired = expire !== 0 && expire < world.clock.now();
    if (!token || expired || !enabled(domain, user) || !same(hashSecret(secret), token.secretHash))
      return refuse(world, "Authentication failed!");
    return { user, token: name, full: `${user}!${name}`, isRoot: false };
  }
  const cookie = /(?:^|;\s*)PVEAuthCookie=([^;]+)/.exec(request.headers.cookie ?? "")?.[1];
  if (!cookie) return refuse(world, "No ticket");
  const user = ticketUser(world, decodeURIComponent(cookie));
  if (!user || !enabled(domain, user)) return refuse(world, "permission denied - invalid PVE ticket");
  if (request.method !== "GET") checkCsrf(world, user, request.headers.csrfpreventiontoken as string | undefined);
  return { user, full: user, isRoot: user === "root@pam" };
}

/** `POST /access/ticket`. */
export async function login(
  world: World,
  domain: Domain,
  params: Record<string, string>,
): Promise<Record<string, unknown>> {
  const name = params.username ?? "";
  const userid = name.includes("@") ? name : `${name}@${params.realm ?? "pam"}`;
  const password = params.password ?? "";
  const user = domain.state.users[userid];
  const byTicket = ticketUser(world, password) === userid;
  const byPassword = user?.passwordHash !== undefined && same(user.passwordHash, hashSecret(password));
  if (!user || !enabled(domain, userid) || !(byTicket || byPassword)) return refuse(world, "authentication failure");
  return {
    username: userid,
    ...issueTicket(world, userid),
    ...(domain.state.cluster ? { clustername: domain.state.cluster } : {}),
    cap: { access: {}, dc: {}, mapping: {}, nodes: {}, sdn: {}, storage: {}, vms: {} },
  };
}
