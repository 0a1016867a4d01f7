// What start, test and bench share: from a bare checkout to an environment in which the engine runs.
import { ensureBuilt, ensureDependencies } from "./checkout.mjs";
import { childEnv } from "./node.mjs";
import { ensurePbsSchema, ensurePveSchema } from "./schema.mjs";
import { ensureToolchain } from "./toolchain.mjs";

/**
 * The variables of a child: the checkout's programs, the engine if there is one, and the paths of the API schemas (`schema`: Proxmox
 * VE's, `pbsSchema`: Proxmox Backup Server's).
 * @param {{ checkout: string, toolchain?: { ok: boolean, env?: object }, schema?: string, pbsSchema?: string,
 *   env?: NodeJS.ProcessEnv }} parts
 */
export function environmentOf({ checkout, toolchain, schema, pbsSchema, env = process.env }) {
  return {
    ...childEnv(checkout, env),
    ...(toolchain?.ok ? toolchain.env : {}),
    ...(schema ? { COLDSPARE_PVE_SCHEMA: schema } : {}),
    ...(pbsSchema ? { COLDSPARE_PBS_SCHEMA: pbsSchema } : {}),
  };
}

/**
 * Dependencies, then build, engine and API schema at the same time: the compiler takes seconds, a first build of the
 * engine minutes, and neither needs the other.
 * @returns {Promise<{ toolchain: object, schema: string | undefined, env: NodeJS.ProcessEnv }>}
 */
export async function prepare({ checkout, log, stage }) {
  await stage("Dependencies", () => ensureDependencies({ checkout, log }));
  const [, schema, pbsSchema, toolchain] = await stage("Build, API schemas, Pulumi engine and plugins", () =>
    settleAll([
      ensureBuilt({ checkout, log }),
      ensurePveSchema({ log }),
      ensurePbsSchema({ log }),
      ensureToolchain({ checkout, log }),
    ]),
  );
  return { toolchain, schema, env: environmentOf({ checkout, toolchain, schema, pbsSchema }) };
}

/** Waits for all, so that nothing goes on in the background when one fails; then throws the first failure. */
async function settleAll(promises) {
  const results = await Promise.allSettled(promises);
  const failure = results.find((result) => result.status === "rejected");
  if (failure) throw failure.reason;
  return results.map((result) => result.value);
}
