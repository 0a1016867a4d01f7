import type { Command } from "commander";
import type { Io } from "../io";

/** Adds its commands to the program: proof that a spare would really start. */
export function register(program: Command, io: Io, finish: (code: number) => void): void {
  const { withSiteOptions } = require("../site-options") as typeof import("../site-options");
  withSiteOptions(
    program
      .command("drill")
      .summary("start replicas in isolation, probe them, throw them away")
      .description(
        "Starts a full copy of each guest's replica on the server that stands by, in a network of its own, asks its services,\n" +
          "measures how long that took, and removes the copy. Neither the replica nor the running guest is touched.",
      )
      .argument("[names...]", "guests or application groups; the members of a group start in its order"),
  )
    .option("--all", "every guest with a spare, one group after another")
    .option("--name <drill>", "a drill that the site file names")
    .option("--dry-run", "show what would be started where")
    .option("-y, --yes", "do not ask")
    .option("--keep", "leave the copies running in their network, to look at them; the next drill removes them")
    .option("--report <folder>", "write a dated report in Markdown, for auditors")
    .option("--timer <folder>", "write systemd units for the drills that have a schedule (- prints them), and end")
    .option("--json", "print one JSON document; progress still goes to the error output")
    .option("--no-color", "no colours")
    .addHelpText("after", () => {
      const { siteHelp } = require("../site-options") as typeof import("../site-options");
      return `
${siteHelp}

Examples:
  coldspare drill --all --dry-run
  coldspare drill sql-erp --report ./reports
  coldspare drill office --yes                     an application group: directory before database
  coldspare drill --timer /etc/systemd/system      on the machine that shall do it every month

Exit codes:
  0  every guest that was asked for recovered
  1  one did not, or could not be tried, or the question was answered with no; without --keep nothing of the drill is left
  2  wrong use: unknown guest or option, no manifest, no credentials`;
    })
    .action(async (names: string[], options: import("../commands/drill").DrillCommandOptions) => {
      const { drill } = require("../commands/drill") as typeof import("../commands/drill");
      finish(await drill(names, options, io));
    });
}
