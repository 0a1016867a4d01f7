import type { Command } from "commander";
import type { Io } from "../io";

const collect = (value: string, previous: string[] = []): string[] => [...previous, value];

/** Adds `coldspare import` to the program. */
export function register(program: Command, io: Io, finish: (code: number) => void): void {
  program
    .command("import")
    .summary("take over a cluster that runs: read it, and write its site")
    .description(
      "Reads a running Proxmox VE cluster and writes a folder with its site file, the program and a README. Changes nothing " +
        "on the servers. What a specification cannot say is listed, and never taken over by half.\n" +
        "With a specification: says what of it exists on the cluster, for a state that was lost; nothing is written.",
    )
    .argument("[site]", "a specification that exists already: a site file or its folder")
    .option(
      "--endpoint <url>",
      "any server of the cluster: https://ADDRESS:8006, or SERVER=https://ADDRESS:8006; repeatable",
      collect,
    )
    .option("--out <folder>", "a folder that does not exist yet, or is empty (default: the site's name, here)")
    .option("--site <name>", "name of the site (default: that of the cluster)")
    .option(
      "--state <place>",
      "where the state will lie: local[:folder], s3://bucket[?endpoint=…&region=…], cloud[:organisation]",
    )
    .option("--dry-run", "say what would be imported, and write nothing")
    .option("--json", "print one JSON document: the site, every guest, what is left, findings")
    .option("--no-color", "no colours")
    .addHelpText("after", () => `\n${help()}`)
    .action(async (site: string | undefined, options: import("../commands/import").ImportOptions) => {
      const { importSite } = require("../commands/import") as typeof import("../commands/import");
      finish(await importSite(site, options, io));
    });
}

function help(): string {
  const { connectionHelp } = require("../connection") as typeof import("../connection");
  return `${connectionHelp}

The token needs the role PVEAuditor on /, and no more. It is written nowhere: the stack's is set
with 'pulumi config set --secret coldspare:apiToken'.

Examples:
  coldspare import --endpoint https://192.168.10.11:8006 --dry-run      what would become of it
  coldspare import --endpoint https://192.168.10.11:8006                ./<name of the cluster>
  coldspare import --endpoint pve1 --endpoint pve2 --out ./office --site office
  coldspare import --endpoint pve1 --json --dry-run | jq .guests
  coldspare import ./office --endpoint pve1                 the state is lost, the site file is not

Exit codes:
  0  the folder is written; of a specification: all of it exists as it says
  1  the cluster cannot be read (no access, a privilege, a version, no answer), and nothing is
     written; of a specification: something is missing or different
  2  wrong use: no endpoint, no token, a folder that is not empty; nothing is written`;
}
