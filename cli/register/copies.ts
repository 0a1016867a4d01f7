/** Commands around copies: what there is, bringing one back, working on one, and the disks that are carried. */
import type { Command } from "commander";
import type { Io } from "../io";
import { siteHelp, withSiteOptions } from "../site-options";

const collect = (value: string, previous: string[] = []): string[] => [...previous, value];

/** Adds its commands to the program. */
export function register(program: Command, io: Io, finish: (code: number) => void): void {
  addBackups(program, io, finish);
}

const asks = (command: Command): Command =>
  command
    .option("--dry-run", "show the plan, and change nothing")
    .option("-y, --yes", "do not ask")
    .option("--json", "print one JSON document; plan and progress still go to the error output")
    .option("--no-color", "no colours");

function addBackups(program: Command, io: Io, finish: (code: number) => void): void {
  const command = withSiteOptions(
    program
      .command("backups")
      .enablePositionalOptions()
      .summary("what copies there are, and whether they are as new as promised")
      .description(
        "Lists the copies of everything that a policy backs up, over all targets: storages of Proxmox VE, repositories, receivers, " +
          "and rotated media. With subjects, their single points. What cannot be asked is named, and never taken for empty.",
      )
      .argument("[subject...]", "guests, folder:SERVER:PATH, volume:SERVER:NAME, dataset:SERVER:DATASET"),
  )
    .option("--target <name>", "only copies there; repeatable", collect)
    .option("--good", "exit code 1 when a subject has no good copy as new as promised, for monitoring")
    .option("--json", "print one JSON document")
    .option("--no-color", "no colours")
    .addHelpText("after", () => `\n${backupsHelp}\n\n${siteHelp}`)
    .action(async (subjects: string[], options: import("../commands/backups").BackupsOptions) => {
      const { backups } = require("../commands/backups") as typeof import("../commands/backups");
      finish(await backups(subjects, options, io));
    });
  for (const kind of ["run", "verify"] as const) addRun(command, kind, io, finish);
}

const backupsHelp = `A copy is good unless it was found to be broken. 'verified never' says that nobody has read it again yet.

Examples:
  coldspare backups                          one line for each subject
  coldspare backups sql-erp                  every point, to choose one for coldspare restore
  coldspare backups --target nas --json | jq '.points[] | select(.verified == "failed")'
  coldspare backups --good                   for monitoring
  coldspare backups run nightly
  coldspare backups verify nightly

Exit codes:
  0  the copies were listed (with --good: and each subject has a good one as new as promised)
  1  with --good: a subject has none, or it cannot be seen
  2  wrong use: unknown subject or target, no manifest, a site without backup policies`;

function addRun(backups: Command, kind: "run" | "verify", io: Io, finish: (code: number) => void): void {
  const command =
    kind === "run"
      ? backups
          .command("run")
          .summary("back up now what a policy takes")
          .description(
            "Backs up now what a policy takes, with the options of its regular job: guests one after another where they are active, " +
              "folders and data sets by the programs on their servers. Nothing is pruned. With the name of a rotation: copies to the " +
              "attached medium what it lacks.",
          )
          .argument("<policy>", "a policy, or a target of rotated media")
      : backups
          .command("verify")
          .summary("read copies again, and note what was found")
          .description(
            "Reads copies again: archives by the checksums of their compression, a backup server's chunks, repositories and data sets " +
              "by the programs on their servers. What is found to be broken is not counted as good any more.",
          )
          .argument("<policy|target>", "a policy, or a target: all policies there");
  asks(withSiteOptions(command))
    .addHelpText(
      "after",
      () => `
Examples:
  coldspare backups ${kind} nightly --dry-run
  coldspare backups ${kind} nightly --yes --json

${siteHelp}

Exit codes:
  0  done
  1  one failed or could not be tried, which is named, and the others were done; or the question was answered with no
  2  wrong use: unknown option, no manifest, no credentials, nobody to ask`,
    )
    .action(async (policy: string, options: import("../commands/backups-run").BackupsRunOptions) => {
      const { runOrVerify } = require("../commands/backups-run") as typeof import("../commands/backups-run");
      finish(await runOrVerify(kind, policy, options, io));
    });
}
