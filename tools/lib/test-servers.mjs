// Servers that tests talk to and that no package of the distribution brings: built once from pinned modules, outside the checkout.
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cacheRoot } from "./cache.mjs";
import { run } from "./exec.mjs";
import { findGo } from "./go.mjs";

/** An S3 server with users and bucket policies (Apache-2.0). */
const S3_SERVER = { package: "github.com/versity/versitygw/cmd/versitygw", version: "v1.8.0", go: "1.26" };

/**
 * The path of the S3 server for tests; builds it where it is not there yet (3 minutes on two cores).
 * @param {{ log: Function, env?: NodeJS.ProcessEnv }} options
 * @returns {Promise<string | undefined>} undefined when it cannot be built here: the tests that need it say that they are skipped
 */
export async function ensureS3Server({ log, env = process.env }) {
  const folder = join(cacheRoot(env), "test-servers", `versitygw-${S3_SERVER.version}`);
  const program = join(folder, "versitygw");
  if (existsSync(program)) return program;
  const partial = `${folder}.partial-${process.pid}`;
  try {
    log(`building an S3 server for tests (${S3_SERVER.version})`);
    mkdirSync(partial, { recursive: true });
    const goEnv = { ...env, GOBIN: partial, GOWORK: "off", GOFLAGS: "-trimpath -buildvcs=false" };
    await run(findGo(S3_SERVER.go, env), ["install", `${S3_SERVER.package}@${S3_SERVER.version}`], { env: goEnv });
    chmodSync(join(partial, "versitygw"), 0o755);
    mkdirSync(folder, { recursive: true });
    renameSync(join(partial, "versitygw"), program);
    return program;
  } catch (error) {
    log(`no S3 server for tests: ${error.message}`);
    return undefined;
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}
