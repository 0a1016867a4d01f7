import { FindingCatalogue } from "../../planning/catalogue";
import { coldspare } from "./run";

describe("coldspare findings", () => {
  test("lists every code of the catalogue with its severity", async () => {
    const { code, out } = await coldspare(["findings"]);
    expect(code).toBe(0);
    for (const [finding, { severity }] of Object.entries(FindingCatalogue)) {
      expect(out).toMatch(new RegExp(`^${finding} +${severity} `, "m"));
    }
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  test("explains one, however it is spelled", async () => {
    const { out } = await coldspare(["findings", "capacity-memory"]);
    expect(out).toMatch(/^CAPACITY-MEMORY {2}error\n/);
    expect(out).toMatch(/^ {2}example: .*\n[\s\S]*^ {2}fix: /m);
    const json = await coldspare(["findings", "capacity-memory", "--json"]);
    expect(JSON.parse(json.out)).toEqual({ "CAPACITY-MEMORY": FindingCatalogue["CAPACITY-MEMORY"] });
  });

  test("a code that does not exist: the nearest one", async () => {
    const { code, err } = await coldspare(["findings", "CAPACTY-MEMORY"]);
    expect(code).toBe(2);
    expect(err).toBe("error: there is no finding 'CAPACTY-MEMORY'; did you mean 'CAPACITY-MEMORY'?\n");
    expect((await coldspare(["findings", "X"])).err).toMatch(/'coldspare findings' lists all of them/);
  });
});
