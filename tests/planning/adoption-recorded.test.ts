/** What the test clusters become, from what the reader gave of them. */
import { planSite } from "../../planning";
import { interpretCluster } from "../../planning/adoption/interpret";
import { siteYaml } from "../../planning/adoption/site-yaml";
import type { ClusterKind } from "../live/clusters";
import { keptSnapshot } from "../live/snapshot-text";

const KINDS: ClusterKind[] = ["smb", "large", "by-hand", "half"];
const interpreted = (kind: ClusterKind) => interpretCluster(keptSnapshot(kind));

test.each(KINDS)("%s: every guest is taken over or has a reason, and nothing stops the first update", (kind) => {
  const { guests, site } = interpreted(kind);
  expect(guests).toHaveLength(keptSnapshot(kind).guests.length);
  for (const { name, reason } of guests) expect([name, reason]).toContain(undefined);
  expect(planSite(site).findings.filter(({ severity }) => severity === "error")).toEqual([]);
});

test.each(["smb", "large"] as const)("%s: everything is taken over", (kind) => {
  expect(interpreted(kind).guests.filter(({ name }) => name === undefined)).toEqual([]);
});

test("half: what is on a server that is off is left to it, and nothing else is", () => {
  const { nodes } = keptSnapshot("half");
  const off = nodes.filter(({ online }) => !online).map(({ name }) => name);
  const { guests } = interpreted("half");
  expect(off.length).toBeGreaterThan(0);
  for (const { node, name } of guests) expect(name === undefined).toBe(off.includes(node));
});

test("by hand: what is left of it stands in the file, for each guest", () => {
  const { guests, site, left } = interpreted("by-hand");
  const text = siteYaml({ guests, site, left });
  for (const { vmid, name, title } of guests)
    if (name === undefined) expect(text).toContain(`# - ${vmid} '${title}' on `);
  const reasons = guests.map(({ reason = "" }) => reason).join("\n");
  for (const word of ["template", "locked", "no disk", "without a gap"]) expect(reasons).toContain(word);
});
