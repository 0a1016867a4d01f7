import type { Command } from "commander";
import type { Io } from "../io";

const collect = (value: string, previous: string[] = []): string[] => [...previous, value];

/** Adds `coldspare init` to the program. */
export function register(program: Command, io: Io, finish: (code: number) => void): void {
  program
    .command("init")
    .summary("begin a site: five questions, and a folder with all that it needs")
    .description(
      "Asks five questions and writes a folder with the site file, the program, the settings and a README. What it writes\n" +
        "passes its own check. Opens no connection. A cluster that runs already is read by `coldspare import` instead.",
    )
    .argument("[folder]", "a folder that does not exist yet, or is empty (default: the site's name, here)")
    .option("--name <site>", "name of the site")
    .option(
      "--servers <lines>",
      "servers with Proxmox VE, separated by semicolons: name cores GiB pool-GiB [address]",
      collect,
    )
    .option(
      "--third-vote <machine>",
      "machine with the third vote and the backups: name [cores GiB [disk-GiB]] [address]; or none",
    )
    .option(
      "--guests <lines>",
      "guests to begin with, separated by semicolons: name [cores GiB disk-GiB] [windows] [address]; or none",
      collect,
    )
    .option(
      "--state <place>",
      "where the state lies: local[:folder], s3://bucket[?endpoint=…&region=…], cloud[:organisation]",
    )
    .option("-y, --yes", "ask nothing: the default for what is not given")
    .option("--json", "print one JSON document: folder, files, findings, what to type next")
    .option("--no-color", "no colours")
    .addHelpText("after", () => `\n${help}`)
    .action(async (folder: string | undefined, options: import("../commands/init").InitOptions) => {
      const { init } = require("../commands/init") as typeof import("../commands/init");
      finish(await init(folder, options, io));
    });
}

const help = `Examples:
  npx coldspare init                                 five questions, then ./office
  coldspare init lyon
  coldspare init lyon --yes                  the defaults: two servers, a third vote, one guest
  coldspare init lyon --yes --servers 'srv1 8 32 1000; srv2 8 32 1000' --third-vote 'nas 2 4 2000'
  coldspare init lyon --yes --state 's3://lyon-state?endpoint=https://s3.example.org'

Exit codes:
  0  the folder is written, and its site passes the check
  2  wrong use: an answer that cannot be used, a folder that is not empty, nobody to ask;
     nothing is written`;
