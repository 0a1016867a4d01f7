import { planSite } from "../../planning";
import { lastDrills } from "../../stacks/last-drills";
import { cleanSite } from "../planning/sites";

const plan = planSite(cleanSite());
const drill = (guest: string, at: string, more = {}) => JSON.stringify({ guest, at, ok: true, ...more });

test("the newest of each guest counts, whichever server has it; what is cut off or strange is left out", async () => {
  const said: Record<string, string> = {
    one: [
      drill("mail", "2026-11-01T02:00:00Z", { recoveryTimeSeconds: 40, probes: [] }),
      '{"guest":"wiki","at":"20',
      drill("gone", "2026-11-01T02:00:00Z"),
    ].join("\n"),
    vault: drill("mail", "2026-11-08T02:00:00Z", { ok: false, reason: "no answer on port 25" }),
  };
  const found = await lastDrills(plan, {
    servers: ["one", "two", "vault"],
    ask: async (server) => (server === "two" ? undefined : { code: 0, stdout: said[server]! }),
  });
  expect(found).toEqual({ mail: { at: "2026-11-08T02:00:00Z", ok: false, reason: "no answer on port 25" } });
});
