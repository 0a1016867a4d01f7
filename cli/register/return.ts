import { type Command, InvalidArgumentError, Option } from "commander";
import type { Io } from "../io";
import { siteHelp, withSiteOptions } from "../site-options";

/** Adds its commands to the program: the way home, work on servers, and what hangs on the wall. */
export function register(program: Command, io: Io, finish: (code: number) => void): void {
  addFailback(program, io, finish);
  addCommit(program, io, finish);
  addMaintenance(program, io, finish);
  addShutdown(program, io, finish);
  addStart(program, io, finish);
  addUp(program, io, finish);
  addRunbook(program, io, finish);
  addPowerOrder(program, io, finish);
}

const SITE = "a layout, a site file or its folder (default: site.yaml here)";
const manifestOption = () =>
  new Option(
    "--manifest <file>",
    "instead of a site: its manifest, as `pulumi stack output manifest --json` prints it",
  );

function addRunbook(program: Command, io: Io, finish: (code: number) => void): void {
  program
    .command("runbook")
    .summary("write what to do for the loss of each server, for the wall")
    .description(
      "Writes what to do for the loss of each server, with this site's names, order, times and commands, and with the " +
        "commands by hand for the day when the laptop is gone too. Reaches nothing.",
    )
    .argument("[site]", SITE)
    .addOption(manifestOption())
    .option("--server <name>", "the loss of this server only")
    .option("--html", "one HTML page to print, without scripts, a sheet for each server; otherwise Markdown")
    .option("--out <file>", "write into a file")
    .option("--date <date>", "date on the first page (default: today)")
    .option("--no-color", "no colours")
    .addHelpText(
      "after",
      `
Examples:
  coldspare runbook --html --out runbook.html      print it, hang it up, put a copy into the safe
  coldspare runbook smb-site --server srv2 | less
  pulumi stack output manifest --json | coldspare runbook --manifest - --html --out runbook.html

Exit codes:
  0  written
  1  the site has errors, so that nothing could be promised
  2  wrong use: unknown option or server, a file that cannot be read or written`,
    )
    .action(async (site: string | undefined, options: import("../commands/runbook").RunbookCommandOptions) => {
      const { runbook } = require("../commands/runbook") as typeof import("../commands/runbook");
      finish(await runbook(site, options, io));
    });
}

function addPowerOrder(program: Command, io: Io, finish: (code: number) => void): void {
  program
    .command("power-order")
    .summary("write in which order the whole site goes down and comes up")
    .description(
      "Writes in which order the whole site goes down and comes up: guests against the order of their start, hypervisors, " +
        "then backup servers and witnesses. Reaches nothing; `coldspare shutdown` does it.",
    )
    .argument("[site]", SITE)
    .addOption(manifestOption())
    .addOption(
      new Option("--format <format>", "for people, as a script for NUT (SHUTDOWNCMD), or for programs")
        .choices(["text", "nut", "json"])
        .default("text"),
    )
    .option("--self <server>", "with nut: the machine at the UPS, which NUT switches off itself (default: the witness)")
    .option("--out <file>", "write into a file")
    .option("--no-color", "no colours")
    .addHelpText(
      "after",
      `
Examples:
  coldspare power-order
  coldspare power-order --format nut --out coldspare-power-down
    and on the machine at the UPS, in upsmon.conf:
    SHUTDOWNCMD "/usr/local/sbin/coldspare-power-down && /sbin/shutdown -h +0"`,
    )
    .action(async (site: string | undefined, options: import("../commands/power-order").PowerOrderOptions) => {
      const { powerOrder } = require("../commands/power-order") as typeof import("../commands/power-order");
      finish(await powerOrder(site, options, io));
    });
}

const seconds = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value <= 0) throw new InvalidArgumentError("write whole seconds.");
  return value;
};

const stopOptions = (command: Command): Command =>
  command
    .option("--stop-seconds <seconds>", "for a guest to shut down", seconds, 300)
    .option("--force-stop", "switch a guest off hard that does not shut down in that time");

const askOptions = (command: Command): Command =>
  command
    .option("--dry-run", "show the plan, and change nothing")
    .option("-y, --yes", "do not ask")
    .option("--json", "print one JSON document; plan and progress still go to the error output")
    .option("--no-color", "no colours");

const stackOptions = (command: Command): Command =>
  command
    .option("--project <folder>", "folder of Pulumi.yaml, where the active side is recorded (default: here or above)")
    .option("--stack <name>", "the stack (default: PULUMI_STACK, or the selected one)");

const divergedOption = () =>
  new Option("--diverged <what>", "what becomes of data that only the old side has").choices([
    "discard",
    "keep",
    "extract",
  ]);

const divergedHelp = `What only the old side has (written there last, before it was lost) needs a word:
  discard   it is overwritten, and gone
  keep      it stays as a powered-off guest NAME-diverged on the old server, without network
  extract   as keep, and it is said how to get single files out`;

const operationExits = `Exit codes:
  0  done
  1  refused, and nothing was changed; or it failed or was ended: the same command goes on from there
  2  wrong use: unknown option, no manifest, no credentials, nobody to ask`;

function addFailback(program: Command, io: Io, finish: (code: number) => void): void {
  const command = program
    .command("failback")
    .summary("bring guests home, with a last synchronisation")
    .description(
      "Brings guests home whose spare is active, with a last synchronisation while they run: then each is down for the " +
        "last difference only. A guest whose spare is made by restore comes home over a backup of the active standby. For a guest " +
        "that is at home after its spare was lost, and whose replication is off since: decides about what the spare has, and replicates again.",
    )
    .argument("<guest|server...>", "guests; or servers: everything that has its home there")
    .addOption(divergedOption());
  stackOptions(askOptions(stopOptions(withSiteOptions(command))))
    .addHelpText(
      "after",
      () => `
${divergedHelp}

Examples:
  coldspare failback srv2 --diverged keep --dry-run
  coldspare failback srv2 --diverged keep
  coldspare failback sql-erp --diverged discard --yes --json

${siteHelp}

${operationExits}`,
    )
    .action(async (subjects: string[], options: import("../commands/failback").ReturnCommandOptions) => {
      const { comeBack } = require("../commands/failback") as typeof import("../commands/failback");
      finish(await comeBack("failback", subjects, options, io));
    });
}

function addCommit(program: Command, io: Io, finish: (code: number) => void): void {
  const command = program
    .command("commit")
    .summary("make the spare the new home of a guest")
    .description(
      "Makes the server where a guest is active its home, and its former home the spare: the copy is refreshed in the other " +
        "direction, and the site file changes. A guest whose spare is made by restore gets its own id there, which takes a " +
        "backup and a restore, as another id would be another guest to the stack.",
    )
    .argument("<guest...>", "guests; or servers: everything that has its home there and is away")
    .addOption(divergedOption())
    .option("--site-file <file>", "the site file that is to say so (default: site.yaml here)")
    .option("--write", "change it; otherwise the change is shown");
  stackOptions(askOptions(stopOptions(withSiteOptions(command))))
    .addHelpText(
      "after",
      () => `
${divergedHelp}

Examples:
  coldspare commit sql-erp --diverged keep --dry-run
  coldspare commit sql-erp --diverged keep --site-file site.yaml --write

${siteHelp}

${operationExits}`,
    )
    .action(async (subjects: string[], options: import("../commands/failback").ReturnCommandOptions) => {
      const { comeBack } = require("../commands/failback") as typeof import("../commands/failback");
      finish(await comeBack("commit", subjects, options, io));
    });
}

function addMaintenance(program: Command, io: Io, finish: (code: number) => void): void {
  const command = program
    .command("maintenance")
    .summary("free a server for work, and bring back afterwards what was moved")
    .description(
      "Moves everything that is active on a server to the other side of each guest, with a last synchronisation; waits, for " +
        "as long as the work takes, also if this terminal is closed; and brings back exactly what it moved.",
    )
    .argument("<server>", "the hypervisor that is to be worked on")
    .option("--begin", "move away, or go on with that")
    .option("--end", "bring back, or go on with that")
    .option("--status", "say how far it is")
    .addOption(divergedOption());
  askOptions(stopOptions(withSiteOptions(command)))
    .addHelpText(
      "after",
      () => `
What is moved is shut down first, so nothing stays behind, and --diverged is discard. Only when a guest was switched once more
in between, by another command, it has to be said.

Examples:
  coldspare maintenance srv2              at a terminal: away, the work, back
  coldspare maintenance srv2 --begin --yes
  coldspare maintenance srv2 --end

${siteHelp}

${operationExits}`,
    )
    .action(async (server: string, options: import("../commands/maintenance").MaintenanceOptions) => {
      const { maintenance } = require("../commands/maintenance") as typeof import("../commands/maintenance");
      finish(await maintenance(server, options, io));
    });
}

const powerExits = `Exit codes:
  0  done
  1  refused, and nothing was changed; or parts failed, which are named, and everything else was done; or it was ended
  2  wrong use: unknown option, no manifest, no credentials, nobody to ask`;

function addShutdown(program: Command, io: Io, finish: (code: number) => void): void {
  const command = program
    .command("shutdown")
    .summary("switch the whole site off, in order")
    .description(
      "Shuts every guest down against the order of its start, then the hypervisors, then backup servers, witnesses last. " +
        "For a power cut that was announced. A server whose API does not answer goes down over SSH; what fails is told, and the " +
        "rest goes on. `coldspare power-order --format nut` is the same for the program at the UPS.",
    )
    .option("--guests-only", "leave the servers on");
  askOptions(withSiteOptions(command).option("--stop-seconds <seconds>", "for a guest to shut down", seconds, 180))
    .addHelpText(
      "after",
      () => `\nExamples:\n  coldspare shutdown --dry-run\n  coldspare shutdown --yes\n\n${siteHelp}\n\n${powerExits}`,
    )
    .action(async (options: import("../commands/power-order-run").SitePowerOptions) => {
      const { sitePower } = require("../commands/power-order-run") as typeof import("../commands/power-order-run");
      finish(await sitePower("down", options, io));
    });
}

function addStart(program: Command, io: Io, finish: (code: number) => void): void {
  const command = program
    .command("start")
    .summary("switch the whole site on, in order")
    .description(
      "Switches servers on where a way to do so is known, waits for them, and starts in order what belongs to be on and does " +
        "not run yet, each on the side that is active: that is asked of the voters once the servers are up. A server that stays " +
        "off costs its own guests only; they are named, with the way out.",
    );
  askOptions(withSiteOptions(command))
    .addHelpText(
      "after",
      () => `\nExamples:\n  coldspare start --dry-run\n  coldspare start --yes\n\n${siteHelp}\n\n${powerExits}`,
    )
    .action(async (options: import("../commands/power-order-run").SitePowerOptions) => {
      const { sitePower } = require("../commands/power-order-run") as typeof import("../commands/power-order-run");
      finish(await sitePower("up", options, io));
    });
}

function addUp(program: Command, io: Io, finish: (code: number) => void): void {
  const command = program
    .command("up")
    .summary("pulumi up while a server is dead")
    .description(
      "Runs `pulumi up` without the resources that live on a server which does not answer, and shows which and why. It looks " +
        "at the preview first: an update that would delete or replace anything is refused. With every server alive it is " +
        "`pulumi up`, with a refresh where guests have changed sides.",
    )
    .argument("[pulumi-args...]", "after --: arguments for Pulumi");
  stackOptions(withSiteOptions(command))
    .option("--dry-run", "say what would be left out, and run nothing")
    .option("-y, --yes", "do not ask (as after --)")
    .option("--no-color", "no colours")
    .addHelpText(
      "after",
      () => `
Examples:
  coldspare up
  coldspare up --stack prod --yes -- --refresh --diff

${siteHelp}

Exit codes: that of Pulumi; 1 when the update was refused; 2 for wrong use.`,
    )
    .action(async (args: string[], options: import("../commands/up").UpOptions) => {
      const { up } = require("../commands/up") as typeof import("../commands/up");
      finish(await up(args, options, io));
    });
}
