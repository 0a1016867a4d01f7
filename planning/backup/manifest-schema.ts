/** How the part about copies is read from a manifest; keys that a newer release added are kept. */
import { z } from "zod";
import type { ManifestBackups } from "./manifest";
import { keep as keepSpec, mail, resticBackend } from "./schema";

const count = z.number().nonnegative();
const texts = z.array(z.string());
const text = z.string();

const keep = z.looseObject(keepSpec.shape);
const [sftp, rest, s3, local] = resticBackend.options;
const backend = z.discriminatedUnion("type", [
  z.looseObject(sftp.shape),
  z.looseObject(rest.shape),
  z.looseObject(s3.shape),
  z.looseObject(local.shape),
]);

const common = { location: text.exactOptional(), limitGiB: count };

const target = z.discriminatedUnion("kind", [
  z.looseObject({
    ...common,
    kind: z.literal("pbs"),
    on: text.exactOptional(),
    host: text,
    port: count,
    datastore: text,
    namespace: text.exactOptional(),
    fingerprint: text.exactOptional(),
    storage: text,
    encrypted: z.boolean(),
    syncFrom: text.exactOptional(),
  }),
  z.looseObject({ ...common, kind: z.literal("vzdump"), storage: text }),
  z.looseObject({
    ...common,
    kind: z.literal("zfs-receiver"),
    on: text.exactOptional(),
    host: text,
    port: count,
    user: text,
    hostKeys: texts,
    dataset: text,
    direction: z.enum(["push", "pull"]),
    raw: z.boolean(),
    rateMBps: count.exactOptional(),
    pruner: z.enum(["coldspare", "sanoid"]),
  }),
  z.looseObject({
    ...common,
    kind: z.literal("restic"),
    repository: text,
    backend,
    passwordSecret: text,
    appendOnly: z.boolean(),
    pruneOn: text.exactOptional(),
    rateMBps: count.exactOptional(),
  }),
  z.looseObject({
    ...common,
    kind: z.literal("offline-medium"),
    on: text,
    copies: text,
    sizeGiB: count,
    mountPoint: text,
  }),
]);

const policy = z.looseObject({
  target: text,
  schedule: text,
  keep,
  guests: texts,
  folders: z.array(z.looseObject({ server: text, paths: texts, exclude: texts })),
  volumes: z.array(z.looseObject({ server: text, volume: text })),
  datasets: z.array(z.looseObject({ server: text, dataset: text, recursive: z.boolean(), encrypted: z.boolean() })),
  hooks: z.looseObject({ before: z.array(texts), after: z.array(texts), timeoutSeconds: count }),
  bandwidthMBps: count.exactOptional(),
  immutableSeconds: count.exactOptional(),
  reread: text.exactOptional(),
  testRestore: z.looseObject({ schedule: text, guests: texts, on: text.exactOptional() }).exactOptional(),
  notify: z.enum(["failure", "always", "never"]),
  recoveryPointSeconds: count,
});

const rotation = z.looseObject({
  on: text,
  copies: text,
  source: text.exactOptional(),
  mountPoint: text,
  sets: z.array(z.looseObject({ name: text, media: texts, swap: text, offSite: z.boolean() })),
  startSeconds: count,
  graceSeconds: count,
  keep: keep.exactOptional(),
  schedule: text,
  carrier: text.exactOptional(),
  worstOfflineSeconds: count,
  worstOffSiteSeconds: count.exactOptional(),
});

export const manifestBackupsSchema: z.ZodType<ManifestBackups> = z.looseObject({
  timeZone: text,
  targets: z.record(z.string(), target),
  policies: z.record(z.string(), policy),
  rotations: z.record(z.string(), rotation),
  mail: z.looseObject(mail.shape).exactOptional(),
});
