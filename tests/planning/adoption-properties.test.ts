import fc from "fast-check";
import { planSite } from "../../planning";
import { interpretCluster } from "../../planning/adoption/interpret";
import type { ClusterSnapshot } from "../../planning/adoption/snapshot";
import { parseSite } from "../../planning/parse";
import { anyCluster } from "./adoption-samples";

const RUNS = { numRuns: 300 };

test("any cluster gives a site that the schema takes", () => {
  fc.assert(
    fc.property(anyCluster, (snapshot) => {
      expect(parseSite(interpretCluster(snapshot).site).findings).toEqual([]);
    }),
    RUNS,
  );
});

test("every guest is in the site, or has a reason", () => {
  fc.assert(
    fc.property(anyCluster, (snapshot) => {
      const { site, guests } = interpretCluster(snapshot);
      expect(guests.map(({ vmid }) => vmid)).toEqual(snapshot.guests.map(({ vmid }) => vmid).sort((a, b) => a - b));
      const said = Object.entries(site.guests ?? {}).map(([name, { id }]) => `${id} ${name}`);
      const taken = guests.flatMap(({ vmid, name }) => (name === undefined ? [] : [`${vmid} ${name}`]));
      expect(said.sort()).toEqual(taken.sort());
      for (const { name, reason } of guests) {
        if (name === undefined) expect(reason).toMatch(/: .{8}/);
        else expect(reason).toBeUndefined();
      }
    }),
    RUNS,
  );
});

test("nothing of what was found stops the first update", () => {
  fc.assert(
    fc.property(anyCluster, (snapshot) => {
      const { findings } = planSite(interpretCluster(snapshot).site);
      expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
    }),
    RUNS,
  );
});

test("the order in which things were read does not show", () => {
  const reversed = (snapshot: ClusterSnapshot): ClusterSnapshot => ({
    ...snapshot,
    nodes: snapshot.nodes.toReversed(),
    guests: snapshot.guests.toReversed(),
    storages: snapshot.storages.toReversed(),
    replicationJobs: snapshot.replicationJobs.toReversed(),
    backupJobs: snapshot.backupJobs.toReversed(),
  });
  fc.assert(
    fc.property(anyCluster, (snapshot) => {
      const [one, other] = [interpretCluster(snapshot), interpretCluster(reversed(snapshot))];
      expect(other.site).toEqual(one.site);
      expect(JSON.stringify(other.guests)).toEqual(JSON.stringify(one.guests));
    }),
    RUNS,
  );
});
