/** Calls of one reading: GET alone, so many at a time; what may fail is told and does not end the reading. */
import type { UnreadPart } from "../../planning/adoption/snapshot";
import type { Parameters, PveClient } from "../../providers/pve/client";
import { PveError } from "../../providers/pve/errors";
import { isRow, type Row } from "./rows";

export class Reader {
  private readonly missed = new Map<string, string>();
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  /** @param atOnce Calls at a time. */
  constructor(
    private readonly pve: PveClient,
    private readonly atOnce: number,
  ) {}

  /** What could not be read when it was asked for last, and why. */
  get unread(): UnreadPart[] {
    return [...this.missed].map(([what, why]) => ({ what, why }));
  }

  miss(what: string, why: string): void {
    this.missed.set(what, why);
  }

  /** It was read after all. */
  found(what: string): void {
    this.missed.delete(what);
  }

  /** @throws PveError */
  async get<T>(path: string, doing: string, query: Parameters = {}): Promise<T> {
    if (this.running >= this.atOnce) await new Promise<void>((resolve) => this.waiting.push(resolve));
    else this.running++;
    try {
      return await this.pve.get<T>(path, query, { doing });
    } finally {
      // Whoever waits takes the place over.
      const next = this.waiting.shift();
      if (next) next();
      else this.running--;
    }
  }

  /** The rows of a list. @throws PveError */
  async rows(path: string, doing: string, query: Parameters = {}): Promise<Row[]> {
    return rowsOf(await this.get<unknown>(path, doing, query));
  }

  /** An optional list: none when it cannot be read, which is then told. */
  async list(what: string, path: string): Promise<Row[]> {
    return rowsOf(await this.ask(what, path));
  }

  /** An optional answer. */
  async ask(what: string, path: string): Promise<unknown> {
    try {
      const answer = await this.get<unknown>(path, `read ${what}`);
      this.found(what);
      return answer;
    } catch (error) {
      if (!isOfThisCall(error)) throw error;
      this.miss(what, wordsOf(error));
      return undefined;
    }
  }
}

const rowsOf = (answer: unknown): Row[] => (Array.isArray(answer) ? answer.filter(isRow) : []);

/** Whether a failure is one of this call alone; with the others there is nobody to ask any more. */
export function isOfThisCall(error: unknown): error is PveError {
  return error instanceof PveError && error.status !== 401 && error.status !== 0;
}

/** Why a call failed; a privilege that is missing is named with its path. */
export function wordsOf({ status, reason, server }: PveError): string {
  const [, path, privilege] = /Permission check failed \(([^,)]*), ([^)]*)\)/.exec(reason) ?? [];
  if (path !== undefined && privilege !== undefined) return `the token lacks ${privilege} on ${path}`;
  return status === 595 ? `${server} does not answer` : reason;
}
