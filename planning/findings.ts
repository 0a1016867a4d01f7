/** Making, ordering and documenting findings. */
import { FindingCatalogue, type FindingCode } from "./catalogue";
import type { Finding } from "./plan";
import type { Fencing, Side } from "./schema";
import { byName, list } from "./units";

export type { FindingCode } from "./catalogue";

const RANK = { error: 0, warning: 1, info: 2 } as const;

/** A finding of a known code; the severity comes from the catalogue. */
export function makeFinding(code: FindingCode, subject: string, message: string, fix: string): Finding {
  return { code, severity: FindingCatalogue[code].severity, subject, message, fix };
}

/** A server of the site that does not answer, so that what is on it could not be compared with the plan. */
export function serverUnreachable(server: string, guests: readonly string[]): Finding {
  return makeFinding(
    "SITE-UNREACHABLE",
    `servers.${server}`,
    guests.length === 0
      ? `${server} does not answer: what is to be made or changed there fails in this run.`
      : `${server} does not answer: ${guests.join(", ")} could not be compared with what is deployed there.`,
    `Bring ${server} back, or leave its guests out of \`pulumi up\` with --exclude until it is.`,
  );
}

/** A hypervisor in no cluster whose API the stack does not know. */
export function serverNoEndpoint(server: string): Finding {
  return makeFinding(
    "SERVER-NO-ENDPOINT",
    `servers.${server}`,
    `${server} is in no cluster, and the stack does not know its API: no other server answers for it.`,
    `\`pulumi config set --path 'coldspare:endpoints.${server}' https://<address>:8006\``,
  );
}

/** The id of a guest belongs to somebody else's guest; `taken` is what the cluster says of it. */
export function guestIdTaken(
  guest: { name: string; id: number },
  taken: { name: string; kind: "vm" | "container"; server: string },
): Finding {
  return makeFinding(
    "GUEST-ID-TAKEN",
    `guests.${guest.name}.id`,
    `guest id ${guest.id} is taken by '${taken.name}' (${taken.kind} on ${taken.server}), which is not ${guest.name}`,
    `Choose another id, or give the guest of that id the name \`${guest.name}\` if it is to be taken over.`,
  );
}

/** A guest that was taken over and is there no more: made from its specification, it would be an empty one. */
export function adoptedGone(guest: string, id: number): Finding {
  return makeFinding(
    "ADOPTED-GUEST-GONE",
    `guests.${guest}`,
    `${guest} is adopted, and there is no guest ${id}: 'pulumi up' would make an empty one in its place.`,
    `Restore it under its id from a backup, or remove guests.${guest}; a token that may not see it needs VM.Audit on /vms/${id}.`,
  );
}

/** A container is on another server than its plan says: a changed server is carried out by hand for containers. */
export function containerElsewhere(guest: string, id: number, foundOn: string, wanted: string): Finding {
  return makeFinding(
    "CONTAINER-ELSEWHERE",
    `guests.${guest}`,
    `container ${guest} is on ${foundOn}, and is to be on ${wanted}: \`pulumi up\` does not move a container.`,
    `Move it first: \`pct migrate ${id} ${wanted} --restart 1\` on ${foundOn}. Or plan it on ${foundOn}.`,
  );
}

/** Servers that keep a record of who may run a guest, and that no SSH host key leads to: no guard is installed there. */
export function unguarded(fencing: Fencing, servers: readonly string[]): Finding | undefined {
  if (servers.length === 0) return undefined;
  const names = list([...servers]);
  return makeFinding(
    fencing === "lease" ? "LEASE-NO-SSH" : "GUARD-NO-SSH",
    "servers",
    `No SSH host key leads to ${names}: no guard is installed there, and ${fencing === "lease" ? "no lease is kept" : "nothing refuses a second start"}.`,
    "Set it for each of them: `pulumi config set --path 'coldspare:ssh.hostKeys.<server>[0]' \"$(ssh-keyscan -t ed25519 <address> | cut -d' ' -f2-)\"`, and compare the key with the one on the server.",
  );
}

/** Where a guest really is active, and how that is known. */
export interface ActiveEvidence {
  side: Side;
  server: string;
  /** In words, for example `guest 101 is on srv2`. */
  because: string;
}

/** The stack's config says another active side than the hypervisors do. */
export function activeMismatch(guest: string, recorded: Side, found: ActiveEvidence): Finding {
  const record = `\`pulumi config set --path 'coldspare:active.${guest}' ${found.side}\``;
  return makeFinding(
    "ACTIVE-MISMATCH",
    `guests.${guest}`,
    `${guest} is active on its ${found.side} (${found.server}), and coldspare:active.${guest} says ${recorded}: ${found.because}.`,
    found.side === "spare"
      ? `Record it: ${record}, then \`pulumi up --refresh\`. Or bring it home: \`coldspare failback ${guest}\`.`
      : `Record it: ${record}, then \`pulumi up --refresh\`. Nothing is moved by a record.`,
  );
}

/** A switch of a guest has begun and not ended: its voters let nobody run it. */
export function switchUnderWay(guest: string, voters: readonly string[]): Finding {
  return makeFinding(
    "ACTIVE-MISMATCH",
    `guests.${guest}`,
    `A switch of ${guest} has begun and not ended: ${voters.join(" and ")} let nobody run it meanwhile.`,
    `Finish it first: \`coldspare status\` shows what was begun, and the same command run again goes on with it.`,
  );
}

/** Errors first, then by subject and code, then as they were found; the same finding only once. */
export function orderFindings(findings: readonly Finding[]): Finding[] {
  const seen = new Set<string>();
  return findings
    .filter(({ code, subject, message }) => {
      const key = `${code}\n${subject}\n${message}`;
      return !seen.has(key) && seen.add(key);
    })
    .sort((a, b) => RANK[a.severity] - RANK[b.severity] || byName(a.subject, b.subject) || byName(a.code, b.code));
}
