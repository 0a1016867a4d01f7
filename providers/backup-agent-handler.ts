/** The life of what makes copies on a server: plain functions over SSH. See {@link BackupAgent} for what it promises. */
import { backupSecrets, policiesOn, renderSwaps, SWAP_DAYS } from "../planning/backup/backup-conf";
import { zfsPart } from "../planning/backup/zfs-site";
import type { SiteManifest } from "../planning/manifest";
import { parseManifest } from "../planning/manifest-text";
import {
  activateTimers,
  authorizeSftp,
  authorizeZfs,
  type BackupSurvey,
  makeBackupKey,
  makeZfsKey,
  type Need,
  program,
  removeFiles,
  surveyBackups,
  uninstallBackups,
  zfsAuthorization,
} from "./backup/install";
import { backupFiles, backupPrograms, hashOf, SECRETS, SWAPS, UNIT_FOLDER } from "./backup/programs";
import type { BackupAgentInputs } from "./backup-agent";
import type { SshSettings } from "./config";
import { sha256, takeOver } from "./guard/handoff";
import { InstallError, type Problem, writeFiles } from "./guard/install";
import type { InstalledFile } from "./guard/programs";
import { ConfigError } from "./http/errors";
import {
  type Difference,
  type Handler,
  type HandlerContext,
  type InputFailure,
  PartlyInitialised,
  type PbsContext,
  serve,
} from "./serve";
import { type Connect, overSsh } from "./server-guard-handler";
import { SshError, type SshRunner, type SshTarget } from "./ssh";

/** What is recorded. */
export interface BackupAgentState extends BackupAgentInputs {
  publicKey: string;
  drift: string[];
  /** Epoch seconds at which the list of swaps ends; 0 without rotated media. */
  swapsUntil: number;
}

/** The secrets come from the stack's config, never from inputs. */
export type BackupContext = Omit<HandlerContext, "pve"> & Pick<PbsContext, "secret">;

const DAY = 86_400;
const RENEW_DAYS = SWAP_DAYS / 2;

export function backupAgentHandler(
  connect: Connect = overSsh,
  now: () => number = () => Math.floor(Date.now() / 1000),
): Handler<BackupAgentInputs, BackupAgentState, BackupContext> {
  const using = async <T>(
    settings: SshSettings,
    targets: Record<string, SshTarget>,
    work: (ssh: SshRunner) => Promise<T>,
  ): Promise<T> => {
    const ssh = connect(targets, settings.keyFile);
    try {
      return await work(ssh);
    } finally {
      await ssh.close();
    }
  };
  const put = (context: BackupContext, inputs: BackupAgentInputs) => {
    const manifest = parseManifest(takeOver(inputs.manifest));
    const targets = Object.fromEntries(
      Object.entries(manifest.servers).flatMap(([name, { ssh }]) => (ssh === undefined ? [] : [[name, ssh]])),
    );
    return using(context.ssh(), targets, (ssh) => install({ context, ssh, manifest, inputs, now: now() }));
  };
  return {
    check,
    diff: (olds, news) => diff(olds, news, now()),
    async create(context, inputs) {
      return { id: inputs.server, outs: await put(context, inputs) };
    },
    read(context, _id, props) {
      const settings = context.ssh();
      return using(settings, { [props.server]: targetOf(props, settings) }, (ssh) => look(context, ssh, props));
    },
    update(context, _id, _olds, news) {
      return put(context, news);
    },
    async delete(context, _id, props) {
      const settings = context.ssh();
      await using(settings, { [props.server]: targetOf(props, settings) }, (ssh) => remove(context, ssh, props.server));
    },
  };
}

/** What the engine loads. */
export const provider = serve(backupAgentHandler());

function check(inputs: Partial<BackupAgentInputs>): InputFailure[] {
  const { server, host } = inputs;
  if (host !== "") return [];
  const reason = `the site does not say how to reach ${server} over SSH; pin its host key: \`pulumi config set --path 'coldspare:ssh.hostKeys.${server}[0]' 'ssh-ed25519 AAAA…'\``;
  return [{ property: "host", reason }];
}

function diff(olds: BackupAgentState, news: Partial<BackupAgentInputs>, now: number): Difference {
  const asked = ["host", "port", "user", "conf", "programs", "secrets", "media"] as const;
  const replaces = news.server !== undefined && news.server !== olds.server ? ["server"] : [];
  const differs = asked.some((key) => news[key] !== undefined && news[key] !== olds[key]);
  const listEnds = olds.media && olds.swapsUntil < now + RENEW_DAYS * DAY;
  return { changes: replaces.length > 0 || differs || listEnds || olds.drift.length > 0, replaces };
}

function targetOf({ server, host, port, user }: BackupAgentInputs, settings: SshSettings): SshTarget {
  return { host, port, user, hostKeys: settings.hostKeys[server] ?? [] };
}

interface Work {
  context: BackupContext;
  ssh: SshRunner;
  manifest: SiteManifest;
  inputs: BackupAgentInputs;
  now: number;
}

/** Writes what differs, makes repositories that are not there, puts changed passwords in use, and starts the timers. */
async function install(work: Work): Promise<BackupAgentState> {
  const { ssh, manifest, inputs, now } = work;
  const { server } = inputs;
  const programs = backupPrograms();
  const files = backupFiles(manifest, server);
  if (hashOf(programs) !== inputs.programs || hashOf(files) !== inputs.conf) {
    throw new ConfigError(
      "The program and the handlers are of two releases of coldspare. Fix: install the package again (`npm ci`) in the program's folder, then run this again",
    );
  }
  const before = await surveyBackups(ssh, server, programs);
  const swaps = inputs.media ? [{ path: SWAPS, mode: "644", text: renderSwaps(manifest, server, now) }] : [];
  const secrets = secretFiles(work, before);
  const wanted = [...programs, ...files, ...swaps, ...secrets];
  const changed = wanted.filter(({ path, mode, text }) => {
    const there = before.files[path];
    return there?.hash !== sha256(text) || there.mode !== mode;
  });
  if (changed.length > 0) {
    const folder = { path: `${SECRETS}/`, mode: "700", text: "" };
    await writeFiles(ssh, server, secrets.length > 0 ? [folder, ...changed] : changed);
  }
  await removeFiles(ssh, server, goneFiles(before, wanted));
  const publicKey = await sftpKey(work, before);
  const units = files
    .filter(({ path }) => path.startsWith(`${UNIT_FOLDER}/`))
    .map(({ path }) => path.slice(UNIT_FOLDER.length + 1));
  const missing = missingFor(manifest, server, before);
  const problems = [...missing, ...(await zfsKey(work)), ...(await activateTimers(ssh, server, units, before))];
  if (missing.length === 0) problems.push(...(await repositories(work, secrets)));
  const outs: BackupAgentState = {
    ...inputs,
    publicKey,
    drift: [],
    swapsUntil: inputs.media ? now + SWAP_DAYS * DAY : 0,
  };
  if (problems.length > 0) {
    const reasons = problems.map(
      (problem) => `${server}: ${problem}. Fix: mend it on ${server}, then run \`pulumi up\` again`,
    );
    throw new PartlyInitialised(server, { ...outs, drift: bounded(problems) }, reasons);
  }
  return outs;
}

/** Configuration on the server that is wanted no more. Units go with their timers; a secret may be another program's. */
function goneFiles({ files }: BackupSurvey, wanted: readonly InstalledFile[]): string[] {
  const paths = new Set(wanted.map(({ path }) => path));
  const isKept = (path: string) => path.startsWith(`${UNIT_FOLDER}/`) || path.startsWith(`${SECRETS}/`);
  return Object.keys(files).filter((path) => !paths.has(path) && !isKept(path));
}

/** A changed password of a repository lies beside the one in use until the repository knows it. */
function secretFiles({ context, manifest, inputs }: Work, before: BackupSurvey): InstalledFile[] {
  const { backups } = manifest;
  const passwords = new Set(
    backups === undefined ? [] : policiesOn(backups, inputs.server).map(({ target }) => target.passwordSecret),
  );
  return backupSecrets(manifest, inputs.server).map((name) => {
    const text = context.secret(name);
    const path = `${SECRETS}/${name}`;
    const there = before.files[path];
    const isNext = passwords.has(name) && there !== undefined && there.hash !== sha256(text);
    return { path: isNext ? `${path}.next` : path, mode: "600", text };
  });
}

/** The server's key for SFTP repositories, let in on the servers of this site that have one. */
async function sftpKey({ context, ssh, manifest, inputs }: Work, before: BackupSurvey): Promise<string> {
  const { backups } = manifest;
  const backends = backups === undefined ? [] : policiesOn(backups, inputs.server).map(({ target }) => target.backend);
  const sftp = backends.filter((backend) => backend.type === "sftp");
  if (sftp.length === 0) return before.publicKey ?? "";
  const key = await makeBackupKey(ssh, inputs.server);
  for (const backend of sftp) {
    if (backend.on !== undefined && backend.user === "root" && manifest.servers[backend.on]?.ssh !== undefined) {
      await authorizeSftp(ssh, backend.on, inputs.server, key);
    } else if (before.publicKey !== key) {
      const host = backend.on ?? backend.host;
      context.progress(
        `${inputs.server}: let its key in on ${host}, in authorized_keys of ${backend.user}: command="internal-sftp",restrict ${key} coldspare-backup@${inputs.server}`,
      );
    }
  }
  return key;
}

/** What the programs need on this server, and it does not have. */
function missingFor(manifest: SiteManifest, server: string, { lacks }: BackupSurvey): Problem[] {
  const { backups } = manifest;
  const needs: Need[] = ["guard", "perl"];
  if (backups !== undefined && policiesOn(backups, server).length > 0) needs.push("restic");
  if (backups?.mail !== undefined) needs.push("curl");
  if (zfsPart(manifest, server) !== undefined) needs.push("zfs");
  return needs.flatMap((need) => lacks[need] ?? []);
}

/** The key of coldspare-zfs, let in by every peer that this server reaches. */
async function zfsKey({ context, ssh, manifest, inputs }: Work): Promise<Problem[]> {
  const { server } = inputs;
  const peers = zfsPart(manifest, server)?.peers ?? [];
  if (peers.length === 0) return [];
  const key = await makeZfsKey(ssh, server);
  const problems: Problem[] = [];
  for (const { name, host, user = "root" } of peers) {
    // Another account than root is a person's to set up.
    if (manifest.servers[name]?.ssh === undefined || user !== "root") {
      const line = zfsAuthorization(server, key);
      context.progress(
        `${server}: install coldspare-zfs on ${host}, and let its key in there, in authorized_keys of ${user}: ${line}`,
      );
      continue;
    }
    try {
      await authorizeZfs(ssh, name, server, key);
    } catch (error) {
      if (error instanceof SshError)
        problems.push(`its key for coldspare-zfs is not let in on ${name} yet: ${error.reason}`);
      else if (error instanceof InstallError) problems.push(error.message);
      else throw error;
    }
  }
  return problems;
}

/** Repositories that are not there yet are made; passwords that changed are put in use. */
async function repositories({ ssh, manifest, inputs }: Work, secrets: readonly InstalledFile[]): Promise<Problem[]> {
  const { backups } = manifest;
  const policies = backups === undefined ? [] : policiesOn(backups, inputs.server);
  const problems: Problem[] = [];
  for (const [name, target] of new Map(policies.map(({ policy, target }) => [policy.target, target]))) {
    const isNew = secrets.some(({ path }) => path === `${SECRETS}/${target.passwordSecret}.next`);
    problems.push(...(await program(ssh, inputs.server, isNew ? "rekey" : "init", name)));
  }
  return problems;
}

/** Finds what is different from what was recorded. */
async function look(context: BackupContext, ssh: SshRunner, props: BackupAgentState): Promise<BackupAgentState> {
  const programs = backupPrograms();
  let found: BackupSurvey;
  try {
    found = await surveyBackups(ssh, props.server, programs);
  } catch (error) {
    if (!(error instanceof SshError) || error.kind === "denied" || error.kind === "host-key") throw error;
    context.progress(`${error.message}. What makes copies there is left as it was recorded`);
    return props;
  }
  return { ...props, drift: bounded(differences(found, programs, props)) };
}

function differences(found: BackupSurvey, programs: readonly InstalledFile[], props: BackupAgentState): Problem[] {
  const there = Object.entries(found.files).map(([path, file]) => ({ path, ...file }));
  const installed = new Set(programs.map(({ path }) => path));
  const isConf = (path: string) => !installed.has(path) && path !== SWAPS && !path.startsWith(`${SECRETS}/`);
  // What is only needed by what is done here is known where the manifest is: at the next update.
  const problems = [found.lacks.guard, found.lacks.perl].filter((lack) => lack !== undefined);
  if (hashOf(there.filter(({ path }) => installed.has(path))) !== props.programs) problems.push("programs differ");
  if (hashOf(there.filter(({ path }) => isConf(path))) !== props.conf) problems.push("configuration or units differ");
  if (props.media && found.files[SWAPS] === undefined) problems.push(`${SWAPS} is missing`);
  const timers = there
    .filter(({ path }) => path.endsWith(".timer"))
    .map(({ path }) => path.slice(UNIT_FOLDER.length + 1));
  for (const timer of timers) if (!found.timers.includes(timer)) problems.push(`${timer} does not run`);
  return problems;
}

async function remove(context: BackupContext, ssh: SshRunner, server: string): Promise<void> {
  try {
    await uninstallBackups(ssh, server, backupPrograms());
    context.progress(
      `${server}: makes no copies any more; those that there are stay, and the records in /var/lib/coldspare`,
    );
  } catch (error) {
    if (!(error instanceof SshError) || error.kind !== "unreachable") throw error;
    context.progress(`${error.message}. What makes copies is left on it as it is`);
  }
}

/** The state stays small, however much is wrong. */
function bounded(problems: readonly Problem[]): string[] {
  const shown = problems.slice(0, 5).map((problem) => problem.slice(0, 160));
  return problems.length > shown.length ? [...shown, `and ${problems.length - shown.length} more`] : shown;
}
