import { randomUUID } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { Router } from "../router";
import { type LabCertificates, machineCertificate, writePrivate } from "../tls";
import type { World } from "../world";
import { hashSecret } from "./access";
import { accessRoutes } from "./access-routes";
import { BackupServer } from "./backup-server";
import type { PbsRoute } from "./call";
import { configRoutes } from "./config-routes";
import { datastoreRoutes } from "./datastore-routes";
import { PbsListener } from "./server";
import { snapshotRoutes } from "./snapshot-routes";
import { taskRoutes } from "./task-routes";
import { openPbsValidator } from "./validation";

export type { BackupServer } from "./backup-server";

/** How a backup server of the lab is reached from outside. */
export interface LabBackupAccess {
  /** `https://127.0.0.1:<port>` */
  url: string;
  /** SHA-256 of its certificate, lower case with colons. */
  fingerprint: string;
  /** `root@pam!lab:<secret>`, which may do everything. Sent as `Authorization: PBSAPIToken=<token>`. */
  token: string;
  /** Password of root@pam, for tickets. */
  password: string;
  /** Address by which the nodes of the lab know it, on PBS's port 8007. */
  address: string;
}

export interface BackupServers {
  access: Record<string, LabBackupAccess>;
  close(): Promise<void>;
}

export const pbsRoutes: PbsRoute[] = [
  ...accessRoutes,
  ...configRoutes,
  ...datastoreRoutes,
  ...snapshotRoutes,
  ...taskRoutes,
];

const TOKEN = "lab";

/** Makes the backup servers of the topology and lets them listen. */
export async function openBackupServers(
  world: World,
  certificates: LabCertificates,
  options: { ports?: Record<string, number>; schemaFile?: string | undefined },
): Promise<BackupServers> {
  const access: BackupServers["access"] = {};
  const listeners: PbsListener[] = [];
  const configs = world.topology.backupServers ?? [];
  if (configs.length > 0 && !options.schemaFile)
    process.stderr.write("lab: no API schema of Proxmox Backup Server was given, its requests are NOT validated\n");
  const validator = configs.length > 0 && options.schemaFile ? openPbsValidator(options.schemaFile) : undefined;
  placeMedia(world);
  for (const config of configs) {
    const server = new BackupServer(world, config, await machineCertificate(certificates.folder, `pbs-${config.name}`));
    world.backupServers.push(server);
    const secrets = rootAccess(world, server);
    const listener = new PbsListener(
      server,
      new Router(pbsRoutes),
      validator,
      options.ports?.[`pbs-${config.name}`] ?? 0,
    );
    listeners.push(listener);
    await listener.listen();
    await listener.follow();
    access[config.name] = {
      url: `https://127.0.0.1:${server.port}`,
      fingerprint: server.fingerprint,
      ...secrets,
      address: server.address,
    };
  }
  world.save();
  return { access, close: async () => void (await Promise.all(listeners.map((listener) => listener.close()))) };
}

/** Where each removable disk is at the first start. */
function placeMedia(world: World): void {
  for (const { uuid, server } of world.topology.media ?? []) {
    if (server === undefined || world.state.media?.[uuid] !== undefined || fs.existsSync(mediumFolder(world, uuid)))
      continue;
    world.state.media = { ...world.state.media, [uuid]: server };
  }
  for (const { uuid } of world.topology.media ?? []) fs.mkdirSync(mediumFolder(world, uuid), { recursive: true });
}

function mediumFolder(world: World, uuid: string): string {
  return path.join(world.folder, "pbs", "media", uuid);
}

/** Root's token and password: made once, kept in a file for the owner only. */
function rootAccess(world: World, server: BackupServer): { token: string; password: string } {
  const file = path.join(world.folder, `pbs-${server.name}-access.json`);
  if (!fs.existsSync(file))
    writePrivate(file, JSON.stringify({ token: `root@pam!${TOKEN}:${randomUUID()}`, password: randomUUID() }));
  const secrets = JSON.parse(fs.readFileSync(file, "utf8")) as { token: string; password: string };
  const root = server.state.users["root@pam"]!;
  root.passwordHash = hashSecret(secrets.password);
  if (!root.tokens[TOKEN]) {
    root.tokens[TOKEN] = { values: {}, secretHash: hashSecret(secrets.token.slice(secrets.token.indexOf(":") + 1)) };
    server.state.acl.push({ path: "/", ugid: `root@pam!${TOKEN}`, ugidType: "user", role: "Admin", propagate: true });
  }
  return secrets;
}
