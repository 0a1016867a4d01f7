/**
 * The steps of a site's way up. While everything is off nobody knows which side of a guest is active: so that is asked once the
 * servers are up, and each guest starts where its record says. A server that stays off costs its own guests and no others.
 */
import type { ManifestGuest } from "../planning/manifest";
import { idsOf } from "../planning/node-conf";
import { list } from "../planning/units";
import { powerOf } from "../providers/power";
import { PveError } from "../providers/pve/errors";
import { waitForAnswer } from "./answers";
import type { Operator } from "./context";
import { type GuestAt, runs, start } from "./guest-power";
import { type LiveServer, type LiveSite, readLive } from "./live";
import { canSwitchOn, type GuestAction, type ServerAction, type SitePowerPlan, seatNow } from "./plan-site-power";
import type { PowerSeat } from "./power-order";
import type { Failures, Step } from "./steps";
import { recordsOf } from "./voters";

/** Firmware of a server with much memory takes its time, and somebody may have to walk to its button. */
export const BOOT_SECONDS = 900;
const POLL_SECONDS = 10;
/** For SSH and the guard to come up after the API. */
const VOTERS_SECONDS = 120;
/** For the guard to grant starts, and for the boot unit to let go of a guest that it starts itself: all guests together. */
const GRANT_SECONDS = 180;
const ATTEMPT_SECONDS = 15;

/** What is found out on the way. */
interface Found {
  /** Since when each server was switched on, in seconds. */
  switchedOn: Map<string, number>;
  /** Where each guest belongs, or why it is left alone. */
  seats: Map<string, PowerSeat | { left: string }>;
  /** Until when a start is tried again, in seconds. */
  patientUntil?: number;
}

/** Steps in the order of the plan: what other servers lean on, hypervisors all at once, a look, guests. */
export function upSteps(operator: Operator, { actions }: SitePowerPlan): Step[] {
  const guests = actions.filter((action) => action.kind === "guest");
  const servers = actions.filter((action) => action.kind === "server");
  const isHypervisor = ({ server }: ServerAction) => operator.manifest.servers[server]!.roles.includes("hypervisor");
  const found: Found = { switchedOn: new Map(), seats: new Map(guests.map((each) => [each.guest, seatIn(each)])) };
  const on = (each: ServerAction) => serverOn(operator, found, each.server);
  const up = (each: ServerAction) => serverUp(operator, found, each.server);
  const hypervisors = servers.filter(isHypervisor);
  const looks = guests.length > 0 && (servers.length > 0 || guests.some(({ seatUnknown }) => seatUnknown));
  return [
    ...servers.filter((each) => !isHypervisor(each)).flatMap((each) => [on(each), up(each)]),
    ...hypervisors.map(on),
    ...hypervisors.map(up),
    ...(looks ? [look(operator, found, guests)] : []),
    ...guests.flatMap((each, index) => guestOn(operator, found, each, index === guests.length - 1)),
  ];
}

const seatIn = ({ server, vmid }: GuestAction): PowerSeat => ({ server, vmid });
const seconds = ({ clock }: Operator) => clock.now().getTime() / 1000;

function serverOn(operator: Operator, found: Found, server: string): Step {
  const { power } = operator.manifest.servers[server]!;
  return {
    id: `on-${server}`,
    title: `switch ${server} on`,
    seconds: 5,
    parts: [`server ${server}`],
    isDone: async () => (await answers(operator, server)) === undefined,
    async run(note) {
      found.switchedOn.set(server, seconds(operator));
      if (power === undefined || !canSwitchOn(power)) return note(`press the button of ${server}`);
      try {
        await powerOf(server, power, operator.secret).on();
      } catch (error) {
        // Somebody can still press it; whether anybody did shows in the next step.
        note(`press the button of ${server}: ${error instanceof Error ? error.message : String(error)}`);
      }
    },
  };
}

function serverUp(operator: Operator, found: Found, server: string): Step {
  return {
    id: `up-${server}`,
    title: `wait until ${server} answers`,
    seconds: 300,
    parts: [`server ${server}`],
    isDone: async () => (await answers(operator, server)) === undefined,
    async run() {
      const since = found.switchedOn.get(server) ?? seconds(operator);
      for (;;) {
        const problem = await answers(operator, server);
        if (problem === undefined) return;
        if (seconds(operator) - since >= BOOT_SECONDS)
          throw new Error(`it does not answer ${BOOT_SECONDS / 60} minutes after it was switched on: ${problem}`);
        await operator.clock.sleep(POLL_SECONDS);
      }
    },
  };
}

/** Why a server is not up yet, or nothing. Its quorum may have to wait for the next one, so that is not asked here. */
async function answers(operator: Operator, server: string): Promise<string | undefined> {
  const hypervisor = operator.manifest.servers[server]!.roles.includes("hypervisor");
  const pve = operator.pveAt(server);
  // Another server's word for it is none.
  if (hypervisor && pve === undefined) return "the address of its API is not known";
  try {
    if (hypervisor) await pve!.get("/version");
    else await operator.ssh.run(server, ["true"], { timeoutSeconds: 5 });
    return undefined;
  } catch (error) {
    if (error instanceof PveError) return error.reason;
    if (!hypervisor) return error instanceof Error ? error.message : String(error);
    throw error;
  }
}

/** Where the guests belong, by what runs, by the voters' records and by where the configurations are. */
function look(operator: Operator, found: Found, guests: readonly GuestAction[]): Step {
  return {
    id: "look",
    title: "look where the guests are active",
    seconds: 10,
    always: true,
    async run(_note, failed) {
      const until = seconds(operator) + VOTERS_SECONDS;
      let live = await readLive(operator);
      while (guests.some((each) => isUndecided(operator, live, failed, each)) && seconds(operator) < until) {
        await operator.clock.sleep(POLL_SECONDS);
        live = await readLive(operator);
      }
      for (const { guest } of guests) found.seats.set(guest, placeOf(live, operator.manifest.guests[guest]!));
    },
  };
}

/** A voter that is still coming up may tell more in a moment, and so may a server that has just come up. */
function isUndecided({ manifest }: Operator, live: LiveSite, failed: Failures, { guest }: GuestAction): boolean {
  const { spare, voters } = manifest.guests[guest]!;
  const { activeSide, activeServer } = live.guests[guest]!;
  if (activeServer !== undefined)
    return live.servers[activeServer]?.api !== "up" && !failed.has(`server ${activeServer}`);
  return spare !== undefined && activeSide === "unknown" && voters.some((voter) => !live.readings[voter]?.reachable);
}

function placeOf(live: LiveSite, guest: ManifestGuest): PowerSeat | { left: string } {
  const { name, voters } = guest;
  const { activeSide, activeServer, runningOn, record } = live.guests[name]!;
  const seat = seatNow(live.guests[name]!);
  if (runningOn.length > 0) return seat!;
  if (activeSide === "nobody")
    return {
      left: `a switch of it was left in the middle (${record?.by ?? "nobody knows whose"}): go on with it, see \`coldspare journal\``,
    };
  if (activeServer === undefined) {
    const said = recordsOf(guest, live.readings).map(({ voter }) => voter);
    const silent = voters.filter((voter) => !said.includes(voter));
    const who = silent.length > 0 ? ` (${list(silent)} ${silent.length === 1 ? "does" : "do"} not)` : "";
    return {
      left: `no majority of its voters says where it is active${who}: bring back ${list(silent) || list(voters)}, then \`coldspare start\` again`,
    };
  }
  const server = live.servers[activeServer];
  if (server?.api !== "up")
    return { left: `${outOfReach(activeServer, server)}. ${wayOut(guest, activeServer, server)}` };
  if (seat !== undefined) return seat;
  const ids = idsOf(guest).flatMap(({ server, vmid }) => (server === activeServer ? [vmid] : []));
  return {
    left: `its record says ${activeServer}, where it has no configuration (${ids.join(", ")}): look at \`coldspare status\``,
  };
}

function outOfReach(name: string, server: LiveServer | undefined): string {
  const how = isAlive(server) ? `as it should (${server?.apiProblem ?? "its API"})` : "";
  return `it is active on ${name}, which does not answer${how && ` ${how}`}; it is left alone`;
}

/** Then it may run there: nothing is to be started elsewhere. */
const isAlive = (server: LiveServer | undefined) => server?.api === "refused" || server?.ssh === "up";

function wayOut({ spare, primary }: ManifestGuest, name: string, server: LiveServer | undefined): string {
  if (isAlive(server)) return `Mend that (\`systemctl restart pveproxy\` there), then \`coldspare start\` again`;
  if (spare === undefined) return `It has no spare: bring ${name} back`;
  const other = name === primary ? spare : primary;
  return `When ${name} does not come back: \`coldspare failover ${name}\` brings it up on ${other}`;
}

function guestOn(operator: Operator, found: Found, action: GuestAction, isLast: boolean): Step[] {
  const { guest, vmid, server, waitSeconds, seatUnknown } = action;
  const of = operator.manifest.guests[guest]!;
  const at = (): GuestAt => {
    const place = found.seats.get(guest)!;
    if ("left" in place) throw new Error(place.left);
    return { guest, kind: of.kind, ...place };
  };
  const starting: Step = {
    id: `start-${guest}`,
    guest,
    title: seatUnknown ? `start ${guest} where its record says` : `start ${guest} (${vmid}) on ${server}`,
    seconds: 10,
    parts: [`guest ${guest}`],
    isDone: async () => (await runs(operator, at())) === true,
    run: () => startPatiently(operator, found, at()),
  };
  if (isLast || waitSeconds === 0) return [starting];
  const waiting: Step = {
    id: `wait-${guest}`,
    guest,
    title: `wait until ${guest} answers, and ${waitSeconds} s more`,
    seconds: of.boot.seconds + waitSeconds,
    parts: [`guest ${guest}`],
    async run(note) {
      note(await waitForAnswer(operator, of, at()));
      await operator.clock.sleep(waitSeconds);
    },
  };
  return [starting, waiting];
}

/** Voters and quorum come up one after another, and the boot unit of the server may be at the very same guest. */
async function startPatiently(operator: Operator, found: Found, at: GuestAt): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(operator, at);
    } catch (error) {
      if (!(error instanceof PveError)) throw error;
      if ((await runs(operator, at).catch(() => false)) === true) return;
      found.patientUntil ??= seconds(operator) + GRANT_SECONDS;
      if (attempt > 1 && seconds(operator) >= found.patientUntil) throw error;
      await operator.clock.sleep(ATTEMPT_SECONDS);
    }
  }
}
