/**
 * Drills: the replica is started in isolation, probed, and thrown away. What runs is a full copy, so neither the replica nor
 * the active side is ever touched; the only thing that waits is the replication of a guest while its volumes are copied.
 */
import type { Operator } from "./context";
import { makeCopy, removeCopy, removeLeftovers } from "./drill-copy";
import { guestOf, resumePaused } from "./drill-pause";
import type { DrillCopy, DrillPlan, DrillUnit } from "./drill-plan";
import { type ProbeResult, probeAll, seconds } from "./drill-probe";
import { DRILL_FOLDER, must } from "./drill-server";

/** The drill of one guest, as it is kept on the servers and shown by `coldspare status`. */
export interface DrillResult {
  formatVersion: 1;
  guest: string;
  unit: string;
  /** Server that stood by. */
  server: string;
  method: string;
  /** ISO time at which the copy was started; the beginning of the drill when it never was. */
  at: string;
  ok: boolean;
  /** The moment whose data was started. */
  recoveryPoint?: string;
  recoveryPointAgeSeconds?: number;
  /** From power-on until every probe was answered. */
  answersAfterSeconds?: number;
  /** The plan's recovery time, with the measured time of the boot in place of the planned one. */
  recoveryTimeSeconds?: number;
  recoveryTimePromisedSeconds?: number;
  probes: ProbeResult[];
  reason?: string;
}

export interface DrillOptions {
  /** Leave the copies and their network for a person to look at. Default: false. */
  keep?: boolean;
  /** Asked between two steps; true ends the drill, after its copies were removed. */
  stopped?: () => boolean;
}

/** Walks through the units one after another. Never throws for a guest that fails: that is a result. */
export async function runDrill(
  operator: Operator,
  plan: DrillPlan,
  options: DrillOptions = {},
): Promise<DrillResult[]> {
  const results: DrillResult[] = [];
  for (const unit of plan.units) {
    if (options.stopped?.()) break;
    const ofUnit = await drillUnit(operator, unit, options);
    for (const result of ofUnit) await keepResult(operator, result);
    results.push(...ofUnit);
  }
  return results;
}

async function drillUnit(operator: Operator, unit: DrillUnit, options: DrillOptions): Promise<DrillResult[]> {
  const results: DrillResult[] = [];
  const began = operator.clock.now().toISOString();
  const failed = (copy: DrillCopy, error: unknown): DrillResult => ({
    ...resultOf(operator, unit, copy, began, []),
    ok: false,
    reason: error instanceof Error ? error.message : String(error),
  });
  const made: DrillCopy[] = [];
  const paused = new Set<string>();
  try {
    await removeLeftovers(operator, unit);
    await networkUp(operator, unit);
    for (const copy of unit.copies) {
      if (options.stopped?.()) break;
      made.push(copy);
      await step(operator, copy.guest, `copy to ${copy.drillId}`, () => makeCopy(operator, unit, copy, paused));
    }
    for (const copy of unit.copies) {
      if (options.stopped?.()) break;
      const result = await startAndProbe(operator, unit, copy).catch((error: unknown) => failed(copy, error));
      results.push(result);
      // What needs it, such as a database its directory, would fail for that reason only.
      if (!result.ok) break;
      if (copy.delaySeconds > 0 && copy !== unit.copies.at(-1)) await operator.clock.sleep(copy.delaySeconds);
    }
  } catch (error) {
    const reached = unit.copies.find(({ guest }) => !results.some((result) => result.guest === guest));
    if (reached) results.push(failed(reached, error));
  } finally {
    if (!options.keep) await cleanUp(operator, unit, made);
  }
  for (const [guest, reason] of await stillPaused(operator, unit, paused)) {
    const result = results.find((each) => each.guest === guest);
    if (result === undefined) results.push(failed(unit.copies.find((copy) => copy.guest === guest)!, reason));
    else Object.assign(result, { ok: false, reason: [result.reason, reason].filter(Boolean).join("; ") });
  }
  return results;
}

/** Why replications that the drill has switched off are still off, by guest: a replica that gets older is no success. */
async function stillPaused(operator: Operator, unit: DrillUnit, paused: Set<string>): Promise<[string, string][]> {
  const guests = unit.copies.map(({ guest }) => guest);
  const left = await resumePaused(operator, unit.server, guests, paused);
  return [...left].map(([job, text]) => {
    const guest = guestOf(operator, job)!.name;
    operator.say({ at: operator.clock.now().toISOString(), guest, step: "drill", text, state: "fail" });
    return [guest, text];
  });
}

async function step<T>(operator: Operator, guest: string, text: string, work: () => Promise<T>): Promise<T> {
  const say = (state: "begin" | "done" | "fail") =>
    operator.say({ at: operator.clock.now().toISOString(), guest, step: "drill", text, state });
  say("begin");
  try {
    const answer = await work();
    say("done");
    return answer;
  } catch (error) {
    say("fail");
    throw error;
  }
}

async function networkUp(operator: Operator, unit: DrillUnit): Promise<void> {
  const bridges = unit.networks.map(({ bridge, addresses }) => `${bridge}=${addresses.join(",")}`);
  await must(operator, unit.server, ["/usr/local/sbin/coldspare-drill", "net-up", unit.name, ...bridges]);
}

async function startAndProbe(operator: Operator, unit: DrillUnit, copy: DrillCopy): Promise<DrillResult> {
  const { pve, clock } = operator;
  const guest = operator.manifest.guests[copy.guest]!;
  const path = `/nodes/${unit.server}/${guest.kind}/${copy.drillId}`;
  const startedAt = clock.now();
  await step(operator, copy.guest, `start ${copy.drillId} in isolation`, () =>
    pve.task(unit.server, "POST", `${path}/status/start`, {}, { guest: copy.guest, doing: "start the drill of" }),
  );
  const probes = await step(operator, copy.guest, `probe ${copy.address ?? "without an address"}`, () =>
    probeAll(operator, unit, copy, startedAt),
  );
  const { status } = await pve.get<{ status: string }>(`${path}/status/current`);
  const running: ProbeResult[] =
    status === "running" ? [] : [{ probe: "runs", ok: false, reason: "it ended after its start" }];
  return resultOf(
    operator,
    unit,
    copy,
    startedAt.toISOString(),
    [...running, ...probes],
    seconds(startedAt, clock.now()),
  );
}

function resultOf(
  { manifest }: Operator,
  unit: DrillUnit,
  copy: DrillCopy,
  at: string,
  probes: ProbeResult[],
  answersAfterSeconds?: number,
): DrillResult {
  const guest = manifest.guests[copy.guest]!;
  const ok = probes.every((probe) => probe.ok);
  const age = copy.recoveryPoint === undefined ? undefined : seconds(new Date(copy.recoveryPoint), new Date(at));
  const measured = ok ? answersAfterSeconds : undefined;
  const planned = guest.recoveryTimeSeconds;
  const broken = probes.find((probe) => !probe.ok);
  return {
    formatVersion: 1,
    guest: copy.guest,
    unit: unit.name,
    server: unit.server,
    method: guest.method ?? "",
    at,
    ok,
    ...(copy.recoveryPoint === undefined ? {} : { recoveryPoint: copy.recoveryPoint }),
    ...(age === undefined ? {} : { recoveryPointAgeSeconds: age }),
    ...(measured === undefined ? {} : { answersAfterSeconds: measured }),
    ...(measured === undefined || planned === undefined
      ? {}
      : { recoveryTimeSeconds: Math.max(0, planned - guest.boot.seconds) + measured }),
    ...(guest.recoveryTimePromisedSeconds === undefined
      ? {}
      : { recoveryTimePromisedSeconds: guest.recoveryTimePromisedSeconds }),
    probes,
    ...(broken?.reason === undefined ? {} : { reason: `${broken.probe}: ${broken.reason}` }),
  };
}

async function cleanUp(operator: Operator, unit: DrillUnit, made: readonly DrillCopy[]): Promise<void> {
  for (const copy of made) {
    try {
      await step(operator, copy.guest, `remove ${copy.drillId}`, () => removeCopy(operator, unit.server, copy.drillId));
    } catch {
      // It was told by the step; the next drill on this server removes what is left.
    }
  }
  await operator.ssh
    .run(unit.server, ["/usr/local/sbin/coldspare-drill", "net-down", unit.name])
    .catch(() => undefined);
}

/** On the server that stood by and on the witness, so that the loss of one does not take the result with it. */
async function keepResult(operator: Operator, result: DrillResult): Promise<void> {
  const { manifest, ssh } = operator;
  const places = new Set([result.server, ...(manifest.guests[result.guest]?.voters ?? [])]);
  const write = `umask 022; mkdir -p ${DRILL_FOLDER} && cat > "${DRILL_FOLDER}/.$1.new" && mv "${DRILL_FOLDER}/.$1.new" "${DRILL_FOLDER}/$1"`;
  for (const server of places) {
    if (!manifest.servers[server]?.ssh) continue;
    await ssh
      .run(server, ["sh", "-c", write, "sh", `${result.guest}.json`], { input: `${JSON.stringify(result)}\n` })
      .catch((error: Error) =>
        operator.say({
          at: operator.clock.now().toISOString(),
          guest: result.guest,
          step: "drill",
          text: `the result could not be kept on ${server}: ${error.message}`,
          state: "fail",
        }),
      );
  }
}
