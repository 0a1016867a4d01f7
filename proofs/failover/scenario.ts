/** What scenarios share: the site's figures, the faults, and what must hold after every one of them. */
import type { Fencing } from "../../planning";
import type { EngineRun } from "../../tests/engine/engine";
import type { Check } from "../check";
import { BEFORE } from "./site";
import { type CommandRun, pause, type World } from "./world";

export interface Scenario {
  name: string;
  /** Ways of fencing that it is run with. */
  fencing: Fencing[];
  /** Ways of fencing that the quick cut runs it with. */
  quick?: Fencing[];
  run(world: World, check: Check): Promise<void>;
}

/** The guests of srv2, which the proof kills, with their ids there. */
export const GUESTS_OF_SRV2 = [
  { name: "sql-erp", home: 113, method: "storage-replication" },
  { name: "remote-app", home: 112, method: "restore" },
  { name: "docker-1", home: 114, method: "storage-replication" },
] as const;

const STANDBY_IDS = [9112, 9212] as const;

/** Written after it: what may be lost. */
export const AFTER = "written after the last refresh";

/** Every guest of the site runs at home. */
export const AT_HOME = ["dc-1 on srv1", "docker-1 on srv2", "files-1 on srv1", "remote-app on srv2", "sql-erp on srv2"];
/** Every guest of the site runs on srv1. */
export const ALL_ON_SRV1 = [
  "dc-1 on srv1",
  "docker-1 on srv1",
  "files-1 on srv1",
  "remote-app-spare on srv1",
  "sql-erp on srv1",
];

/** Waits until the watcher sees exactly this. */
export async function runs(world: World, wanted: readonly string[], seconds = 30): Promise<boolean> {
  const goal = JSON.stringify([...wanted].sort());
  for (let left = seconds * 10; left > 0; left--) {
    if (JSON.stringify(world.running()) === goal) return true;
    await pause(0.1);
  }
  return false;
}

/** New data in every guest of srv2 that no spare has. */
export async function writeAfter(world: World): Promise<void> {
  for (const { home } of GUESTS_OF_SRV2) await world.ask(home, "POST", "/write", AFTER);
}

/** The failover of srv2, with the words that its way of fencing asks for. */
export async function failover(
  world: World,
  args: string[] = [],
  env: Record<string, string> = {},
): Promise<CommandRun> {
  const words = world.fencing === "confirm" ? ["--confirm-off", "srv2"] : [];
  if (world.fencing === "confirm" && world.countFrom === 0) world.countFrom = world.now();
  // Whether the guests answer is asked by the scenario itself, from outside.
  return world.cold(["failover", "srv2", "--yes", "--no-wait", ...words, ...args], env);
}

/** Everything of srv2 is up on srv1, with the data of the last refresh. */
export async function arrived(world: World, check: Check, run: CommandRun): Promise<void> {
  check.that("failover ends well", run.code === 0, tail(run));
  check.that("every guest runs, each once, on srv1", await runs(world, ALL_ON_SRV1), world.running().join(", "));
  for (const { name } of GUESTS_OF_SRV2) {
    const data = (await answered(world, await idOnSpare(world, name))) ?? "";
    check.that(`${name} answers with the data of its last refresh`, data.includes(BEFORE), data.slice(0, 200));
  }
}

/** Id under which a guest of srv2 runs on srv1: of two standbys the one that was the newest. */
export async function idOnSpare(world: World, name: string): Promise<number> {
  const { home, method } = GUESTS_OF_SRV2.find((guest) => guest.name === name)!;
  if (method !== "restore") return home;
  for (const id of STANDBY_IDS) {
    const path = `/nodes/srv1/qemu/${id}/status/current`;
    const { status } = await world.pve.get<{ status: string }>(path).catch(() => ({ status: "missing" }));
    if (status === "running") return id;
  }
  return STANDBY_IDS[0];
}

/** What the guest has on its disk, once it answers. */
export async function answered(world: World, vmid: number, seconds = 30): Promise<string | undefined> {
  try {
    await world.answers(vmid, seconds);
  } catch {
    return undefined;
  }
  return world.ask(vmid, "GET", "/data");
}

/** `coldspare up` while srv2 is dead: nothing is deleted or replaced, and the hypervisor sees no DELETE. */
export async function upWhileDead(world: World, check: Check): Promise<void> {
  await world.control("POST", "/calls/reset");
  const run = await world.cold(["up", "--yes"]);
  check.that("coldspare up ends well while srv2 is dead", run.code === 0, tail(run));
  await noDelete(world, check, "while srv2 is dead");
}

/** Plain `pulumi up --refresh` after the return: nothing is deleted or replaced, and the hypervisor sees no DELETE. */
export async function upAfterReturn(world: World, check: Check): Promise<void> {
  await world.control("POST", "/calls/reset");
  const run = await world.stack.up("--refresh");
  check.that("pulumi up --refresh ends well after the return", run.code === 0, run.log.slice(-600));
  check.equal("it deletes and replaces nothing", destructive(run), []);
  await noDelete(world, check, "after the return");
}

export function destructive(run: EngineRun): string[] {
  return run.steps.filter((step) => /^(delete|replace|create-replacement|delete-replaced|discard)/.test(step));
}

async function noDelete(world: World, check: Check, when: string): Promise<void> {
  const { calls } = await world.control<{ calls: Record<string, number> }>("GET", "/calls");
  const deletes = Object.keys(calls).filter((call) => call.startsWith("DELETE"));
  check.equal(`no DELETE reaches a hypervisor ${when}`, deletes, []);
}

/** srv2 returns: its old primaries stay off, and their volumes are there with what was written last. */
export async function returns(world: World, check: Check): Promise<void> {
  await world.revive("srv2");
  await world.nodeReady("srv2");
  await pause(3);
  check.that(
    "after its return srv2 starts nothing of what moved away",
    await runs(world, ALL_ON_SRV1, 10),
    world.running().join(", "),
  );
  await keptDiverged(world, check);
}

/** The bytes on srv2's own volumes, read from the disk, not asked of anybody. */
export async function keptDiverged(world: World, check: Check): Promise<void> {
  for (const { name, home, method } of GUESTS_OF_SRV2) {
    const data = world.volumeBytes("srv2", home);
    check.that(
      `the diverged volume of ${name} is kept on srv2 (${method})`,
      data.includes(AFTER),
      data.slice(0, 200) || "no such volume",
    );
  }
}

/** What must hold at the end of every scenario. */
export async function aftermath(world: World, check: Check): Promise<void> {
  const journal = await world.cold(["journal", "--json"]);
  check.that("the journal can be read", journal.code === 0 && isJson(journal.stdout), tail(journal));
  const overlapping = (await world.overlaps()).map(
    ({ guest, first, second, milliseconds }) =>
      `${guest} on ${first.node} (process ${first.pid}) and ${second.node} (process ${second.pid}) for ${milliseconds} ms`,
  );
  const since = world.countFrom > 0 ? " after the confirmation" : "";
  check.equal(`no guest had two sides alive at any moment${since}`, overlapping, []);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The end of what a command printed. */
export function tail(run: CommandRun): string {
  return `exit code ${run.code}: ${run.text.trim().slice(-900)}`;
}
