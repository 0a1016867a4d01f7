import fc from "fast-check";
import { parse } from "yaml";
import { interpretCluster } from "../../planning/adoption/interpret";
import { siteYaml } from "../../planning/adoption/site-yaml";
import { anyCluster, byHand } from "./adoption-samples";

test("a site file reads back as the same site", () => {
  fc.assert(
    fc.property(anyCluster, (snapshot) => {
      const interpretation = interpretCluster(snapshot);
      expect(parse(siteYaml(interpretation))).toEqual(interpretation.site);
    }),
    { numRuns: 300 },
  );
});

test("what was not taken over stands in the file", () => {
  fc.assert(
    fc.property(anyCluster, (snapshot) => {
      const interpretation = interpretCluster(snapshot);
      const words = siteYaml(interpretation).replace(/\s*\n\s*#?\s*/g, " ");
      const flat = (text: string) => text.replace(/\s+/g, " ").trim();
      for (const { reason, left } of interpretation.guests)
        for (const line of [...(reason === undefined ? [] : [reason]), ...left]) expect(words).toContain(flat(line));
      for (const { what } of interpretation.left) expect(words).toContain(flat(what));
    }),
    { numRuns: 100 },
  );
});

test("a site made by hand as a file", () => {
  expect(siteYaml(interpretCluster(byHand()))).toMatchSnapshot();
});
