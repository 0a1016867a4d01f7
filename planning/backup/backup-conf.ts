/**
 * What coldspare-backup on one server needs, out of the site's manifest: backup.conf, pinned host keys and authorities, systemd units. No
 * secrets, and no clock: the same manifest gives the same texts. The list of media swaps alone depends on the day
 * ({@link renderSwaps}); whoever installs it has a clock, and renews it before it ends.
 */
import type { SiteManifest } from "../manifest";
import { byName } from "../units";
import { encodeList, folderSubject, volumeSubject, words } from "./conf-words";
import type { ManifestBackups, ManifestPolicy, ManifestRotation, ManifestTarget } from "./manifest";
import { KEEP_RULES } from "./retention";
import { attachedAt, type Rotation, swaps } from "./rotation";
import { zfsServers } from "./zfs-site";

/** Number in the first line; a program on a server refuses another one. */
export const BACKUP_CONF_FORMAT = 1;
/** How far ahead swaps are rendered. */
export const SWAP_DAYS = 400;

type ResticTarget = Extract<ManifestTarget, { kind: "restic" }>;

/** A policy with what it does on one server. */
export interface ServerPolicy {
  name: string;
  policy: ManifestPolicy;
  target: ResticTarget;
  /** It has folders or volumes here. */
  backsUp: boolean;
  /** It removes old points of an append-only repository for everybody. */
  prunes: boolean;
}

/** The policies that coldspare-backup carries out on a server: those of restic with sources there, or that it prunes. */
export function policiesOn({ policies, targets }: ManifestBackups, server: string): ServerPolicy[] {
  return Object.entries(policies)
    .sort(([one], [other]) => byName(one, other))
    .flatMap(([name, policy]) => {
      const target = Object.hasOwn(targets, policy.target) ? targets[policy.target] : undefined;
      if (target?.kind !== "restic") return [];
      const backsUp = [...policy.folders, ...policy.volumes].some((source) => source.server === server);
      const prunes = target.appendOnly && target.pruneOn === server;
      return backsUp || prunes ? [{ name, policy, target, backsUp, prunes }] : [];
    });
}

/** The rotations whose medium is attached to a server, by target. */
export function rotationsOn({ rotations }: ManifestBackups, server: string): [string, ManifestRotation][] {
  return Object.entries(rotations)
    .filter(([, { on }]) => on === server)
    .sort(([one], [other]) => byName(one, other));
}

/** Whether coldspare-backup has something to do on a server. */
export function backsUp({ backups }: SiteManifest, server: string): boolean {
  return backups !== undefined && policiesOn(backups, server).length + rotationsOn(backups, server).length > 0;
}

/** Servers on which coldspare-backup or coldspare-zfs has something to do, sorted. */
export function backupServers(manifest: SiteManifest): string[] {
  const zfs = zfsServers(manifest);
  return Object.keys(manifest.servers)
    .filter((server) => backsUp(manifest, server) || zfs.includes(server))
    .sort(byName);
}

/**
 * /etc/coldspare/backup.conf.
 * @throws RangeError for a site without copies
 */
export function renderBackupConf(manifest: SiteManifest, server: string): string {
  const backups = copiesOf(manifest);
  const policies = policiesOn(backups, server);
  const rotations = rotationsOn(backups, server);
  const targets = new Map(policies.map(({ policy, target }) => [policy.target, target]));
  const lines = [
    `format ${BACKUP_CONF_FORMAT}`,
    `site ${manifest.site}`,
    `self ${server}`,
    ...(backups.mail ? [words("mail", { ...backups.mail, to: [...backups.mail.to] })] : []),
    ...[...targets].map(([name, target]) => targetLine(name, target, server)),
    ...policies.flatMap((each) => policyLines(each, server)),
    ...(rotations.length > 0 ? guestLines(manifest) : []),
    ...rotations.flatMap(([name, rotation]) => rotationLines(name, rotation)),
  ];
  return `${lines.join("\n")}\n`;
}

function copiesOf({ site, backups }: SiteManifest): ManifestBackups {
  if (backups === undefined) throw new RangeError(`Site ${site} has neither targets nor policies of backups.`);
  return backups;
}

function targetLine(name: string, target: ResticTarget, server: string): string {
  const { backend, repository, passwordSecret, appendOnly, pruneOn, rateMBps } = target;
  return words(`target ${name}`, {
    repository,
    password: passwordSecret,
    append: appendOnly ? "1" : undefined,
    prune: appendOnly && pruneOn === server ? "1" : undefined,
    rate: rateMBps,
    ca: "ca" in backend && backend.ca !== undefined ? "1" : undefined,
    ...(backend.type === "s3" && {
      access: backend.accessKeySecret,
      secret: backend.secretKeySecret,
      region: backend.region,
    }),
    ...(backend.type === "rest" && { user: backend.username, userpassword: backend.userPasswordSecret }),
  });
}

function policyLines({ name, policy, target }: ServerPolicy, server: string): string[] {
  const { keep, notify, hooks, bandwidthMBps, immutableSeconds } = policy;
  const rates = [bandwidthMBps, target.rateMBps].filter((rate) => rate !== undefined);
  const head = words(`policy ${name}`, {
    target: policy.target,
    keep: keepText(keep),
    notify,
    timeout: hooks.timeoutSeconds,
    rate: rates.length > 0 ? Math.min(...rates) : undefined,
    immutable: immutableSeconds,
  });
  const folders = policy.folders
    .filter((folder) => folder.server === server)
    .map(({ paths, exclude }) =>
      words(`folder ${name}`, { subject: folderSubject(server, paths), path: paths, exclude: exclude }),
    );
  const volumes = policy.volumes
    .filter((each) => each.server === server)
    .map(({ volume }) => words(`volume ${name}`, { subject: volumeSubject(server, volume), volume }));
  const hook = (when: "before" | "after") => hooks[when].map((argv) => `${when} ${name} ${encodeList(argv)}`);
  return [head, ...folders, ...volumes, ...hook("before"), ...hook("after")];
}

function keepText(keep: ManifestPolicy["keep"] | undefined): string[] | undefined {
  const rules = KEEP_RULES.flatMap((rule) => (keep?.[rule] ? [`${rule}:${keep[rule]}`] : []));
  return rules.length > 0 ? rules : undefined;
}

/** Archives of vzdump are named after ids. */
function guestLines({ guests }: SiteManifest): string[] {
  return Object.values(guests)
    .sort((one, other) => one.vmid - other.vmid)
    .map(({ vmid, name }) => `guest ${vmid} ${name}`);
}

function rotationLines(name: string, rotation: ManifestRotation): string[] {
  const { mountPoint, graceSeconds, copies, source, keep, sets } = rotation;
  return [
    words(`rotation ${name}`, { mount: mountPoint, grace: graceSeconds, copies, source, keep: keepText(keep) }),
    ...sets.flatMap((set) =>
      set.media.map((label) => words(`medium ${name} ${label}`, { set: set.name, offsite: set.offSite ? "1" : "0" })),
    ),
  ];
}

/** Lines of /etc/coldspare/media.swaps from an instant on, for {@link SWAP_DAYS} days. @param from epoch seconds */
export function renderSwaps(manifest: SiteManifest, server: string, from: number): string {
  const backups = copiesOf(manifest);
  const until = from + SWAP_DAYS * 86_400;
  const lines = rotationsOn(backups, server).flatMap(([name, each]) => {
    const rotation: Rotation = { ...each, timeZone: backups.timeZone, start: each.startSeconds };
    const { medium, set, since, before } = attachedAt(rotation, from);
    return [
      `swap ${name} ${since} ${medium} ${set} ${before ?? "-"}`,
      ...swaps(rotation, Math.max(from, since) + 1, until).map(
        (swap) => `swap ${name} ${swap.at} ${swap.attach} ${swap.set} ${swap.detach}`,
      ),
      `until ${name} ${until}`,
    ];
  });
  return lines.map((line) => `${line}\n`).join("");
}

/** Names of the secrets that a server needs. One that prunes for others has credentials of its own, `<name>-prune`. */
export function backupSecrets({ backups }: SiteManifest, server: string): string[] {
  if (backups === undefined) return [];
  const names = policiesOn(backups, server).flatMap(({ target, backsUp, prunes }) => {
    const login = loginSecrets(target);
    return [target.passwordSecret, ...(backsUp ? login : []), ...(prunes ? login.map((name) => `${name}-prune`) : [])];
  });
  return [...new Set(names)].sort(byName);
}

function loginSecrets({ backend }: ResticTarget): string[] {
  if (backend.type === "s3") return [backend.accessKeySecret, backend.secretKeySecret];
  return backend.type === "rest" && backend.userPasswordSecret !== undefined ? [backend.userPasswordSecret] : [];
}

/** Files beside backup.conf: by path, pinned host keys of SFTP servers and authorities of HTTPS ones. */
export function trustFiles(manifest: SiteManifest, server: string): { path: string; text: string }[] {
  const backups = copiesOf(manifest);
  const targets = new Map(policiesOn(backups, server).map(({ policy, target }) => [policy.target, target]));
  return [...targets].flatMap(([name, { backend, repository }]) => {
    const base = `/etc/coldspare/backup/${name}`;
    if ("ca" in backend && backend.ca !== undefined) return [{ path: `${base}.pem`, text: `${backend.ca.trim()}\n` }];
    if (backend.type !== "sftp") return [];
    const { hostname, port } = new URL(repository.replace(/^sftp:/, "http:"));
    const host = hostname.replace(/^\[|\]$/g, "");
    const keys = backend.on === undefined ? backend.hostKeys : (manifest.servers[backend.on]?.ssh?.hostKeys ?? []);
    const at = port === "22" || port === "" ? host : `[${host}]:${port}`;
    return [{ path: `${base}.known_hosts`, text: keys.map((key) => `${at} ${key.trim()}\n`).join("") }];
  });
}
