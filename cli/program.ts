/** The commands and their options. What a command does is loaded when it is called. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Command, CommanderError } from "commander";
import { exitCode, type Io, UsageError } from "./io";
import { register as adoption } from "./register/adopt";
import { register as availability } from "./register/availability";
import { register as copies } from "./register/copies";
import { register as importing } from "./register/import";
import { register as init } from "./register/init";
import { register as privileges } from "./register/privileges";
import { register as readiness } from "./register/readiness";
import { register as comingHome } from "./register/return";

const exitCodes = `Exit codes:
  0  no errors
  1  the site has errors (with --strict: or warnings)
  2  wrong use: unknown command or option, a file that is missing or cannot be read
  3  a fault in coldspare itself`;

/** One value per use of a repeatable option. */
const collect = (value: string, previous: string[] = []): string[] => [...previous, value];

/**
 * Runs one command line and answers its exit code. Never throws for a mistake of the caller, never exits the process.
 *
 * @param argv What follows the program's name, for example `["check", "smb-site", "--json"]`.
 */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  let code: number = exitCode.fine;
  const program = buildProgram(io, (result) => {
    code = result;
  });
  try {
    await program.parseAsync([...argv], { from: "user" });
    return code;
  } catch (error) {
    return explain(error, argv, io);
  }
}

function buildProgram(io: Io, finish: (code: number) => void): Command {
  const program = new Command("coldspare")
    .description("Plans and proves sites that survive the loss of any one server.")
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help, or that of a command")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      getOutHelpWidth: () => 100,
      getErrHelpWidth: () => 100,
    })
    .showHelpAfterError("(coldspare --help says more)")
    .addHelpText(
      "after",
      `
Examples:
  coldspare check smb-site                  the plan of the layout that comes with the package
  coldspare check                           the plan of site.yaml in this folder
  coldspare check --json | jq .findings     the same for programs
  coldspare schema > site.schema.json       for editors: completion and checks while you type
  coldspare findings CAPACITY-MEMORY        what a finding means
  coldspare status                          every guest: which side is active, how old its copy is
  coldspare failover srv2 --dry-run         what would happen if srv2 were lost now
  coldspare runbook --html --out wall.html  what to do by hand, for the wall

${exitCodes}`,
    );
  addCheck(program, io, finish);
  addRefresh(program, io, finish);
  addSchema(program, io);
  addFindings(program, io);
  init(program, io, finish);
  importing(program, io, finish);
  privileges(program, io, finish);
  availability(program, io, finish);
  comingHome(program, io, finish);
  readiness(program, io, finish);
  copies(program, io, finish);
  adoption(program, io, finish);
  return program;
}

type CheckAction = import("./commands/check").CheckOptions & import("./commands/check-live").CheckLiveOptions;

function addCheck(program: Command, io: Io, finish: (code: number) => void): void {
  program
    .command("check")
    .summary("plan a site and prove it, or look at a running cluster, without touching anything")
    .description(
      "Plans a site and proves that it survives the loss of any one server, or says what is missing.\n" +
        "Reads a specification, touches nothing and needs no engine.\n" +
        "With --live it needs no specification: it reads a running Proxmox VE cluster (GET alone) and says\n" +
        "what would be lost with each server now.",
    )
    .argument("[site]", "a layout, a site file (.yaml, .json, .ts, .mjs, .js) or its folder (default: site.yaml here)")
    .option("--set <path=value>", "what if: replace a value of the specification; repeatable", collect)
    .option("--active <guest=side>", "what if: after a failover, guest=spare; repeatable", collect)
    .option("--live", "look at a running cluster instead of a specification; read-only")
    .option("--endpoint <url>", "with --live: API of any of its servers, tried in turn; repeatable", collect)
    .option("--html <file>", "with --live: also write the report as one page, to print or to send")
    .option("--json", "print one JSON document instead of tables")
    .option("-q, --quiet", "print findings only, and nothing when there are none")
    .option("--strict", "warnings count as errors")
    .option("--no-color", "no colours (so does the variable NO_COLOR, and an output that is no terminal)")
    .addHelpText("after", () => `\n${checkHelp()}`)
    .action(async (site: string | undefined, options: CheckAction) => {
      if (options.live) {
        const { checkLive } = require("./commands/check-live") as typeof import("./commands/check-live");
        return finish(await checkLive(site, options, io));
      }
      const { refuseLiveOptions } = require("./live-help") as typeof import("./live-help");
      refuseLiveOptions(options);
      const { check } = require("./commands/check") as typeof import("./commands/check");
      finish(await check(site, options, io));
    });
}

function checkHelp(): string {
  const { liveHelp } = require("./live-help") as typeof import("./live-help");
  const { describeLayout, layoutNames } = require("../stacks/layouts") as typeof import("../stacks/layouts");
  const layouts = layoutNames.map((name) => `  ${name.padEnd(20)}  ${describeLayout(name)}`);
  return `Layouts:
${layouts.join("\n")}

Examples:
  coldspare check smb-site
  coldspare check smb-site --set guests.sql-erp.memoryGiB=24    would more memory still fit?
  coldspare check smb-site --set servers.srv1.cores=4           would a smaller server do?
  coldspare check smb-site --active sql-erp=spare               where do we stand after a failover?
  coldspare check ./offices/lyon --strict --quiet               for a pipeline

With --json, one document in the shape of the stack's outputs (GiB, seconds; keys are only added):
  { formatVersion, source, ok, site: { name, cluster, domain, fencing },
    findings: [{ code, severity, subject, message, fix, at: { line, column, source } }],
    guests: { NAME: { kind, id, duty, services, primary, spare, method, activeSide, activeServer,
                      addresses, recoveryPoint, recoveryTime: { seconds, promisedSeconds } } },
    servers: { NAME: { roles, address, capacity: { before, afterLossOf: { SERVER } } } },
    storages: [ … ], siteLoss: { medium, worstCaseLossSeconds, text }, devices: { … },
    losses: { SERVER: { survives, restarts, lost, shed, lapses, quorum } } }
  site and siteLoss are null when the specification is too broken to be planned.

${liveHelp}

${exitCodes}`;
}

function addRefresh(program: Command, io: Io, finish: (code: number) => void): void {
  program
    .command("refresh")
    .summary("restore the newest backup into the spares made by 'restore'")
    .description(
      "Restores the newest backup of each guest whose spare is made by 'restore', powered off, into the standby id " +
        "whose turn it is; the last good standby stays until the new one is checked. For a timer after the backups.",
    )
    .argument("[site]", "a layout, a site file or its folder (default: site.yaml here)")
    .option("--guest <name>", "only this guest; repeatable", collect)
    .option(
      "--endpoint <server=url>",
      "API of a server, for example srv1=https://192.168.10.11:8006; repeatable",
      collect,
    )
    .option("--active <guest=side>", "after a failover: guest=spare; repeatable", collect)
    .option("--force", "restore even where the newest backup was restored before")
    .option("--dry-run", "say what would be refreshed, without connecting")
    .option("--json", "print one JSON document; progress still goes to the error output")
    .option("-q, --quiet", "print failures only")
    .option("--no-color", "no colours")
    .addHelpText("after", () => `\n${refreshHelp()}`)
    .action(async (site: string | undefined, options: import("./commands/refresh").RefreshOptions) => {
      const { refresh } = require("./commands/refresh") as typeof import("./commands/refresh");
      finish(await refresh(site, options, io));
    });
}

function refreshHelp(): string {
  const { connectionHelp } = require("./connection") as typeof import("./connection");
  return `${connectionHelp}

Examples:
  coldspare refresh smb-site --dry-run
  coldspare refresh ./site.yaml --endpoint srv1=https://192.168.10.11:8006 --quiet
  coldspare refresh --guest remote-app --json

Exit codes:
  0  every spare is as new as its newest backup
  1  a refresh failed (the others were still tried), or the site has errors
  2  wrong use: unknown option or guest, no endpoint, no token, a file that cannot be read`;
}

function addSchema(program: Command, io: Io): void {
  program
    .command("schema")
    .summary("print the JSON Schema of a site file")
    .description("Prints the JSON Schema (draft 2020-12) of a site file.")
    .addHelpText(
      "after",
      `
Examples:
  coldspare schema > site.schema.json
  and as the first line of site.yaml, for editors:
  # yaml-language-server: $schema=./site.schema.json`,
    )
    .action(() => {
      const { siteJsonSchema } = require("../planning/schema") as typeof import("../planning/schema");
      io.stdout.write(`${JSON.stringify(siteJsonSchema(), null, 2)}\n`);
    });
}

function addFindings(program: Command, io: Io): void {
  program
    .command("findings")
    .summary("explain a finding, or list all of them")
    .description("Explains what a finding means and how it is mended; without a code, lists all of them.")
    .argument("[code]", "a finding's code, for example REPLICA-ON-PRIMARY")
    .option("--json", "print JSON")
    .option("--no-color", "no colours")
    .addHelpText("after", "\nExamples:\n  coldspare findings\n  coldspare findings SITE-PARTIAL")
    .action((code: string | undefined, options: import("./commands/findings").FindingsOptions) => {
      const { explainFindings } = require("./commands/findings") as typeof import("./commands/findings");
      explainFindings(code, options, io);
    });
}

function explain(error: unknown, argv: readonly string[], io: Io): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return exitCode.fine;
    if (error.code === "commander.unknownCommand") hintAtCheck(argv[0] ?? "", io);
    return exitCode.usage;
  }
  if (error instanceof UsageError || (error instanceof Error && error.name === "LayoutError")) {
    io.stderr.write(`error: ${error.message}\n`);
    return exitCode.usage;
  }
  throw error;
}

/** `coldspare smb-site` is what one types first. */
function hintAtCheck(word: string, io: Io): void {
  const { layoutNames } = require("../stacks/layouts") as typeof import("../stacks/layouts");
  if (layoutNames.includes(word) || existsSync(word)) io.stderr.write(`To plan it: coldspare check ${word}\n`);
}

function packageVersion(): string {
  // From the sources, and from dist/.
  const file = [join(__dirname, "../package.json"), join(__dirname, "../../package.json")].find(existsSync);
  if (file === undefined) return "unknown";
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
