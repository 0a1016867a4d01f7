/** Commands for the day when a server is lost: status, failover, undo, journal. */
import type { Command } from "commander";
import type { Io } from "../io";
import { siteHelp, withSiteOptions } from "../site-options";

const exitCodes = `Exit codes:
  0  done
  1  refused: nothing was changed; or stopped in the middle: the same command goes on from there;
     or a guest stayed where it was, as its server came back and took it: the last lines say which
  2  wrong use: unknown server, guest or option, no manifest, no token
  3  a fault in coldspare itself`;

const collect = (value: string, previous: string[] = []): string[] => [...previous, value];

/** Adds its commands to the program. */
export function register(program: Command, io: Io, finish: (code: number) => void): void {
  addStatus(program, io, finish);
  addFailover(program, io, finish);
  addUndo(program, io, finish);
  addJournal(program, io, finish);
}

function addStatus(program: Command, io: Io, finish: (code: number) => void): void {
  withSiteOptions(
    program
      .command("status")
      .summary("which side of every guest is active, and how good its spare is")
      .description(
        "Asks every server of the site: which side of each guest is active, how old the copy on its spare is against what was promised, " +
          "when it was drilled last. A dead server costs five seconds.",
      ),
  )
    .option("--json", "print one JSON document (with --watch: one line at each look)")
    .option("--watch [seconds]", "look again every so often (default 10) until ended with Ctrl-C")
    .option(
      "--metrics [file]",
      "the same for Prometheus: printed, or written into a file for node_exporter's textfile collector (then beside the table)",
    )
    .option("--strict", "exit code 1 when anything is not as it should be, for monitoring")
    .option("--no-color", "no colours")
    .addHelpText(
      "after",
      `
States:
  ready         runs at home, and its spare is as new as promised
  stale         runs at home; its spare is older than promised, broken or missing
  refreshing    its spare is being refreshed right now
  failing-over  a switch is under way, or was left in the middle: run the same command again
  failed-over   its spare is the active side
  failing-back  it is on its way home
  diverged      failed over, and the old side is back with data of its own: failback asks what to do with it
  no-spare      there is only one side
  unknown       nobody can say which side is active, or two sides run

${siteHelp}

Examples:
  coldspare status
  coldspare status --from root@192.168.10.11      on a new laptop: fetch the manifest from a server first
  coldspare status --json | jq '.guests[] | select(.state != "ready")'
  coldspare status --metrics /var/lib/prometheus/node-exporter/coldspare.prom --watch 60 > /dev/null

Exit codes:
  0  the site was asked (with --strict: and all is well)
  1  with --strict: something is not as it should be
  2  wrong use: no manifest, no token, an unknown option`,
    )
    .action(async (options: import("../commands/status").StatusOptions) => {
      const { status } = require("../commands/status") as typeof import("../commands/status");
      finish(await status(options, io));
    });
}

function addFailover(program: Command, io: Io, finish: (code: number) => void): void {
  withSiteOptions(
    program
      .command("failover")
      .summary("bring up on the spares what a server carried")
      .description(
        "Starts the spares of what is active on a server, in the order of groups and boot order, after making sure that the server itself is off. " +
          "Shows its plan, asks once, and can be ended and run again at any point.",
      )
      .argument("<server>", "the server that is lost, or with --planned the one that is to be emptied"),
  )
    .option("--guest <name>", "only this guest; repeatable", collect)
    .option(
      "--planned",
      "the server is alive: shut down, take the last changes along, start on the spare; nothing is lost",
    )
    .option(
      "--to-point <point>",
      "latest, a time (the newest data not after it), or a backup's volume id; for spares made by restore",
    )
    .option("--dry-run", "show the plan and change nothing")
    .option("-y, --yes", "do not ask")
    .option(
      "--confirm-off <server>",
      "this server is off, I have seen it, and it stays off while this command runs (needed with --yes where fencing is 'confirm')",
    )
    .option("--accept-stale", "start spares that are older than promised, too")
    .option(
      "--fresh-generation",
      "one of several domain controllers starts with older data: with a fresh VM generation id",
    )
    .option("--force-fence", "switch off (or outlive the lease of) a server that still answers")
    .option("--resume", "go on with what another operator has begun")
    .option("--no-wait", "do not wait at the end until the guests answer")
    .option("--json", "print one JSON document; progress goes to the error output")
    .option("--no-color", "no colours")
    .addHelpText(
      "after",
      `
What is refused, before anything is changed: a server that is alive, one that carries nothing, a spare that is older than
promised, too little memory, a missing privilege, a manifest older than the servers', too few voters, another open operation.

When nothing helps and you are sure that the other side is off: on the spare,
\`coldspare-node allow <guest> --because "<why>"\` lets its next start through.

${siteHelp}

Examples:
  coldspare failover srv2 --dry-run
  coldspare failover srv2                                   asks, and wants the server's name typed as confirmation
  coldspare failover srv2 --yes --confirm-off srv2
  coldspare failover srv2 --planned --guest sql-erp         move one guest over, without loss
  coldspare failover srv2 --guest remote-app --to-point 2026-11-20T03:00:00Z

${exitCodes}`,
    )
    .action(async (server: string, options: import("../commands/failover").FailoverOptions) => {
      const { failover } = require("../commands/failover") as typeof import("../commands/failover");
      finish(await failover(server, options, io));
    });
}

function addUndo(program: Command, io: Io, finish: (code: number) => void): void {
  withSiteOptions(
    program
      .command("undo")
      .summary("give up a failover: back to the primary as it was")
      .description(
        "Throws away what was written on the spare since the failover and starts the primary as it was when its server was lost. " +
          "Also ends a failover that was left in the middle. The primary's server must be back.",
      )
      .argument("<what>", "a guest, or a server: everything whose primary it is and that is active elsewhere"),
  )
    .option("--accept-loss", "the word of consent: what was written on the spare is lost")
    .option("--dry-run", "show the plan and change nothing")
    .option("-y, --yes", "do not ask")
    .option("--resume", "go on with what another operator has begun")
    .option("--json", "print one JSON document; progress goes to the error output")
    .option("--no-color", "no colours")
    .addHelpText(
      "after",
      `
${siteHelp}

Examples:
  coldspare undo srv2 --dry-run
  coldspare undo sql-erp
  coldspare undo srv2 --yes --accept-loss

${exitCodes}`,
    )
    .action(async (what: string, options: import("../commands/undo").UndoOptions) => {
      const { undo } = require("../commands/undo") as typeof import("../commands/undo");
      finish(await undo(what, options, io));
    });
}

function addJournal(program: Command, io: Io, finish: (code: number) => void): void {
  withSiteOptions(
    program
      .command("journal")
      .summary("what was done to the site, by whom, and how far it came")
      .description(
        "Lists operations, newest first, from this machine's journal and the copies on the servers; with an id, every step of one.",
      )
      .argument("[operation]", "an operation's id"),
  )
    .option("--close <operation>", "give up an operation that was left open")
    .option("--json", "print one JSON document")
    .option("--no-color", "no colours")
    .addHelpText(
      "after",
      `
${siteHelp}

Examples:
  coldspare journal
  coldspare journal failover-srv2-20261122T031500Z
  coldspare journal --close failover-srv2-20261122T031500Z     nobody goes on with it

${exitCodes}`,
    )
    .action(async (id: string | undefined, options: import("../commands/journal").JournalOptions) => {
      const { journal } = require("../commands/journal") as typeof import("../commands/journal");
      finish(await journal(id, options, io));
    });
}
