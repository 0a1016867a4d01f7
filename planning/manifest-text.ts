/** A site's manifest as text: written the same for the same content, and read with errors that say what to do. */
import { createHash } from "node:crypto";
import { z } from "zod";
import { manifestBackupsSchema } from "./backup/manifest-schema";
import { MANIFEST_FORMAT, type SiteManifest } from "./manifest";
import { fencing, replicaMethod, serverRole } from "./schema";
import { byName, list } from "./units";

/** A text that is no manifest which this release can read. */
export class ManifestError extends Error {
  constructor(
    readonly reason: string,
    readonly fix: string,
  ) {
    super(`${reason}\n  fix: ${fix}`);
    this.name = "ManifestError";
  }
}

/** JSON with sorted keys, two spaces deep and a line break at the end: the same manifest is the same text. */
export function manifestText(manifest: SiteManifest): string {
  return `${JSON.stringify(sortKeys(manifest), null, 2)}\n`;
}

/** SHA-256 of {@link manifestText}, as `sha256sum site.json` prints it. */
export function manifestHash(manifest: SiteManifest): string {
  return createHash("sha256").update(manifestText(manifest)).digest("hex");
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => byName(a, b));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sortKeys(inner)]));
}

const RENEW =
  "Fetch it anew: `pulumi stack output manifest --json`, or /etc/coldspare/site.json of a server that is up.";

/**
 * Reads a manifest. Keys that a newer release added are kept.
 * @throws ManifestError for what is no JSON, has a newer format, or lacks something: all of it named
 */
export function parseManifest(text: string): SiteManifest {
  const value = parseJson(text);
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new ManifestError("The site manifest is no JSON object.", RENEW);
  const format: unknown = Reflect.get(value, "format");
  if (typeof format !== "number")
    throw new ManifestError("This is no site manifest: it has no number `format`.", RENEW);
  if (format > MANIFEST_FORMAT)
    throw new ManifestError(
      `The site manifest has format ${format}, and this release reads up to ${MANIFEST_FORMAT}: a newer coldspare made it.`,
      "Update coldspare on this machine to the release that the site is built with.",
    );
  const read = manifestSchema.safeParse(value, { jitless: true });
  if (read.success) return read.data;
  const wrong = read.error.issues.map(({ path, message }) => `${path.join(".") || "it"}: ${words(message)}`);
  const shown = wrong.length > 5 ? [...wrong.slice(0, 5), `${wrong.length - 5} more`] : wrong;
  throw new ManifestError(`The site manifest is incomplete or damaged: ${list(shown)}.`, RENEW);
}

function parseJson(text: string): unknown {
  if (text.trim() === "") throw new ManifestError("The site manifest is empty.", RENEW);
  try {
    return JSON.parse(text);
  } catch {
    throw new ManifestError("The site manifest is no JSON: it is cut off or was changed by hand.", RENEW);
  }
}

function words(message: string): string {
  return message.replace(/^Invalid input: /, "").replace(/, received undefined$/, " is missing");
}

const count = z.number().nonnegative();
const texts = z.array(z.string());

const power = z.discriminatedUnion("kind", [
  z.looseObject({
    kind: z.literal("redfish"),
    url: z.string(),
    username: z.string(),
    passwordSecret: z.string(),
    system: z.string().exactOptional(),
    ca: z.string().exactOptional(),
  }),
  z.looseObject({
    kind: z.literal("ipmi"),
    address: z.string(),
    username: z.string(),
    passwordSecret: z.string(),
  }),
  z.looseObject({ kind: z.literal("command"), off: texts, on: texts.exactOptional(), status: texts }),
]);

const server = z.looseObject({
  roles: z.array(serverRole),
  address: z.string().exactOptional(),
  endpoint: z.string().exactOptional(),
  fingerprint: z.string().exactOptional(),
  ssh: z.looseObject({ host: z.string(), port: count, user: z.string(), hostKeys: texts }).exactOptional(),
  memoryLimitGiB: count,
  coreLimit: count,
  power: power.exactOptional(),
});

const card = z.looseObject({
  network: z.string(),
  bridge: z.string(),
  vlan: z.number().exactOptional(),
  mac: z.string(),
  address: z.string().exactOptional(),
  address6: z.string().exactOptional(),
  gateway: z.string().exactOptional(),
  gateway6: z.string().exactOptional(),
  dnsServers: texts.exactOptional(),
});

const command = z.looseObject({
  when: z.enum(["before-stop", "after-stop", "before-start", "after-start"]),
  on: z.string(),
  run: texts,
  timeoutSeconds: count,
  required: z.boolean(),
});

const probe = z.discriminatedUnion("kind", [
  z.looseObject({ kind: z.literal("ping"), timeoutSeconds: count }),
  z.looseObject({ kind: z.literal("tcp"), port: count, timeoutSeconds: count }),
  z.looseObject({
    kind: z.literal("http"),
    port: count,
    path: z.string(),
    expect: z.string().exactOptional(),
    status: count.exactOptional(),
    tls: z.boolean(),
    timeoutSeconds: count,
  }),
  z.looseObject({ kind: z.literal("agent"), timeoutSeconds: count }),
  z.looseObject({ kind: z.literal("command"), run: texts, timeoutSeconds: count }),
]);

const guest = z.looseObject({
  name: z.string(),
  kind: z.enum(["qemu", "lxc"]),
  vmid: z.int(),
  hostname: z.string().exactOptional(),
  started: z.literal(false).exactOptional(),
  role: z.string().exactOptional(),
  primary: z.string(),
  spare: z.string().exactOptional(),
  method: replicaMethod.exactOptional(),
  standbyIds: z.tuple([z.int(), z.int()]).exactOptional(),
  backupStorage: z.string().exactOptional(),
  standbyStorage: z.string().exactOptional(),
  zfs: z
    .looseObject({ datasets: texts, points: count, schedule: z.string(), rateMBps: z.number().exactOptional() })
    .exactOptional(),
  voters: texts,
  memoryGiB: count,
  cores: count,
  group: z.string().exactOptional(),
  boot: z.looseObject({ order: count, delaySeconds: count, seconds: count, atHostBoot: z.boolean() }),
  priority: count,
  sheddable: z.boolean(),
  recoveryPointSeconds: count.exactOptional(),
  recoveryTimeSeconds: count.exactOptional(),
  recoveryTimePromisedSeconds: count.exactOptional(),
  storages: texts,
  networks: z.array(card),
  spareNetworks: z.array(card).exactOptional(),
  cloudInit: z.boolean(),
  agent: z.boolean(),
  probes: z.array(probe),
  commands: z.array(command),
});

const manifestSchema: z.ZodType<SiteManifest> = z.looseObject({
  format: z.literal(MANIFEST_FORMAT),
  site: z.string(),
  cluster: z.string().exactOptional(),
  domain: z.string().exactOptional(),
  fencing,
  lease: z.looseObject({ termSeconds: count, renewSeconds: count, marginSeconds: count, watchdogSeconds: count }),
  witness: z.string().exactOptional(),
  ca: z.string().exactOptional(),
  allowShedding: z.boolean(),
  expectedVotes: count,
  memoryOverheadGiB: count,
  servers: z.record(z.string(), server),
  guests: z.record(z.string(), guest),
  groups: z.record(
    z.string(),
    z.looseObject({ guests: texts, order: count, delaySeconds: count, commands: z.array(command) }),
  ),
  drills: z.record(
    z.string(),
    z.looseObject({ guests: texts, schedule: z.string().exactOptional(), maximumAgeSeconds: count.exactOptional() }),
  ),
  backups: manifestBackupsSchema.exactOptional(),
});
