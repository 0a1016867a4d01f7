import type { Command } from "commander";
import type { Io } from "../io";

const collect = (value: string, previous: string[] = []): string[] => [...previous, value];

/** Adds `coldspare privileges` to the program. */
export function register(program: Command, io: Io, finish: (code: number) => void): void {
  program
    .command("privileges")
    .summary("print the roles, users and tokens that a site needs, and no more")
    .description(
      "Prints commands of pveum that make an account for the program, one for operators and one for\n" +
        "monitoring, each with what this specification needs and no more. Opens no connection. What is printed\n" +
        "is for a shell of any server of the cluster.",
    )
    .argument("[site]", "a layout, a site file or its folder (default: site.yaml here)")
    .option("--for <duty>", "only this account: pulumi, operate or monitor; repeatable", collect)
    .option("--any-id", "operators may make guests under any id, for `restore --as` and `branch`")
    .option("--ssh", "print lines of authorized_keys that bind SSH keys to a duty, in place of accounts")
    .option(
      "--json",
      "print one JSON document: accounts with roles and paths, the commands, what root@pam alone may do",
    )
    .addHelpText(
      "after",
      `
Examples:
  coldspare privileges                                all three
  coldspare privileges smb-site --for monitor
  coldspare privileges --for pulumi | grep -v '^#' | ssh root@srv1 sh
  coldspare privileges --ssh --for monitor            an SSH key for monitoring
  coldspare privileges --json | jq '.accounts[].roles[].privileges'

SSH: a key bound to operate or monitor runs on the servers what that duty's commands of coldspare
need, and nothing else. \`pulumi up\` installs programs and needs root in full: no line is for it.

Exit codes:
  0  printed
  2  wrong use: unknown option or account, a file that cannot be read`,
    )
    .action(async (site: string | undefined, options: import("../commands/privileges").PrivilegesCommandOptions) => {
      const { privileges } = require("../commands/privileges") as typeof import("../commands/privileges");
      finish(await privileges(site, options, io));
    });
}
