/** `coldspare privileges`: what a site's accounts on the hypervisors must be able to do, and no more. */
import type { SitePlan } from "../../planning";
import {
  type AccountDuty,
  type PrivilegeOptions,
  planPrivileges,
  planSshAccess,
  pveumCommands,
  rootOnly,
  SSH_INSTALL,
  type SshDuty,
} from "../../planning/privileges";
import { exitCode, type Io, UsageError } from "../io";
import { openPlan } from "./check";

export interface PrivilegesCommandOptions extends PrivilegeOptions {
  for?: string[];
  json?: boolean;
  ssh?: boolean;
}

const DUTIES: readonly AccountDuty[] = ["pulumi", "operate", "monitor"];

export async function privileges(site: string | undefined, options: PrivilegesCommandOptions, io: Io): Promise<number> {
  const wanted = dutiesOf(options.for);
  const { plan, findings, source } = await openPlan(site, [], []);
  if (plan === undefined)
    throw new UsageError(
      `${source} cannot be planned: ${findings[0]?.subject}: ${findings[0]?.message} (coldspare check says more)`,
    );
  if (options.ssh) return sshKeys(plan, wanted, options.json === true, io);
  const accounts = planPrivileges(plan, options).filter(({ duty }) => wanted.includes(duty));
  if (options.json) {
    const commands = Object.fromEntries(accounts.map((account) => [account.duty, pveumCommands(account)]));
    io.stdout.write(
      `${JSON.stringify({ formatVersion: 1, site: plan.site.name, accounts, commands, rootOnly }, null, 2)}\n`,
    );
    return exitCode.fine;
  }
  for (const account of accounts)
    io.stdout.write(`# ${TITLES[account.duty]}\n${pveumCommands(account).join("\n")}\n\n`);
  const list = rootOnly.map(({ what, instead }) => `#   ${what}: ${instead}`);
  io.stdout.write(`# Proxmox VE keeps these for root@pam; no account needs them:\n${list.join("\n")}\n`);
  return exitCode.fine;
}

/** Lines of authorized_keys in place of accounts. */
function sshKeys(plan: SitePlan, wanted: readonly AccountDuty[], json: boolean, io: Io): number {
  const keys = planSshAccess(
    plan,
    wanted.filter((duty): duty is SshDuty => duty !== "pulumi"),
  );
  if (json) {
    io.stdout.write(
      `${JSON.stringify({ formatVersion: 1, site: plan.site.name, ssh: keys, install: SSH_INSTALL }, null, 2)}\n`,
    );
    return exitCode.fine;
  }
  for (const { duty, servers, line } of keys)
    io.stdout.write(`# ${duty}: in /root/.ssh/authorized_keys of ${servers.join(", ")}\n${line}\n\n`);
  io.stdout.write(`# ${SSH_INSTALL}\n`);
  return exitCode.fine;
}

const TITLES: Record<AccountDuty, string> = {
  pulumi: "The program: pulumi preview, up, refresh, destroy. The token's secret is shown once: coldspare:apiToken",
  operate:
    "Operators: failover, failback, drill, backups, restore. The token's secret is shown once: COLDSPARE_API_TOKEN",
  monitor:
    "Monitoring: status, metrics, check --live, import. Proxmox VE lists backups only to those who may make them",
};

function dutiesOf(given: readonly string[] | undefined): readonly AccountDuty[] {
  if (given === undefined) return DUTIES;
  return given.map((word) => {
    const duty = DUTIES.find((each) => each === word);
    if (duty === undefined) throw new UsageError(`--for ${word}: write pulumi, operate or monitor`);
    return duty;
  });
}
