/** The runs: three ways of fencing, and the sites that differ in what can go wrong. */
import { A, B, C } from "./layout";
import { ALL_RULES, type Command, type Rules, type Run } from "./run";

const AWAY: Command = { kind: "failover", from: A, to: B };
const BACK: Command = { kind: "failover", from: B, to: A };
const SWITCH: Command = { kind: "planned", from: A, to: B };
const FAILBACK: Command = { kind: "planned", from: B, to: A };

function run(name: string, change: Partial<Run> & Pick<Run, "fencing" | "commands">): Run {
  return {
    name,
    voters: [A, B, C],
    hosts: [A, B],
    epochs: 4,
    rules: ALL_RULES,
    term: 2,
    overrun: 1,
    fresh: false,
    migrations: false,
    reinstalls: 0,
    ...change,
  };
}

/** What ends within a second or so each. */
export const QUICK: readonly Run[] = [
  run("confirm, failover", { fencing: "confirm", commands: [AWAY], epochs: 4 }),
  run("power, failover", { fencing: "power", commands: [AWAY], epochs: 4 }),
  run("lease, failover", { fencing: "lease", commands: [AWAY], epochs: 2 }),
];
export { AWAY, BACK, SWITCH, FAILBACK, run };
