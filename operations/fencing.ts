/** Makes sure that the old side of a switch is off: by a person's word, by the power switch, or by the end of its lease. */
import type { ManifestPower } from "../planning/manifest";
import { formatDuration, list } from "../planning/units";
import { PowerError, powerOf } from "../providers/power";
import type { Operator } from "./context";
import { askApi, askSsh } from "./live-servers";
import type { FencingChoice } from "./plan-failover";
import type { VoterReadings } from "./voters";

/** Fencing did not succeed: nothing may be started. */
export class FencingFailed extends Error {
  override readonly name = "FencingFailed";
}

/** Signs that a server lives, from this machine and from the rest of the cluster; empty when there is none. */
export async function looksAlive(operator: Operator, server: string): Promise<string[]> {
  const others = Object.keys(operator.manifest.servers).filter(
    (name) => name !== server && operator.manifest.servers[name]?.roles.includes("hypervisor"),
  );
  const [api, ssh, ...views] = await Promise.all([
    askApi(operator, server),
    askSsh(operator, server),
    ...others.map((other) => askApi(operator, other)),
  ]);
  const seen = views.some(
    ({ reach, cluster }) => reach === "up" && cluster.some((row) => row.name === server && row.online === 1),
  );
  return [
    ...(api.reach === "up" || api.reach === "refused" ? ["its API answers"] : []),
    ...(ssh.reach === "up" || ssh.reach === "refused" ? ["it answers over SSH"] : []),
    ...(seen ? ["the rest of the cluster sees it"] : []),
  ];
}

/**
 * Fences, after the guests were blocked at their voters: what is not running now can be started by nobody any more.
 *
 * @param holds What the voters said when they were blocked, with the seconds that their grants are still good.
 * @param targets The servers that take over: grants of their own need not be waited for.
 * @throws FencingFailed with the reason and the way out
 */
export async function fence(
  operator: Operator,
  choice: FencingChoice,
  holds: VoterReadings,
  targets: readonly string[],
  note: (text: string) => void,
): Promise<void> {
  if (choice.method === "consent") return;
  const { server } = choice;
  if (choice.method === "confirm") {
    const signs = await looksAlive(operator, server);
    if (signs.length === 0) return note(`${server} does not answer; that it is off was confirmed by ${operator.by}`);
    throw new FencingFailed(
      `${server} was confirmed to be off, but it lives (${list(signs)}). Its guests are blocked and nothing was started. ` +
        `Switch it off and run the same command again, or give up: \`coldspare undo ${server}\``,
    );
  }
  if (choice.method === "power") return switchOff(operator, server, note);
  const left = Math.max(0, ...holdsOf(holds, targets));
  const wait = left + choice.marginSeconds;
  note(
    `waiting ${formatDuration(wait)}: leases of ${server} end in ${formatDuration(left)}, then its watchdog has ${formatDuration(choice.marginSeconds)}`,
  );
  await operator.clock.sleep(wait);
}

/** Of everybody else, also of a holder who is not known any more: a power cut can tear the note of who it was. */
function holdsOf(readings: VoterReadings, targets: readonly string[]): number[] {
  return Object.values(readings).flatMap((reading) =>
    reading.reachable
      ? Object.values(reading.guests)
          .filter(({ holder }) => holder === undefined || !targets.includes(holder))
          .map(({ hold }) => hold)
      : [],
  );
}

async function switchOff(operator: Operator, server: string, note: (text: string) => void): Promise<void> {
  const power = operator.manifest.servers[server]?.power;
  if (power === undefined) throw new FencingFailed(`how ${server} is switched off is not in the site's manifest`);
  try {
    await powerOf(server, power, operator.secret).off();
  } catch (error) {
    if (!(error instanceof PowerError)) throw error;
    throw new FencingFailed(
      `${error.message}. The guests of ${server} are blocked and nothing was started. Mend that and run the same command again; ` +
        `or switch it off by hand and add --confirm-off ${server}; or give up: \`coldspare undo ${server}\``,
    );
  }
  // A controller that says Off of a server which goes on answering is wired to another one, or lies.
  const signs = await looksAlive(operator, server);
  if (signs.length > 0)
    throw new FencingFailed(
      `the power control of ${server} says off, but the server lives (${list(signs)}): it controls another machine, or its state is not true. Nothing was started. ` +
        `Switch ${server} off by hand and add --confirm-off ${server}; or give up: \`coldspare undo ${server}\``,
    );
  note(`${server} is off, says ${describe(power)}`);
}

function describe(power: ManifestPower): string {
  if (power.kind === "redfish") return `Redfish at ${power.url}`;
  return power.kind === "ipmi" ? `IPMI at ${power.address}` : `\`${power.status[0]}\``;
}
