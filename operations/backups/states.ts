/** States as the metrics name them. */
import type { RotationView } from "./media";
import type { Standing } from "./summary";

export const STANDING_STATES = ["kept", "late", "none", "unknown"] as const satisfies readonly Standing["state"][];
export const MEDIA_STATES = [
  "right",
  "due",
  "overdue",
  "wrong",
  "foreign",
  "unknown",
] as const satisfies readonly RotationView["state"][];
