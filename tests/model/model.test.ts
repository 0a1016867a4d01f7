/** The model of guard, lease and commands with small bounds; the wider run is part of the proof of failover. */
import { explore, type State, type System } from "./checker";
import { replay, replayRenewals } from "./replay";
import { MUTATIONS, QUICK } from "./runs";
import { counterExample, traceText, verify } from "./verify";

const verified = QUICK.map(verify);

describe("the guard, leases and commands", () => {
  it.each(verified.map((each) => [`${each.run.fencing}: ${each.run.name}`, each] as const))(
    "%s: never two active, no two records of one epoch, no dead end",
    (_, { violations, complete, states }) => {
      expect(violations.map(traceText)).toEqual([]);
      expect(complete).toBe(true);
      expect(states).toBeGreaterThan(1000);
    },
  );

  it("do what the guard's own program answers", () => {
    const { asked, differences } = replay(verified.map(({ book }) => book));
    expect(differences.slice(0, 3)).toEqual([]);
    expect(asked).toBeGreaterThan(3000);
  });

  it("renew leases as the guard's own program does", () => {
    const { asked, differences } = replayRenewals();
    expect(differences.slice(0, 3)).toEqual([]);
    expect(asked).toBeGreaterThan(4000);
  });
});

describe("a rule that is switched off is found to be needed", () => {
  it.each(MUTATIONS.map((mutation) => [mutation.without, mutation] as const))("%s", (_, mutation) => {
    const found = counterExample(mutation);
    expect(found?.what).toMatch(/^(two active|a dead end)/);
    // Every step is one that a person can follow.
    expect(found?.trace.length).toBeGreaterThan(3);
  });
});

describe("the checker", () => {
  const row = (value: number): State => new Uint8Array([value, 0]);
  /** Counts up to a trap at 5, or stays in the ring 0, 1, 2. */
  const system: System = {
    initial: [row(0)],
    successors(state, emit) {
      const at = state[0]!;
      if (at < 5) emit(`to ${at + 1}`, row(at + 1));
      if (at === 2) emit("back", row(0));
    },
    judge: () => undefined,
  };

  it("prints the shortest way to what is wrong", () => {
    const judge = (_: State, to: State) => (to[0] === 3 ? "three" : undefined);
    const { violations } = explore({ ...system, judge });
    expect(violations).toEqual([{ what: "three", trace: ["to 1", "to 2", "to 3"] }]);
  });

  it("finds states without a way back", () => {
    const { violations, states } = explore({ ...system, good: (state) => state[0] === 0 });
    expect(states).toBe(6);
    expect(violations).toEqual([{ what: "a dead end (3 in all)", trace: ["to 1", "to 2", "to 3"] }]);
  });

  it("asks nothing of states that are too close to the bound", () => {
    const { violations, excused } = explore({
      ...system,
      good: (state) => state[0] === 0,
      excused: (state) => state[0]! >= 3,
    });
    expect([violations, excused]).toEqual([[], 3]);
  });
});
