/** Switching servers off and on, and reading back whether that happened. */

export { type PowerOptions, powerOf } from "./power";
export { PowerError, type PowerState, type ServerPower } from "./types";
