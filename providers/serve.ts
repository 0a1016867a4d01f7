/** From a handler, which is plain functions over a client, to what the engine calls. */
import type * as pulumi from "@pulumi/pulumi";
import { type ConfigReader, pveOptionsFromConfig, type SshSettings, sshSettingsFromConfig } from "./config";
import { InstallError } from "./guard/install";
import { CallError, ConfigError } from "./http/errors";
import { PbsClient } from "./pbs/client";
import { pbsOptionsFromConfig } from "./pbs/config";
import { PveClient } from "./pve/client";
import { SshError } from "./ssh/errors";

/** What a handler is given beside its inputs. */
export interface HandlerContext {
  pve: PveClient;
  /** The way to the servers over SSH. @throws ConfigError when the stack does not say it */
  ssh(): SshSettings;
  /** Shown to the user while the work goes on. */
  progress: (line: string) => void;
}

/** What a handler of Proxmox Backup Server is given. */
export interface PbsContext {
  /** The client of a backup server by its name in `coldspare:pbs`. @throws ConfigError when the stack does not say it */
  pbs(server: string): PbsClient;
  /** The value of `coldspare:<name>`. @throws ConfigError when it is not set */
  secret(name: string): string;
  progress: (line: string) => void;
}

/** What a resource is served with: each handler takes what it needs of it. */
export interface ServeContext extends HandlerContext, PbsContext {}

/** What is recorded about a resource: its id and its properties. */
export interface Recorded<Out> {
  id: string;
  outs: Out;
}

/** One input that cannot be. */
export interface InputFailure {
  property: string;
  reason: string;
}

/** The difference between what is recorded and what is wanted. */
export interface Difference {
  changes: boolean;
  /** Properties that cannot be changed without making the resource anew. */
  replaces: string[];
}

/** A kind of resource, with no engine in it. `Out` contains what older releases wrote, too. */
export interface Handler<In extends object, Out extends object, Context = HandlerContext> {
  /** Checks inputs; values that are not known yet are left out of `inputs`. */
  check(inputs: Partial<In>): InputFailure[];
  diff(olds: Out, news: Partial<In>): Difference;
  create(context: Context, inputs: In): Promise<Recorded<Out>>;
  /** `undefined` when the resource is gone. */
  read(context: Context, id: string, props: Out): Promise<Out | undefined>;
  update(context: Context, id: string, olds: Out, news: In): Promise<Out>;
  delete(context: Context, id: string, props: Out): Promise<void>;
}

/** Thrown when the resource exists but is not what was asked for: the engine records it and calls `update` next time. */
export class PartlyInitialised<Out extends object> extends Error {
  constructor(
    readonly id: string,
    readonly properties: Out,
    readonly reasons: string[],
  ) {
    super(reasons.join("; "));
    this.name = "PartlyInitialised";
  }
}

/** Marks a value that the engine does not know yet during a preview. */
const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** Makes the object that the engine's dynamic provider process calls. */
export function serve<In extends object, Out extends object>(
  handler: Handler<In, Out, ServeContext>,
): pulumi.dynamic.ResourceProvider {
  const unconfigured = () => {
    throw new Error("configure was not called");
  };
  let client: () => PveClient = unconfigured;
  // Connecting is left until a call needs it: a preview reaches no server and asks for no credentials.
  let ssh: () => SshSettings = unconfigured;
  let read: ConfigReader = unconfigured;
  const backupServers = new Map<string, PbsClient>();
  const context = (): ServeContext => ({
    get pve() {
      return client();
    },
    ssh: () => ssh(),
    pbs: (server) => {
      const known = backupServers.get(server) ?? new PbsClient(pbsOptionsFromConfig(read, server));
      backupServers.set(server, known);
      return known;
    },
    secret: (name) => secretFrom(read, name),
    progress: (line) => console.log(line),
  });
  return {
    async configure({ config }) {
      let made: PveClient | undefined;
      read = (key) => config.get(key);
      backupServers.clear();
      client = () => {
        made ??= new PveClient(pveOptionsFromConfig(read));
        return made;
      };
      ssh = () => {
        const settings = sshSettingsFromConfig(read);
        if (settings === undefined) throw noSshSettings();
        return settings;
      };
    },
    async check(_olds, news) {
      return { inputs: news, failures: handler.check(known(news)) };
    },
    async diff(_id, olds, news) {
      const { changes, replaces } = handler.diff(olds, known(news));
      const unknown = Object.keys(news).some((key) => isUnknown(news[key]));
      return { changes: changes || unknown, replaces, deleteBeforeReplace: true };
    },
    async create(inputs) {
      const { id, outs } = await recording(inputs, () => handler.create(context(), bare(inputs)));
      return { id, outs };
    },
    async read(id, props) {
      const found = await plainly(() => handler.read(context(), id, bare(props)));
      return found === undefined ? { id: "", props: {} } : { id, props: found };
    },
    async update(id, olds, news) {
      return { outs: await recording(news, () => handler.update(context(), id, bare(olds), bare(news))) };
    },
    async delete(id, props) {
      await plainly(() => handler.delete(context(), id, bare(props)));
    },
  };
}

/** The properties of a partly initialised resource are recorded as they are thrown: without the provider's text in them the next call would find none. */
async function recording<T>(inputs: object, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PartlyInitialised)
      Object.assign(error.properties, { __provider: (inputs as { __provider?: string }).__provider });
    throw error;
  }
}

/** Their messages say where, what and what to do. */
const OURS = [CallError, ConfigError, SshError, InstallError];

function secretFrom(read: ConfigReader, name: string): string {
  const value = read(`coldspare:${name}`);
  if (value) return value;
  throw new ConfigError(
    `The secret ${name} has no value. Fix: \`pulumi config set --secret coldspare:${name}\`, which asks for it`,
  );
}

function noSshSettings(): ConfigError {
  return new ConfigError(
    "The stack does not say how to reach the servers over SSH. Fix: `pulumi config set --path 'coldspare:ssh.hostKeys.<server>[0]' 'ssh-ed25519 AAAA…'` for each server, with the key that its console shows in /etc/ssh/ssh_host_ed25519_key.pub",
  );
}

/** The provider process prints the stack of these errors; one of ours says all it has to say in its message. */
async function plainly<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (OURS.some((kind) => error instanceof kind)) (error as Error).stack = "";
    throw error;
  }
}

function isUnknown(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(isUnknown);
  return value === UNKNOWN;
}

function known<T extends object>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(bare(values)).filter(([, value]) => !isUnknown(value))) as Partial<T>;
}

/** Without the engine's own entry, which must not find its way into outputs of ours. */
function bare<T extends object>(values: T): T {
  const { __provider: _, ...rest } = values as T & { __provider?: unknown };
  return rest as T;
}
