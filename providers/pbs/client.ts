/** Client of the Proxmox Backup Server API: API token, verified TLS, retries, tasks. */
import { type Answer, type BrokenCall, Connection } from "../http/connection";
import { type CallContext, type CallError, ConfigError } from "../http/errors";
import { encodeForm, type FormValue } from "../http/form";
import { backoffSeconds, isHarmlessReset, type RetryPolicy, sleep } from "../http/retry";
import { isUntrusted, untrusted } from "../http/tls";
import { isLockText, PbsError } from "./errors";
import { type PbsTaskOptions, waitForTask } from "./tasks";
import { PBS_TRUST } from "./trust";

/** Arguments of {@link PbsClient}. */
export interface PbsClientOptions {
  /** Name of the backup server in messages and in `coldspare:pbs`. */
  server: string;
  /** `https://192.168.10.13:8007`. */
  endpoint: string;
  /** `user@realm!name:secret`. The secret occurs in no message. */
  token: string;
  /** PEM text of the CA that signed the server's certificate, beside the public ones. */
  ca?: string;
  /** SHA-256 fingerprint of the server's certificate: exactly this one is trusted, whatever `ca` says. */
  fingerprint?: string;
  /** Seconds for one answer. Default 60. */
  timeoutSeconds?: number;
  /** Seconds for a connection to come about. Default 5. */
  connectSeconds?: number;
  /** Seconds between two looks at a task, at most. Default 2. */
  pollSeconds?: number;
  /** Ends whatever the client is doing. */
  signal?: AbortSignal;
  retry?: Partial<RetryPolicy>;
}

/** Parameters of a call; `undefined` ones are left out. */
export type PbsParameters = Readonly<Record<string, FormValue>>;

type Method = "GET" | "POST" | "PUT" | "DELETE";

interface Attempt {
  method: Method;
  path: string;
  about: CallContext;
}

type Outcome<T> = { data: T } | { error: CallError; again: boolean };

/**
 * ```ts
 * const pbs = new PbsClient({ server: "backup-1", endpoint: "https://192.168.10.13:8007", token, fingerprint });
 * const jobs = await pbs.get<{ id: string }[]>("/config/prune");
 * await pbs.task("POST", "/admin/datastore/main/gc", {}, { doing: "collect the garbage of 'main'" });
 * pbs.close();
 * ```
 *
 * @throws PbsError for everything that goes wrong
 */
export class PbsClient {
  readonly server: string;
  readonly #secret: string;
  readonly #authorization: string;
  readonly #tokenId: string;
  readonly #connection: Connection;
  readonly #timeoutSeconds: number;
  readonly #pollSeconds: number;
  readonly #retry: RetryPolicy;
  readonly #signal: AbortSignal | undefined;

  constructor(options: PbsClientOptions) {
    const { server } = options;
    const token = options.token.trim().match(/^([^!:=\s]+@[^!:=\s]+![^!:=\s]+)[:=](\S+)$/);
    if (!token) {
      throw new ConfigError(
        `The API token of ${server} does not have the form user@realm!name:secret. Fix: \`pulumi config set --secret coldspare:pbsToken 'coldspare@pbs!pulumi:<secret>'\``,
      );
    }
    this.server = server;
    this.#tokenId = token[1]!;
    this.#secret = token[2]!;
    this.#authorization = `PBSAPIToken=${this.#tokenId}:${this.#secret}`;
    this.#connection = new Connection({
      server,
      url: parseEndpoint(server, options.endpoint),
      ca: options.ca,
      fingerprint: options.fingerprint,
      connectSeconds: options.connectSeconds ?? 5,
      advice: PBS_TRUST,
    });
    this.#timeoutSeconds = options.timeoutSeconds ?? 60;
    this.#pollSeconds = options.pollSeconds ?? 2;
    this.#retry = { attempts: options.retry?.attempts ?? 6, baseSeconds: options.retry?.baseSeconds ?? 0.5 };
    this.#signal = options.signal;
  }

  /** The token's id, `user@realm!name`: no secret. */
  get tokenId(): string {
    return this.#tokenId;
  }

  /** @example `pbs.get<Snapshot[]>("/admin/datastore/main/snapshots", { ns: "office" })` */
  get<T>(path: string, query?: PbsParameters, about: CallContext = {}): Promise<T> {
    return this.call<T>("GET", path, query, about);
  }

  post<T>(path: string, form?: PbsParameters, about: CallContext = {}): Promise<T> {
    return this.call<T>("POST", path, form, about);
  }

  put<T>(path: string, form?: PbsParameters, about: CallContext = {}): Promise<T> {
    return this.call<T>("PUT", path, form, about);
  }

  /** Parameters of a DELETE go into the query. */
  delete<T>(path: string, query?: PbsParameters, about: CallContext = {}): Promise<T> {
    return this.call<T>("DELETE", path, query, about);
  }

  /** Makes a call that starts a task, and waits for its end. @throws PbsError with the last lines of its log when it failed */
  async task(
    method: Exclude<Method, "GET">,
    path: string,
    parameters: PbsParameters,
    about: CallContext,
    options: PbsTaskOptions = {},
  ): Promise<void> {
    const upid = await this.call<string>(method, path, parameters, about);
    await this.waitTask(upid, { ...options, about, call: `${method} ${path}` });
  }

  /** Waits for a task. @throws PbsError with the last lines of its log when it failed or took too long */
  waitTask(upid: string, options: PbsTaskOptions = {}): Promise<void> {
    const { about = {}, call = `task ${upid}` } = options;
    return waitForTask(upid, options, {
      read: (path, query) => this.get(path, query, about),
      fail: (reason, log, fix) =>
        this.failure({ ...about, call, status: 200, reason, log, ...(fix === undefined ? {} : { fix }) }),
      redact: (text) => this.redact(text),
      pause: (seconds) => this.pause(seconds, call, about),
      maxPollSeconds: this.#pollSeconds,
    });
  }

  /** Sleeps for `seconds`, or throws when the client's signal aborts. */
  async pause(seconds: number, call = "waiting", about: CallContext = {}): Promise<void> {
    try {
      await sleep(seconds, this.#signal);
    } catch {
      throw this.cancelled(call, about);
    }
  }

  /** An error of this server that no answer caused: what was asked would do harm, or cannot be. */
  refusal(doing: string, call: string, reason: string, fix: string): PbsError {
    return this.failure({ doing, call, status: 409, reason, fix });
  }

  /** Closes idle connections. The client can still be used afterwards. */
  close(): void {
    this.#connection.close();
  }

  private async call<T>(
    method: Method,
    path: string,
    parameters: PbsParameters = {},
    about: CallContext = {},
  ): Promise<T> {
    const encoded = encodeForm(parameters);
    const inQuery = method === "GET" || method === "DELETE";
    const wirePath = `/api2/json${path}${inQuery && encoded !== "" ? `?${encoded}` : ""}`;
    for (let count = 0; ; count++) {
      const outcome = await this.tryOnce<T>({ method, path, about }, wirePath, inQuery ? undefined : encoded);
      if ("data" in outcome) return outcome.data;
      if (!outcome.again || count + 1 >= this.#retry.attempts) throw outcome.error;
      await this.pause(backoffSeconds(this.#retry, count), `${method} ${path}`, about);
    }
  }

  private async tryOnce<T>(attempt: Attempt, path: string, body: string | undefined): Promise<Outcome<T>> {
    try {
      const answer = await this.#connection.send({
        method: attempt.method,
        path,
        body,
        authorization: this.#authorization,
        timeoutSeconds: this.#timeoutSeconds,
        signal: this.#signal,
      });
      return this.read<T>(attempt, answer);
    } catch (thrown) {
      const broken = thrown as BrokenCall;
      return { error: await this.connectionError(attempt, broken), again: isHarmlessReset(attempt.method, broken) };
    }
  }

  private read<T>({ method, path, about }: Attempt, answer: Answer): Outcome<T> {
    if (answer.status >= 200 && answer.status < 300) return { data: parseData(answer.body) as T };
    const reason = message(answer);
    const error = this.failure({ ...about, call: `${method} ${path}`, status: answer.status, reason });
    return { error, again: isWorthAnother(method, answer.status, reason) };
  }

  private async connectionError({ method, path, about }: Attempt, broken: BrokenCall): Promise<CallError> {
    if (broken instanceof PbsError) return broken;
    const call = `${method} ${path}`;
    if (this.#signal?.aborted) return this.cancelled(call, about);
    const { options } = this.#connection;
    if (isUntrusted(broken.code)) return untrusted(options, call, about.doing, broken);
    const taken = broken.sent === true && method !== "GET" ? "; the server may have taken the call" : "";
    const reason = `${options.url.origin} does not answer (${broken.code ?? "no code"}: ${broken.message})${taken}`;
    return this.failure({ ...about, call, status: 0, reason, code: broken.code ?? "UNKNOWN" });
  }

  private failure(facts: Omit<ConstructorParameters<typeof PbsError>[0], "server" | "tokenId">): PbsError {
    const reason = this.redact(facts.reason);
    return new PbsError({ ...facts, reason, server: this.server, tokenId: this.#tokenId });
  }

  private cancelled(call: string, about: CallContext): PbsError {
    const fix =
      "run it again when you want it finished; a task that was already started goes on by itself on the server";
    return this.failure({ ...about, call, status: 0, code: "CANCELLED", reason: "cancelled", fix });
  }

  private redact(text: string): string {
    return text.replaceAll(this.#secret, "***");
  }
}

/** Whether the same call may succeed in a moment and did no work yet (or does no harm when done twice). */
function isWorthAnother(method: Method, status: number, reason: string): boolean {
  if (status === 503 || isLockText(reason)) return true;
  return (method === "GET" || method === "PUT") && (status === 502 || status === 504);
}

function parseEndpoint(server: string, endpoint: string): URL {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url?.protocol !== "https:") {
    throw new ConfigError(
      `The endpoint of ${server}, '${endpoint}', is no https:// address. Fix: \`pulumi config set --path 'coldspare:pbs.${server}.endpoint' https://<address>:8007\``,
    );
  }
  return url;
}

function parseData(body: string): unknown {
  try {
    return (JSON.parse(body) as { data?: unknown } | null)?.data;
  } catch {
    return undefined;
  }
}

/** Errors are plain text in the body; a proxy before the server may send something else. */
function message({ status, reason, body }: Answer): string {
  const text = body.trim();
  if (text !== "" && text.length < 2000 && !/^[{<]/.test(text)) return text;
  return jsonMessage(text) ?? (reason.trim() || `HTTP ${status}`);
}

function jsonMessage(text: string): string | undefined {
  try {
    const { message, errors } = JSON.parse(text) as { message?: string; errors?: Record<string, unknown> };
    const details = Object.entries(errors ?? {}).map(([name, value]) => `${name}: ${String(value).trim()}`);
    const all = [message?.trim() ?? "", ...details].filter((part) => part !== "");
    return all.length === 0 ? undefined : all.join("; ");
  } catch {
    return undefined;
  }
}
