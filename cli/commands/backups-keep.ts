/** `coldspare backups keep`: protects the last good copy of whatever has only broken ones since, and lets go what need not be. */
import { keepLastGood } from "../../operations/backups/last-good";
import { readCopies } from "../../operations/backups/read-copies";
import { exitCode, type Io } from "../io";
import { openSite, type SiteOptions } from "../open-site";
import { requireBackups } from "./backups";

/** What `--json` prints. */
export interface BackupsKeepDocument {
  formatVersion: 1;
  site: string;
  ok: boolean;
  /** What was protected or let go, and what could not be, in words. */
  changes: { id: string; subject: string; protect: boolean; error?: string }[];
}

/** Answers the exit code. */
export async function backupsKeep(options: SiteOptions & { json?: boolean }, io: Io): Promise<number> {
  const { operator, close } = await openSite(options, io, () => undefined);
  try {
    requireBackups(operator.manifest);
    const changes = await keepLastGood(operator, (await readCopies(operator)).points);
    const ok = changes.every(({ error }) => error === undefined);
    const { site } = operator.manifest;
    if (options.json) {
      const document: BackupsKeepDocument = {
        formatVersion: 1,
        site,
        ok,
        changes: changes.map(({ point: { id, subject }, protect, error }) => ({
          id,
          subject,
          protect,
          ...(error !== undefined && { error }),
        })),
      };
      io.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    } else {
      const lines = changes.map(({ text }) => `${text}\n`).join("");
      io.stdout.write(lines || `every subject of ${site} has a good copy as its newest: nothing to protect\n`);
    }
    return ok ? exitCode.fine : exitCode.errors;
  } finally {
    await close();
  }
}
