/** The five questions: each asked until its answer can be used, or taken from options, or from the defaults. */
import { type Io, UsageError } from "../io";
import { backendUrl, refuseUnlessEmpty } from "../project";
import {
  AnswerError,
  type Answers,
  forms,
  type GuestAnswer,
  isNone,
  nextAddress,
  readGuest,
  readName,
  readServer,
  readState,
  readThird,
  type ServerAnswer,
  stateOnSite,
  type ThirdAnswer,
} from "./answers";
import { checkAnswers } from "./check-answers";

/** What was given on the command line. */
export interface Given {
  name?: string;
  servers?: readonly string[];
  thirdVote?: string;
  guests?: readonly string[];
  state?: string;
  /** Take the default of what was not given. */
  defaults: boolean;
  /** The name to propose. */
  proposal: string;
  /** Whether the folder is called as the site is: then it must not be there yet. */
  folderIsName: boolean;
}

const MANY = 16;

/**
 * All five answers.
 *
 * @throws UsageError for an option that cannot be used, and where something is missing that nobody can be asked for
 */
export async function collectAnswers(given: Given, io: Io): Promise<Answers> {
  refuseToGuess(given, io);
  const dialogue = new Dialogue(given, io);
  const name = await dialogue.name();
  const servers = await dialogue.servers(name);
  const third = await dialogue.third(name, servers);
  const hardware = { name, servers, ...(third && { third }) };
  const guests = await dialogue.guests(hardware);
  return { ...hardware, guests, state: await dialogue.state({ ...hardware, guests }) };
}

function refuseToGuess(given: Given, io: Io): void {
  if (io.ask || given.defaults) return;
  const missing = [
    ["--name", given.name],
    ["--servers", given.servers],
    ["--third-vote", given.thirdVote],
    ["--guests", given.guests],
    ["--state", given.state],
  ].flatMap(([option, value]) => (value === undefined ? [String(option)] : []));
  if (missing.length === 0) return;
  throw new UsageError(
    `there is no terminal to ask at, and ${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} not given: add --yes to take the defaults`,
  );
}

type Hardware = Pick<Answers, "name" | "servers" | "third">;

class Dialogue {
  constructor(
    private readonly given: Given,
    private readonly io: Io,
  ) {}

  name(): Promise<string> {
    const read = (text: string) => {
      const name = readName(text);
      if (this.given.folderIsName) asAnswer(() => refuseUnlessEmpty(name));
      return name;
    };
    this.title(this.given.name, "1. What is the site called? Its folder and its cluster get this name.");
    return this.one("--name", this.given.name, "name", this.given.proposal, read);
  }

  async servers(name: string): Promise<ServerAnswer[]> {
    this.title(this.given.servers, "2. Which servers run Proxmox VE? One at a time.", forms.server);
    return this.several("--servers", this.given.servers, {
      prompt: (number) => `server ${number}`,
      fallback: (before) => defaultServer(before),
      read: (text, before) => {
        const servers = [...before, readServer(text, before)];
        checkAnswers(this.draft({ name, servers }));
        return servers.at(-1)!;
      },
      least: 1,
    });
  }

  third(name: string, servers: ServerAnswer[]): Promise<ThirdAnswer | undefined> {
    const question =
      servers.length === 2
        ? "3. Which machine outside of both has the third vote? With a disk it takes the backups, too."
        : `3. Which machine beside them takes the backups?${servers.length === 1 ? "" : " A third vote is not needed."}`;
    this.title(this.given.thirdVote, question, servers.length === 2 ? forms.third : `${forms.third}, or none`);
    const fallback = servers.length === 2 ? `backup-1 2 4 2000 ${nextAddress(servers)}` : "none";
    return this.one("--third-vote", this.given.thirdVote, "machine", fallback, (text) => {
      const third = readThird(text, servers);
      checkAnswers({ name, servers, ...(third && { third }), guests: [], state: { kind: "local" } });
      return third;
    });
  }

  guests(hardware: Hardware): Promise<GuestAnswer[]> {
    const { name, servers, third } = hardware;
    const machines = [...servers, ...(third ? [third] : [])];
    this.title(this.given.guests, "4. Which guests to begin with? One at a time.", `${forms.guest}, or none`);
    return this.several("--guests", this.given.guests, {
      prompt: (number) => `guest ${number}`,
      fallback: (before) => (before.length === 0 ? "app-1 2 4 40" : "none"),
      read: (text, before) => {
        const guests = [...before, readGuest(text, [...machines, ...before])];
        checkAnswers({ name, servers, ...(third && { third }), guests, state: { kind: "local" } });
        return guests.at(-1)!;
      },
      least: 0,
    });
  }

  async state(answers: Omit<Answers, "state">): Promise<Answers["state"]> {
    this.title(
      this.given.state,
      "5. Where shall the engine keep its state, what it remembers of what it built?",
      forms.state,
    );
    let insisted: string | undefined;
    const isAsked = this.given.state === undefined && !this.given.defaults;
    return this.one("--state", this.given.state, "state", "local", (text) => {
      const state = readState(text);
      const spec = checkAnswers({ ...answers, state });
      const reason = stateOnSite(spec, state);
      if (reason === undefined || !isAsked || insisted === backendUrl(state)) return state;
      insisted = backendUrl(state);
      throw new AnswerError(`${reason}. Name another place, or the same again to keep it`);
    });
  }

  /** Servers alone, with the vote that they will need. */
  private draft({ name, servers }: Pick<Answers, "name" | "servers">): Answers {
    const vote = { name: "vote", cores: 1, memoryGiB: 1, address: nextAddress(servers) };
    const isVoteNeeded = servers.length === 2;
    return { name, servers, ...(isVoteNeeded && { third: vote }), guests: [], state: { kind: "local" } };
  }

  private title(given: unknown, question: string, form?: string): void {
    if (given !== undefined || !this.io.ask || this.given.defaults) return;
    this.io.stderr.write(`\n${question}\n${form === undefined ? "" : `   written as: ${form}\n`}`);
  }

  private one<T>(
    option: string,
    given: string | undefined,
    prompt: string,
    fallback: string,
    read: (text: string) => T,
  ): Promise<T> {
    if (given !== undefined) return Promise.resolve(fromOption(option, given, read));
    if (this.given.defaults || !this.io.ask)
      return Promise.resolve(fromOption(`the default of ${option}`, fallback, read));
    return this.asked(prompt, fallback, read);
  }

  private async several<T>(option: string, given: readonly string[] | undefined, list: ListQuestion<T>): Promise<T[]> {
    const answers: T[] = [];
    for (const text of given === undefined ? [] : entriesOf(given)) {
      if (isNone(text)) continue;
      answers.push(fromOption(option, text, (entry) => list.read(entry, answers)));
    }
    if (given !== undefined && answers.length < list.least) throw new UsageError(`${option}: name at least one`);
    if (given !== undefined) return answers;
    const wanted = this.given.defaults || !this.io.ask ? undefined : this.io.ask;
    while (answers.length < MANY) {
      const fallback = list.fallback(answers);
      const read = (text: string) =>
        isNone(text) && answers.length >= list.least ? undefined : list.read(text, answers);
      const answer =
        wanted === undefined
          ? fromOption(`the default of ${option}`, fallback, read)
          : await this.asked(list.prompt(answers.length + 1), fallback, read);
      if (answer === undefined) break;
      answers.push(answer);
    }
    return answers;
  }

  private async asked<T>(prompt: string, fallback: string, read: (text: string) => T): Promise<T> {
    for (;;) {
      const typed = (await this.io.ask!(`  ${prompt} [${fallback}]: `)).trim();
      try {
        return read(typed === "" ? fallback : typed);
      } catch (error) {
        if (!(error instanceof AnswerError)) throw error;
        this.io.stderr.write(`  ${error.message}.\n`);
      }
    }
  }
}

interface ListQuestion<T> {
  prompt(number: number): string;
  fallback(before: readonly T[]): string;
  read(text: string, before: readonly T[]): T;
  /** How many there must be before `none` ends the list. */
  least: number;
}

/** Two alike, and then no more. */
function defaultServer(before: readonly ServerAnswer[]): string {
  const [first] = before;
  if (before.length >= 2) return "none";
  if (first === undefined) return `srv1 8 32 1000 ${nextAddress([])}`;
  return `${nextName(first.name)} ${first.cores} ${first.memoryGiB} ${first.poolGiB} ${nextAddress(before)}`;
}

/** srv2 after srv1. */
function nextName(name: string): string {
  const [, stem = name, number] = /^(.*?)(\d+)$/.exec(name) ?? [];
  return number === undefined ? `${stem}2` : `${stem}${Number(number) + 1}`;
}

const entriesOf = (given: readonly string[]): string[] =>
  given.flatMap((text) => text.split(";")).filter((text) => text.trim() !== "");

function fromOption<T>(option: string, text: string, read: (text: string) => T): T {
  try {
    return read(text);
  } catch (error) {
    if (error instanceof AnswerError) throw new UsageError(`${option}: ${error.message}`);
    throw error;
  }
}

/** A refusal of the file system, as the reason why an answer cannot be used. */
function asAnswer(act: () => void): void {
  try {
    act();
  } catch (error) {
    if (error instanceof UsageError) throw new AnswerError(error.message);
    throw error;
  }
}
