/** What every command that acts on a site has in common on the command line. Loads nothing: it is part of each start. */
import type { Command } from "commander";
import type { ManifestChoice } from "../operations/open";

/** Options of every command that acts on a site. */
export interface SiteOptions extends ManifestChoice {
  endpoint?: string[];
}

const collect = (value: string, previous: string[] = []): string[] => [...previous, value];

/** The options, for a command. */
export function withSiteOptions(command: Command): Command {
  return command
    .option(
      "--manifest <file>",
      "the site's manifest (default: COLDSPARE_MANIFEST, ./coldspare.manifest.json, ~/.config/coldspare)",
    )
    .option(
      "--from <server>",
      "fetch the manifest from a server of the site (root@ADDRESS, or its name if a manifest is at hand), and keep it in ~/.config/coldspare",
    )
    .option("--site <name>", "which site, where several are known on this machine")
    .option("--endpoint <server=url>", "another way to the API of a server; repeatable", collect);
}

/** For help texts. */
export const siteHelp = `The site is known from its manifest, which every pulumi up places on the servers of coldspare:ssh; no engine is needed.

Environment:
  COLDSPARE_MANIFEST        the manifest's file
  COLDSPARE_API_TOKEN       user@realm!name=secret of Proxmox VE; or COLDSPARE_API_TOKEN_FILE, a file that holds it
  COLDSPARE_ENDPOINTS       JSON, other addresses of the API than the manifest's
  COLDSPARE_CA_FILE         PEM of the CA of the servers' certificates, where the manifest has none
  COLDSPARE_SSH_KEY         key for root's SSH on the servers (default: what ssh itself takes)
  COLDSPARE_SECRET_<NAME>   a secret that the site names, for example of a server's power control
  COLDSPARE_BREAK_GLASS     file with all of these, for the day when the place of the secrets is what died
  COLDSPARE_STATE           folder of the journal (default: ~/.local/state/coldspare)`;
