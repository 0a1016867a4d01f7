import { markdown, type Row } from "../../proofs/check";

const row = (scenario: string, part: string, ...held: boolean[]): Row => ({
  scenario,
  part,
  seconds: 12.4,
  claims: held.map((ok) => ({ text: "a claim", ok })),
  figures: ["failover in 7 s"],
});

test("a run of some scenarios renews their rows alone, and the sum is that of the table", () => {
  const first = markdown(
    [row("dies | returns", "confirm", true, false), row("split", "lease", true)],
    "",
    "2026-11-01",
    "fencing",
  );
  expect(first.verdict).toBe("2 passed, 1 failed");
  expect(first.table.split("\n")[2]).toBe(
    "| dies \\| returns | confirm | 1/2 | **FAILED** | 12 | failover in 7 s | 2026-11-01 |",
  );
  const again = markdown(
    [row("dies | returns", "confirm", true, true), row("new", "power", true)],
    first.table,
    "2026-11-02",
    "fencing",
  );
  expect(again.verdict).toBe("4 passed, 0 failed");
  expect(again.table.split("\n").slice(2)).toEqual([
    "| dies \\| returns | confirm | 2/2 | passed | 12 | failover in 7 s | 2026-11-02 |",
    "| split | lease | 1/1 | passed | 12 | failover in 7 s | 2026-11-01 |",
    "| new | power | 1/1 | passed | 12 | failover in 7 s | 2026-11-02 |",
  ]);
});
