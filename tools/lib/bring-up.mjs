// What `npm start` does once the environment is ready.
import { run } from "./exec.mjs";
import { nodeOf } from "./node.mjs";

/**
 * Brings the site up against the lab.
 * @param {{ checkout: string, env: NodeJS.ProcessEnv, schema: string | undefined, log: Function, stage: Function,
 *   args: string[] }} options `env` runs engine, plugins and the checkout's Node.js; `stage(title, work)` prints a
 *   numbered stage with its time
 * @returns {Promise<number>} the exit code
 */
export async function bringUp({ checkout, log }) {
  log("the environment is ready");
  return planOnly({ checkout, log });
}

/**
 * What can be shown without an engine: the plan of the site and its findings.
 * @returns {Promise<number>} the exit code of the check
 */
export async function planOnly({ checkout, log }) {
  log("the plan of the site (coldspare check smb-site), which needs no engine:");
  const { code, stdout, stderr } = await run(nodeOf(checkout), ["dist/cli/main.js", "check", "smb-site"], {
    cwd: checkout,
    check: false,
  });
  process.stdout.write(`${stdout}${stderr}`);
  return code;
}
