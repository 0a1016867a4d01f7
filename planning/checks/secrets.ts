/** Names of secrets: guests and the stack's own settings share one namespace. */
import type { Context } from "../context";

/** What `Pulumi.<stack>.yaml` says of the stack itself, under `coldspare:`. */
export const STACK_SETTINGS: readonly string[] = [
  "layout",
  "siteFile",
  "endpoints",
  "apiToken",
  "ca",
  "caFile",
  "fingerprints",
  "active",
  "protect",
  "refreshToken",
  "ssh",
];

/** Checks that nothing gets a setting of the stack, such as the cluster's token, as its password. */
export function checkSecrets(context: Context): void {
  for (const { name, spec } of context.guests) {
    const secret = spec.kind === "vm" ? spec.cloudInit?.passwordSecret : undefined;
    if (secret !== undefined && STACK_SETTINGS.includes(secret))
      context.add(
        "SECRET-NAME-RESERVED",
        `guests.${name}.cloudInit.passwordSecret`,
        `The password of ${name} is the secret '${secret}', which is a setting of the stack itself.`,
        `Name a secret of its own, for example ${name}-password.`,
      );
  }
  for (const { name, spec } of context.servers) {
    const secret = spec.power === undefined || spec.power.kind === "command" ? undefined : spec.power.passwordSecret;
    if (secret !== undefined && STACK_SETTINGS.includes(secret))
      context.add(
        "SECRET-NAME-RESERVED",
        `servers.${name}.power.passwordSecret`,
        `The password that switches ${name} off is the secret '${secret}', which is a setting of the stack itself.`,
        `Name a secret of its own, for example ${name}-bmc.`,
      );
  }
}
