// What start, test and bench share: from a bare checkout to an environment in which the engine runs.
import { ensureBuilt, ensureDependencies } from "./checkout.mjs";
import { childEnv } from "./node.mjs";
import { ensurePveSchema } from "./schema.mjs";
import { ensureToolchain } from "./toolchain.mjs";

/**
 * The variables of a child: the checkout's programs, the engine if there is one, and the path of the API schema.
 * @param {{ checkout: string, toolchain?: { ok: boolean, env?: object }, schema?: string, env?: NodeJS.ProcessEnv }} parts
 */
export function environmentOf({ checkout, toolchain, schema, env = process.env }) {
  return {
    ...childEnv(checkout, env),
    ...(toolchain?.ok ? toolchain.env : {}),
    ...(schema ? { COLDSPARE_PVE_SCHEMA: schema } : {}),
  };
}

/**
 * Dependencies, then build, engine and API schema at the same time: the compiler takes seconds, a first build of the
 * engine minutes, and neither needs the other.
 * @returns {Promise<{ toolchain: object, schema: string | undefined, env: NodeJS.ProcessEnv }>}
 */
export async function prepare({ checkout, log, stage }) {
  await stage("Dependencies", () => ensureDependencies({ checkout, log }));
  const [, schema, toolchain] = await stage("Build, Proxmox VE schema, Pulumi engine and plugins", () =>
    settleAll([ensureBuilt({ checkout, log }), ensurePveSchema({ log }), ensureToolchain({ checkout, log })]),
  );
  return { toolchain, schema, env: environmentOf({ checkout, toolchain, schema }) };
}

/** Waits for all, so that nothing goes on in the background when one fails; then throws the first failure. */
async function settleAll(promises) {
  const results = await Promise.allSettled(promises);
  const failure = results.find((result) => result.status === "rejected");
  if (failure) throw failure.reason;
  return results.map((result) => result.value);
}
