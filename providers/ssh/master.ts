/** A standing connection to one server, which commands share: each costs milliseconds instead of a handshake. */
import type { ChildProcess } from "node:child_process";
import { connectionFailure, SshError } from "./errors";
import { killGroup, notStarted, startSsh } from "./process";
import type { SshTarget } from "./types";

/** Seconds on top of the connection's own for proving who both sides are: a hardware key wants to be touched. */
const HANDSHAKE_SECONDS = 15;
const READY = "coldspare-ready";
/**
 * It ends with its input, and so with the process that holds that: a command that is killed leaves no connection behind.
 * That is why it is no `ssh -N` and no ControlPersist.
 */
const STAY = `echo ${READY}; exec cat >/dev/null`;

export class Master {
  #alive = true;
  readonly #gone: Promise<void>;

  private constructor(private readonly child: ChildProcess) {
    this.#gone = new Promise((resolve) => {
      child.once("exit", () => {
        this.#alive = false;
        resolve();
      });
    });
  }

  /** Whether the connection still stands, as far as one knows. */
  get isAlive(): boolean {
    return this.#alive;
  }

  /** Waits a moment for the connection's end: a command hears of it a little earlier than we do. */
  async isGoneWithin(milliseconds: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, milliseconds);
    });
    await Promise.race([this.#gone, late]);
    clearTimeout(timer);
    return !this.#alive;
  }

  kill(): void {
    this.#alive = false;
    killGroup(this.child);
  }

  /** @throws SshError when the server cannot be reached or refuses us */
  static open(
    server: string,
    target: SshTarget,
    args: readonly string[],
    options: { keyFile: string | undefined; connectSeconds: number },
  ): Promise<Master> {
    return new Promise((resolve, reject) => {
      const child = startSsh([...args, STAY], "pipe");
      const master = new Master(child);
      let said = "";
      let answered = "";
      const limit = options.connectSeconds + HANDSHAKE_SECONDS;
      const timer = setTimeout(() => {
        master.kill();
        reject(
          new SshError(
            server,
            "unreachable",
            `${target.host} port ${target.port} takes connections but is not ready after ${limit} s`,
            `look at ${server}'s console: it may hang (disk, memory), or its login waits for something`,
          ),
        );
      }, limit * 1000);
      child.on("error", (error) => {
        clearTimeout(timer);
        reject(notStarted(error));
      });
      child.stdin?.on("error", () => undefined);
      child.stderr?.on("data", (chunk: Buffer) => {
        said = (said + chunk.toString("utf8")).slice(-8192);
      });
      child.stdout?.on("data", (chunk: Buffer) => {
        // A login script may greet first.
        answered = (answered + chunk.toString("utf8")).slice(-8192);
        if (!answered.includes(READY)) return;
        clearTimeout(timer);
        // A standing connection keeps nobody's event loop alive.
        child.unref();
        for (const stream of child.stdio) (stream as { unref?: () => void } | null)?.unref?.();
        resolve(master);
      });
      child.on("close", () => {
        clearTimeout(timer);
        // After `resolve` this is without effect.
        reject(connectionFailure(server, target, said, options.keyFile));
      });
    });
  }
}
