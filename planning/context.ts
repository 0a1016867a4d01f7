/** What every step of a plan works on: the specification, who is where, and the findings so far. */
import { type FindingCode, makeFinding } from "./findings";
import type { Finding, PlanOptions } from "./plan";
import type { GuestSpec, LocalStorageSpec, ServerSpec, SharedStorageSpec, Side, SiteSpec } from "./schema";
import { byName } from "./units";

/** A guest with the sides resolved; server names may still be unknown ones. */
export interface Placed {
  name: string;
  spec: GuestSpec;
  primary: string;
  spare?: string;
  activeSide: Side;
  activeServer: string;
  standbyServer?: string;
}

/** A storage as one server sees it. */
export type SeenStorage =
  | { shared: false; server: string; storage: LocalStorageSpec }
  | { shared: true; server: "shared"; storage: SharedStorageSpec };

export class Context {
  readonly findings: Finding[] = [];
  /** Sorted by name, so that the order in the file never shows in the plan. */
  readonly guests: Placed[];
  readonly servers: { name: string; spec: ServerSpec }[];
  readonly hypervisors: string[];

  constructor(
    readonly spec: SiteSpec,
    readonly options: PlanOptions = {},
  ) {
    this.servers = sorted(spec.servers).map(([name, server]) => ({ name, spec: server }));
    this.hypervisors = this.servers
      .filter(({ spec: { roles } }) => roles.includes("hypervisor"))
      .map(({ name }) => name);
    this.guests = sorted(spec.guests).map(([name, guest]) => place(name, guest, options.active?.[name] ?? "primary"));
  }

  add(code: FindingCode, subject: string, message: string, fix: string): void {
    this.findings.push(makeFinding(code, subject, message, fix));
  }

  server(name: string): ServerSpec | undefined {
    return own(this.spec.servers, name);
  }

  isHypervisor(name: string | undefined): name is string {
    return name !== undefined && this.hypervisors.includes(name);
  }

  /** Servers that mount a shared storage. */
  mounters(storage: SharedStorageSpec): string[] {
    return storage.mountedBy ?? this.hypervisors;
  }

  /** The storage of that id as a server sees it: its own, or a shared one that it mounts. */
  storageOn(server: string, id: string): SeenStorage | undefined {
    const spec = this.server(server);
    const local = spec && own(spec.storages, id);
    if (local) return { shared: false, server, storage: local };
    const shared = own(this.spec.storages, id);
    return shared && spec && this.mounters(shared).includes(server)
      ? { shared: true, server: "shared", storage: shared }
      : undefined;
  }
}

function place(name: string, spec: GuestSpec, side: Side): Placed {
  const spare = spec.coldReplica?.on;
  if (spare === undefined) return { name, spec, primary: spec.on, activeSide: "primary", activeServer: spec.on };
  const [activeServer, standbyServer] = side === "primary" ? [spec.on, spare] : [spare, spec.on];
  return { name, spec, primary: spec.on, spare, activeSide: side, activeServer, standbyServer };
}

/** Entries in the order of their names. */
export function sorted<T>(record: Record<string, T>): [string, T][] {
  return Object.entries(record).sort(([a], [b]) => byName(a, b));
}

/** An own entry of a record: a server that is called 'constructor' is not found by accident. */
export function own<T>(record: Record<string, T>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
