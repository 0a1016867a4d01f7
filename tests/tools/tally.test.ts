import { loadTool } from "./load";

interface Tally {
  passed: number;
  failed: number;
  failures: string[];
  skipped: string[];
}
const { tallyJest, tallyProof, tallyCheck, sum, verdict } = loadTool<{
  tallyJest(project: string, report: object | undefined, options?: object): Tally;
  tallyProof(name: string, lines: string[]): Tally;
  tallyCheck(name: string, ok: boolean): Tally;
  sum(tallies: Tally[]): Tally;
  verdict(tally: Tally, options: { ci: boolean }): { lines: string[]; failed: number };
}>("tally.mjs");

const result = (status: string, fullName: string): object => ({ status, fullName });
const report = {
  testResults: [
    { name: "a.test.ts", status: "failed", assertionResults: [result("passed", "a 1"), result("failed", "a 2")] },
    { name: "b.test.ts", status: "passed", assertionResults: [result("pending", "b 1"), result("todo", "b 2")] },
    { name: "c.test.ts", status: "failed", assertionResults: [] },
  ],
};

test("counts tests, files that could not be run, and names what was not run", () => {
  expect(tallyJest("unit", report)).toEqual({
    passed: 1,
    failed: 2,
    failures: ["a 2", "c.test.ts: could not be run"],
    skipped: ["b 1", "b 2"],
  });
});

test("a project without a single test, or without a report, is a failure: nothing was proved", () => {
  expect(tallyJest("unit", undefined).failed).toBe(1);
  expect(tallyJest("unit", { testResults: [] })).toMatchObject({ passed: 0, failed: 1 });
  expect(tallyJest("unit", { testResults: [] }, { filtered: true })).toMatchObject({ passed: 0, failed: 0 });
});

test("the last line is exactly the count", () => {
  const tally = sum([tallyCheck("lint", true), tallyCheck("type check", false), tallyJest("unit", report)]);
  expect(verdict(tally, { ci: false })).toEqual({
    lines: [
      "FAILED   type check",
      "FAILED   a 2",
      "FAILED   c.test.ts: could not be run",
      "NOT RUN  b 1",
      "NOT RUN  b 2",
      "2 passed, 3 failed",
    ],
    failed: 3,
  });
});

test("in continuous integration a test that was not run is a failed one", () => {
  const { lines, failed } = verdict(
    { passed: 5, failed: 0, failures: [], skipped: ["all with the engine"] },
    { ci: true },
  );
  expect(failed).toBe(1);
  expect(lines).toEqual(["NOT RUN  all with the engine (counts as failed here: CI is set)", "5 passed, 1 failed"]);
});

test("a proof counts by its own last line, and names the claims that failed", () => {
  const tally = tallyProof("failover", ["  ok     one runs", "  FAILED two never run", "", "7 passed, 1 failed"]);
  expect(tally).toMatchObject({ passed: 7, failed: 1, failures: ["proof of failover: two never run"] });
});

test("beside a failure stands what was seen, without stack and colours; long ones by their two ends", () => {
  const failureMessages = ["Error: \u001b[31mexpected 1\u001b[39m\n\n    at it (x.ts:1:2)"];
  const assertionResults = [{ ...result("failed", "one"), failureMessages }];
  const { failures } = tallyJest("unit", { testResults: [{ name: "a", status: "failed", assertionResults }] });
  expect(failures).toEqual(["one\n         Error: expected 1"]);
  const seen = Array.from({ length: 20 }, (_, index) => `         line ${index}`);
  const proof = tallyProof("failover", ["  FAILED two", ...seen, "  ok     three", "1 passed, 1 failed"]);
  expect(proof.failures[0]?.split("\n").map((line) => line.trim())).toEqual([
    "proof of failover: two",
    ...[0, 1, 2].map((index) => `line ${index}`),
    "…",
    ...[14, 15, 16, 17, 18, 19].map((index) => `line ${index}`),
  ]);
});

test.each([[[]], [["it broke"]], [["0 passed, 0 failed"]]])(
  "a proof without a verdict, or without a claim, failed: %j",
  (lines) => {
    expect(tallyProof("failover", lines)).toMatchObject({ passed: 0, failed: 1 });
  },
);
