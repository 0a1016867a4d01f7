import { randomUUID } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { type LabTokens, labTokens } from "./authentication";
import { ControlServer } from "./control";
import { makeReal, type RealHostsOptions } from "./hosts/guests-lab";
import type { LabHosts } from "./hosts/types";
import { type LabBackupAccess, openBackupServers } from "./pbs";
import { Router } from "./router";
import { routes } from "./routes";
import { NodeServer } from "./server";
import { labCertificates, writePrivate } from "./tls";
import { checkTopology, type LabTopology } from "./topology";
import { openValidator } from "./validation";
import { World } from "./world";

export type { LabTokens } from "./authentication";
export type { RealHostsOptions } from "./hosts/guests-lab";
export type { LabHosts } from "./hosts/types";
export type { LabBackupAccess } from "./pbs";
export type {
  LabBackupServer,
  LabExport,
  LabMedium,
  LabNode,
  LabNodeStorage,
  LabSharedStorage,
  LabTopology,
} from "./topology";

export interface LabOptions {
  /** State, certificates, tokens and volumes live here; a second start continues where the first ended. */
  folder: string;
  topology: LabTopology;
  /** Port of each node's API, and of each backup server's under `pbs-<name>`. @default any free port */
  ports?: Record<string, number>;
  /** Port of the control interface. @default any free port */
  controlPort?: number;
  /**
   * Virtual seconds per real second (default 20), and how many times less virtual time PVE's own work takes: copies, backups,
   * starts (default 1). Timers, schedules, delays and what guests and hosts need stay as they are.
   */
  clock?: { speed: number; taskSpeed?: number };
  /**
   * Makes nodes and witnesses real hosts, and running guests real processes on them. Needs Linux and root.
   *
   * @default false
   */
  hosts?: boolean | RealHostsOptions;
  /** Published API schema. Without it requests are not validated, and the lab says so. */
  schemaFile?: string;
  /** The same for Proxmox Backup Server. */
  pbsSchemaFile?: string;
}

/** A running lab. */
export interface Lab {
  /** Node name to `https://127.0.0.1:<port>`. */
  endpoints: Record<string, string>;
  /** `http://127.0.0.1:<port>`; every call carries `Authorization: Bearer <controlToken>`. */
  controlUrl: string;
  controlToken: string;
  /** The CA that signed the nodes' certificates. */
  caFile: string;
  tokens: LabTokens;
  /** The backup servers by name: endpoint, fingerprint and root's access data. */
  backupServers: Record<string, LabBackupAccess>;
  /** The real hosts, if the lab has some. */
  hosts?: LabHosts;
  stop(): Promise<void>;
}

const DEFAULT_SPEED = 20;

/**
 * Starts the simulator of the Proxmox VE API.
 *
 * @throws Error naming every mistake of the topology
 */
export async function startLab(options: LabOptions): Promise<Lab> {
  const mistakes = checkTopology(options.topology);
  if (mistakes.length > 0) throw new Error(`the lab's topology cannot be started:\n  ${mistakes.join("\n  ")}`);
  for (const folder of [options.folder, path.join(options.folder, "shelf"), path.join(options.folder, "volumes")])
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const certificates = await labCertificates(options.folder);
  const world = new World(
    options.folder,
    options.topology,
    options.clock?.speed ?? DEFAULT_SPEED,
    options.clock?.taskSpeed,
  );
  const tokens = labTokens(world);
  const validator = options.schemaFile ? openValidator(options.schemaFile) : undefined;
  if (!validator) process.stderr.write("lab: no API schema was given, requests are NOT validated\n");
  const router = new Router(routes);
  const servers = options.topology.nodes.map((node) => {
    const domain = world.domainOf(node.name)!;
    return new NodeServer(world, domain, router, validator, certificates, node.name, options.ports?.[node.name] ?? 0);
  });
  // Each node needs a port of its own even while it is down, so all listen once.
  for (const server of servers) await server.listen();
  for (const server of servers) await server.follow();
  const backup = await openBackupServers(world, certificates, {
    ...(options.ports ? { ports: options.ports } : {}),
    schemaFile: options.pbsSchemaFile,
  });
  const giveUp = async (error: Error): Promise<never> => {
    await backup.close();
    for (const server of servers) await server.close();
    world.close();
    throw error;
  };
  const real = options.hosts
    ? await makeReal(world, servers, certificates, options.hosts === true ? {} : options.hosts).catch(giveUp)
    : undefined;
  world.startSchedulers();
  await real?.powerOn().catch(async (error: Error) => {
    await real.stop();
    return giveUp(error);
  });
  const control = new ControlServer(world, router, validator, controlToken(options.folder));
  const controlUrl = await control.listen(options.controlPort ?? 0);
  return {
    endpoints: Object.fromEntries(servers.map((server) => [server.node, `https://127.0.0.1:${server.port}`])),
    controlUrl,
    controlToken: control.token,
    caFile: certificates.caFile,
    tokens,
    backupServers: backup.access,
    ...(real ? { hosts: real.hosts } : {}),
    stop: async () => {
      await real?.stop();
      await Promise.all([...servers.map((server) => server.close()), backup.close(), control.close()]);
      world.close();
    },
  };
}

function controlToken(folder: string): string {
  const file = path.join(folder, "control-token");
  if (!fs.existsSync(file)) writePrivate(file, randomUUID());
  return fs.readFileSync(file, "utf8").trim();
}
