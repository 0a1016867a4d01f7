/** The last drill of every guest, as the servers keep it: for the stack's outputs. */
import type { SitePlan } from "../planning";
import { type DrillResult, newestDrill, parseDrills, READ_DRILLS } from "../providers/drill-results";
import type { SiteSsh } from "./site-ssh";

/**
 * Asks every server that can be reached; the newest drill of a guest counts. A server that cannot be asked costs some seconds
 * and its drills.
 */
export async function lastDrills(
  plan: SitePlan,
  { servers, ask }: Pick<SiteSsh, "servers" | "ask">,
): Promise<Record<string, DrillResult>> {
  const answers = await Promise.all(servers.map((server) => ask(server, ["sh", "-c", READ_DRILLS])));
  const found = answers.map((answer) => parseDrills(answer?.stdout.split("\n") ?? []));
  return Object.fromEntries(
    Object.keys(plan.guests)
      .sort()
      .flatMap((guest) => {
        const drill = newestDrill(found.map((drills) => drills[guest]));
        return drill === undefined ? [] : [[guest, drill] as const];
      }),
  );
}
