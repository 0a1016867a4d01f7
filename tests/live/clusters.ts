/** Clusters that were there before coldspare: what the way in is tried on. All of them are labs. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Lab, startLab } from "../../lab";
import { prepareLab } from "../../lab/prepare";
import { PveClient, type PveClientOptions } from "../../providers/pve/client";
import { byHand } from "./kinds/by-hand";
import { half } from "./kinds/half";
import type { Kind } from "./kinds/kind";
import { large } from "./kinds/large";
import { smb } from "./kinds/smb";

const KINDS = { smb, large, "by-hand": byHand, half };

/**
 * - `smb`: two servers with ZFS, a third vote, six guests.
 * - `large`: 15 servers, 120 guests of both types.
 * - `by-hand`: three servers without ZFS, everything configured in unusual ways.
 * - `half`: three of six servers are off, and there is no quorum.
 */
export type ClusterKind = keyof typeof KINDS;

export const clusterKinds = Object.keys(KINDS) as ClusterKind[];

export interface ClusterOptions {
  /** Unix time that the cluster's clock begins with. @default now */
  at?: number;
  /** Virtual seconds per real second. @default 20 */
  speed?: number;
  /** A folder for the lab, which is left when it stops. @default a temporary one, removed */
  folder?: string;
}

export interface Calls {
  total: number;
  /** All but GET. */
  changing: number;
  /** By method and path template. */
  calls: Record<string, number>;
}

/** A running test cluster. */
export interface LiveCluster {
  kind: ClusterKind;
  lab: Lab;
  /** A client with root's token. */
  pve: PveClient;
  /** Of every server, also of those that are off. */
  endpoints: Record<string, string>;
  caFile: string;
  /**
   * A new user with a token that has these roles.
   *
   * @param grants Role by path, for example `{ "/": "PVEAuditor" }`.
   * @returns `user@pve!read=<secret>`
   */
  token(name: string, grants: Record<string, string>): Promise<string>;
  /** A token that may read everything and change nothing, backups left out: Proxmox VE's role PVEAuditor. */
  auditor(): Promise<string>;
  /** A client with another token. */
  client(apiToken: string, more?: Partial<PveClientOptions>): PveClient;
  /** A call of the lab's control interface. */
  control<T>(method: "GET" | "POST", path: string, body?: unknown): Promise<T>;
  /** What was called since the start or the last reset. */
  calls(): Promise<Calls>;
  resetCalls(): Promise<void>;
  /** How many calls were made that may change something. */
  changing(): Promise<number>;
  stop(): Promise<void>;
}

/** Starts a cluster of a kind. */
export async function startCluster(kind: ClusterKind, options: ClusterOptions = {}): Promise<LiveCluster> {
  const { topology, fill, locks = {}, off = [] }: Kind = KINDS[kind];
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), `live-${kind}-`));
  prepareLab(folder, topology, fill, options.at);
  const schemaFile = process.env.COLDSPARE_PVE_SCHEMA;
  const lab = await quietly(!schemaFile, () =>
    startLab({ folder, topology, clock: { speed: options.speed ?? 20 }, ...(schemaFile ? { schemaFile } : {}) }),
  );
  const ca = readFileSync(lab.caFile, "utf8");
  const client: LiveCluster["client"] = (apiToken, more = {}) =>
    new PveClient({ endpoints: lab.endpoints, apiToken, ca, pollSeconds: 0.2, ...more });
  const pve = client(lab.tokens.root);
  const control: LiveCluster["control"] = (method, path, body) => callControl(lab, method, path, body);
  for (const [vmid, lock] of Object.entries(locks)) await control("POST", `/guests/${vmid}/lock`, { lock });
  let auditor: Promise<string> | undefined;
  const readOnly = () => (auditor ??= makeToken(pve, "auditor", { "/": "PVEAuditor" }));
  // Without a quorum nobody can make one.
  if (off.length > 0) await readOnly();
  for (const name of off) await control("POST", `/nodes/${name}/kill`);
  await control("POST", "/calls/reset");
  const calls = () => control<Calls>("GET", "/calls");
  return {
    kind,
    lab,
    pve,
    endpoints: lab.endpoints,
    caFile: lab.caFile,
    token: (name, grants) => makeToken(pve, name, grants),
    auditor: readOnly,
    client,
    control,
    calls,
    resetCalls: () => control<void>("POST", "/calls/reset"),
    changing: async () => (await calls()).changing,
    stop: async () => {
      pve.close();
      await lab.stop();
      if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A user and a token of his own; roles are given to both, as a token never has more than its user. */
async function makeToken(pve: PveClient, name: string, grants: Record<string, string>): Promise<string> {
  const userid = `${name}@pve`;
  await pve.post("/access/users", { userid });
  const { value } = await pve.post<{ value: string }>(`/access/users/${userid}/token/read`, { privsep: true });
  for (const [path, roles] of Object.entries(grants))
    await pve.put("/access/acl", { path, roles, users: userid, tokens: `${userid}!read` });
  return `${userid}!read=${value}`;
}

async function callControl<T>(lab: Lab, method: "GET" | "POST", path: string, body?: unknown): Promise<T> {
  const response = await fetch(`${lab.controlUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${lab.controlToken}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`control ${method} ${path}: ${response.status} ${text}`);
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

/** Without a schema the lab says at each start that nothing is validated: once is enough for a test file. */
async function quietly<T>(quiet: boolean, work: () => Promise<T>): Promise<T> {
  const write = process.stderr.write;
  if (quiet) process.stderr.write = () => true;
  try {
    return await work();
  } finally {
    process.stderr.write = write;
  }
}
