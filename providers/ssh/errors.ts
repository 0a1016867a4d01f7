/** Why a server could not be reached over SSH, and what to do. */
import type { SshTarget } from "./types";

/**
 * - `unreachable`: nobody answers, or the connection ended in the middle: then the command may have been carried out
 * - `host-key`: somebody answers who is not the server, or the server has new keys
 * - `denied`: the server does not let us in, or it is not known how to reach it
 * - `timeout`: we are in, but the command did not end in time (or said more than we are willing to keep)
 */
export type SshErrorKind = "unreachable" | "host-key" | "denied" | "timeout";

/** A command that could not be run on a server. The message names the server, the reason and the way out. */
export class SshError extends Error {
  constructor(
    readonly server: string,
    readonly kind: SshErrorKind,
    readonly reason: string,
    readonly fix: string,
  ) {
    super(`${server}: ${reason}. Fix: ${fix}`);
    this.name = "SshError";
  }
}

const HOST_KEY =
  /REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed|host key is known for|no matching host key type/i;
const DENIED =
  /Permission denied|Too many authentication failures|bad permissions|UNPROTECTED PRIVATE KEY|No supported authentication methods|Authentication failed|account is (locked|expired)/i;

/** The error for a connection that never came about, out of what `ssh` said. */
export function connectionFailure(
  server: string,
  target: SshTarget,
  said: string,
  keyFile: string | undefined,
): SshError {
  const at = place(target);
  if (HOST_KEY.test(said)) return wrongHostKey(server, target);
  if (DENIED.test(said)) {
    const key = keyFile === undefined ? "a key of your agent or of ~/.ssh" : `the key ${keyFile}`;
    return new SshError(
      server,
      "denied",
      `${at} does not let '${target.user}' in with ${key} (${lastLine(said, "Permission denied")})`,
      `put the public key into ~${target.user}/.ssh/authorized_keys on ${server} (with its console or \`ssh-copy-id\`), or name the right key: \`pulumi config set --path coldspare:ssh.keyFile <file>\`, COLDSPARE_SSH_KEY for the commands. ` +
        "A key with a passphrase has to be in an agent (`ssh-add`), a key file must be readable by you alone (chmod 600)",
    );
  }
  return new SshError(
    server,
    "unreachable",
    `${at} does not answer over SSH (${lastLine(said, "no reason given")})`,
    `look whether ${server} runs and its network is up (\`ping ${target.host}\`, its console); if it answers elsewhere: \`pulumi config set --path coldspare:ssh.hosts.${server} <address:port>\``,
  );
}

/** Somebody answered with another key than the pinned ones. */
export function wrongHostKey(server: string, target: SshTarget): SshError {
  return new SshError(
    server,
    "host-key",
    `${place(target)} shows a host key that is not pinned for ${server}: it was installed anew, or another machine answers in its place`,
    `${howToGetKeys(server, target)}. Do this only when you know why the key is another one`,
  );
}

/** Nothing is pinned, so nobody can be believed. */
export function noHostKey(server: string, target: SshTarget): SshError {
  return new SshError(server, "host-key", `no host key is pinned for ${server}`, howToGetKeys(server, target));
}

/** A server that the site does not reach over SSH. */
export function unknownServer(server: string, known: readonly string[]): SshError {
  return new SshError(
    server,
    "denied",
    `it is not known how to reach ${server} over SSH (known: ${known.join(", ") || "none"})`,
    `pin its host key and run \`pulumi up\`: \`pulumi config set --path 'coldspare:ssh.hostKeys.${server}[0]' 'ssh-ed25519 AAAA…'\``,
  );
}

function howToGetKeys(server: string, { host, port }: SshTarget): string {
  return (
    `fetch its key with \`ssh-keyscan -p ${port} -t ed25519 ${host}\`, compare it with /etc/ssh/ssh_host_ed25519_key.pub on the console of ${server}, ` +
    `then \`pulumi config set --path 'coldspare:ssh.hostKeys.${server}[0]' 'ssh-ed25519 AAAA…'\` and \`coldspare up\``
  );
}

/** `root@192.168.10.11 port 22`. */
export function place({ user, host, port }: SshTarget): string {
  return `${user}@${host} port ${port}`;
}

function lastLine(text: string, otherwise: string): string {
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("@"));
  return (lines.at(-1) ?? otherwise).slice(0, 300).replace(/\.$/, "");
}
