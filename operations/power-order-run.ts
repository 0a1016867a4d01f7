/** Switching a whole site off and on, in order: what `power-order` prints, done. */

import type { Finding } from "../planning";
import { powerOf } from "../providers/power";
import { PveError } from "../providers/pve/errors";
import { waitForAnswer } from "./answers";
import type { Operator } from "./context";
import { runs, shutDown, start } from "./guest-power";
import type { LiveSite } from "./live-types";
import { ACTIVE_TAG } from "./live-types";
import { type PowerAction, type PowerSeat, powerOrder } from "./power-order";
import { caution, refusal } from "./refusals";
import type { Step } from "./steps";

/** What is to be done: plain data, kept in the journal. */
export interface SitePowerPlan {
  formatVersion: 1;
  way: "down" | "up";
  actions: PowerAction[];
  /** Guests stop; the servers stay on. */
  guestsOnly: boolean;
  stopSeconds: number;
}

export interface PlannedSitePower {
  plan: SitePowerPlan;
  refusals: Finding[];
  warnings: Finding[];
}

/** Where each guest is active now, as far as that is known: by its record, and by what runs. */
export function seatsNow({ guests }: LiveSite): Record<string, PowerSeat> {
  return Object.fromEntries(
    Object.values(guests).flatMap(({ name, runningOn, activeServer, seats, standbys }) => {
      const running = runningOn[0];
      if (running !== undefined) return [[name, { server: running.server, vmid: running.vmid }] as const];
      const there = seats.filter(({ server, config }) => server === activeServer && config === true);
      const active = standbys.find(({ tags, server }) => server === activeServer && tags.includes(ACTIVE_TAG));
      const seat = there.find(({ vmid }) => vmid === active?.vmid) ?? there[0];
      return seat === undefined ? [] : [[name, { server: seat.server, vmid: seat.vmid }] as const];
    }),
  );
}

/** The way down: guests that run, then the servers. The servers that do not answer are off already, as far as we can see. */
export function planSiteDown(
  manifest: Operator["manifest"],
  live: LiveSite,
  options: { guestsOnly: boolean; stopSeconds: number },
): PlannedSitePower {
  const refusals: Finding[] = [];
  const actions = powerOrder(manifest, seatsNow(live)).down.filter((action) => {
    if (action.kind === "guest") return (live.guests[action.guest]?.runningOn.length ?? 0) > 0;
    const server = live.servers[action.server];
    if (options.guestsOnly || server === undefined) return false;
    if (server.hypervisor ? server.api === "up" : server.ssh === "up") return true;
    if (server.hypervisor ? server.api === "refused" : server.ssh !== "down") {
      refusals.push(
        refusal(
          "OPERATION-NO-SSH",
          action.server,
          `${action.server} cannot be switched off from here: ${server.apiProblem ?? server.sshProblem ?? "the manifest knows no way to it"}`,
          `add --guests-only and switch it off by hand afterwards; or mend the way, see docs/guard.md`,
        ),
      );
    }
    return false;
  });
  const twice = Object.values(live.guests).filter(({ runningOn }) => runningOn.length > 1);
  refusals.push(
    ...twice.map(({ name, runningOn }) =>
      refusal(
        "OPERATION-BOTH-RUN",
        name,
        `${name} runs on ${runningOn.map(({ server }) => server).join(" and ")} at the same time`,
        "decide which one is right and stop the other one by hand (`qm stop`), then run this again",
      ),
    ),
  );
  return { plan: { formatVersion: 1, way: "down", actions, ...options }, refusals, warnings: [] };
}

/** The way up: servers that do not answer yet, then guests that belong to be on and do not run. */
export function planSiteUp(
  manifest: Operator["manifest"],
  live: LiveSite,
  options: { stopSeconds: number },
): PlannedSitePower {
  const warnings: Finding[] = [];
  const actions = powerOrder(manifest, seatsNow(live)).up.filter((action) => {
    const server = live.servers[action.server];
    if (action.kind === "guest") {
      const atBoot = manifest.guests[action.guest]?.boot.atHostBoot === true;
      return atBoot && (live.guests[action.guest]?.runningOn.length ?? 0) === 0;
    }
    const off = server !== undefined && (server.hypervisor ? server.api !== "up" : server.ssh === "down");
    if (off && !canSwitchOn(manifest.servers[action.server]?.power)) {
      warnings.push(
        caution(
          "OPERATION-SWITCH-ON",
          action.server,
          `no way to switch ${action.server} on is known: it is waited for`,
          `press its button now`,
        ),
      );
    }
    return off;
  });
  return { plan: { formatVersion: 1, way: "up", actions, guestsOnly: false, ...options }, refusals: [], warnings };
}

function canSwitchOn(power: Operator["manifest"]["servers"][string]["power"]): boolean {
  return power !== undefined && (power.kind !== "command" || power.on !== undefined);
}

/** The steps of either way. */
export function sitePowerSteps(operator: Operator, plan: SitePowerPlan): Step[] {
  return plan.actions.flatMap((action, index) => {
    if (action.kind === "guest")
      return plan.way === "down" ? [guestOff(operator, plan, action)] : guestOn(operator, plan, action, index);
    return [plan.way === "down" ? serverOff(operator, action.server) : serverOn(operator, action.server)];
  });
}

type GuestAction = Extract<PowerAction, { kind: "guest" }>;

const at = ({ guest, guestKind, server, vmid }: GuestAction) => ({ guest, kind: guestKind, server, vmid });

function guestOff(operator: Operator, { stopSeconds }: SitePowerPlan, action: GuestAction): Step {
  const { guest, vmid, server } = action;
  return {
    id: `stop-${guest}`,
    guest,
    title: `shut ${guest} (${vmid}) down on ${server}`,
    seconds: 60,
    // One guest that does not end must not keep the others from a clean end: its server stops it when it goes down.
    optional: true,
    isDone: async () => (await runs(operator, at(action))) !== true,
    run: () => shutDown(operator, at(action), stopSeconds),
  };
}

function guestOn(operator: Operator, plan: SitePowerPlan, action: GuestAction, index: number): Step[] {
  const { guest, vmid, server, waitSeconds } = action;
  const isLast = !plan.actions.slice(index + 1).some(({ kind }) => kind === "guest");
  const of = operator.manifest.guests[guest]!;
  const starting: Step = {
    id: `start-${guest}`,
    guest,
    title: `start ${guest} (${vmid}) on ${server}`,
    seconds: 10,
    optional: true,
    isDone: async () => (await runs(operator, at(action))) === true,
    run: () => startPatiently(operator, action),
  };
  if (isLast || waitSeconds === 0) return [starting];
  const waiting: Step = {
    id: `wait-${guest}`,
    guest,
    title: `wait until ${guest} answers, and ${waitSeconds} s more`,
    seconds: of.boot.seconds + waitSeconds,
    optional: true,
    async run(note) {
      note(await waitForAnswer(operator, of, at(action)));
      await operator.clock.sleep(waitSeconds);
    },
  };
  return [starting, waiting];
}

/** Voters and quorum come up one after another, and the boot unit of the server may be at the very same guest. */
async function startPatiently(operator: Operator, action: GuestAction): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(operator, at(action));
    } catch (error) {
      if (!(error instanceof PveError)) throw error;
      if ((await runs(operator, at(action)).catch(() => false)) === true) return;
      if (attempt >= START_ATTEMPTS) throw error;
      await operator.clock.sleep(ATTEMPT_SECONDS);
    }
  }
}

const START_ATTEMPTS = 10;
const ATTEMPT_SECONDS = 15;

function serverOff(operator: Operator, server: string): Step {
  const { manifest, ssh } = operator;
  const hypervisor = manifest.servers[server]?.roles.includes("hypervisor");
  const pve = operator.pveAt(server);
  return {
    id: `off-${server}`,
    title: `switch ${server} off`,
    seconds: 120,
    async run() {
      if (hypervisor && pve !== undefined) {
        // It may be gone before it has answered.
        await pve
          .post(`/nodes/${server}/status`, { command: "shutdown" }, { server, doing: "switch off" })
          .catch((error: unknown) => {
            if (!(error instanceof PveError && error.isServerDown)) throw error;
          });
        return;
      }
      const answer = await ssh.run(server, ["shutdown", "-h", "now"], { timeoutSeconds: 20 });
      // 255 and signals: the connection went with the server.
      if (answer.code !== 0 && answer.code < 128)
        throw new Error(`${server} does not go down: ${(answer.stderr || answer.stdout).trim()}`);
    },
  };
}

const BOOT_POLL_SECONDS = 10;
const BOOT_SECONDS = 1800;

function serverOn(operator: Operator, server: string): Step {
  const { manifest, clock } = operator;
  const { power, roles } = manifest.servers[server]!;
  const hypervisor = roles.includes("hypervisor");
  const isUp = () => (hypervisor ? apiAnswers(operator, server) : sshAnswers(operator, server));
  return {
    id: `on-${server}`,
    title: `switch ${server} on, and wait until it answers`,
    seconds: 300,
    isDone: isUp,
    async run(note) {
      if (power !== undefined && canSwitchOn(power)) await powerOf(server, power, operator.secret).on();
      else note(`press the button of ${server}`);
      for (let waited = 0; !(await isUp()); waited += BOOT_POLL_SECONDS) {
        if (waited >= BOOT_SECONDS)
          throw new Error(`${server} does not answer ${BOOT_SECONDS / 60} minutes after it was switched on`);
        await clock.sleep(BOOT_POLL_SECONDS);
      }
    },
  };
}

/** Its quorum may have to wait for the next one, so that is not asked here. */
async function apiAnswers(operator: Operator, server: string): Promise<boolean> {
  try {
    await operator.pveAt(server)!.get("/version");
    return true;
  } catch (error) {
    if (error instanceof PveError) return false;
    throw error;
  }
}

async function sshAnswers({ ssh }: Operator, server: string): Promise<boolean> {
  return ssh.run(server, ["true"], { timeoutSeconds: 5 }).then(
    ({ code }) => code === 0,
    () => false,
  );
}
