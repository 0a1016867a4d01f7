import { FindingCatalogue, type FindingCode } from "../../planning";
import { FOUND_AS_IT_IS } from "../../planning/as-found";
import { rows } from "./finding-rows";
import { cleanSite, planWith } from "./sites";

const forgiven: readonly string[] = FOUND_AS_IT_IS;

/** Errors of a plan that stay errors of an imported site: coldspare could not do what is asked for, or would damage something. */
const STAY = [
  ["what cannot be read", "SPEC-INVALID"],
  ["what cannot be read", "SPEC-UNKNOWN-KEY"],
  ["ids twice", "GUEST-ID-DUPLICATE"],
  ["a spare that is its primary", "REPLICA-ON-PRIMARY"],
  ["a disk that would shrink", "DISK-SHRINKS"],
  ["disks that would become others", "DISK-REMAPPED"],
  ["an id of somebody else's", "GUEST-ID-TAKEN"],
  ["sides that differ from the record", "ACTIVE-MISMATCH"],
  ["words for guests that were there before", "GUEST-NOT-ADOPTED"],
  ["entries that cannot be made", "STORAGE-ONLY-COUNTED"],
] as const satisfies readonly (readonly [string, FindingCode])[];

test.each(STAY)("%s stays an error: %s", (_, code) => expect(forgiven).not.toContain(code));

test("only errors are forgiven, each once", () => {
  expect(new Set(forgiven).size).toBe(forgiven.length);
  for (const code of FOUND_AS_IT_IS) expect(FindingCatalogue[code].severity).toBe("error");
});

const errors = rows.filter(
  ({ code, set }) => FindingCatalogue[code].severity === "error" && !set.includes("site.asFound=true"),
);

test.each(errors)("as found, $code is told by the rule: $message", ({ code, set, options, subject, message }) => {
  const { findings, ok } = planWith(cleanSite(), [...set, "site.asFound=true"], options);
  const severity = forgiven.includes(code) ? "warning" : "error";
  expect(findings).toContainEqual({ code, severity, subject, message, fix: expect.any(String) });
  expect(ok).toBe(findings.every((finding) => finding.severity !== "error"));
});

test("a site whose only mistakes are what was found can be built", () => {
  const set = ["servers.one.memoryGiB=8", "servers.one.storages.tank.sizeGiB=100"];
  expect(planWith(cleanSite(), set).ok).toBe(false);
  const plan = planWith(cleanSite(), [...set, "site.asFound=true"]);
  expect(plan.ok).toBe(true);
  expect(plan.findings.filter(({ code }) => code === "SITE-AS-FOUND")).toHaveLength(1);
});
