/** What a change of sides needs: fencing, voters, a guard on each server, groups, commands, probes and drills. */
import { type Context, own, type Placed, sorted } from "../context";
import { witnessesOf } from "../losses";
import { nearest } from "../nearest";
import type { SitePlan } from "../plan";
import type { GuestCommandSpec } from "../schema-recovery";
import { systemdCalendarProblem } from "../systemd-calendar";
import { byName, list } from "../units";

/**
 * From the last ping of a hung agent to the reset of its server, beyond the client's time-out: 10 s of the hardware's own,
 * 2 s because watchdog-mux counts whole seconds (pve-ha-manager, watchdog-mux.c), and 3 s to spare.
 */
const WATCHDOG_RESET_SECONDS = 15;

/** Checks everything that failover, failback and drills rely on. */
export function checkSwitching(context: Context, plan: SitePlan): void {
  const guests = context.guests.filter(
    ({ primary, spare }) => spare !== primary && context.isHypervisor(primary) && context.isHypervisor(spare),
  );
  checkPower(context, guests);
  checkVoters(context, guests);
  checkLease(context);
  checkGuard(context, guests);
  checkGroups(context);
  for (const guest of context.guests) checkCommands(context, `guests.${guest.name}`, guest.name, guest.spec.commands);
  for (const [name, { commands }] of sorted(context.spec.groups))
    checkCommands(context, `groups.${name}`, undefined, commands);
  for (const guest of context.guests) checkProbes(context, plan, guest);
  checkDrills(context);
}

function checkPower(context: Context, guests: readonly Placed[]): void {
  if (context.spec.site.fencing !== "power") return;
  for (const { name, spec } of context.servers) {
    const here = guests.filter(({ primary }) => primary === name).map((guest) => guest.name);
    if (spec.power === undefined && here.length > 0)
      context.add(
        "FENCING-POWER-MISSING",
        `servers.${name}.power`,
        `Nothing says how ${name} is switched off, and with fencing 'power' the spares of ${list(here)} start only after that.`,
        `Add servers.${name}.power (redfish, ipmi or a command of your own), or set site.fencing to confirm.`,
      );
  }
}

function checkVoters(context: Context, guests: readonly Placed[]): void {
  if (witnessesOf(context).length > 0) return;
  const two = guests.filter(
    ({ primary, spare }) => !context.hypervisors.some((name) => name !== primary && name !== spare),
  );
  if (two.length === 0) return;
  const names = list(two.map(({ name }) => name));
  const has = two.length === 1 ? "has" : "have";
  const fix = "Give a third server the role witness: any small machine that runs SSH will do.";
  if (context.spec.site.fencing === "lease")
    context.add(
      "LEASE-NO-WITNESS",
      "site.fencing",
      `${names} ${has} two voters only: with fencing 'lease' the loss of either server stops the guests on both.`,
      fix,
    );
  else
    context.add(
      "VOTERS-TWO",
      "servers",
      `${names} ${has} two voters only: while one server is away, no guest with a spare starts on the other without a person's word.`,
      fix,
    );
}

function checkLease(context: Context): void {
  const { fencing, lease } = context.spec.site;
  if (fencing !== "lease") return;
  const { termSeconds, renewSeconds, marginSeconds, watchdogSeconds } = lease;
  const needed = watchdogSeconds + WATCHDOG_RESET_SECONDS;
  if (marginSeconds < needed)
    context.add(
      "LEASE-MARGIN-SHORT",
      "site.lease.marginSeconds",
      `A margin of ${marginSeconds} s may be over before a server that hangs is reset: ${watchdogSeconds} s until the watchdog gives up, and up to ${WATCHDOG_RESET_SECONDS} s for rounding and its hardware.`,
      `Set site.lease.marginSeconds to at least ${needed}.`,
    );
  if (termSeconds < 3 * renewSeconds)
    context.add(
      "LEASE-MARGIN-SHORT",
      "site.lease.termSeconds",
      `A lease of ${termSeconds} s that is renewed every ${renewSeconds} s ends after two renewals that are lost: guests would stop for a short disturbance.`,
      `Set site.lease.termSeconds to at least ${3 * renewSeconds}, or renew more often.`,
    );
}

/** The guard is a hook script, which Proxmox VE takes from a storage with content `snippets` only. */
function checkGuard(context: Context, guests: readonly Placed[]): void {
  const sides = new Set(guests.flatMap(({ primary, spare }) => [primary, ...(spare === undefined ? [] : [spare])]));
  for (const name of [...sides].sort(byName)) {
    const local = own(context.server(name)?.storages ?? {}, "local");
    const path = `servers.${name}.storages.local`;
    const problem =
      local === undefined
        ? "has no storage 'local'"
        : !local.content.includes("snippets")
          ? "has a storage 'local' without content 'snippets'"
          : local.path !== undefined && local.path !== "/var/lib/vz"
            ? `has its storage 'local' at ${local.path} instead of /var/lib/vz`
            : undefined;
    if (problem === undefined) continue;
    const lease = context.spec.site.fencing === "lease";
    context.add(
      lease ? "LEASE-NO-GUARD" : "GUARD-NO-SNIPPETS",
      local === undefined ? `servers.${name}.storages` : path,
      `${name} ${problem}: the guard cannot be installed there${lease ? ", and nothing asks for a lease" : ", and nothing stops a second start"}.`,
      local === undefined
        ? `Add ${path} (type dir, path /var/lib/vz) with 'snippets' in its content.`
        : `Give 'local' the content 'snippets' (\`pvesm set local --content …,snippets\` on ${name}), and add it to ${path}.content.`,
    );
  }
}

function checkGroups(context: Context): void {
  const known = context.guests.map(({ name }) => name);
  const groupOf = new Map<string, string>();
  for (const [name, { guests }] of sorted(context.spec.groups))
    for (const [index, guest] of guests.entries()) {
      const path = `groups.${name}.guests[${index}]`;
      if (!known.includes(guest))
        context.add(
          "GROUP-GUEST-UNKNOWN",
          path,
          `Group ${name} names guest '${guest}', which does not exist.`,
          didYouMean(guest, known),
        );
      const other = groupOf.get(guest);
      if (other !== undefined)
        context.add(
          "GROUP-GUEST-TWICE",
          path,
          `${guest} is in ${other === name ? `group ${name} twice` : `the groups ${other} and ${name}`}, and can start in one place only.`,
          `Remove ${path}${other === name ? "" : `, or take ${guest} out of groups.${other}.guests`}.`,
        );
      groupOf.set(guest, other ?? name);
    }
}

function didYouMean(wrong: string, known: readonly string[]): string {
  return `Did you mean ${nearest(wrong, known) ?? (list(known, "or") || "another one")}? Correct or remove '${wrong}'.`;
}

function checkCommands(
  context: Context,
  path: string,
  guest: string | undefined,
  commands: readonly GuestCommandSpec[],
): void {
  const servers = context.servers.map(({ name }) => name);
  const words = ["operator", "primary", "spare", ...(guest === undefined ? [] : ["guest"])];
  for (const [index, { on }] of commands.entries()) {
    const at = `${path}.commands[${index}].on`;
    const what = `Command ${index} of ${guest ?? path.replace(/^groups\./, "group ")}`;
    if (!words.includes(on) && !servers.includes(on))
      context.add(
        "COMMAND-SERVER-UNKNOWN",
        at,
        `${what} is to run on '${on}', which is neither a server nor ${list(words, "or")}.`,
        `Set ${at} to ${nearest(on, [...servers, ...words]) ?? list([...words, ...servers], "or")}.`,
      );
    else if (on === "guest" && guest !== undefined && !hasAgent(context, guest))
      context.add(
        "COMMAND-SERVER-UNKNOWN",
        at,
        `${what} is to run by the agent of ${guest}, which has none.`,
        `Set guests.${guest}.agent to true if its image has the QEMU guest agent, or run the command elsewhere.`,
      );
  }
}

function hasAgent(context: Context, guest: string): boolean {
  const spec = own(context.spec.guests, guest);
  return spec?.kind === "vm" && spec.agent;
}

function checkProbes(context: Context, plan: SitePlan, { name, spec, spare }: Placed): void {
  const path = `guests.${name}.probes`;
  if (spare !== undefined && spec.probes.length === 0)
    context.add(
      "PROBE-MISSING",
      path,
      `${name} has no probe: a drill of its spare proves that it starts, and not that its service answers.`,
      `Add ${path}, for example { kind: tcp, port: 443 }.`,
    );
  const address = plan.guests[name]?.addresses.some((card) => card.address ?? card.address6) ?? false;
  for (const [index, { kind }] of spec.probes.entries())
    if (kind === "agent" && !hasAgent(context, name))
      context.add(
        "PROBE-IMPOSSIBLE",
        `${path}[${index}]`,
        `Probe ${index} of ${name} asks its agent, and ${name} has none.`,
        `Set guests.${name}.agent to true if its image has the QEMU guest agent, or probe something else.`,
      );
    else if (kind !== "agent" && kind !== "command" && !address)
      context.add(
        "PROBE-IMPOSSIBLE",
        `${path}[${index}]`,
        `Probe ${index} of ${name} (${kind}) needs an address, and ${name} gets its own by DHCP: in a drill nobody hands one out.`,
        `Give ${name} a fixed address at guests.${name}.networks, or probe it by its agent.`,
      );
}

function checkDrills(context: Context): void {
  const known = context.guests.filter(({ spare }) => spare !== undefined).map(({ name }) => name);
  for (const [name, { guests, group, schedule }] of sorted(context.spec.drills)) {
    const path = `drills.${name}`;
    const groups = Object.keys(context.spec.groups);
    if (group !== undefined && !groups.includes(group))
      context.add(
        "DRILL-GUEST-UNKNOWN",
        `${path}.group`,
        `Drill ${name} names group '${group}', which does not exist.`,
        didYouMean(group, groups),
      );
    for (const [index, guest] of (guests === undefined || guests === "all" ? [] : guests).entries())
      if (!known.includes(guest))
        context.add(
          "DRILL-GUEST-UNKNOWN",
          `${path}.guests[${index}]`,
          `Drill ${name} names guest '${guest}', which ${own(context.spec.guests, guest) ? "has no spare to start" : "does not exist"}.`,
          didYouMean(guest, known),
        );
    const problem = schedule === undefined ? undefined : systemdCalendarProblem(schedule);
    if (problem !== undefined)
      context.add(
        "DRILL-SCHEDULE",
        `${path}.schedule`,
        `systemd cannot parse the schedule '${schedule}' of drill ${name}: ${problem}.`,
        "Write a calendar event: 'Sun *-*-1..7 03:00' (first Sunday of the month), 'Sat 02:00' or 'monthly'.",
      );
  }
}
