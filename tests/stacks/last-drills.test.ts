import { planSite } from "../../planning";
import { SshError } from "../../providers/ssh";
import { lastDrills } from "../../stacks/last-drills";
import { cleanSite } from "../planning/sites";

const plan = planSite(cleanSite());
const settings = {
  endpoints: {},
  ssh: { hostKeys: { one: ["ssh-ed25519 A"], two: ["ssh-ed25519 B"], vault: ["ssh-ed25519 C"] } },
};
const drill = (guest: string, at: string, more = {}) => JSON.stringify({ guest, at, ok: true, ...more });

test("the newest of each guest counts, whichever server has it; what is cut off or strange is left out", async () => {
  let closed = 0;
  const said: Record<string, string> = {
    one: [
      drill("mail", "2026-11-01T02:00:00Z", { recoveryTimeSeconds: 40, probes: [] }),
      '{"guest":"wiki","at":"20',
      drill("gone", "2026-11-01T02:00:00Z"),
    ].join("\n"),
    vault: drill("mail", "2026-11-08T02:00:00Z", { ok: false, reason: "no answer on port 25" }),
  };
  const found = await lastDrills(plan, settings, () => ({
    async run(server) {
      if (server === "two") throw new SshError("two", "unreachable", "nobody answers", "look for it");
      return { code: 0, stdout: said[server]!, stderr: "" };
    },
    async close() {
      closed += 1;
    },
  }));
  expect(found).toEqual({ mail: { at: "2026-11-08T02:00:00Z", ok: false, reason: "no answer on port 25" } });
  expect(closed).toBe(1);
});

test("without host keys nobody is asked", async () => {
  const connect = () => {
    throw new Error("somebody was asked");
  };
  expect(await lastDrills(plan, { endpoints: {} }, connect)).toEqual({});
});
