/**
 * An answer that is not 200. `reason` becomes the HTTP reason phrase and the message in the body, as PVE does it.
 */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly reason: string,
    /** Errors by parameter (status 400). */
    readonly errors?: Record<string, string>,
    /** PVE answers some errors (401, 595) with an empty body. */
    readonly emptyBody = false,
  ) {
    super(reason);
  }
}

/** `500 <reason>`: what PVE makes of a `die` in a handler. */
export function fail(reason: string): ApiError {
  return new ApiError(500, reason);
}

/** `400 Parameter verification failed.` with the error of each parameter. */
export function badParameters(errors: Record<string, string>): ApiError {
  return new ApiError(400, "Parameter verification failed.", errors);
}

/** A parameter that must be there. */
export function missing(name: string): ApiError {
  return badParameters({ [name]: "property is missing and it is not optional" });
}

/** `403 Permission check failed (/vms/100, VM.PowerMgmt)`. */
export function forbidden(path: string, privileges: string): ApiError {
  return new ApiError(403, `Permission check failed (${path}, ${privileges})`);
}
