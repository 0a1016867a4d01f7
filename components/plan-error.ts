import * as pulumi from "@pulumi/pulumi";
import type { Finding } from "../planning";

/**
 * Stops a preview before the first resource is registered and shows every finding at once, each with what to change.
 * It is a `RunError`: the engine prints the message without a stack trace.
 */
export class PlanError extends pulumi.RunError {
  constructor(
    subject: string,
    readonly findings: readonly Finding[],
  ) {
    const errors = findings.filter((finding) => finding.severity === "error");
    const count = errors.length === 1 ? "1 error" : `${errors.length} errors`;
    super([`${subject} cannot be built as it is specified (${count}):`, ...errors.map(describeFinding)].join("\n"));
  }
}

/** One finding as two lines: what is wrong with what, and what to change. */
export function describeFinding(finding: Finding): string {
  return `  ${finding.code} ${finding.subject}: ${finding.message}\n    fix: ${finding.fix}`;
}

/** Throws when a finding is an error; otherwise hands the findings back. */
export function refuseErrors(subject: string, findings: readonly Finding[]): readonly Finding[] {
  if (findings.some((finding) => finding.severity === "error")) throw new PlanError(subject, findings);
  return findings;
}

/** Writes warnings to the engine's log, where `pulumi preview` shows them beside the resource. */
export function logWarnings(findings: readonly Finding[], resource: pulumi.Resource): void {
  for (const finding of findings) {
    if (finding.severity === "warning") void pulumi.log.warn(describeFinding(finding).trimStart(), resource);
  }
}
