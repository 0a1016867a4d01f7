/** Reads what the status says of copies: quickly, and nothing at all where the site has none. */
import type { Operator } from "../context";
import { type RotationView, readSwaps, rotationViews } from "./media";
import { readCopies } from "./read-copies";
import { type BackupStatus, backupStatus } from "./status-backups";
import { readTests } from "./test-results";

export async function readBackupStatus(operator: Operator): Promise<BackupStatus | undefined> {
  const { backups } = operator.manifest;
  if (backups === undefined) return undefined;
  const [copies, swaps, tests] = await Promise.all([
    readCopies(operator, { quick: true }),
    readSwaps(operator),
    readTests(operator, operator.clock.now().getTime()),
  ]);
  return backupStatus(operator.manifest, copies, rotationViews(backups, copies, swaps), tests);
}

/** Rotations alone. */
export async function readRotations(operator: Operator): Promise<{ at: string; rotations: RotationView[] }> {
  const { backups } = operator.manifest;
  if (backups === undefined) return { at: operator.clock.now().toISOString(), rotations: [] };
  const [copies, swaps] = await Promise.all([readCopies(operator, { quick: true }), readSwaps(operator)]);
  return { at: copies.at, rotations: rotationViews(backups, copies, swaps) };
}
