/** All checks of a plan. Each adds its findings to the context and none stops the others. */
import type { Context } from "../context";
import type { SitePlan } from "../plan";
import { checkAddresses } from "./addresses";
import { checkAdopted } from "./adopted";
import { checkCopies } from "./backup-copies";
import { checkPlaces } from "./backup-places";
import { checkTargets } from "./backup-targets";
import { checkBackups } from "./backups";
import { checkCapacity } from "./capacity";
import { checkDeployed } from "./deployed";
import { checkImages } from "./images";
import { checkPlacement } from "./placement";
import { checkProtection } from "./protection";
import { checkRecovery } from "./recovery";
import { checkReplicas } from "./replicas";
import { checkRotations } from "./rotations";
import { checkSecrets } from "./secrets";
import { checkSpareNetworks } from "./spare-networks";
import { checkState } from "./state";
import { checkStorageDefinitions } from "./storages";
import { checkSwitching } from "./switching";
import { checkUnbuilt } from "./unbuilt";

/** Runs every check on a plan. */
export function runChecks(context: Context, plan: SitePlan): void {
  checkPlacement(context);
  checkImages(context);
  checkDeployed(context);
  checkAdopted(context);
  checkStorageDefinitions(context);
  checkUnbuilt(context);
  checkSecrets(context);
  checkReplicas(context);
  checkAddresses(context, plan);
  checkCapacity(context, plan);
  checkRecovery(context, plan);
  checkProtection(context, plan);
  checkBackups(context, plan);
  checkTargets(context, plan);
  checkPlaces(context, plan);
  checkCopies(context, plan);
  checkRotations(context, plan);
  checkSpareNetworks(context, plan);
  checkSwitching(context, plan);
  checkState(context);
}
