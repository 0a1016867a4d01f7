/**
 * An answer that is not 200. PBS sends the message as the body and keeps 400 for everything that has no status of its own.
 */
export class PbsError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** `400 <message>`: what PBS makes of any failure. */
export function refused(message: string): PbsError {
  return new PbsError(400, message);
}

export function notFound(message: string): PbsError {
  return new PbsError(404, message);
}

/** `403 permission check failed`, with what is missing where PBS says it. */
export function forbidden(missing?: string): PbsError {
  return new PbsError(403, missing ? `permission check failed - missing ${missing}` : "permission check failed");
}

/** Several parameters at once, as PBS lists them. */
export function badParameters(errors: Record<string, string>): PbsError {
  const lines = Object.entries(errors).map(([name, text]) => `parameter '${name}': ${text}`);
  return new PbsError(400, `parameter verification errors\n\n${lines.join("\n")}`);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
