/** What belongs to a move beside the guest itself: commands of the site's own, networks, marks. */
import type { ManifestCommand } from "../planning/manifest";
import { waitForAnswer } from "./answers";
import { type CommandPlace, runCommands } from "./commands";
import { type Return, stateAt } from "./failback-moves";
import type { ReturnGuest } from "./failback-plan";
import { takeMarksOff } from "./guest-power";
import { mapNetworks } from "./network-change";
import type { Step } from "./steps";

type When = ManifestCommand["when"];

/**
 * The commands of a guest, and of its group where it is at the group's edge: before the first one is touched, after the last one
 * is done. A group stops in the reverse order of its start.
 */
export function commandsStep(run: Return, each: ReturnGuest, group: string | undefined, when: When): Step[] {
  const { operator, plan } = run;
  const { guest } = each;
  const of = operator.manifest.guests[guest]!;
  const stopping = when === "before-stop" || when === "after-stop";
  const place: CommandPlace = {
    guest: of,
    from: each.away,
    to: plan.kind === "commit" ? each.away : each.home,
    server: stopping || plan.kind === "commit" ? each.away : each.home,
    vmid: stopping ? each.activeId : each.vmid,
  };
  const own = stepOf(run, of.commands, when, place, guest);
  const members = group === undefined ? [] : (operator.manifest.groups[group]?.guests ?? []);
  const moving = members.filter((member) => plan.guests.some((candidate) => candidate.guest === member));
  const edge = (when === "before-stop" || when === "after-start" ? moving.at(-1) : moving[0]) === guest;
  if (group === undefined || !edge) return own;
  const ofGroup = stepOf(run, operator.manifest.groups[group]!.commands, when, { ...place, group }, guest);
  return when.startsWith("before") ? [...ofGroup, ...own] : [...own, ...ofGroup];
}

function stepOf(
  { operator }: Return,
  commands: readonly ManifestCommand[],
  when: When,
  place: CommandPlace,
  guest: string,
): Step[] {
  const now = commands.filter((command) => command.when === when);
  if (now.length === 0) return [];
  const whose = place.group === undefined ? guest : `group ${place.group}`;
  const id = place.group === undefined ? `${when}-${guest}` : `${when}-group-${place.group}`;
  return [
    {
      id,
      guest,
      title: `${when.replace("-", " the ")} of ${whose}: ${now.map(({ run: words }) => words.join(" ")).join("; ")}`,
      run: (note) => runCommands(operator, now, when, place, note),
    },
  ];
}

/** Networks as they are on that server, where the two sides differ. */
export function networksStep({ operator }: Return, each: ReturnGuest, server: string): Step[] {
  const { guest, vmid } = each;
  const of = operator.manifest.guests[guest]!;
  if (of.spareNetworks === undefined) return [];
  return [
    {
      id: `network-${guest}`,
      guest,
      title: `fit the networks of ${guest} to ${server}`,
      seconds: 2,
      isDone: async () => (await stateAt(operator, each, server, vmid)) === "running",
      async run(note) {
        const keys = await mapNetworks(operator, of, { server, vmid });
        note(keys.length === 0 ? "they fit already" : `changed ${keys.join(", ")}`);
      },
    },
  ];
}

/** Whether its service answers; that it does not stops nobody else's return, and is said. */
export function answersStep({ operator }: Return, each: ReturnGuest, server: string): Step {
  const { guest, vmid, kind } = each;
  const of = operator.manifest.guests[guest]!;
  return {
    id: `answers-${guest}`,
    guest,
    title: `wait until ${guest} answers`,
    seconds: of.boot.seconds,
    optional: true,
    run: async (note) => note(await waitForAnswer(operator, of, { guest, kind, server, vmid })),
  };
}

/** The marks of an old side go, autostart is as the specification says: the guest is where it belongs. */
export function tidyStep({ operator }: Return, each: ReturnGuest, server: string): Step {
  const { guest, kind, vmid, home } = each;
  return {
    id: `tidy-${guest}`,
    guest,
    title: `take the marks of the switch off ${guest}`,
    seconds: 2,
    optional: true,
    async run() {
      await takeMarksOff(operator, { guest, kind, server, vmid }, home);
    },
  };
}
