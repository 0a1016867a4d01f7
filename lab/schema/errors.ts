import type { ParameterErrors } from "./types";

/** PVE joins a second message for the same parameter with a backslash and an `n`, not with a line break. */
export function addError(errors: ParameterErrors, path: string, message: string): void {
  const key = path === "" ? "_root" : path;
  const earlier = errors[key];
  errors[key] = earlier === undefined ? message : `${earlier}\\n${message}`;
}

/** A message of a format check, without its final line break. */
export class FormatError extends Error {
  /** @param message - PVE's text; every line of it ends with a line break once it is put into an answer. */
  constructor(message: string) {
    super(message);
    this.name = "FormatError";
  }
}
