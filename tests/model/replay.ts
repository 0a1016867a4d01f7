/**
 * Everything that a model asked of its rules, put to the real program guard/coldspare-node in its batch modes: every answer must
 * be the rules' own, so that model and program cannot drift apart.
 */
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { BY_ALLOW, BY_NONE, NOBODY } from "./layout";
import { type Answer, decide, type Operation, type Question, type Verdict, type VoterState, validity } from "./rules";

const PROGRAM = resolve(__dirname, "../../guard/coldspare-node");

/** Names for the program: A is srv2, the primary. */
const SERVERS = ["srv2", "srv1", "backup-1", "-", "unknown"];
const nameOf = (server: number): string => SERVERS[server]!;
const byText = (by: number): string => {
  if (by === BY_NONE) return "-";
  if (by === BY_ALLOW) return "allow@srv1";
  return by < 4 ? `failover-srv2-2026112${by}T031500Z` : `guard@${nameOf(by - 4)}`;
};

/** A tick of the model in seconds, and the moment at which the questions are asked. */
const TICK = 30;
const NOW = 1000;

interface Asked {
  question: string;
  answer: string;
}

/** Distinct questions with the model's answers. */
export class Book {
  private readonly operations = new Map<number, Asked>();
  private readonly decisions = new Map<number, { verdict: Verdict; question: Question }>();

  noteApply(before: VoterState, operation: Operation, verdict: string, after: VoterState, counts: number): void {
    const key = keyOfVote(before) * 32768 + keyOfOperation(operation);
    if (this.operations.has(key)) return;
    const question = `${stateText(before, 7)} | ${operationText(operation)}`;
    this.operations.set(key, { question, answer: `${verdict} ${stateText(after, 7 + counts)}` });
  }

  /** The rules' decision, each distinct one worked out once. */
  decide(question: Question): Verdict {
    let key = question.voters.length * 8 + question.self * 2 + (question.stage === "granted" ? 1 : 0);
    if (question.permit) key += 64;
    const codes = [0, 0, 0];
    for (const answer of question.answers) codes[answer.voter] = 1 + keyOfAnswer(answer);
    for (const code of codes) key = key * 1024 + code;
    let known = this.decisions.get(key);
    if (!known) {
      known = { question, verdict: decide(question) };
      this.decisions.set(key, known);
    }
    return known.verdict;
  }

  get questions(): { apply: Asked[]; decide: Asked[] } {
    const decisions = [...this.decisions.values()].flatMap(({ question }) => variants(question));
    return { apply: [...this.operations.values()], decide: decisions.map(askedOf) };
  }
}

function keyOfAnswer({
  epoch,
  server,
  by,
  fresh,
}: {
  epoch: number;
  server: number;
  by: number;
  fresh: boolean;
}): number {
  return ((epoch * 4 + server) * 8 + by) * 2 + (fresh ? 1 : 0);
}

function keyOfVote(vote: VoterState): number {
  return (keyOfAnswer(vote) * 8 + vote.holder) * 8 + vote.hold;
}

function keyOfOperation(operation: Operation): number {
  switch (operation.op) {
    case "read":
      return 0;
    case "claim":
      return 4096 + ((operation.epoch * 4 + operation.server) * 8 + operation.by);
    case "grant":
      return 8192 + (operation.epoch * 4 + operation.server) * 2 + (operation.kind === "start" ? 1 : 0);
    case "release": {
      const { self, epoch, to, by } = operation;
      const flags = [operation.running, operation.starting, operation.kept];
      return 12288 + flags.reduce((key, flag) => key * 2 + (flag ? 1 : 0), ((epoch * 3 + self) * 3 + to) * 8 + by);
    }
    case "boot":
      return 1;
  }
}

function stateText({ epoch, server, by, fresh, holder, hold }: VoterState, grants: number): string {
  const until = holder === NOBODY ? 0 : NOW + hold * TICK;
  return `epoch=${epoch} server=${nameOf(server)} by=${byText(by)} grants=${grants} holder=${nameOf(holder)} until=${until} fresh=${fresh ? 1 : 0}`;
}

function operationText(operation: Operation): string {
  const bit = (value: boolean) => (value ? 1 : 0);
  switch (operation.op) {
    case "read":
      return "op=read";
    case "claim":
      return `op=claim epoch=${operation.epoch} server=${nameOf(operation.server)} by=${byText(operation.by)}`;
    case "grant":
      return `op=grant kind=${operation.kind} server=${nameOf(operation.server)} epoch=${operation.epoch} now=${NOW} term=${operation.term * TICK}`;
    case "release":
      return `op=release self=${nameOf(operation.self)} epoch=${operation.epoch} to=${nameOf(operation.to)} by=${byText(operation.by)} running=${bit(operation.running)} starting=${bit(operation.starting)} kept=${bit(operation.kept)}`;
    case "boot":
      // The program's clock begins at 0 then; the model's ticks are counted from NOW.
      return `op=boot term=${NOW + operation.term * TICK}`;
  }
}

/** What else may be the case at the same moment. */
function variants(question: Question): Question[] {
  if (question.stage === "granted") return [question];
  return [
    question,
    { ...question, permit: !question.permit },
    { ...question, migrated: true },
    { ...question, backup: true },
    { ...question, known: false },
    { ...question, otherRuns: true, permit: true },
    { ...question, agentDead: true },
  ];
}

function askedOf(question: Question): Asked {
  const { self, voters, stage, answers } = question;
  const heard = answers.map((answer) => answerText(answer)).join(",");
  const flags = [
    question.migrated && "migrated=1",
    question.backup && "lock=backup",
    question.known === false && "known=0",
    question.permit && "permit=1",
    question.otherRuns && "other=9212",
    question.agentDead && "agent=0",
  ].filter(Boolean);
  const words = [
    `self=${nameOf(self)}`,
    `voters=${voters.map(nameOf).join(",")}`,
    `stage=${stage}`,
    `answers=${heard}`,
  ];
  return { question: [...words, ...flags].join(" "), answer: verdictText(decide(question)) };
}

function answerText({ voter, epoch, server, by, fresh }: Answer): string {
  return `${nameOf(voter)}:${epoch}:${nameOf(server)}:${byText(by)}${fresh ? ":fresh" : ""}`;
}

function verdictText(verdict: Verdict): string {
  switch (verdict.verdict) {
    case "pass":
    case "refuse":
      return `${verdict.verdict} reason=${verdict.reason}`;
    case "release":
      return `release from=${nameOf(verdict.from)} epoch=${verdict.epoch}`;
    default:
      return `${verdict.verdict} epoch=${verdict.epoch} by=${byText(verdict.by)}`;
  }
}

/** Every renewal of a small world: what was held before, and what each voter answers now. In ticks. */
function renewals(): Asked[] {
  const asked: Asked[] = [];
  const choices = [undefined, 0, 1, 2];
  for (const voters of [SERVERS.slice(0, 2), SERVERS.slice(0, 3)]) {
    const rows = voters.reduce<(number | undefined)[][]>(
      (all) => all.flatMap((row) => choices.map((choice) => [...row, choice])),
      [[]],
    );
    for (const held of rows) {
      for (const answers of rows) asked.push(renewal(voters, held, answers));
    }
  }
  return asked;
}

/** `held`: ticks that each voter's best grant is still good for; `answers`: ticks since the question was sent, if it was granted. */
function renewal(voters: string[], held: (number | undefined)[], answers: (number | undefined)[]): Asked {
  const [now, term] = [NOW, 2 * TICK];
  const before = held.map((ticks) => (ticks === undefined ? 0 : now + ticks * TICK));
  const worths = before.map((worth, voter) => {
    const ago = answers[voter];
    return ago === undefined ? worth : Math.max(worth, now - ago * TICK + term);
  });
  const until = validity(worths);
  const answered = answers.map((ago, voter) =>
    ago === undefined ? `${voters[voter]}:denied` : `${voters[voter]}:ok:${now - ago * TICK}:${term}`,
  );
  const list = (values: number[]) => values.map((value, voter) => `${voters[voter]}:${value}`).join(",");
  return {
    question: `voters=${voters.join(",")} now=${now} term=${term} until=0 held=${list(before)} answers=${answered.join(",")}`,
    answer: `${now < until ? "valid" : "expired"} until=${until} held=${list(worths)}`,
  };
}

export interface Replayed {
  /** Questions put to the program. */
  asked: number;
  /** Where it answers otherwise than the model. */
  differences: string[];
}

/** Every renewal of a small world, put to the program. */
export function replayRenewals(): Replayed {
  const result: Replayed = { asked: 0, differences: [] };
  ask(result, "decide-renewal", renewals());
  return result;
}

/** Puts everything in the books to the program, one process for each of its batch modes. */
export function replay(books: readonly Book[]): Replayed {
  const result: Replayed = { asked: 0, differences: [] };
  const all = books.map(({ questions }) => questions);
  ask(
    result,
    "apply",
    all.flatMap(({ apply }) => apply),
  );
  ask(
    result,
    "decide",
    all.flatMap((each) => each.decide),
  );
  return result;
}

function ask(result: Replayed, mode: string, questions: readonly Asked[]): void {
  const distinct = new Map(questions.map(({ question, answer }) => [question, answer]));
  const input = `${[...distinct.keys()].join("\n")}\n`;
  const run = spawnSync("perl", [PROGRAM, mode], { input, encoding: "utf8", maxBuffer: 1 << 30 });
  const answers = run.stdout.split("\n");
  let index = 0;
  for (const [question, wanted] of distinct) {
    const said = answers[index++] ?? "";
    if (said !== wanted) result.differences.push(`${mode}: ${question}\n  program: ${said}\n  model:   ${wanted}`);
  }
  if (run.status !== 0) result.differences.push(`${mode} ended with ${run.status}: ${run.stderr}`);
  result.asked += distinct.size;
}
