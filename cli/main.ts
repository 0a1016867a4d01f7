#!/usr/bin/env node
import { enableCompileCache } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";

// In the user's own folder: Node's default lies in the shared temporary folder, where others may write.
enableCompileCache(join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "coldspare", "compile-cache"));

// `coldspare check … | head` closes the pipe early: not an error of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

const { run } = require("./program") as typeof import("./program");

run(process.argv.slice(2), { stdout: process.stdout, stderr: process.stderr, env: process.env }).then((code) => {
  process.exitCode = code;
});
