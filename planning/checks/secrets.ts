/** Names of secrets: guests, targets and the stack's own settings share one namespace, and a name is no secret itself. */
import type { TargetSpec } from "../backup/schema";
import { type Context, sorted } from "../context";

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

/** Checks the names of the secrets of targets. */
function checkTargetSecrets(context: Context): void {
  for (const [name, target] of sorted(context.spec.targets))
    for (const [key, secret] of targetSecrets(target)) {
      const path = `targets.${name}.${key}`;
      if (STACK_SETTINGS.includes(secret))
        context.add(
          "SECRET-NAME-RESERVED",
          path,
          `The secret of target ${name} is '${secret}', which is a setting of the stack itself.`,
          `Name a secret of its own, for example ${name}-password.`,
        );
      else if (looksLikeSecret(secret))
        context.add(
          "SECRET-IN-CLEAR",
          path,
          `${path} contains what looks like a secret itself; the specification only says names of secrets.`,
          `Write a name, for example ${name}-password, set its value with \`pulumi config set --secret coldspare:${name}-password\`, and change what was written here: it is known now.`,
        );
    }
}

/** Names of the secrets of a target, by the path below it. */
export function targetSecrets(target: TargetSpec): [string, string][] {
  const named: [string, string | undefined][] = [];
  if (target.kind === "pbs") named.push(["tokenSecret", target.tokenSecret]);
  if (target.kind === "restic") {
    const { backend } = target;
    named.push(["passwordSecret", target.passwordSecret]);
    if (backend.type === "rest") named.push(["backend.userPasswordSecret", backend.userPasswordSecret]);
    if (backend.type === "s3")
      named.push(
        ["backend.accessKeySecret", backend.accessKeySecret],
        ["backend.secretKeySecret", backend.secretKeySecret],
      );
  }
  return named.filter((entry): entry is [string, string] => entry[1] !== undefined);
}

/** Keys of clouds, UUIDs, long random words: nobody names a secret so. */
export function looksLikeSecret(text: string): boolean {
  if (/^(AKIA|ASIA|ghp_|glpat-|xox[a-z]-)/.test(text)) return true;
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text) || /^[0-9a-f]{32,}$/i.test(text)) return true;
  return text.length >= 16 && !/[-_.]/.test(text) && /[a-z]/.test(text) && /[A-Z]/.test(text) && /\d/.test(text);
}

/** Checks that nothing gets a setting of the stack, such as the cluster's token, as its password. */
export function checkSecrets(context: Context): void {
  checkTargetSecrets(context);
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
