import { type Command, Option } from "commander";
import type { Io } from "../io";

/** Adds its commands to the program: the way home, work on servers, and what hangs on the wall. */
export function register(program: Command, io: Io, finish: (code: number) => void): void {
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
      "Writes what to do for the loss of each server, with this site's names, order, times and commands, and with the\n" +
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
      "Writes in which order the whole site goes down and comes up: guests against the order of their start, hypervisors,\n" +
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
