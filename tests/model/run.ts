/** What one exploration is about: which servers, which way of fencing, which commands, and which rules hold. */

export type Fencing = "confirm" | "power" | "lease";

/** A command that an operator may give at any moment, crash at any step and give again. */
export interface Command {
  kind: "failover" | "planned";
  from: number;
  to: number;
}

/** The rules that make it safe. Each can be switched off, to show that the model then finds what goes wrong. */
export interface Rules {
  /** The block comes before the fence: nobody may run the guest while the other side is being switched off. */
  blockFirst: boolean;
  /** The block names nobody, not the spare. */
  blockNamesNobody: boolean;
  /** A start needs identical records at a majority; otherwise the highest epoch that answers counts. */
  identicalMajority: boolean;
  /** confirm: the command stops when a voter has granted a start since it was read first. */
  compareGrants: boolean;
  /** confirm: a voter whose counter was not read at first counts as one that has granted a start. */
  countedOnly: boolean;
  /** confirm: a command that is run again asks the person again. */
  confirmAgain: boolean;
  /** lease: wait for the holds of the blocked voters to end. */
  waitForHolds: boolean;
  /** lease: a voter that restarted counts its hold from boot for a whole term. */
  holdAfterReboot: boolean;
  /** A server's own vote must be among those that let it start. */
  ownRecord: boolean;
  /** A voter without memory does not count until all answer. */
  doubtFresh: boolean;
  /** A server consents to a release only while nothing runs or starts there. */
  releaseWhenStopped: boolean;
  /** A guard gets a release only when the configuration that ran last was moved to its server. */
  releaseFollowsMove: boolean;
  /** A permit counts only as long as the record that it was given with is the server's own. */
  permitOfRecord: boolean;
  /** Two voters: a command stops when the spare has restarted since it was read first. */
  spareNotRestarted: boolean;
  /** lease: the guard lets through only what has a valid lease at that moment. */
  validAtStart: boolean;
  /** Two voters: the permit is given only while the spare's record is still what the command claimed. */
  permitOnOwnClaim: boolean;
  /** Voters are installed anew only while all agree, and no command and no start is under way. */
  reinstallAtRest: boolean;
  /**
   * After the fence the command looks where the guest's configuration lies (on a third server: stop), and before it takes it
   * over that the old side, if it is back, does not run it.
   */
  lookWhereItRuns: boolean;
  /** lease: a voter that is installed anew counts as if it had granted a moment ago. */
  holdAfterReinstall: boolean;
  /** The agent tells the other voters of a record that a person's `allow` wrote. */
  spreadAllowed: boolean;
  /** lease: a start that outlives its lease ends with it, like a guest that runs. */
  startEndsWithLease: boolean;
}

export const ALL_RULES: Rules = {
  blockFirst: true,
  blockNamesNobody: true,
  identicalMajority: true,
  compareGrants: true,
  countedOnly: true,
  confirmAgain: true,
  waitForHolds: true,
  holdAfterReboot: true,
  ownRecord: true,
  doubtFresh: true,
  releaseWhenStopped: true,
  releaseFollowsMove: true,
  permitOfRecord: true,
  spareNotRestarted: true,
  validAtStart: true,
  holdAfterReinstall: true,
  permitOnOwnClaim: true,
  reinstallAtRest: true,
  lookWhereItRuns: true,
  spreadAllowed: true,
  startEndsWithLease: true,
};

/**
 * What a person promises with `allow`: that the other side is off now, or that it stays off until a majority of the voters names
 * the server that was allowed to start it.
 */
export type PersonsWord = "off now" | "stays off until the voters know";

export interface Run {
  name: string;
  fencing: Fencing;
  voters: readonly number[];
  /** Servers that guests may run on. */
  hosts: readonly number[];
  commands: readonly Command[];
  /** Records with a higher epoch are not explored. */
  epochs: number;
  rules: Rules;
  /** lease: ticks of a grant, and ticks that a guest may outlive its lease (watchdog and stop). */
  term: number;
  overrun: number;
  /** lease: ticks on the operator's clock after the holds have ended. */
  margin: number;
  /** Voters begin without memory. */
  fresh: boolean;
  /** The spare keeps a guest of its own (restore, zfs-sync); otherwise there is one configuration, which a switch moves. */
  standby: boolean;
  /** Somebody moves the guest with PVE's own migration. */
  migrations: boolean;
  /** A claim of a command that has ended may still arrive somewhere, at any later time. */
  lateClaims: boolean;
  /** Somebody migrates only while no command is under way, and only away from or back to the server that the voters name. */
  migrationsWait: boolean;
  /** How many voters may be installed anew, all told. */
  reinstalls: number;
  /** A person may say `coldspare-node allow`, and what the word is worth: see PersonsWord. */
  allows: boolean;
  word: PersonsWord;
}
