/** The runs: three ways of fencing, the sites that differ in what can go wrong, and the rules switched off one by one. */
import { A, B, C } from "./layout";
import { ALL_RULES, type Command, type Rules, type Run } from "./run";

const AWAY: Command = { kind: "failover", from: A, to: B };
const BACK: Command = { kind: "failover", from: B, to: A };
const SWITCH: Command = { kind: "planned", from: A, to: B };
const FAILBACK: Command = { kind: "planned", from: B, to: A };
const FROM_THIRD: Command = { kind: "failover", from: C, to: A };
const TWO_VOTERS = [A, B];

type Change = Partial<Run> & Pick<Run, "fencing">;

function run(name: string, change: Change): Run {
  return {
    name,
    commands: [AWAY],
    voters: [A, B, C],
    hosts: [A, B],
    epochs: 4,
    rules: ALL_RULES,
    term: 1,
    overrun: 0,
    margin: 4,
    fresh: false,
    standby: change.migrations !== true,
    migrations: false,
    lateClaims: false,
    migrationsWait: false,
    reinstalls: 0,
    allows: false,
    word: "off now",
    ...change,
  };
}

/** What ends within a second or two each. */
export const QUICK: readonly Run[] = [
  run("one failover", { fencing: "confirm" }),
  run("one failover", { fencing: "power" }),
  run("one failover", { fencing: "lease", epochs: 2 }),
  run("planned switch and failback, somebody migrates", {
    fencing: "power",
    commands: [SWITCH, FAILBACK],
    epochs: 3,
    migrations: true,
  }),
  run("two voters, one failover", { fencing: "confirm", voters: TWO_VOTERS, epochs: 5 }),
];

/** The wider ones: minutes. */
export const FULL: readonly Run[] = [
  run("one failover", { fencing: "confirm" }),
  run("one failover", { fencing: "power" }),
  run("one failover, longer term and slow end", { fencing: "lease", term: 2, overrun: 1, margin: 5 }),
  run("two failovers in opposite directions", { fencing: "confirm", commands: [AWAY, BACK], epochs: 3 }),
  run("two failovers in opposite directions", { fencing: "power", commands: [AWAY, BACK] }),
  run("two failovers in opposite directions", { fencing: "lease", commands: [AWAY, BACK], epochs: 2 }),
  run("two failovers in the same direction", { fencing: "confirm", commands: [AWAY, AWAY], epochs: 3 }),
  run("two failovers in the same direction", { fencing: "power", commands: [AWAY, AWAY] }),
  run("failover and failback", { fencing: "confirm", commands: [AWAY, FAILBACK] }),
  run("failover and failback", { fencing: "power", commands: [AWAY, FAILBACK], epochs: 5 }),
  run("failover and planned switch", { fencing: "lease", commands: [AWAY, SWITCH], epochs: 2 }),
  run("planned switch and failback, somebody migrates", {
    fencing: "power",
    commands: [SWITCH, FAILBACK],
    migrations: true,
  }),
  run("failover, somebody migrates", { fencing: "confirm", migrations: true }),
  run("failover, somebody migrates", { fencing: "power", migrations: true, epochs: 5 }),
  run("failover, a spare of its own, somebody migrates", { fencing: "power", migrations: true, standby: true }),
  run("failover, somebody migrates", { fencing: "lease", migrations: true, epochs: 3 }),
  run("third voter a hypervisor, somebody migrates", {
    fencing: "power",
    hosts: [A, B, C],
    migrations: true,
    migrationsWait: true,
    commands: [AWAY, FROM_THIRD],
    epochs: 3,
  }),
  run("third server, a spare of its own, somebody migrates", {
    fencing: "power",
    hosts: [A, B, C],
    migrations: true,
    migrationsWait: true,
    commands: [AWAY, FROM_THIRD],
    standby: true,
    epochs: 3,
  }),
  run("two voters, failovers in opposite directions", {
    fencing: "power",
    voters: TWO_VOTERS,
    commands: [AWAY, BACK],
  }),
  run("two voters, failovers in opposite directions", {
    fencing: "confirm",
    voters: TWO_VOTERS,
    commands: [AWAY, BACK],
  }),
  run("claims that arrive late", { fencing: "confirm", lateClaims: true, epochs: 5 }),
  run("claims that arrive late", { fencing: "power", lateClaims: true, epochs: 5 }),
  run("claims that arrive late", { fencing: "lease", lateClaims: true, epochs: 2 }),
  run("voters begin without memory", { fencing: "confirm", fresh: true }),
  run("a voter is installed anew", { fencing: "confirm", reinstalls: 1 }),
  run("a voter is installed anew", { fencing: "power", reinstalls: 1 }),
  run("a voter is installed anew", { fencing: "lease", reinstalls: 1, epochs: 2 }),
  run("a person allows a start", { fencing: "power", allows: true, word: "stays off until the voters know" }),
];

/** A rule switched off: the model must find what goes wrong then. */
export interface Mutation {
  /** What is left out. */
  without: string;
  run: Run;
}

function without(text: string, rules: Partial<Rules>, change: Change): Mutation {
  return { without: text, run: run(`without: ${text}`, { ...change, rules: { ...ALL_RULES, ...rules } }) };
}

export const MUTATIONS: readonly Mutation[] = [
  without("the block before the fence", { blockFirst: false }, { fencing: "power" }),
  without("a block that names nobody", { blockNamesNobody: false }, { fencing: "power" }),
  without("identical records at a majority", { identicalMajority: false }, { fencing: "power" }),
  without("the own vote among the grants", { ownRecord: false }, { fencing: "confirm" }),
  without("comparing grants", { compareGrants: false }, { fencing: "confirm" }),
  without("counting what was not read as changed", { countedOnly: false }, { fencing: "confirm" }),
  without("a new confirmation for a command run again", { confirmAgain: false }, { fencing: "confirm" }),
  without("release only of what is stopped", { releaseWhenStopped: false }, { fencing: "power", commands: [SWITCH] }),
  without("doubt in voters without memory", { doubtFresh: false }, { fencing: "confirm", reinstalls: 1 }),
  without(
    "a permit bound to its record (two voters)",
    { permitOfRecord: false },
    { fencing: "power", voters: TWO_VOTERS, commands: [AWAY, FAILBACK], epochs: 5 },
  ),
  without(
    "a permit only on the own claim (two voters)",
    { permitOnOwnClaim: false },
    { fencing: "power", voters: TWO_VOTERS, epochs: 6, standby: false },
  ),
  without(
    "the word that the other side stays off",
    {},
    { fencing: "power", commands: [], allows: true, word: "off now" },
  ),
  without("a margin (lease)", {}, { fencing: "lease", epochs: 2, margin: 0 }),
];

/** Those that take longer to find. */
export const SLOW_MUTATIONS: readonly Mutation[] = [
  without("the last tick of the margin", {}, { fencing: "lease", epochs: 2, margin: 3 }),
  without("waiting for the holds", { waitForHolds: false }, { fencing: "lease", epochs: 2, term: 3 }),
  without("a hold after a reboot", { holdAfterReboot: false }, { fencing: "lease", epochs: 2, term: 3 }),
  without("a valid lease at the start", { validAtStart: false }, { fencing: "lease", epochs: 2 }),
  without("the end of a start with its lease", { startEndsWithLease: false }, { fencing: "lease", epochs: 2 }),
  without(
    "noticing that the spare restarted (two voters)",
    { spareNotRestarted: false },
    { fencing: "power", voters: TWO_VOTERS, commands: [AWAY, BACK], epochs: 5 },
  ),
  without(
    "agents that pass on a person's permission",
    { spreadAllowed: false },
    { fencing: "power", commands: [], allows: true, word: "stays off until the voters know" },
  ),
  without(
    "release to a guard only after a move to its server",
    { releaseFollowsMove: false },
    { fencing: "power", hosts: [A, B, C], migrations: true, migrationsWait: true, standby: true, epochs: 3 },
  ),
  without("a look at where the guest runs", { lookWhereItRuns: false }, { fencing: "confirm", migrations: true }),
  without("installing voters anew only at rest", { reinstallAtRest: false }, { fencing: "power", reinstalls: 1 }),
  without(
    "a hold after a voter is installed anew",
    { holdAfterReinstall: false },
    { fencing: "lease", epochs: 2, term: 3, reinstalls: 1 },
  ),
];
