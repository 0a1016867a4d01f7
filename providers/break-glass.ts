/**
 * The set for the day when the server that keeps the secrets is the dead one: one file, on paper or on a stick in a safe, that
 * holds what the operator's commands need. See docs/break-glass.md for how it is made, sealed, tested and renewed.
 */
import { readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parse, YAMLParseError } from "yaml";
import { z } from "zod";
import { ConfigError } from "./pve/errors";

/** What the file holds. Paths are absolute, whatever is written there. */
export interface BreakGlass {
  /** For the one who opens the envelope: whose it is, when it was made. */
  note?: string;
  /** ISO 8601 date when the set was made. */
  made?: string;
  /** The site's manifest. */
  manifestFile?: string;
  /** `user@realm!name=secret`. */
  apiToken?: string;
  /** Private key of the way in over SSH. */
  sshKeyFile?: string;
  /** PEM of the authority of the hypervisors' certificates. */
  caFile?: string;
  /** Passwords by the names that the specification gives them, those of BMCs for instance. */
  secrets: Record<string, string>;
}

const FORMAT = 1;
const text = z.string().min(1);
const schema = z.strictObject({
  format: z.literal(FORMAT, `the format that this release reads is ${FORMAT}`),
  note: text.optional(),
  // YAML reads a date without quotes as text here, as its core schema has no dates.
  made: text.regex(/^\d{4}-\d{2}-\d{2}/, "write it as 2026-11-22").optional(),
  manifest: text.optional(),
  apiToken: text.regex(/^[^!=\s]+@[^!=\s]+![^=\s]+=\S+$/, "it has not the form user@realm!name=secret").optional(),
  sshKey: text.optional(),
  ca: text.optional(),
  secrets: z.record(z.string(), text).optional(),
});

/**
 * Reads `break-glass.yaml`. Paths in it count from its own folder, as the set is carried about as one folder.
 *
 * @throws ConfigError when it, or a private file it names, can be read by others, or is not what it should be; no message
 *   contains anything of what is secret
 */
export async function readBreakGlass(
  file: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<BreakGlass> {
  const path = absolute(file, process.cwd(), env);
  refuseReadable(path, "COLDSPARE_BREAK_GLASS");
  const value = parseYaml(path);
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const wrong = parsed.error.issues.map(({ path: at, message }) => `${at.join(".") || "the file"}: ${message}`);
    throw new ConfigError(`${path}: ${wrong.join("; ")}. Fix: write it as docs/break-glass.md shows`);
  }
  const { note, made, manifest, apiToken, sshKey, ca, secrets = {} } = parsed.data;
  const from = (name: string | undefined) => (name === undefined ? undefined : absolute(name, dirname(path), env));
  const files = { manifestFile: from(manifest), sshKeyFile: from(sshKey), caFile: from(ca) };
  if (files.sshKeyFile !== undefined) refuseReadable(files.sshKeyFile, `${path}: sshKey`);
  for (const [key, named] of Object.entries(files)) {
    if (named !== undefined && !statSync(named, { throwIfNoEntry: false })?.isFile()) {
      throw new ConfigError(
        `${path} names ${named} (${key.replace("File", "")}), which is not there. Fix: put it there, or take the line out`,
      );
    }
  }
  const found = { note, made, apiToken, ...files };
  return { secrets, ...(Object.fromEntries(Object.entries(found).filter(([, each]) => each !== undefined)) as object) };
}

function parseYaml(path: string): unknown {
  try {
    return parse(readFileSync(path, "utf8"));
  } catch (error) {
    // The parser shows the line, and the line may hold a password.
    const where = error instanceof YAMLParseError ? ` in line ${error.linePos?.[0].line ?? "?"}` : "";
    throw new ConfigError(`${path} is no YAML${where}. Fix: write it as docs/break-glass.md shows`);
  }
}

/** What everybody on this machine can read is no secret any more. */
function refuseReadable(path: string, named: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found?.isFile())
    throw new ConfigError(`${named} names ${path}, which is no file. Fix: name the file of the set`);
  // Windows keeps rights elsewhere; there the mode says nothing.
  if (process.platform !== "win32" && (found.mode & 0o077) !== 0) {
    const mode = (found.mode & 0o777).toString(8);
    throw new ConfigError(
      `${path} can be read by others (mode ${mode}). Fix: \`chmod 600 ${path}\`; a stick with a file system without owners has to be mounted with umask=077`,
    );
  }
}

function absolute(path: string, folder: string, env: Readonly<Record<string, string | undefined>>): string {
  return path.startsWith("~/") ? join(env.HOME ?? homedir(), path.slice(2)) : resolve(folder, path);
}
