import type { Command } from "commander";
import type { Io } from "../io";

/** Adds its command to the program: a running site comes into the stack. */
export function register(program: Command, io: Io, finish: (code: number) => void): void {
  program
    .command("adopt")
    .summary("take over a running site into the stack, without changing anything of it")
    .description(
      "Runs the project's program once so that everything that exists on the hypervisors is imported instead of made, and completes the\n" +
        "state, so that `pulumi up` has nothing to change afterwards. Refuses as soon as anything that exists would be changed.\n" +
        "For a site from `coldspare import`, and for one of our own whose state was lost. Can be run again after it was ended anywhere.",
    )
    .argument("[site]", "the project's folder, or a file in it (default: this folder)")
    .option("--stack <name>", "which stack (default: PULUMI_STACK, or the one that is selected)")
    .option("--project <folder>", "the same as the argument")
    .option("--config-file <file>", "the stack's settings, where they are not beside Pulumi.yaml")
    .option("--dry-run", "show what would be taken over and made")
    .option("-y, --yes", "do not ask")
    .option("--json", "print one JSON document; progress still goes to the error output")
    .option("--no-color", "no colours")
    .addHelpText(
      "after",
      `
What stands in the state alone is completed by an export and an import of the state; as it was
before, it is kept beside Pulumi.yaml.

Examples:
  coldspare adopt --dry-run
  coldspare adopt ./office --yes
  coldspare adopt --json --dry-run | jq .imports

Exit codes:
  0  taken over, and a preview shows no change; or there was nothing to do
  1  refused, declined, or not ended: it is said why, and it can be run again
  2  wrong use: no Pulumi.yaml, no terminal to ask at`,
    )
    .action(async (site: string | undefined, options: import("../commands/adopt").AdoptOptions) => {
      const { adopt } = require("../commands/adopt") as typeof import("../commands/adopt");
      finish(await adopt(site, options, io));
    });
}
