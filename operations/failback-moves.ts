/** The single moves of which failback and commit consist. Each looks first, and does nothing twice. */
import type { ManifestGuest } from "../planning/manifest";
import { PveError } from "../providers/pve/errors";
import type { GuestConfig, StorageVolume } from "../providers/pve/types";
import type { Operator } from "./context";
import type { ReturnGuest, ReturnPlan } from "./failback-plan";
import { isStorageVolumeOf } from "./failback-volumes";
import type { Operation } from "./journal";
import type { Step } from "./steps";
import { agreed, askRelease, claimAt, claimText, majorityOf, readVoters } from "./voters";

/** What the steps of one operation share. */
export interface Return {
  operator: Operator;
  operation: Operation;
  plan: ReturnPlan;
  /** What earlier steps found out and a later one needs, also after a resumption. */
  memory: Memory;
}

/** Facts by guest and name, kept in the journal. */
export class Memory {
  readonly #facts = new Map<string, unknown>();

  /** @param lines The journal of the operation so far. */
  constructor(lines: readonly { event: string; guest?: string; data?: unknown }[] = []) {
    for (const { event, guest, data } of lines) {
      if (event !== "note" || guest === undefined || typeof data !== "object" || data === null) continue;
      for (const [key, value] of Object.entries(data)) this.#facts.set(`${guest}/${key}`, value);
    }
  }

  get<T>(guest: string, key: string): T | undefined {
    return this.#facts.get(`${guest}/${key}`) as T | undefined;
  }

  /** Durable before it returns. */
  async keep({ operator, operation }: Return, guest: string, key: string, value: unknown, text: string): Promise<void> {
    await operator.journal.write(operation, { event: "note", guest, text, data: { [key]: value } });
    this.#facts.set(`${guest}/${key}`, value);
  }
}

export const pathOf = ({ kind }: Pick<ReturnGuest, "kind">, server: string, vmid: number): string =>
  `/nodes/${server}/${kind}/${vmid}`;

export const about = (doing: string, { guest }: ReturnGuest, vmid: number) => ({
  doing: `${doing} guest ${vmid} '${guest}'`,
  guest,
});

/** `absent`: no configuration of that id is on that server. */
export async function stateAt(
  { pve }: Operator,
  each: ReturnGuest,
  server: string,
  vmid: number,
): Promise<"running" | "stopped" | "absent"> {
  try {
    const path = `${pathOf(each, server, vmid)}/status/current`;
    const { status } = await pve.get<{ status: string }>(path, {}, about("look at", each, vmid));
    return status === "stopped" ? "stopped" : "running";
  } catch (error) {
    if (error instanceof PveError && error.isMissing) return "absent";
    throw error;
  }
}

export const configAt = ({ pve }: Operator, each: ReturnGuest, server: string, vmid: number): Promise<GuestConfig> =>
  pve.get<GuestConfig>(`${pathOf(each, server, vmid)}/config`, {}, about("read", each, vmid));

/** Seconds between two looks at something that takes long. */
const POLL_SECONDS = 5;

/** Waits until a guest is not locked any more: a task that an earlier run began goes on without us. */
export async function untilUnlocked(
  operator: Operator,
  each: ReturnGuest,
  server: string,
  vmid: number,
): Promise<void> {
  const patience = 24 * 3600;
  for (let waited = 0; ; waited += POLL_SECONDS) {
    const { lock } = await configAt(operator, each, server, vmid);
    if (lock === undefined) return;
    if (waited >= patience || !(await taskRuns(operator, server, vmid))) {
      const program = each.kind === "qemu" ? "qm" : "pct";
      throw new Error(
        `${vmid} on ${server} is locked (${lock}), and no task is at it: look at the task's log, then \`${program} unlock ${vmid}\` there, and run this again`,
      );
    }
    await operator.clock.sleep(POLL_SECONDS);
  }
}

async function taskRuns({ pve }: Operator, server: string, vmid: number): Promise<boolean> {
  const tasks = await pve.get<{ endtime?: number; status?: string }[]>(`/nodes/${server}/tasks`, {
    vmid,
    source: "active",
  });
  return tasks.some(({ endtime, status }) => endtime === undefined && (status === undefined || status === "RUNNING"));
}

/** Shows a task's newest line, without filling the journal with it. */
export function progressOf({ clock, say }: Operator, each: ReturnGuest, step: string): (line: string) => void {
  return (text) => say({ at: clock.now().toISOString(), guest: each.guest, step, text, state: "note" });
}

/** Ends the guest where it is active. A hard stop is a decision of the person: it loses what the guest had not written yet. */
export function stopStep({ operator, plan }: Return, each: ReturnGuest): Step {
  const { guest, away, activeId } = each;
  return {
    id: `stop-${guest}`,
    guest,
    title: `shut ${guest} (${activeId}) down on ${away}`,
    seconds: 60,
    isDone: async () => (await stateAt(operator, each, away, activeId)) !== "running",
    async run() {
      const { stopSeconds, forceStop } = plan;
      const form = { timeout: stopSeconds, forceStop };
      try {
        await operator.pve.task(
          away,
          "POST",
          `${pathOf(each, away, activeId)}/status/shutdown`,
          form,
          about("shut down", each, activeId),
        );
      } catch (error) {
        if ((await stateAt(operator, each, away, activeId)) !== "running") return;
        if (forceStop) throw error;
        throw new Error(
          `${guest} did not shut down within ${stopSeconds} s, and is left running. Shut it down from inside, or run this again with --force-stop, which switches it off hard. (${(error as Error).message})`,
        );
      }
    },
  };
}

/** The server that may run the guest gives it up; then the other voters are told. Nothing of it may run there any more. */
export function handOverStep({ operator, operation }: Return, each: ReturnGuest, from: string, to: string): Step {
  const { guest } = each;
  const of = operator.manifest.guests[guest]!;
  return {
    id: `claim-${guest}`,
    guest,
    title: `from now on only ${to} may run ${guest}`,
    seconds: 2,
    isDone: async () => agreed(of, await readVoters(operator, [of]))?.server === to,
    run: () => handOver(operator, of, from, to, claimText(operation)),
  };
}

/**
 * Consent instead of fencing: `from` answers, sees that nothing of the guest runs there, and accepts that it is `to`'s.
 *
 * @param text Under which the claim is known; see `claimText`.
 * @throws Error when it does not consent, or when too few voters could be told
 */
export async function handOver(
  operator: Operator,
  guest: ManifestGuest,
  from: string,
  to: string,
  text: string,
): Promise<void> {
  const before = (await readVoters(operator, [guest]))[from];
  if (!before?.reachable)
    throw new Error(`${from} cannot be asked to give ${guest.name} up: ${before?.reason ?? "it is no voter"}`);
  const held = before.guests[guest.name];
  let claim = { epoch: held?.epoch ?? 0, server: to };
  let by = held?.by ?? "";
  // An earlier run came as far as the consent: the others are told the very same.
  if (held?.server !== to) {
    by = text;
    claim = { epoch: (held?.epoch ?? 0) + 1, server: to };
    const answer = await askRelease(operator, from, to, { [guest.name]: held?.epoch ?? 0 }, by);
    const record = answer.reachable ? answer.guests[guest.name] : undefined;
    if (record?.verdict !== "ok") {
      const reason = answer.reachable ? (record?.reason ?? "it gives no reason") : answer.reason;
      throw new Error(`${from} does not give ${guest.name} up: ${reason}`);
    }
  }
  const { held: holders } = await claimAt(operator, [guest], { [guest.name]: claim }, by, { except: [from] });
  const told = new Set([from, ...(holders[guest.name] ?? [])]);
  if (told.size < majorityOf(guest.voters)) {
    throw new Error(
      `${from} gave ${guest.name} up, but only ${[...told].join(", ")} of ${guest.voters.join(", ")} could be told: bring one more of them back, and run this again`,
    );
  }
}

export function startStep({ operator }: Return, each: ReturnGuest, server: string, vmid: number): Step {
  const { guest } = each;
  const seconds = operator.manifest.guests[guest]?.boot.seconds ?? 60;
  return {
    id: `start-${guest}`,
    guest,
    title: `start ${guest} (${vmid}) on ${server}`,
    seconds,
    isDone: async () => (await stateAt(operator, each, server, vmid)) === "running",
    async run() {
      const path = `${pathOf(each, server, vmid)}/status/start`;
      await operator.pve.task(server, "POST", path, {}, about("start", each, vmid));
    },
  };
}

/** Volumes of a guest's backups, as a server sees them. */
export async function backupsOf(
  operator: Operator,
  each: ReturnGuest,
  server: string,
  vmid: number,
): Promise<StorageVolume[]> {
  const path = `/nodes/${server}/storage/${each.backupStorage}/content`;
  const volumes = await operator.pve.get<StorageVolume[]>(
    path,
    { content: "backup", vmid },
    about("list the backups of", each, vmid),
  );
  return volumes.filter((volume) => isStorageVolumeOf(volume, each.kind, vmid));
}
