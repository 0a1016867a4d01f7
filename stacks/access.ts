import type { ManifestAccess } from "../planning";
import type { StackSettings } from "./settings";

/** The way to the servers as the manifest holds it: what is public of the stack's settings. */
export function accessOf(
  settings: Pick<StackSettings, "endpoints" | "ssh"> & Partial<Pick<StackSettings, "fingerprints" | "ca">>,
): ManifestAccess {
  const { endpoints, fingerprints = {}, ca, ssh } = settings;
  // Where the operator keeps the private key is nobody else's business.
  const { keyFile: _, ...reach } = ssh ?? { hostKeys: {} };
  return {
    endpoints,
    ...(Object.keys(fingerprints).length > 0 ? { fingerprints } : {}),
    ...(ca === undefined ? {} : { ca }),
    ...(ssh === undefined ? {} : { ssh: reach }),
  };
}
