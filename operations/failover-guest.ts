/** The steps by which one guest changes sides: what its method needs, its networks, its commands, its start. */
import type { ManifestGuest } from "../planning/manifest";
import type { PveClient } from "../providers/pve/client";
import { PveError } from "../providers/pve/errors";
import type { ClusterRow, GuestRow } from "../providers/pve/types";
import { waitForAnswer } from "./answers";
import { lost } from "./claims";
import { runCommands } from "./commands";
import { NODE_PROGRAM, type Operator } from "./context";
import { lastSyncStep, zfsSteps } from "./failover-zfs";
import { configOf, runs, setTag, shutDown, start } from "./guest-power";
import type { Operation } from "./journal";
import { nodeAnswer } from "./live-servers";
import { ACTIVE_TAG } from "./live-types";
import { mapNetworks } from "./network-change";
import type { FailoverPlan, GuestMove } from "./plan-failover";
import { restorePoint, restoreTakenAlong } from "./restore-point";
import type { Step } from "./steps";
import { claimText, encodeBy, readVoters, recordsOf } from "./voters";

/** Where a guest runs after its move. */
export function destination(move: GuestMove) {
  return { guest: move.guest, kind: move.kind, server: move.to, vmid: move.toId };
}

function origin(move: GuestMove) {
  return { guest: move.guest, kind: move.kind, server: move.from, vmid: move.fromId };
}

const place = (operator: Operator, plan: FailoverPlan, move: GuestMove, side: "from" | "to", group?: string) => ({
  guest: operator.manifest.guests[move.guest]!,
  from: move.from,
  to: move.to,
  vmid: side === "from" ? move.fromId : move.toId,
  server: side === "from" ? move.from : move.to,
  ...(group !== undefined && { group }),
  ...(!plan.planned && { lost: plan.server }),
});

/** Shuts the guest down where it is. Only for planned switches. */
export function stopSteps(operator: Operator, plan: FailoverPlan, move: GuestMove): Step[] {
  // While its server may still run it: afterwards nothing of it is sent from there any more.
  const last = move.method === "zfs-sync" ? [lastSyncStep(operator, move)] : [];
  return [...shutDownSteps(operator, plan, move), ...last];
}

function shutDownSteps(operator: Operator, plan: FailoverPlan, move: GuestMove): Step[] {
  if (move.startAfter === false) return [];
  const guest = operator.manifest.guests[move.guest]!;
  const { first, last } = groupEnds(plan, move);
  const commands = (when: "before-stop" | "after-stop") => [
    ...commandStep(operator, plan, guest, move, when),
    // Stopped in the reverse order: the group's last guest is the first to go.
    ...((when === "before-stop" ? last : first) ? groupCommandStep(operator, plan, move, when) : []),
  ];
  return [
    ...commands("before-stop").reverse(),
    {
      id: `stop-${move.guest}`,
      guest: move.guest,
      title: `shut down ${move.guest} (${move.fromId}) on ${move.from}`,
      isDone: async () => (await runs(operator, origin(move))) !== true,
      run: () => shutDown(operator, origin(move)),
    },
    ...commands("after-stop"),
  ];
}

/** Everything from the settled fencing to the started guest. */
export function moveSteps(operator: Operator, operation: Operation, plan: FailoverPlan, move: GuestMove): Step[] {
  const guest = operator.manifest.guests[move.guest]!;
  const { first, last } = groupEnds(plan, move);
  const bring = [
    ...bringSteps(operator, plan, guest, move),
    ...(move.networks ? [networkStep(operator, guest, move)] : []),
  ];
  if (move.startAfter === false) return bring;
  return [
    ...bring,
    ...(move.freshGeneration ? [generationStep(operator, move)] : []),
    ...(first ? groupCommandStep(operator, plan, move, "before-start") : []),
    ...commandStep(operator, plan, guest, move, "before-start"),
    startStep(operator, operation, plan, guest, move),
    ...commandStep(operator, plan, guest, move, "after-start"),
    ...waitStep(operator, plan, guest, move),
    ...(last ? groupCommandStep(operator, plan, move, "after-start") : []),
  ];
}

/** Brings configuration and data to the other server, as the guest's method has it. */
function bringSteps(operator: Operator, plan: FailoverPlan, guest: ManifestGuest, move: GuestMove): Step[] {
  if (move.method === "zfs-sync") return [...zfsSteps(operator, plan, guest, move), tagStep(operator, move)];
  if (move.method === "restore") return restoreSteps(operator, plan, guest, move);
  if (plan.planned) return [migrateStep(operator, move)];
  const disable: Step[] = move.job === undefined ? [] : [disableStep(operator, move, move.job)];
  return [...disable, takeStep(operator, move), ...unlockStep(operator, move)];
}

/** A run of the job after the move would erase the old side: it stays off until somebody has decided about that. */
function disableStep(operator: Operator, move: GuestMove, job: string): Step {
  return {
    id: `job-${move.guest}`,
    guest: move.guest,
    title: `disable replication ${job} of ${move.guest}`,
    seconds: 2,
    async run(note) {
      const pve = operator.pveAt(move.to) ?? operator.pve;
      const about = { guest: move.guest, doing: `disable replication ${job} of` };
      const until = operator.clock.now().getTime() + LOCK_SECONDS * 1000;
      for (;;) {
        try {
          await pve.put(`/cluster/replication/${job}`, { disable: true }, about);
          return;
        } catch (error) {
          if (error instanceof PveError && error.isMissing) return note(`there is no replication ${job} any more`);
          const held = error instanceof PveError && error.isLocked;
          if (!held || operator.clock.now().getTime() >= until) throw error;
          note(`${move.from} held the lock of the replication jobs when it died: it lapses within two minutes`);
          await operator.clock.sleep(5);
        }
      }
    },
  };
}

/** A lock of the cluster's file system that a dead server held lapses after 120 s. */
const LOCK_SECONDS = 150;

function takeStep(operator: Operator, move: GuestMove): Step {
  return {
    id: `take-${move.guest}`,
    guest: move.guest,
    title: `take over the configuration of ${move.guest} (${move.toId}) from ${move.from} on ${move.to}`,
    seconds: 1,
    async run() {
      await refuseRunningThere(operator, move);
      await takeConfig(operator, move.to, move.toId, move.from);
    },
  };
}

/** The old server may be back by now, and somebody may have moved the guest there by hand. */
async function refuseRunningThere(operator: Operator, move: GuestMove): Promise<void> {
  const pve = operator.pveAt(move.to) ?? operator.pve;
  const servers = await pve.get<ClusterRow[]>("/cluster/status");
  const isBack = servers.some((row) => row.type === "node" && row.name === move.from && Number(row.online) === 1);
  if (!isBack || !(await isRunningThere(operator, pve, move))) return;
  throw new Error(
    `${move.guest} (${move.fromId}) runs on ${move.from}, which is back: it was started or moved there meanwhile. Nothing was taken over. Look at \`coldspare status\``,
  );
}

/** The cluster's list says it some seconds late; where the server cannot be asked itself, it has to do. */
async function isRunningThere(operator: Operator, pve: PveClient, move: GuestMove): Promise<boolean> {
  try {
    return (await runs(operator, origin(move))) === true;
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    const rows = await pve.get<GuestRow[]>("/cluster/resources", { type: "vm" });
    return rows.some(
      ({ vmid, node, status }) => Number(vmid) === move.fromId && node === move.from && status === "running",
    );
  }
}

/** Moves a guest's configuration file below /etc/pve; nothing happens when it is there already. */
export async function takeConfig({ ssh }: Operator, server: string, vmid: number, from: string): Promise<void> {
  const answer = await ssh.run(server, [NODE_PROGRAM, "take-config", String(vmid), from]);
  if (answer.code === 0) return;
  const said = (answer.stderr || answer.stdout).trim().split("\n").at(-1);
  throw new Error(`${server} did not take over the configuration of ${vmid} from ${from}: ${said}`);
}

/** Locks that say what the dead server was doing, and that nothing is lost by taking them off. */
const LEFT_LOCKS = ["backup", "snapshot", "snapshot-delete", "migrate"];

function unlockStep(operator: Operator, move: GuestMove): Step[] {
  const at = destination(move);
  const program = move.kind === "qemu" ? "qm" : "pct";
  return [
    {
      id: `unlock-${move.guest}`,
      guest: move.guest,
      title: `take off what ${move.from} left locked of ${move.guest}`,
      seconds: 1,
      isDone: async () => (await configOf(operator, at))?.lock === undefined,
      async run(note) {
        const lock = (await configOf(operator, at))?.lock;
        if (lock === undefined) return;
        if (!LEFT_LOCKS.includes(lock))
          throw new Error(
            `${move.guest} is locked (${lock}). Look what ${move.from} was doing, then \`${program} unlock ${move.toId}\` on ${move.to} and run the same command again`,
          );
        const answer = await operator.ssh.run(move.to, [program, "unlock", String(move.toId)]);
        if (answer.code !== 0) throw new Error(`\`${program} unlock ${move.toId}\`: ${answer.stderr.trim()}`);
        note(`was locked (${lock})`);
      },
    },
  ];
}

/** Stopped guests are migrated with a last run of their replication, and the job is turned round by Proxmox VE itself. */
function migrateStep(operator: Operator, move: GuestMove): Step {
  return {
    id: `migrate-${move.guest}`,
    guest: move.guest,
    title: `move ${move.guest} (${move.toId}) with its last changes from ${move.from} to ${move.to}`,
    isDone: async () => (await configOf(operator, destination(move))) !== undefined,
    async run() {
      const pve = operator.pveAt(move.from) ?? operator.pve;
      const about = { guest: move.guest, doing: `move guest ${move.toId} '${move.guest}' to ${move.to}` };
      await pve.task(
        move.from,
        "POST",
        `/nodes/${move.from}/${move.kind}/${move.fromId}/migrate`,
        { target: move.to },
        about,
      );
    },
  };
}

function restoreSteps(operator: Operator, plan: FailoverPlan, guest: ManifestGuest, move: GuestMove): Step[] {
  if (move.to === guest.primary) return [];
  if (plan.planned) return [takenAlongStep(operator, guest, move), tagStep(operator, move)];
  const { point } = move;
  if (point.kind !== "backup") return [tagStep(operator, move)];
  return [
    {
      id: `restore-${move.guest}`,
      guest: move.guest,
      title: `restore ${point.volid} (${point.at}) into ${point.into} on ${move.to}`,
      isDone: async () => (await runs(operator, destination(move))) === true,
      run: (note) => restorePoint(operator, guest, point, note),
    },
    tagStep(operator, move),
  ];
}

function takenAlongStep(operator: Operator, guest: ManifestGuest, move: GuestMove): Step {
  return {
    id: `restore-${move.guest}`,
    guest: move.guest,
    title: `back up ${move.guest} (${move.fromId}) a last time and restore it into ${move.toId} on ${move.to}`,
    // Once it runs there, a restore would throw away what was written since.
    isDone: async () => (await runs(operator, destination(move))) === true,
    run: (note) => restoreTakenAlong(operator, guest, move.toId, note),
  };
}

function tagStep(operator: Operator, move: GuestMove): Step {
  return {
    id: `tag-${move.guest}`,
    guest: move.guest,
    title: `mark ${move.toId} on ${move.to} as the active side of ${move.guest}`,
    optional: true,
    run: () => setTag(operator, destination(move), ACTIVE_TAG, true),
  };
}

/** By it a domain controller of Windows knows that it was taken back in time, and asks the others. */
function generationStep(operator: Operator, move: GuestMove): Step {
  return {
    id: `generation-${move.guest}`,
    guest: move.guest,
    title: `give ${move.guest} (${move.toId}) a fresh VM generation id`,
    seconds: 1,
    isDone: async () => (await runs(operator, destination(move))) === true,
    async run() {
      const pve = operator.pveAt(move.to) ?? operator.pve;
      const about = { guest: move.guest, doing: `set the generation id of guest ${move.toId}` };
      // 1: Proxmox VE makes up a new one.
      await pve.put(`/nodes/${move.to}/qemu/${move.toId}/config`, { vmgenid: "1" }, about);
    },
  };
}

function networkStep(operator: Operator, guest: ManifestGuest, move: GuestMove): Step {
  return {
    id: `network-${move.guest}`,
    guest: move.guest,
    title: `fit the networks of ${move.guest} to ${move.to}`,
    seconds: 2,
    isDone: async () => (await runs(operator, destination(move))) === true,
    async run(note) {
      const keys = await mapNetworks(operator, guest, { server: move.to, vmid: move.toId });
      note(keys.length === 0 ? "they fit already" : `changed ${keys.join(", ")}`);
    },
  };
}

function startStep(
  operator: Operator,
  operation: Operation,
  plan: FailoverPlan,
  guest: ManifestGuest,
  move: GuestMove,
): Step {
  return {
    id: `start-${move.guest}`,
    guest: move.guest,
    title: `start ${move.guest} (${move.toId}) on ${move.to}`,
    seconds: 5,
    isDone: async () => (await runs(operator, destination(move))) === true,
    async run() {
      // Of two voters one is dead: what a person confirmed stands for its vote, for this one start.
      if (guest.voters.length === 2 && !plan.planned) await allowStart(operator, operation, plan, guest, move);
      await start(operator, destination(move));
    },
  };
}

/** The permit is given only on top of this operation's own claim, by a server that has not been restarted since it was planned. */
async function allowStart(
  operator: Operator,
  operation: Operation,
  plan: FailoverPlan,
  guest: ManifestGuest,
  move: GuestMove,
): Promise<void> {
  const { ssh } = operator;
  const booted = nodeAnswer((await ssh.run(move.to, [NODE_PROGRAM, "serve", "ping"])).stdout, [])?.boot;
  const known = plan.boots?.[move.to];
  if (known !== undefined && booted !== known)
    throw new Error(
      `${move.to} was restarted after the other side was fenced: somebody may have switched the other way meanwhile. Look at \`coldspare status\`, make sure that ${plan.server} is off, then run the same command again`,
    );
  const record = recordsOf(guest, await readVoters(operator, [guest])).find(({ voter }) => voter === move.to)?.record;
  const own =
    record?.server === move.to && (record.by === claimText(operation) || record.by.startsWith(`allow@${move.to}`));
  if (record === undefined || !own) throw lost(guest.name, record?.by ?? "");
  // Looked at once more under the lock: the other side may have come back and been given it in this moment.
  const expected = ["--expect", String(record.epoch), encodeBy(record.by)];
  const because = `failover of ${plan.server} by ${operator.by}: fenced by ${plan.fencing.method}`;
  const answer = await ssh.run(move.to, [NODE_PROGRAM, "allow", move.guest, "--because", because, ...expected]);
  if (answer.code !== 0)
    throw new Error(`${move.to} does not allow the start of ${move.guest}: ${(answer.stderr || answer.stdout).trim()}`);
}

function commandStep(
  operator: Operator,
  plan: FailoverPlan,
  guest: ManifestGuest,
  move: GuestMove,
  when: "before-stop" | "after-stop" | "before-start" | "after-start",
): Step[] {
  const commands = guest.commands.filter((command) => command.when === when);
  if (commands.length === 0) return [];
  const side = when === "before-stop" || when === "after-stop" ? "from" : "to";
  return [
    {
      id: `${when}-${move.guest}`,
      guest: move.guest,
      title: `${when.replace("-", " the ")} of ${move.guest}: ${commands.map(({ run }) => run.join(" ")).join("; ")}`,
      run: (note) => runCommands(operator, commands, when, place(operator, plan, move, side), note),
    },
  ];
}

function groupCommandStep(
  operator: Operator,
  plan: FailoverPlan,
  move: GuestMove,
  when: "before-stop" | "after-stop" | "before-start" | "after-start",
): Step[] {
  const group = move.group;
  const commands = (group === undefined ? [] : (operator.manifest.groups[group]?.commands ?? [])).filter(
    (command) => command.when === when,
  );
  if (group === undefined || commands.length === 0) return [];
  const side = when === "before-stop" || when === "after-stop" ? "from" : "to";
  return [
    {
      id: `${when}-group-${group}`,
      title: `${when.replace("-", " the ")} of group ${group}: ${commands.map(({ run }) => run.join(" ")).join("; ")}`,
      run: (note) => runCommands(operator, commands, when, place(operator, plan, move, side, group), note),
    },
  ];
}

/** Whether a guest is the first or the last of its group among those that move. */
function groupEnds({ moves }: FailoverPlan, { group, guest }: GuestMove): { first: boolean; last: boolean } {
  if (group === undefined) return { first: false, last: false };
  const members = moves.filter((each) => each.group === group && each.startAfter !== false);
  return { first: members[0]?.guest === guest, last: members.at(-1)?.guest === guest };
}

function waitStep(operator: Operator, plan: FailoverPlan, guest: ManifestGuest, move: GuestMove): Step[] {
  // Nobody is waiting behind the last one.
  if (plan.moves.at(-1) === move || (move.waitSeconds === 0 && !move.untilUp)) return [];
  const wait = move.waitSeconds > 0 ? `wait ${move.waitSeconds} s` : "";
  const answer = move.untilUp ? `wait until ${move.guest} answers` : "";
  return [
    {
      id: `wait-${move.guest}`,
      guest: move.guest,
      title: [answer, wait].filter((text) => text !== "").join(", then "),
      seconds: move.waitSeconds + (move.untilUp ? move.bootSeconds : 0),
      async run(note) {
        if (move.untilUp) note(await waitForAnswer(operator, guest, destination(move)));
        await operator.clock.sleep(move.waitSeconds);
      },
    },
  ];
}
