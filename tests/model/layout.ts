/** What stands where in a state of the model: one guest, up to three servers, up to three commands of operators. */
import type { State } from "./checker";

/** Servers. `A` is the guest's primary, `B` its spare, `C` the third voter (a witness, or a hypervisor). */
export const A = 0;
export const B = 1;
export const C = 2;
/** In place of a server: nobody may run the guest. */
export const NOBODY = 3;

/** Who claimed a record: nobody yet, a command (1, 2, 3), the guard or agent of a server, a person's `allow`. */
export const BY_NONE = 0;
export const byCommand = (command: number): number => 1 + command;
export const byGuard = (server: number): number => 4 + server;
export const BY_ALLOW = 7;

let size = 0;
const fields = (count: number): number => {
  const at = size;
  size += count;
  return at;
};

// The vote of each server: its record, and the hold of its last grant (ticks left on its own clock).
export const EPOCH = fields(3);
export const SERVER = fields(3);
export const BY = fields(3);
/** 1: never wrote a record. */
export const FRESH = fields(3);
export const HOLDER = fields(3);
export const HOLD = fields(3);

// Each hypervisor.
export const UP = fields(3);
/** 1: the guest's process lives there. */
export const RUNS = fields(3);
/** 1: a configuration of the guest is there, as far as that server knows. */
export const CONFIG = fields(3);
/** 1: a person has promised that the other side stays off until a majority names this one. */
export const WORD = fields(3);
/** 1: a person's one-time permit lies there. */
export const PERMIT = fields(3);
/** A start in progress: see STARTING. */
export const START = fields(3);
/** Its epoch, who claimed it, and the voters that have answered so far (bits). */
export const START_EPOCH = fields(3);
export const START_BY = fields(3);
export const START_GOT = fields(3);
/** 1: all voters answered with epoch 0, so those without memory may be told that beginning. */
export const START_NEW = fields(3);
/** Lease: ticks left of what voter v granted server h, at WORTH + 3h + v, on h's own clock. */
export const WORTH = fields(9);
/** Lease: ticks that the guest has outlived its validity. */
export const OVER = fields(3);
/** Lease: 1 when this clock has ticked in this round already. The last is the operator's. */
export const TICKED = fields(4);

// Each command.
export const STAGE = fields(3);
/** The epoch that it claims. */
export const TARGET = fields(3);
/** Voters that hold its claim (bits). */
export const MASK = fields(3);
/** Voters whose counters of grants it read at first, and that have granted no start since (bits). */
export const QUIET = fields(3);
/** Only with a rule switched off. confirmAgain: 1 when a person has confirmed before; countedOnly: the voters that were read. */
export const MEMO = fields(3);
/** Two voters: 1 when the spare has restarted since the command read first. */
export const RESTARTED = fields(3);
/** A claim of it that is still on its way, although it has ended: epoch (0: none), and the server that it names. */
export const LATE_EPOCH = fields(3);
export const LATE_SERVER = fields(3);
/** Lease: ticks of the margin still to wait. */
export const WAIT = fields(3);
/** The server with the configuration that ran last. */
export const PLACE = fields(1);
/** How many voters may still be installed anew. */
export const REINSTALLS = fields(1);

export const SIZE = size + (size % 2);

/** A start in progress. */
export const STARTING = { none: 0, granting: 1, claiming: 2, passed: 3 } as const;

export function count(mask: number): number {
  return (mask & 1) + ((mask >> 1) & 1) + ((mask >> 2) & 1);
}

/** The guest runs at home, every voter has the first record in its file. */
export function beginning(servers: readonly number[], fresh: boolean, standby: boolean): State {
  const state = new Uint8Array(SIZE);
  for (const server of [A, B, C]) {
    state[FRESH + server] = fresh && servers.includes(server) ? 1 : 0;
    state[HOLDER + server] = NOBODY;
    state[UP + server] = servers.includes(server) ? 1 : 0;
  }
  state[CONFIG + A] = 1;
  state[CONFIG + B] = standby ? 1 : 0;
  return state;
}
