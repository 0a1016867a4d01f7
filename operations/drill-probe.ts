/** Whether a drill's copy answers: probes from the drill's network, tried until they are answered. */
import type { ManifestProbe } from "../planning/manifest";
import type { Operator } from "./context";
import type { DrillCopy, DrillUnit } from "./drill-plan";

/** How one probe went. */
export interface ProbeResult {
  /** For example `tcp 445`. */
  probe: string;
  ok: boolean;
  /** Why not, in the words of the last try. */
  reason?: string;
}

/** Tries every probe again until it is answered, for twice the planned boot time or the probe's own patience. */
export async function probeAll(
  operator: Operator,
  unit: DrillUnit,
  copy: DrillCopy,
  since: Date,
): Promise<ProbeResult[]> {
  const results: ProbeResult[] = [];
  for (const probe of copy.probes) {
    const patience = Math.max(copy.bootSeconds * 2, probe.timeoutSeconds);
    let reason = await probeOnce(operator, unit, copy, probe);
    while (reason !== undefined && seconds(since, operator.clock.now()) <= patience) {
      await operator.clock.sleep(1);
      reason = await probeOnce(operator, unit, copy, probe);
    }
    results.push({ probe: probeText(probe), ok: reason === undefined, ...(reason === undefined ? {} : { reason }) });
    if (reason !== undefined) break;
  }
  return results;
}

/** One try; answers why it failed. */
async function probeOnce(
  { pve, ssh, manifest }: Operator,
  unit: DrillUnit,
  copy: DrillCopy,
  probe: ManifestProbe,
): Promise<string | undefined> {
  if (probe.kind === "agent") {
    try {
      await pve.post(`/nodes/${unit.server}/${manifest.guests[copy.guest]!.kind}/${copy.drillId}/agent/ping`);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }
  if (copy.address === undefined && probe.kind !== "command")
    return "the guest has no fixed address that could be asked";
  const argv = ["/usr/local/sbin/coldspare-drill", "probe", unit.name, ...probeArguments(probe, copy.address ?? "")];
  const { code, stderr } = await ssh.run(unit.server, argv, { timeoutSeconds: 30 });
  return code === 0 ? undefined : stderr.trim().replace(/^coldspare-drill: /, "") || `the probe ended with ${code}`;
}

function probeArguments(probe: Exclude<ManifestProbe, { kind: "agent" }>, address: string): string[] {
  if (probe.kind === "ping") return ["ping", address];
  if (probe.kind === "tcp") return ["tcp", address, String(probe.port)];
  if (probe.kind === "command") return ["command", ...probe.run];
  const { port, path, status, expect } = probe;
  return [
    probe.tls ? "https" : "http",
    address,
    String(port),
    path,
    status === undefined ? "" : String(status),
    expect ?? "",
  ];
}

/** A probe in a few words. */
export function probeText(probe: ManifestProbe): string {
  if (probe.kind === "tcp") return `tcp ${probe.port}`;
  if (probe.kind === "http") return `${probe.tls ? "https" : "http"} ${probe.port}${probe.path}`;
  return probe.kind === "command" ? `command ${probe.run[0] ?? ""}` : probe.kind;
}

/** Seconds between two moments, to a tenth. */
export function seconds(from: Date, to: Date): number {
  return Math.round((to.getTime() - from.getTime()) / 100) / 10;
}
