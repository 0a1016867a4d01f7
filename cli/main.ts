#!/usr/bin/env node
import * as nodeModule from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Io } from "./io";

// Checked before anything that needs it is loaded: one line says more than a TypeError.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 12)) {
  process.stderr.write(`coldspare needs Node.js 22.12 or newer (this is ${process.version})\n`);
  process.exit(2);
}

// In the user's own folder: Node's default lies in the shared temporary folder, where others may write.
nodeModule.enableCompileCache(join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "coldspare/compile-cache"));

// `coldspare check … | head` closes the pipe early: not an error of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

const { run } = require("./program") as typeof import("./program");

const streams = { stdout: process.stdout, stderr: process.stderr, env: process.env };
const io: Io = process.stdin.isTTY ? { ...streams, ask: askAtTerminal() } : streams;

/** Asked on the error output, so that the standard output stays what the command prints. */
function askAtTerminal(): NonNullable<Io["ask"]> {
  const { askingAt } = require("./ask") as typeof import("./ask");
  return askingAt(process.stdin, process.stderr);
}

run(process.argv.slice(2), io).then(
  (code) => {
    process.exitCode = code;
  },
  (error: Error) => {
    // Not 1: a script must not take a crash for a site that does not fit.
    process.stderr.write(`coldspare failed, and this is a fault of its own:\n${error.stack ?? error}\n`);
    process.exitCode = 3;
  },
);
