import type { Command } from "commander";
import type { Io } from "../io";

/** Adds its commands to the program. */
export function register(_program: Command, _io: Io, _finish: (code: number) => void): void {}
