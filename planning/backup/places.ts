/** Where a target lies: on which server of the site or which host elsewhere, and on which kind of medium. */
import { type Context, own } from "../context";
import type { TargetSpec } from "./schema";

export interface Place {
  /** A server of the site. */
  server?: string;
  /** Its host where it is elsewhere. */
  host?: string;
  /** Room or data centre; absent: unknown. */
  location?: string;
}

/** The server or host of a target and its location. @param spec Absent: the storage of that id stands for a target. */
export function placeOf(context: Context, name: string, spec: TargetSpec | undefined): Place {
  const { server, host } = machineOf(context, name, spec);
  const stated = spec === undefined || spec.kind === "offline-medium" ? undefined : spec.location;
  const location = stated ?? (server === undefined ? undefined : context.server(server)?.location);
  return {
    ...(server !== undefined && { server }),
    ...(host !== undefined && { host }),
    ...(location !== undefined && { location }),
  };
}

type Machine = Pick<Place, "server" | "host">;

function machineOf(context: Context, name: string, spec: TargetSpec | undefined): Machine {
  if (spec === undefined) return exporterOf(context, name);
  switch (spec.kind) {
    case "vzdump":
      return exporterOf(context, spec.storage);
    case "pbs":
    case "zfs-receiver":
      return machine(spec);
    case "offline-medium":
      return { server: spec.on };
    case "restic": {
      const { backend } = spec;
      if (backend.type === "sftp" || backend.type === "local") return machine(backend);
      const host = hostOfUrl(backend.type === "rest" ? backend.url : backend.endpoint);
      return host === undefined ? {} : onSite(context, host);
    }
  }
}

function machine({ on, host }: { on?: string | undefined; host?: string | undefined }): Machine {
  if (on !== undefined) return { server: on };
  return host === undefined ? {} : { host };
}

/** Who holds the bytes of a storage: the server that exports it, or the one that has it to itself. */
function exporterOf(context: Context, storage: string): Machine {
  const shared = own(context.spec.storages, storage);
  if (shared !== undefined) return shared.server === undefined ? {} : onSite(context, shared.server);
  const holders = context.servers.filter(({ spec }) => Object.hasOwn(spec.storages, storage));
  return holders.length === 1 && holders[0] !== undefined ? { server: holders[0].name } : {};
}

/** A host that is a server of this site by name or address, or one elsewhere. */
function onSite(context: Context, host: string): Machine {
  const found = context.servers.find(
    ({ name, spec }) => name === host || spec.address === host || spec.address6 === host,
  );
  return found === undefined ? { host } : { server: found.name };
}

/** The host of an URL, without port; undefined for a text that is none. */
export function hostOfUrl(text: string): string | undefined {
  return /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?(\[[^\]]+\]|[^/:?#]+)/i.exec(text)?.[1]?.replace(/^\[|\]$/g, "");
}

/** Kind of medium, for the rule of two kinds: as stated, or what is usual of the kind. */
export function mediaOf(spec: TargetSpec | undefined): string {
  if (spec?.kind === "offline-medium") return "removable disk";
  const usual = spec?.kind === "restic" && spec.backend.type === "s3" ? "object storage" : "disk";
  return spec?.media ?? usual;
}
