/** What a restore of a guest is planned from, read from the site as it is now. */
import { isOn } from "../../providers/replication-health";
import type { Operator } from "../context";
import { configOf } from "../guest-power";
import { readLive } from "../live";
import type { RestoreFacts, RestorePlan, RestoreRequest } from "./plan-restore";
import { planRestore } from "./plan-restore";
import { readCopies } from "./read-copies";
import { configIn, roomFor } from "./restore-room";

export async function restoreFacts(operator: Operator): Promise<RestoreFacts> {
  const { manifest } = operator;
  const [live, copies] = await Promise.all([readLive(operator), readCopies(operator)]);
  return {
    manifest,
    live,
    copies,
    async guestAt(server, vmid) {
      const guest = Object.values(manifest.guests).find((each) => each.vmid === vmid);
      const at = { guest: guest?.name ?? String(vmid), kind: guest?.kind ?? ("qemu" as const), server, vmid };
      const config = await configOf(operator, at);
      if (config === undefined) return undefined;
      const { name = config.hostname, tags, description, startup } = config;
      const running = live.servers[server]?.running.some((each) => each.vmid === vmid) === true;
      return {
        name: name ?? at.guest,
        running,
        settings: {
          ...(name !== undefined && { name }),
          ...(tags !== undefined && { tags }),
          ...(description !== undefined && { description }),
          ...(startup !== undefined && { startup }),
          onboot: isOn(config.onboot),
        },
      };
    },
  };
}

/** The plan, and whether there is room for it. */
export async function planAndRoom(operator: Operator, request: RestoreRequest): Promise<RestorePlan> {
  const facts = await restoreFacts(operator);
  const plan = await planRestore(facts, request);
  await addRoom(operator, facts, plan);
  return plan;
}

/** Findings about room go into the plan; where nothing can be restored anyway, none is looked for. */
export async function addRoom(operator: Operator, { live }: RestoreFacts, plan: RestorePlan): Promise<void> {
  if (plan.refusals.length > 0) return;
  const config =
    plan.live === undefined
      ? await configIn(operator, plan.server, plan.point.id)
      : await configNow(operator, plan, plan.live.vmid);
  for (const finding of await roomFor(operator, live, plan, config))
    (finding.severity === "error" ? plan.refusals : plan.warnings).push(finding);
}

async function configNow(operator: Operator, plan: RestorePlan, vmid: number): Promise<Record<string, string>> {
  const config = await configOf(operator, { guest: plan.guest, kind: plan.guestKind, server: plan.server, vmid });
  return Object.fromEntries(Object.entries(config ?? {}).map(([key, value]) => [key, String(value)]));
}
