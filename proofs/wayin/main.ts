/** `npm run proof:wayin`: how people with a running site get in. Ends with `N passed, N failed`; exits with 1 when anything failed. */
import { availableParallelism } from "node:os";
import { listHelp, runList } from "../list";
import { scenarios } from "./scenarios";

const HELP = `Usage: npm run proof:wayin -- [options]

Live check, import, adoption, a new site, a lost state, and the package in other people's programs, against lab clusters: a small
firm's site, 15 servers with 120 guests, configurations made by hand in unusual ways, half a cluster. The hypervisors' configurations
are compared byte for byte before and after, and every call that changes anything is counted.

${listHelp}`;

runList({
  name: "wayin",
  help: HELP,
  scenarios,
  partTitle: "cluster",
  head: () => `# Proof of the way in

Written by \`npm run proof:wayin -- --write\`; a run of some scenarios (\`--only\`) renews their rows alone. Last run: Node.js
${process.version}, ${availableParallelism()} cores. Real: the command, the Pulumi engine, the bridged provider, npm, the packed package. Simulated (lab):
Proxmox VE's API, held to its published schema and privileges. 'claims' is held/made. Times are those of the test machine.`,
  run: (scenario, run) => scenario.run(run),
});
