/**
 * What a site is forgiven that was imported as it is (`site.asFound`).
 *
 * The rule: a finding that says what is wrong with servers, guests, storages or copies that exist already is told as a
 * warning. Nothing gets worse by an update that leaves them as they are, and nobody should have to rebuild a site before
 * it can be taken over. A finding that says that coldspare itself could not do what the specification asks for, or would
 * damage something by doing it, stays an error: a specification that cannot be read, names that lead nowhere, ids that
 * are used twice, a spare that is its own primary, a disk that would shrink, a storage entry that cannot be made.
 */
import { type FindingCode, makeFinding } from "./findings";
import type { Finding } from "./plan";
import type { SiteSpec } from "./schema";
import { list } from "./units";

/** Errors that say what is wrong with what exists. A code that is not here stays an error, a new one too. */
export const FOUND_AS_IT_IS = [
  // Networks and addresses as they are.
  "SUBNET-OVERLAP",
  "VLAN-DUPLICATE",
  "GATEWAY-INVALID",
  "ADDRESS-NO-SUBNET",
  "ADDRESS-OUTSIDE-SUBNET",
  "ADDRESS-UNUSABLE",
  "ADDRESS-IS-GATEWAY",
  "ADDRESS-RESERVED",
  "ADDRESS-IN-DHCP",
  "ADDRESS-DUPLICATE",
  "MAC-INVALID",
  "MAC-DUPLICATE",
  // What runs and lies where.
  "STORAGE-UNKNOWN",
  "STORAGE-MISSING-ON-SPARE",
  "STORAGE-DEFINITION-DIFFERS",
  "STORAGE-CONTENT",
  "BRIDGE-MISSING",
  "BRIDGE-MISSING-ON-SPARE",
  "DISK-OVERFULL",
  "HYPERVISOR-APPLICATIONS",
  // Room and votes.
  "HOST-RESERVE-TOO-LARGE",
  "CAPACITY-MEMORY",
  "CAPACITY-CORES",
  "CAPACITY-GUEST-CORES",
  "STORAGE-FULL",
  "QUORUM-NO-THIRD-VOTE",
  // Replicas and copies, as they are made today.
  "SCHEDULE-ENDS",
  "RPO-BROKEN",
  "RTO-BROKEN",
  "REPLICA-CANNOT-KEEP-UP",
  "BACKUP-KEEPS-ALL",
  "BACKUP-KEEPS-NOTHING",
  "BACKUP-NOTHING",
  "BACKUP-RPO-BROKEN",
  "BACKUP-RUN-TOO-LONG",
  "TARGET-SAME-DISK",
  "TARGET-FULL",
  "TARGET-SIZE",
  "QUOTA-EXCEEDED",
  "PBS-OWNER-SHARED",
] as const satisfies readonly FindingCode[];

const FORGIVEN: ReadonlySet<string> = new Set(FOUND_AS_IT_IS);

/**
 * Findings of a site as it is to be told of. Without `asFound` they are what they were; with it the errors of
 * {@link FOUND_AS_IT_IS} are warnings, and `SITE-AS-FOUND` says how many.
 */
export function asFound({ site }: Pick<SiteSpec, "site">, findings: readonly Finding[]): Finding[] {
  if (!site.asFound) return [...findings];
  const isForgiven = ({ code, severity }: Finding) => severity === "error" && FORGIVEN.has(code);
  const forgiven = findings.filter(isForgiven);
  const softened = findings.map((finding) =>
    isForgiven(finding) ? { ...finding, severity: "warning" as const } : finding,
  );
  return [...softened, summary(forgiven)];
}

function summary(forgiven: readonly Finding[]): Finding {
  const codes = [...new Set(forgiven.map(({ code }) => code))].sort();
  const count = forgiven.length;
  return makeFinding(
    "SITE-AS-FOUND",
    "site.asFound",
    count === 0
      ? "The site is planned as it was found, and nothing is wrong with it that would have to be an error."
      : `The site is planned as it was found: ${count} ${count === 1 ? "error is" : "errors are"} told as ${count === 1 ? "a warning" : "warnings"} (${list(codes)}).`,
    count === 0
      ? "Remove site.asFound: from then on the same mistakes stop an update."
      : "Settle them, then remove site.asFound: from then on such mistakes stop an update.",
  );
}
