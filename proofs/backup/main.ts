/** `npm run proof:backup`: copies under faults. Ends with `N passed, N failed`; exits with 1 when anything failed. */
import { availableParallelism } from "node:os";
import { listHelp, runList } from "../list";
import { Chance } from "../random";
import { scenarios } from "./scenarios";

const HELP = `Usage: npm run proof:backup -- [options]

Copies under faults: backups, prunes, syncs and restores that are killed at random points, corrupt chunks, full disks, media
that are pulled or mistaken, links that are lost, keys that are changed. Whatever is listed as good afterwards is restored and
compared byte for byte with what the proof itself has noted.

${listHelp}`;

const QUICK_ROUNDS = 2;
const ROUNDS = 6;
const FULL_ROUNDS = 25;

runList({
  name: "backup",
  help: HELP,
  scenarios,
  partTitle: "part",
  head: (seed) => `# Proof of backups

Written by \`npm run proof:backup -- --write\`; a run of some scenarios (\`--only\`) renews their rows alone. Last run: Node.js
${process.version}, ${availableParallelism()} cores, seed ${seed}. Real: restic and its repositories, mounted file systems, the programs on the servers,
mails, the bytes of every copy (SFTP, REST and S3 servers: tests/backup). Stand-ins: Proxmox VE's and Proxmox Backup Server's APIs (lab, with real bytes in content-addressed
chunks), \`zfs\` and \`zpool\` (real bytes in files). 'claims' is held/made. Times are those of the test machine.`,
  run: (scenario, { check, folder, seed, quick, full }) =>
    scenario.run({
      check,
      folder,
      chance: new Chance(seed),
      rounds: quick ? QUICK_ROUNDS : full ? FULL_ROUNDS : ROUNDS,
    }),
});
