/** The life of a server's guard: plain functions over SSH. See {@link ServerGuard} for what it promises. */
import type { SiteManifest } from "../planning/manifest";
import { parseManifest } from "../planning/manifest-text";
import type { SshSettings } from "./config";
import { exchangeKeys, hookChanges, inTurn, nextGeneration, startAgents, surveyAll } from "./guard/exchange";
import { sha256, shortHash, takeOver } from "./guard/handoff";
import { activate, installFiles, type Problem } from "./guard/install";
import { AGENT, HOOKSCRIPT, type InstalledFile, programFiles, programsHash, siteFiles, UNITS } from "./guard/programs";
import { removeGuard } from "./guard/remove";
import { type Survey, survey } from "./guard/survey";
import { ConfigError } from "./pve/errors";
import {
  type Difference,
  type Handler,
  type HandlerContext,
  type InputFailure,
  PartlyInitialised,
  serve,
} from "./serve";
import type { ServerGuardInputs } from "./server-guard";
import { SshClient, SshError, type SshRunner, type SshTarget } from "./ssh";

/** What is recorded. */
export interface ServerGuardState extends ServerGuardInputs {
  generation: number;
  publicKey: string;
  drift: string[];
}

/** Makes what runs commands; a test puts something else there. */
export type Connect = (targets: Record<string, SshTarget>, keyFile: string | undefined) => SshRunner;

export const overSsh: Connect = (targets, keyFile) =>
  new SshClient({ targets, ...(keyFile === undefined ? {} : { keyFile }) });

export function serverGuardHandler(connect: Connect = overSsh): Handler<ServerGuardInputs, ServerGuardState> {
  const using = async <T>(
    context: HandlerContext,
    targets: (settings: SshSettings) => Record<string, SshTarget>,
    work: (ssh: SshRunner) => Promise<T>,
  ): Promise<T> => {
    const settings = context.ssh();
    const ssh = connect(targets(settings), settings.keyFile);
    try {
      return await work(ssh);
    } finally {
      await ssh.close();
    }
  };
  const put = (context: HandlerContext, inputs: ServerGuardInputs) => {
    const manifest = parseManifest(takeOver(inputs.manifest));
    return using(
      context,
      () => targetsOf(manifest),
      (ssh) => install(context, ssh, manifest, inputs),
    );
  };
  return {
    check,
    diff,
    async create(context, inputs) {
      return { id: inputs.server, outs: await put(context, inputs) };
    },
    read(context, _id, props) {
      return using(
        context,
        (settings) => ({ [props.server]: targetOf(props, settings) }),
        (ssh) => look(context, ssh, props),
      );
    },
    update(context, _id, _olds, news) {
      return put(context, news);
    },
    async delete(context, _id, props) {
      const settings = context.ssh();
      const make = (targets: Record<string, SshTarget>) => connect(targets, settings.keyFile);
      await removeGuard({ progress: context.progress, make, own: targetOf(props, settings) }, props.server);
    },
  };
}

/** What the engine loads. */
export const provider = serve(serverGuardHandler());

function check(inputs: Partial<ServerGuardInputs>): InputFailure[] {
  const failures: InputFailure[] = [];
  const { server, host } = inputs;
  if (server !== undefined && !/^[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$/.test(server)) {
    failures.push({ property: "server", reason: `'${server}' is no name of a server` });
  }
  if (host === "") {
    failures.push({
      property: "host",
      reason: `the site does not say how to reach ${server} over SSH; pin its host key: \`pulumi config set --path 'coldspare:ssh.hostKeys.${server}[0]' 'ssh-ed25519 AAAA…'\``,
    });
  }
  for (const property of ["manifest", "conf", "hosts", "programs"] as const) {
    const hash = inputs[property];
    if (hash !== undefined && !/^[0-9a-f]{20,64}$/.test(hash))
      failures.push({ property, reason: `'${hash}' is no SHA-256` });
  }
  return failures;
}

function diff(olds: ServerGuardState, news: Partial<ServerGuardInputs>): Difference {
  const keys = Object.keys(news) as (keyof ServerGuardInputs)[];
  const replaces = news.server !== undefined && news.server !== olds.server ? ["server"] : [];
  const asked = new Set<string>(["host", "port", "user", "hypervisor", "manifest", "conf", "hosts", "programs"]);
  const differs = keys.some((key) => asked.has(key) && news[key] !== olds[key]);
  return { changes: replaces.length > 0 || differs || (olds.drift ?? []).length > 0, replaces };
}

function targetsOf(manifest: SiteManifest): Record<string, SshTarget> {
  return Object.fromEntries(
    Object.entries(manifest.servers).flatMap(([name, { ssh }]) => (ssh === undefined ? [] : [[name, ssh]])),
  );
}

function targetOf({ server, host, port, user }: ServerGuardInputs, settings: SshSettings): SshTarget {
  return { host, port, user, hostKeys: settings.hostKeys[server] ?? [] };
}

/** Installs what differs, lets the peers know, and looks again. */
async function install(
  { progress }: HandlerContext,
  ssh: SshRunner,
  manifest: SiteManifest,
  inputs: ServerGuardInputs,
): Promise<ServerGuardState> {
  const { server } = inputs;
  const files = wantedFiles(manifest, inputs);
  const paths = files.map(({ path }) => path);
  const before = await surveyAll(ssh, Object.keys(targetsOf(manifest)), paths);
  const own = before.found[server];
  if (own === undefined) throw unreachable(server, before.silent[server]);
  for (const [peer, { reason }] of Object.entries(before.silent)) {
    progress(
      `${server}: its guard cannot be made known to ${peer} now (${reason}); that is done when ${peer} is back and brought up to date`,
    );
  }
  const generation = nextGeneration(Object.values(before.found), inputs.manifest);
  const changed = files.filter(({ path, mode, text }) => {
    const there = own.files[path];
    return there?.hash !== sha256(text) || there.mode !== mode;
  });
  const isNumbered = own.generation?.number === generation.number && own.generation.hash === generation.hash;
  if (changed.length > 0 || !isNumbered || own.publicKey === undefined || own.isRetired) {
    await installFiles(ssh, server, changed, generation);
  }
  const conf = files.find(({ path }) => path.endsWith("/node.conf"))?.text ?? "";
  const { hook, unhook, foreign } = hookChanges(server, conf, own, HOOKSCRIPT);
  const units = inputs.hypervisor && (changed.length > 0 || UNITS.some((unit) => !own.units[unit]?.enabled));
  const { problems, locked } = await activate(ssh, server, { units, hook, unhook });
  for (const vmid of locked) progress(lockedLater(server, vmid, hook.has(vmid)));
  for (const [vmid, script] of foreign) problems.push(foreignScript(vmid, script));
  return inTurn(async () => {
    // Others may have been at work since: what is true now decides.
    const now = await surveyAll(ssh, Object.keys(before.found), paths);
    const mine = now.found[server];
    if (mine === undefined) throw unreachable(server, now.silent[server]);
    const { [server]: _, ...peers } = now.found;
    await exchangeKeys(ssh, server, mine, peers);
    // An agent that was started since has read the new files.
    const reload = changed.length > 0 && own.units[AGENT]?.active === true;
    const started = await startAgents(ssh, manifest, server, { own: mine, peers, reload });
    if (started.waitsFor.length > 0) {
      progress(
        `${server}: the guard is installed; the agents start when it is on ${started.waitsFor.join(" and ")}, too`,
      );
    }
    problems.push(
      ...started.problems,
      ...differences(mine, files, { ...inputs, publicKey: mine.publicKey ?? "" }, false),
    );
    const outs: ServerGuardState = {
      ...inputs,
      generation: generation.number,
      publicKey: mine.publicKey ?? "",
      drift: [],
    };
    if (problems.length > 0)
      throw new PartlyInitialised(server, { ...outs, drift: bounded(problems) }, reasons(server, problems));
    return outs;
  });
}

/** Finds what is different from what was recorded. */
async function look({ progress }: HandlerContext, ssh: SshRunner, props: ServerGuardState): Promise<ServerGuardState> {
  const files = programFiles(props.hypervisor);
  const conf = { path: "/etc/coldspare/node.conf", mode: "644", hash: props.conf };
  let found: Survey;
  try {
    const others = ["/etc/coldspare/site.json", "/etc/coldspare/known_hosts"];
    found = await survey(ssh, props.server, [...files.map(({ path }) => path), conf.path, ...others]);
  } catch (error) {
    if (!(error instanceof SshError) || error.kind === "denied" || error.kind === "host-key") throw error;
    progress(`${error.message}. Its guard is left as it was recorded`);
    return props;
  }
  const hashes = { "site.json": props.manifest, "node.conf": props.conf, known_hosts: props.hosts };
  const recorded = Object.entries(hashes).map(([name, hash]) => ({
    path: `/etc/coldspare/${name}`,
    mode: "644",
    hash,
  }));
  const drift = differences(found, [...files, ...recorded], props, true);
  const { hook, foreign } = hookChanges(props.server, found.conf, found, HOOKSCRIPT);
  const { late, soon } = unhooked(found, [...hook.keys()]);
  if (late.length > 0) drift.push(`no hook script at guest ${late.join(", ")}`);
  if (soon.length > 0)
    progress(`${props.server}: guest ${soon.join(", ")} has no hook script yet; the agent sets it within minutes`);
  for (const [vmid, script] of foreign) drift.push(foreignScript(vmid, script));
  if (drift.length > 0) progress(`${props.server}: ${drift.join("; ")}. The next \`pulumi up\` repairs it`);
  return { ...props, generation: found.generation?.number ?? 0, drift: bounded(drift) };
}

/** The agent looks once a minute, and a round of it may take another. */
const AGENT_SECONDS = 180;

/**
 * Guests without hook script: those that the agent had its chance at, and those that it sets soon, as they came a moment ago
 * or are locked by a backup. The latter are no drift, or an update at each refresh would do what the agent does anyway.
 */
function unhooked(found: Survey, vmids: readonly number[]): { late: number[]; soon: number[] } {
  const isSoon = (vmid: number) => {
    const guest = found.guests.get(vmid);
    if (guest === undefined || guest.lock !== "") return true;
    return found.units[AGENT]?.active === true && guest.age < AGENT_SECONDS;
  };
  return { late: vmids.filter((vmid) => !isSoon(vmid)), soon: vmids.filter(isSoon) };
}

/** A guest that is being backed up must not hold up the update of a site. */
function lockedLater(server: string, vmid: number, isGuarded: boolean): string {
  return isGuarded
    ? `${server}: guest ${vmid} is locked (a backup, or another task); ${AGENT} sets its hook script when the lock is gone, it looks once a minute`
    : `${server}: guest ${vmid} is locked and keeps the guard's hook script, which lets it start as it is no guest of this site any more`;
}

type Expected = Pick<InstalledFile, "path" | "mode"> & ({ text: string } | { hash: string });

/** What is not as it should be, in words. `isSettled`: with what comes about only after a server's own files are written. */
function differences(
  found: Survey,
  files: readonly Expected[],
  wanted: Pick<ServerGuardState, "hypervisor" | "publicKey">,
  isSettled: boolean,
): Problem[] {
  const problems: Problem[] = [];
  for (const file of files) {
    const there = found.files[file.path];
    if (there === undefined) problems.push(`${file.path} is missing`);
    else if (!there.hash.startsWith("hash" in file ? file.hash : sha256(file.text)))
      problems.push(`${file.path} was changed`);
    else if (there.mode !== file.mode) problems.push(`${file.path} has mode ${there.mode} instead of ${file.mode}`);
  }
  if (found.publicKey === undefined) problems.push("the server's own key is missing");
  else if (wanted.publicKey !== "" && found.publicKey !== wanted.publicKey)
    problems.push("the server's own key is another one");
  for (const [peer, key] of isSettled ? Object.entries(found.known).sort() : []) {
    if (found.authorized[peer] !== key) problems.push(`the key of ${peer} is not in authorized_keys any more`);
  }
  if (!wanted.hypervisor) return problems;
  for (const unit of UNITS) if (!found.units[unit]?.enabled) problems.push(`${unit} is not enabled`);
  if (isSettled && !found.units[AGENT]?.active) problems.push(`${AGENT} does not run`);
  return problems;
}

function wantedFiles(manifest: SiteManifest, inputs: ServerGuardInputs): InstalledFile[] {
  const { server, hypervisor } = inputs;
  const site = siteFiles(manifest, server);
  const conf = site.find(({ path }) => path.endsWith("/node.conf"));
  if (programsHash(hypervisor) !== inputs.programs || shortHash(conf?.text ?? "") !== inputs.conf) {
    throw new ConfigError(
      `The program and the handlers are of two releases of coldspare. Fix: install the package again (\`npm ci\`) in the program's folder, then run this again`,
    );
  }
  return [...programFiles(hypervisor), ...site];
}

function foreignScript(vmid: number, script: string): Problem {
  return `guest ${vmid} has the hook script ${script} already, and there can be one only: take it away (\`qm set ${vmid} --delete hookscript\`, for a container \`pct set\`), or guests may run twice`;
}

function unreachable(server: string, error: SshError | undefined): SshError {
  const reason = error?.reason ?? "it did not answer";
  const fix = error?.fix ?? "look at its console";
  return new SshError(
    server,
    error?.kind ?? "unreachable",
    `its guard could not be brought up to date: ${reason}`,
    `${fix}; while ${server} is down, \`coldspare up\` updates the rest of the site`,
  );
}

function reasons(server: string, problems: readonly Problem[]): string[] {
  return problems.map((problem) => `${server}: ${problem}. Fix: mend it on ${server}, then run \`pulumi up\` again`);
}

/** The state stays small, however much is wrong. */
function bounded(problems: readonly Problem[]): string[] {
  const shown = problems.slice(0, 5).map((problem) => problem.slice(0, 160));
  return problems.length > shown.length ? [...shown, `and ${problems.length - shown.length} more`] : shown;
}
