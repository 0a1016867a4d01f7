import { accessRoutes } from "./access-routes";
import type { Route } from "./call";
import { clusterRoutes } from "./cluster-routes";
import { contentRoutes } from "./content-routes";
import { nodeRoutes } from "./node-routes";
import { poolRoutes } from "./pool-routes";
import { qemuRoutes } from "./qemu-routes";
import { storageRoutes } from "./storage-routes";

/** Every call that the lab answers. Anything else is PVE's 501. */
export const routes: Route[] = [
  ...accessRoutes,
  ...clusterRoutes,
  ...nodeRoutes,
  ...poolRoutes,
  ...storageRoutes,
  ...contentRoutes,
  ...qemuRoutes,
];
