/** What is known of a server's power. `unknown`: the answer was neither, for instance while it is changing. */
export type PowerState = "on" | "off" | "unknown";

/** The power of one server, from outside of it. */
export interface ServerPower {
  /** @throws PowerError when nobody answers */
  state(): Promise<PowerState>;
  /**
   * Hard, as by pulling the plug. Comes back when the server is said to be off, twice.
   * @throws PowerError that says what is known of the server, and what not
   */
  off(): Promise<void>;
  /** Comes back when the server is said to be on; its operating system takes longer. */
  on(): Promise<void>;
}

/** A server whose power could not be read or changed. The message says what is known; never a password. */
export class PowerError extends Error {
  constructor(
    readonly server: string,
    /** The last thing that was said of it. After a failed `off`, only `off` means that it is off. */
    readonly known: PowerState,
    readonly reason: string,
    readonly fix: string,
  ) {
    const state = known === "unknown" ? "whether it is on or off is not known" : `it was last said to be ${known}`;
    super(`${server}: ${reason}; ${state}. Fix: ${fix}`);
    this.name = "PowerError";
  }
}

/** One way to a server's power: single questions and orders, without patience. */
export interface PowerSwitch {
  state(): Promise<PowerState>;
  set(wanted: "on" | "off"): Promise<void>;
}

/** A question or order that failed. {@link PowerError} is made of it. */
export class SwitchFailure extends Error {
  constructor(
    readonly reason: string,
    readonly fix: string,
    /** The order was refused, and not merely left without an answer. */
    readonly isRefusal = true,
  ) {
    super(reason);
    this.name = "SwitchFailure";
  }
}
