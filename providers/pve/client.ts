/** Client of the Proxmox VE API: API token, verified TLS, several endpoints, retries, tasks. */
import type { Writable } from "node:stream";
import { type Answer, type BrokenCall, Connection } from "../http/connection";
import type { CallError } from "../http/errors";
import { encodeForm } from "../http/form";
import { backoffSeconds, isHarmlessReset, type RetryPolicy, sleep } from "../http/retry";
import { isUntrusted, untrusted } from "../http/tls";
import { type CallContext, ConfigError, isLockText, PveError, UNREACHABLE } from "./errors";
import { type TaskOptions, waitForTask } from "./tasks";
import { PVE_TRUST } from "./trust";

/** Arguments of {@link PveClient}. */
export interface PveClientOptions {
  /** The API of each server, by the server's name: `{ srv1: "https://10.0.0.11:8006" }`. Any of them serves the whole cluster. */
  endpoints: Readonly<Record<string, string>>;
  /** `user@realm!name=secret`. The secret occurs in no message. */
  apiToken: string;
  /** PEM text of the CA that signed the servers' certificates (`/etc/pve/pve-root-ca.pem`), beside the public ones. */
  ca?: string;
  /** SHA-256 fingerprints of the servers' certificates, by server: these exact certificates are trusted, whatever `ca` says. */
  fingerprints?: Readonly<Record<string, string>>;
  /** The same for every server that `fingerprints` does not name. */
  fingerprint?: string;
  /** Seconds for one answer. Default 60 (a cluster without quorum takes 10 to refuse). */
  timeoutSeconds?: number;
  /** Seconds that an endpoint which does not answer costs, once in the client's life. Default 5. */
  connectSeconds?: number;
  /** Seconds between two looks at a task, at most. Default 2. */
  pollSeconds?: number;
  /** Ends whatever the client is doing. */
  signal?: AbortSignal;
  retry?: Partial<RetryPolicy>;
}

/** Parameters of a call; `undefined` ones are left out, booleans go as 0 and 1. */
export type Parameters = Readonly<Record<string, string | number | boolean | undefined>>;

type Method = "GET" | "POST" | "PUT" | "DELETE";

interface Attempt {
  method: Method;
  path: string;
  body: string | undefined;
  about: CallContext;
}

/**
 * ```ts
 * const pve = new PveClient({ endpoints: { srv1: "https://10.0.0.11:8006" }, apiToken, ca });
 * const version = await pve.get<{ version: string }>("/version");
 * await pve.task("srv1", "POST", "/nodes/srv1/qemu/110/status/start", {}, { doing: "start guest 110 'sql-erp'", guest: "sql-erp" });
 * pve.close();
 * ```
 *
 * A call goes to the endpoint of the server that its path names, if there is one and it lives, else to any that does.
 * @throws PveError for everything that goes wrong
 */
export class PveClient {
  readonly #secret: string;
  readonly #authorization: string;
  readonly #tokenId: string;
  readonly #connections = new Map<string, Connection>();
  readonly #dead = new Set<string>();
  readonly #timeoutSeconds: number;
  readonly #pollSeconds: number;
  readonly #retry: RetryPolicy;
  readonly #signal: AbortSignal | undefined;

  constructor(options: PveClientOptions) {
    const token = options.apiToken.trim().match(/^([^!=\s]+@[^!=\s]+![^=\s]+)=(\S+)$/);
    if (!token) {
      throw new ConfigError(
        "The API token does not have the form user@realm!name=secret. Fix: `pulumi config set --secret coldspare:apiToken 'coldspare@pve!pulumi=<secret>'`",
      );
    }
    this.#tokenId = token[1]!;
    this.#secret = token[2]!;
    this.#authorization = `PVEAPIToken=${token[0]}`;
    for (const [server, endpoint] of Object.entries(options.endpoints)) {
      const url = parseEndpoint(server, endpoint);
      const fingerprint = options.fingerprints?.[server] ?? options.fingerprint;
      this.#connections.set(
        server,
        new Connection({
          server,
          url,
          ca: options.ca,
          fingerprint,
          connectSeconds: options.connectSeconds ?? 5,
          advice: PVE_TRUST,
        }),
      );
    }
    if (this.#connections.size === 0) {
      throw new ConfigError(
        "No endpoint of Proxmox VE is known. Fix: `pulumi config set --path 'coldspare:endpoints.srv1' https://srv1.example.org:8006`",
      );
    }
    this.#timeoutSeconds = options.timeoutSeconds ?? 60;
    this.#pollSeconds = options.pollSeconds ?? 2;
    this.#retry = { attempts: options.retry?.attempts ?? 6, baseSeconds: options.retry?.baseSeconds ?? 0.5 };
    this.#signal = options.signal;
  }

  /** `user@realm!name` of the token, which is no secret: for commands in messages. */
  get tokenId(): string {
    return this.#tokenId;
  }

  /** @example `pve.get<Guest[]>("/cluster/resources", { type: "vm" })` */
  get<T>(path: string, query?: Parameters, about: CallContext = {}): Promise<T> {
    return this.call<T>("GET", path, query, about);
  }

  post<T>(path: string, form?: Parameters, about: CallContext = {}): Promise<T> {
    return this.call<T>("POST", path, form, about);
  }

  put<T>(path: string, form?: Parameters, about: CallContext = {}): Promise<T> {
    return this.call<T>("PUT", path, form, about);
  }

  /** Parameters of a DELETE go into the query: PVE reads no body there. */
  delete<T>(path: string, query?: Parameters, about: CallContext = {}): Promise<T> {
    return this.call<T>("DELETE", path, query, about);
  }

  /**
   * Writes what a call answers, byte by byte. Asks one endpoint, once: half of it may be written when it fails.
   *
   * @throws PveError with the server's words
   */
  async download(path: string, query: Parameters, into: Writable, about: CallContext = {}): Promise<void> {
    const encoded = encodeForm(query);
    const attempt: Attempt = { method: "GET", path, body: undefined, about };
    const server = this.endpointsFor(path)[0]!;
    let answer: Answer;
    try {
      answer = await this.#connections.get(server)!.send({
        method: "GET",
        path: `/api2/json${path}${encoded === "" ? "" : `?${encoded}`}`,
        body: undefined,
        authorization: this.#authorization,
        timeoutSeconds: this.#timeoutSeconds,
        signal: this.#signal,
        into,
      });
    } catch (thrown) {
      throw await this.connectionError(attempt, server, thrown as BrokenCall);
    }
    const read = this.read<unknown>(attempt, server, answer);
    if ("error" in read) throw read.error;
  }

  /**
   * Makes a call that starts a task, and waits for its end. A task that ended because something was locked did nothing and is
   * started again, with the patience of `retry`.
   */
  async task(
    node: string,
    method: Exclude<Method, "GET">,
    path: string,
    form: Parameters,
    about: CallContext,
    options: TaskOptions = {},
  ): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const upid = await this.call<string>(method, path, form, about);
      try {
        return await this.waitTask(node, upid, {
          ...options,
          about: { ...about, server: node },
          call: `${method} ${path}`,
        });
      } catch (error) {
        if (!(error instanceof PveError && error.isLocked) || attempt + 1 >= this.#retry.attempts) throw error;
        await this.pause(backoffSeconds(this.#retry, attempt), `${method} ${path}`, about, node);
      }
    }
  }

  /** Waits for a task. @throws PveError with the last lines of its log when it failed */
  waitTask(node: string, upid: string, options: TaskOptions = {}): Promise<void> {
    return waitForTask(this, node, upid, {
      maxPollSeconds: this.#pollSeconds,
      tokenId: this.#tokenId,
      redact: (text) => this.redact(text),
      ...options,
      pause: (seconds) => this.pause(seconds, options.call ?? `task ${upid}`, options.about ?? {}, node),
    });
  }

  /** Sleeps for `seconds`, or throws when the client's signal aborts. */
  async pause(seconds: number, call = "waiting", about: CallContext = {}, server?: string): Promise<void> {
    try {
      await sleep(seconds, this.#signal);
    } catch {
      throw this.cancelled(server ?? about.server ?? this.firstServer(), call, about);
    }
  }

  /** Closes idle connections. The client can still be used afterwards. */
  close(): void {
    for (const connection of this.#connections.values()) connection.close();
  }

  private async call<T>(
    method: Method,
    path: string,
    parameters: Parameters = {},
    about: CallContext = {},
  ): Promise<T> {
    const encoded = encodeForm(parameters);
    const inQuery = method === "GET" || method === "DELETE";
    const wirePath = `/api2/json${path}${inQuery && encoded !== "" ? `?${encoded}` : ""}`;
    const attempt: Attempt = { method, path, body: inQuery ? undefined : encoded, about };
    for (let count = 0; ; count++) {
      const failure = await this.tryOnce<T>(attempt, wirePath);
      if ("data" in failure) return failure.data;
      if (!failure.again || count + 1 >= this.#retry.attempts) throw failure.error;
      await this.pause(backoffSeconds(this.#retry, count), `${method} ${path}`, about, failure.error.server);
    }
  }

  /** One round over the endpoints: the first that can be connected to decides. */
  private async tryOnce<T>(
    attempt: Attempt,
    wirePath: string,
  ): Promise<{ data: T } | { error: CallError; again: boolean }> {
    let unreachable: CallError | undefined;
    for (const server of this.endpointsFor(attempt.path)) {
      try {
        const answer = await this.#connections.get(server)!.send({
          method: attempt.method,
          path: wirePath,
          body: attempt.body,
          authorization: this.#authorization,
          timeoutSeconds: this.#timeoutSeconds,
          signal: this.#signal,
        });
        this.#dead.delete(server);
        return this.read<T>(attempt, server, answer);
      } catch (thrown) {
        const broken = thrown as BrokenCall;
        const error = await this.connectionError(attempt, server, broken);
        if (broken.code !== undefined && UNREACHABLE.has(broken.code) && broken.sent !== true) {
          this.#dead.add(server);
          unreachable ??= error;
          continue;
        }
        return { error, again: isHarmlessReset(attempt.method, broken) };
      }
    }
    return { error: unreachable!, again: false };
  }

  private read<T>(attempt: Attempt, server: string, answer: Answer): { data: T } | { error: PveError; again: boolean } {
    const body = parseBody(answer.body);
    if (answer.status >= 200 && answer.status < 300) return { data: body?.data as T };
    const parameterErrors = Object.entries(body?.errors ?? {}).map(([name, text]) => `${name}: ${String(text).trim()}`);
    const message = (body?.message ?? "").trim() || answer.reason.trim() || `HTTP ${answer.status}`;
    const reason =
      parameterErrors.length > 0 ? `${message.replace(/\.$/, "")} (${parameterErrors.join("; ")})` : message;
    const named = nodeOf(attempt.path);
    const about = named !== undefined ? { ...attempt.about, server: named } : attempt.about;
    const shown = answer.status === 595 ? `the server does not answer (595 ${reason}, says ${server})` : reason;
    const error = this.error(attempt, about.server ?? server, answer.status, shown);
    return { error, again: isWorthAnother(attempt.method, answer.status, reason) };
  }

  private async connectionError(attempt: Attempt, server: string, broken: BrokenCall): Promise<CallError> {
    if (broken instanceof PveError) return broken;
    const call = `${attempt.method} ${attempt.path}`;
    if (this.#signal?.aborted) return this.cancelled(server, call, attempt.about);
    const { options } = this.#connections.get(server)!;
    if (isUntrusted(broken.code)) return untrusted(options, call, attempt.about.doing, broken);
    const taken = broken.sent === true && attempt.method !== "GET" ? "; the server may have taken the call" : "";
    const text = `${options.url.origin} does not answer (${broken.code ?? "no code"}: ${broken.message})${taken}`;
    return this.error(attempt, server, 0, text, broken.code ?? "UNKNOWN");
  }

  private error(attempt: Attempt, server: string, status: number, reason: string, code?: string): PveError {
    return new PveError({
      ...attempt.about,
      server,
      call: `${attempt.method} ${attempt.path}`,
      status,
      reason: this.redact(reason),
      tokenId: this.#tokenId,
      ...(code === undefined ? {} : { code }),
    });
  }

  private cancelled(server: string, call: string, about: CallContext): PveError {
    const fix =
      "run it again when you want it finished; a task that was already started goes on by itself on the server";
    return new PveError({ ...about, server, call, status: 0, code: "CANCELLED", reason: "cancelled", fix });
  }

  private redact(text: string): string {
    return text.replaceAll(this.#secret, "***");
  }

  private firstServer(): string {
    return this.#connections.keys().next().value!;
  }

  /** The server's own endpoint first, then the others; those that did not answer come last. */
  private endpointsFor(path: string): string[] {
    const own = nodeOf(path);
    const rank = (server: string) => (this.#dead.has(server) ? 2 : server === own ? 0 : 1);
    return [...this.#connections.keys()].sort((a, b) => rank(a) - rank(b));
  }
}

/** The server that a path names. */
function nodeOf(path: string): string | undefined {
  return path.match(/^\/nodes\/([^/]+)/)?.[1];
}

/** Whether the same call may succeed in a moment and did no work yet (or does no harm when done twice). */
function isWorthAnother(method: Method, status: number, reason: string): boolean {
  if (status === 503 || isLockText(reason)) return true;
  if (method !== "GET" && method !== "PUT") return false;
  if (status === 502 || status === 504 || status === 596) return true;
  return (
    method === "GET" &&
    status === 500 &&
    /got timeout|timed out|temporar|broken pipe|connection reset/i.test(reason) &&
    !/hostname lookup/.test(reason)
  );
}

function parseEndpoint(server: string, endpoint: string): URL {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url?.protocol !== "https:") {
    throw new ConfigError(
      `The endpoint of ${server}, '${endpoint}', is no https:// address. Fix: \`pulumi config set --path 'coldspare:endpoints.${server}' https://<address>:8006\``,
    );
  }
  return url;
}

function parseBody(text: string): { data?: unknown; message?: string; errors?: Record<string, unknown> } | undefined {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === "object" && body !== null ? body : undefined;
  } catch {
    return undefined;
  }
}
