/** How a server is reached over SSH. */
export interface SshTarget {
  /** Address or name. A name may be one of `~/.ssh/config`, with a jump host for instance. */
  host: string;
  port: number;
  user: string;
  /** Public host keys, `ssh-ed25519 AAAA…`: the server must show one of them, whatever known_hosts says. */
  hostKeys: string[];
}

/** What a command answered. */
export interface SshResult {
  /** The command's own exit code; 0 is good. */
  code: number;
  stdout: string;
  stderr: string;
}

/** How a command is run. */
export interface SshRunOptions {
  /** Its standard input; without it, it reads an empty one. Secrets travel here: everybody on the server can read argv. */
  input?: string;
  /** Seconds after which we give up. Default 60. What was begun on the server may still go on. */
  timeoutSeconds?: number;
}
