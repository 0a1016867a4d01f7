import { accessRoutes } from "./access-routes";
import { agentRoutes } from "./agent-routes";
import { backupRoutes } from "./backup-jobs";
import type { Route } from "./call";
import { clusterRoutes } from "./cluster-routes";
import { contentRoutes } from "./content-routes";
import { firewallRoutes } from "./firewall-routes";
import { haRoutes } from "./ha-routes";
import { lxcRoutes } from "./lxc-routes";
import { networkRoutes } from "./network-routes";
import { nodeRoutes } from "./node-routes";
import { poolRoutes } from "./pool-routes";
import { qemuRoutes } from "./qemu-routes";
import { replicationRoutes } from "./replication-routes";
import { sdnRoutes } from "./sdn-routes";
import { snapshotRoutes } from "./snapshots";
import { storageRoutes } from "./storage-routes";

/** Every call that the lab answers. Anything else is PVE's 501. */
export const routes: Route[] = [
  ...accessRoutes,
  ...clusterRoutes,
  ...nodeRoutes,
  ...networkRoutes,
  ...poolRoutes,
  ...storageRoutes,
  ...contentRoutes,
  ...qemuRoutes,
  ...agentRoutes,
  ...lxcRoutes,
  ...snapshotRoutes,
  ...replicationRoutes,
  ...backupRoutes,
  ...haRoutes,
  ...firewallRoutes,
  ...sdnRoutes,
];
