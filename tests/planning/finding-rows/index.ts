import { addressesRows } from "./addresses";
import { adoptionRows } from "./adoption";
import { backupRows } from "./backups";
import { capacityRows } from "./capacity";
import { placementRows } from "./placement";
import { protectionRows } from "./protection";
import { specificationRows } from "./specification";
import { stateRows } from "./state";
import { switchingRows } from "./switching";

export const rows = [
  ...specificationRows,
  ...addressesRows,
  ...placementRows,
  ...capacityRows,
  ...protectionRows,
  ...backupRows,
  ...switchingRows,
  ...adoptionRows,
  ...stateRows,
];
