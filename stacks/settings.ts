/** The only reader of Pulumi config: everything a stack can be told, with what to type when it is missing. */
import * as pulumi from "@pulumi/pulumi";
import type { Side } from "../planning";
import { projectPath, readCaFile, type SshSettings, sshSettingsFromConfig } from "../providers/config";
import { findSiteFile } from "./layouts";

/** What `Pulumi.<stack>.yaml` says under `coldspare:`. */
export interface StackSettings {
  /** A layout that comes with coldspare, unless `siteFile` names a file of one's own. Default: smb-site. */
  layout: string;
  /** Absolute; in the config it counts from the folder of Pulumi.yaml. Default: the site file beside it, unless a layout is named. */
  siteFile?: string;
  /** API of each hypervisor, for example { srv1: "https://192.168.10.11:8006" }. */
  endpoints: Record<string, string>;
  apiToken: pulumi.Output<string>;
  /** PEM of the CA that signed the hypervisors' certificates. */
  ca?: string;
  fingerprints: Record<string, string>;
  /** Active side by guest, as the failover commands record it. */
  active: Record<string, Side>;
  /** Deny deletion of guests by the engine. Default: true. */
  protect: boolean;
  /** A changed value refreshes every `restore` replica. */
  refreshToken?: string;
  /** The way to the servers over SSH. Servers without a host key in it are not reached, and get no guard. */
  ssh?: SshSettings;
}

/** Reads the stack's settings. @throws RunError that names the missing key and the command that sets it. */
export function readSettings(config = new pulumi.Config("coldspare")): StackSettings {
  const endpoints = config.getObject<Record<string, string>>("endpoints");
  if (!endpoints || Object.keys(endpoints).length === 0) {
    throw new pulumi.RunError(
      "No hypervisor can be reached: coldspare:endpoints is not set.\n" +
        "  fix: pulumi config set --path 'coldspare:endpoints.srv1' https://192.168.10.11:8006   (once per hypervisor)",
    );
  }
  const apiToken = config.getSecret("apiToken");
  if (!apiToken) {
    throw new pulumi.RunError(
      "coldspare:apiToken is not set.\n" +
        "  fix: pulumi config set --secret coldspare:apiToken 'coldspare@pve!pulumi=<uuid>'",
    );
  }
  const siteFile = readSiteFile(config);
  const refreshToken = config.get("refreshToken");
  const ca = readCa(config);
  const ssh = readSsh(config);
  return {
    layout: config.get("layout") ?? "smb-site",
    ...(siteFile ? { siteFile } : {}),
    endpoints,
    apiToken,
    ...(ca ? { ca } : {}),
    fingerprints: config.getObject<Record<string, string>>("fingerprints") ?? {},
    active: readActive(config),
    protect: config.getBoolean("protect") ?? true,
    ...(refreshToken ? { refreshToken } : {}),
    ...(ssh ? { ssh } : {}),
  };
}

/** Value of a secret that the specification names, if the stack's config has it. */
export function secretFromConfig(name: string): pulumi.Output<string> | undefined {
  return new pulumi.Config("coldspare").getSecret(name);
}

/** Who named no layout and has a site file in the project means that one. */
function readSiteFile(config: pulumi.Config): string | undefined {
  const named = config.get("siteFile");
  if (named) return projectPath(named);
  return config.get("layout") === undefined ? findSiteFile(projectPath(".")) : undefined;
}

function readActive(config: pulumi.Config): Record<string, Side> {
  const active = config.getObject<Record<string, Side>>("active") ?? {};
  for (const [guest, side] of Object.entries(active)) {
    if (side === "primary" || side === "spare") continue;
    // Taken for the primary, a mistyped 'spare' would bring the guest home at the next update.
    throw new pulumi.RunError(
      `coldspare:active.${guest} is '${side}', which is no side of a guest.\n` +
        `  fix: pulumi config set --path 'coldspare:active.${guest}' spare   (or primary)`,
    );
  }
  return active;
}

function readCa(config: pulumi.Config): string | undefined {
  try {
    return config.get("ca") ?? readCaFile(config.get("caFile"));
  } catch (error) {
    throw new pulumi.RunError((error as Error).message);
  }
}

function readSsh(config: pulumi.Config): SshSettings | undefined {
  try {
    return sshSettingsFromConfig(() => config.get("ssh"));
  } catch (error) {
    throw new pulumi.RunError((error as Error).message);
  }
}
