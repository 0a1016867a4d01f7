/** Commands around copies: what there is, bringing one back, working on one, and the disks that are carried. */
import { type Command, InvalidArgumentError } from "commander";
import type { Io } from "../io";
import { siteHelp, withSiteOptions } from "../site-options";

const collect = (value: string, previous: string[] = []): string[] => [...previous, value];

/** Adds its commands to the program. */
export function register(program: Command, io: Io, finish: (code: number) => void): void {
  addBackups(program, io, finish);
  addRestore(program, io, finish);
  addBranch(program, io, finish);
  addMedia(program, io, finish);
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
  addKeep(command, io, finish);
  addTest(command, io, finish);
}

const backupsHelp = `A copy is good unless it was found to be broken. 'verified never' says that nobody has read it again yet.

Examples:
  coldspare backups                          one line for each subject
  coldspare backups sql-erp                  every point, to choose one for coldspare restore
  coldspare backups --target nas --json | jq '.points[] | select(.verified == "failed")'
  coldspare backups --good                   for monitoring
  coldspare backups run nightly
  coldspare backups verify nightly
  coldspare backups test nightly             is a copy one that starts?

Exit codes:
  0  the copies were listed (with --good: and each subject has a good one as new as promised)
  1  with --good: a subject has none, or it cannot be seen
  2  wrong use: unknown subject or target, no manifest, a site without backup policies`;

function addKeep(backups: Command, io: Io, finish: (code: number) => void): void {
  withSiteOptions(
    backups
      .command("keep")
      .summary("protect the last good copy where every newer one is broken")
      .description(
        "Protects the last good copy of each guest whose newer copies were all found to be broken: the schedules of Proxmox VE and " +
          "of its backup server prune by age alone. Lets go what a newer good copy has made superfluous. For a timer after the " +
          "verifications; `run` and `verify` do the same at their end.",
      ),
  )
    .option("--json", "print one JSON document")
    .addHelpText("after", () => `\nExamples:\n  coldspare backups keep\n\n${siteHelp}`)
    .action(async (_options: unknown, own: Command) => {
      const { backupsKeep } = require("../commands/backups-keep") as typeof import("../commands/backups-keep");
      // What `backups` has as well, such as --json, it takes for itself.
      finish(await backupsKeep(own.optsWithGlobals(), io));
    });
}

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
    .action(async (policy: string, _options: unknown, own: Command) => {
      const { runOrVerify } = require("../commands/backups-run") as typeof import("../commands/backups-run");
      // What `backups` has as well, such as --json, it takes for itself.
      finish(await runOrVerify(kind, policy, own.optsWithGlobals(), io));
    });
}

const whole = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value <= 0) throw new InvalidArgumentError("write a whole number.");
  return value;
};

function addTest(backups: Command, io: Io, finish: (code: number) => void): void {
  asks(
    withSiteOptions(
      backups
        .command("test")
        .summary("start copies in isolation, probe them, throw them away")
        .description(
          "Restores the newest copy of each guest of a policy under an id of its own, starts it in a network of its own, asks its " +
            "services, and removes it. Neither the guest nor its spare is touched. What was found is kept and shown by status.",
        )
        .argument("<policy>", "a policy of guests"),
    ).option("--guest <name>", "only this guest; repeatable (default: those that the policy tests)", collect),
  )
    .addHelpText(
      "after",
      () => `
Examples:
  coldspare backups test nightly --dry-run
  coldspare backups test nightly --guest sql-erp
  coldspare backups test nightly --yes --json     in a timer, once a month

${siteHelp}

Exit codes:
  0  every copy started and answered
  1  one did not, or could not be tried, or the question was answered with no; nothing of it is left
  2  wrong use: unknown option, no manifest, no credentials, nobody to ask`,
    )
    .action(async (policy: string, _options: unknown, own: Command) => {
      const { backupsTest } = require("../commands/backups-test") as typeof import("../commands/backups-test");
      finish(await backupsTest(policy, own.optsWithGlobals(), io));
    });
}

const operationExits = `Exit codes:
  0  done
  1  refused, and nothing was changed; or it failed or was ended: the same command goes on from there
  2  wrong use: unknown guest or option, no manifest, no credentials, nobody to ask`;

function addRestore(program: Command, io: Io, finish: (code: number) => void): void {
  const command = withSiteOptions(
    program
      .command("restore")
      .summary("bring a copy back: as the guest, beside it, or as files")
      .description(
        "Brings a copy back. Shows first what would be written over, how old the copy is, where it goes, how long it takes and whether " +
          "there is room, and asks once. A guest that is there is only written over with --over, and is kept first. Of a guest with a " +
          "spare only the active side is restored.",
      )
      .argument("<subject>", "a guest; or folder:SERVER:PATH, volume:SERVER:NAME, dataset:SERVER:DATASET"),
  )
    .option(
      "--point <point>",
      "latest, a time (the newest good copy not after it), or an id of coldspare backups",
      "latest",
    )
    .option("--to <server>", "the server (default: where the guest is active)")
    .option(
      "--as <name>",
      "beside the original: a guest of its own, with another id, other hardware addresses, powered off",
    )
    .option(
      "--over [how]",
      "write over what is there, once it is kept: keep (as NAME-before-restore, the default) or backup",
    )
    .option("--storage <storage>", "for all disks (default: the storages that they had)")
    .option("--start", "start it afterwards (default: only a guest that ran before)")
    .option("--no-start", "leave it powered off")
    .option("--files <path>", "only this file or folder; repeatable", collect)
    .option("--into <place>", "with --files, folders and volumes: a folder on the server; a data set: a new data set")
    .option("--stop-seconds <seconds>", "for a guest that is written over to shut down", whole, 300)
    .option("--force-stop", "switch it off hard if it does not shut down in that time");
  asks(command)
    .addHelpText(
      "after",
      () => `
Single files come out of restic repositories, archives of containers, and copies on a Proxmox Backup Server (these come
to this machine). A vzdump archive of a machine gives whole disks only: restore it beside with --as, and mount its disk.

Examples:
  coldspare restore sql-erp --dry-run
  coldspare restore sql-erp --point 2026-11-21T18:00:00Z --over
  coldspare restore sql-erp --as sql-erp-yesterday --to srv1 --storage tank
  coldspare restore folder:backup-1:/srv/share --files /srv/share/contracts --into /root/restored
  coldspare restore dataset:nas-1:tank/data --into tank/data-restored

${siteHelp}

${operationExits}`,
    )
    .action(async (subject: string, options: import("../commands/restore").RestoreOptions) => {
      const { restore } = require("../commands/restore") as typeof import("../commands/restore");
      finish(await restore(subject, options, io));
    });
}

type BranchOptions = import("../commands/branch").BranchOptions;
const branchCommands = () => require("../commands/branch") as typeof import("../commands/branch");

const branchHelp = `A branch carries the tag coldspare-branch and its date in its notes; nothing else is ever removed. In isolation it keeps
its addresses, on bridges without ports; these do not outlive a restart of the server.

Examples:
  coldspare branch sql-erp --dry-run
  coldspare branch sql-erp --name erp-update --expires 3d --to srv1
  coldspare branch sql-erp --live --network vmbr9
  coldspare branch list
  coldspare branch remove erp-update
  coldspare branch expire --yes               in a timer, every night

Exit codes:
  0  done
  1  refused, and nothing was changed; or it failed: the same command goes on from there; or a server could not be asked
  2  wrong use: unknown guest or branch, no manifest, nobody to ask`;

function addBranch(program: Command, io: Io, finish: (code: number) => void): void {
  const command = withSiteOptions(
    program
      .command("branch")
      .summary("a working copy of a guest, in isolation, with a date on which it goes")
      .description(
        "Makes a working copy of a guest for demonstrations and risky updates: from its newest copy, or as it is now, under an id of " +
          "its own, in a network of its own, with a date on which it goes. Refused where a failover would not find room beside it.",
      )
      .argument("[guest]", "the guest"),
  )
    .option(
      "--point <point>",
      "latest, a time (the newest good copy not after it), or an id of coldspare backups",
      "latest",
    )
    .option("--live", "a full clone of the guest as it is now, instead of a copy")
    .option("--to <server>", "the server (default: where the guest is active)")
    .option("--network <network>", "isolated, or a bridge of the server", "isolated")
    .option("--expires <duration>", "how long it lives: 12h, 7d, 2w", "7d")
    .option("--name <name>", "its name (default: GUEST-branch)")
    .option("--storage <storage>", "for all disks (default: the storages that they had)")
    .option("--no-start", "leave it powered off");
  asks(command)
    .addHelpText("after", () => `\n${branchHelp}\n\n${siteHelp}`)
    .action(async (guest: string | undefined, options: BranchOptions) =>
      finish(await branchCommands().branch(guest, options, io)),
    );
  const sub = (name: string, summary: string) =>
    asks(
      withSiteOptions(
        command
          .command(name)
          .summary(summary)
          .description(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`),
      ),
    );
  // What `branch` has as well, such as --json, it takes for itself.
  sub("list", "all branches, and when they go").action(async (_options: unknown, own: Command) =>
    finish(await branchCommands().branchList(own.optsWithGlobals(), io)),
  );
  sub("remove", "remove branches and their disks")
    .argument("<name...>", "branches")
    .action(async (names: string[], _options: unknown, own: Command) =>
      finish(await branchCommands().branchRemove(names, own.optsWithGlobals(), io)),
    );
  sub("expire", "remove every branch that is past its date").action(async (_options: unknown, own: Command) =>
    finish(await branchCommands().branchExpire(own.optsWithGlobals(), io)),
  );
}

type MediaOptions = import("../commands/media").MediaOptions;
const mediaCommands = () => require("../commands/media") as typeof import("../commands/media");

const mediaHelp = `Examples:
  coldspare media                              which disk should hang where, which does, how old the others are
  coldspare media swap shelf                   at the disk: unmount, carry, attach, check, write down
  coldspare media record shelf attached B      the same, written down afterwards
  coldspare media init shelf C                 a new, empty disk gets its label
  coldspare media calendar shelf --ics swaps.ics

Exit codes:
  0  done (with --strict: and the right media are attached)
  1  refused, with what to do; or the question was answered with no
  2  wrong use: unknown rotation or medium, no manifest, nobody to ask`;

function addMedia(program: Command, io: Io, finish: (code: number) => void): void {
  const media = program
    .command("media")
    .summary("the disks that are carried: which should be attached, swaps, their calendar")
    .description(
      "Shows which medium of each rotation should be attached and which is, where the others are and how old what lies on them is: " +
        "that is what the site loses at worst. Records swaps, labels new disks, writes the calendar.",
    )
    .addHelpText("after", () => `\n${mediaHelp}\n\n${siteHelp}`);
  addMediaStatus(media, io, finish);
  const sub = (name: string, summary: string) =>
    withSiteOptions(
      media
        .command(name)
        .summary(summary)
        .description(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`),
    ).addHelpText("after", () => `\n${mediaHelp}`);
  sub("swap", "unmount the attached medium, wait for the next one, check it and write it down")
    .argument("<target>", "the rotation")
    .option("-y, --yes", "do not ask before it is unmounted")
    .action(async (target: string, options: MediaOptions) =>
      finish(await mediaCommands().mediaSwap(target, options, io)),
    );
  sub("record", "write down a swap that somebody has made")
    .argument("<target>", "the rotation")
    .argument("<action>", "attached or detached")
    .argument("<label>", "the medium")
    .option("--by <who>", "who did it (default: you)")
    .action(async (target: string, action: string, label: string, options: MediaOptions) =>
      finish(await mediaCommands().mediaRecord(target, action, label, options, io)),
    );
  sub("eject", "unmount the attached medium, so that it can be taken away")
    .argument("<target>", "the rotation")
    .option("-y, --yes", "do not ask")
    .action(async (target: string, options: MediaOptions) =>
      finish(await mediaCommands().mediaEject(target, options, io)),
    );
  sub("init", "give an empty, mounted disk its label")
    .argument("<target>", "the rotation")
    .argument("<label>", "which of its media it becomes")
    .option("--replace", "the disk with this label is lost: its copies are forgotten")
    .option("-y, --yes", "do not ask")
    .action(async (target: string, label: string, options: MediaOptions) =>
      finish(await mediaCommands().mediaInit(target, label, options, io)),
    );
  sub("calendar", "write an iCalendar file of the swaps, for whoever carries the disks")
    .argument("[target...]", "rotations (default: all)")
    .option("--ics <file>", "write into a file (default, and -: print)")
    .option("--days <days>", "how far ahead", whole, 365)
    .action(async (targets: string[], options: MediaOptions) =>
      finish(await mediaCommands().mediaCalendar(targets, options, io)),
    );
}

/** What `coldspare media` alone does. */
function addMediaStatus(media: Command, io: Io, finish: (code: number) => void): void {
  withSiteOptions(
    media
      .command("status", { isDefault: true })
      .summary("which medium should be attached, and which is")
      .description("Shows which medium of each rotation should be attached and which is, and how old the others are."),
  )
    .option("--json", "print one JSON document")
    .option("--strict", "exit code 1 when a medium is missing, wrong or overdue, for monitoring")
    .option("--no-color", "no colours")
    .action(async (options: MediaOptions) => finish(await mediaCommands().mediaStatus(options, io)));
}
