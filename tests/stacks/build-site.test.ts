import { guardFindings } from "../../stacks/build-site";
import { cleanSite, planWith } from "../planning/sites";

const key = ["ssh-ed25519 AAAA"];
const told = (set: string[], hostKeys?: Record<string, string[]>) =>
  guardFindings(planWith(cleanSite(), set), { endpoints: {}, ...(hostKeys && { ssh: { hostKeys } }) }).map(
    ({ code, severity, message }) => `${severity} ${code}: ${message}`,
  );

test("every voter without a guard is named at once", () => {
  expect(told([])).toEqual([
    "warning GUARD-NO-SSH: No SSH host key leads to one, two and vault: no guard is installed there, and nothing refuses a second start.",
  ]);
  expect(told([], { one: key, two: key })).toEqual([expect.stringContaining("leads to vault:")]);
  expect(told([], { one: key, two: key, vault: key })).toEqual([]);
});

test("under leases that is an error", () => {
  expect(told(["site.fencing=lease"], { one: key, vault: key })).toEqual([
    "error LEASE-NO-SSH: No SSH host key leads to two: no guard is installed there, and no lease is kept.",
  ]);
});

test("a site without spares needs no guard", () => {
  expect(told(["guests.mail.coldReplica=null", "guests.wiki.coldReplica=null"])).toEqual([]);
});
