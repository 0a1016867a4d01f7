/** A restic repository as restic's option `-r` takes it (https://restic.readthedocs.io/en/stable/030_preparing_a_new_repo.html). */
import type { ResticBackendSpec } from "./schema";

/** @param hostOf Where another server reaches a host: the address of a server of the site, or the host as given. */
export function resticRepository(
  backend: ResticBackendSpec,
  hostOf: (where: { on?: string | undefined; host?: string | undefined }) => string,
): string {
  switch (backend.type) {
    case "local":
      return backend.path;
    case "sftp":
      // As an URL, where a second slash makes the path absolute; the short form knows no port.
      return `sftp://${backend.user}@${bracketed(hostOf(backend))}:${backend.port}/${backend.path}`;
    case "rest":
      return `rest:${backend.url.replace(/\/*$/, "/")}`;
    case "s3": {
      const prefix = backend.prefix.replace(/^\/+|\/+$/g, "");
      return `s3:${backend.endpoint.replace(/\/+$/, "")}/${backend.bucket}${prefix === "" ? "" : `/${prefix}`}`;
    }
  }
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
