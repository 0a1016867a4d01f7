/** Whether what the site's program needs would be lost with the site: its state, the key to it, its specification. */
import type { Context } from "../context";
import { makeFinding } from "../findings";
import { describeOnSite, hasPassword, type Machine, onSite, withoutPassword } from "../places";
import type { Finding } from "../plan";
import type { SiteSpec } from "../schema";
import { list } from "../units";
import { looksLikeSecret } from "./secrets";

/** Checks the section `state`. A site without one is asked by its stack, which knows the backend that is in use. */
export function checkState(context: Context): void {
  const { state } = context.spec;
  if (state === undefined) return;
  const secrets = secretsInClear(state);
  if (secrets.length > 0) {
    context.findings.push(...secrets);
    return;
  }
  const found = [
    ...(state.backend === undefined ? [] : backendOnSite(context.spec, state.backend)),
    ...(state.secretsKey === undefined ? [] : keyOnSite(context.spec, state.secretsKey)),
    ...specificationOnSite(context.spec, state.specification ?? []),
    ...placesUnknown(context.spec),
  ];
  context.findings.push(...found);
}

/** A state that is lost with the site. @param machine the computer that a path is on, where it is known */
export function backendOnSite(spec: SiteSpec, backend: string, machine?: Machine): Finding[] {
  const found = onSite(spec, backend, machine);
  if (found === undefined) return [];
  const { name } = spec.site;
  return [
    makeFinding(
      "STATE-ON-SITE",
      "state.backend",
      `The state of ${name} (${withoutPassword(backend)}) lies on ${describeOnSite(found, name)}: what takes the site takes its state.`,
      "Move it to a place elsewhere: `pulumi stack export --file state.json`, set backend.url in Pulumi.yaml and state.backend, `pulumi stack init`, `pulumi stack import --file state.json`.",
    ),
  ];
}

/** A passphrase that is lost with the site. It is never shown, where it lies is. */
export function keyOnSite(spec: SiteSpec, place: string, machine?: Machine): Finding[] {
  const found = onSite(spec, place, machine);
  if (found === undefined) return [];
  const { name } = spec.site;
  return [
    makeFinding(
      "STATE-KEY-ON-SITE",
      "state.secretsKey",
      `The key to the secrets of ${name} is kept on ${describeOnSite(found, name)}: without it nobody opens them, nor the state.`,
      "Keep a copy elsewhere, on paper in a safe at best, and say where in state.secretsKey.",
    ),
  ];
}

function specificationOnSite(spec: SiteSpec, places: readonly string[]): Finding[] {
  const { name } = spec.site;
  const found = places.map((place) => onSite(spec, place));
  const here = found.filter((place) => place !== undefined);
  if (places.length === 0 || here.length < places.length) return [];
  const where = list([...new Set(here.map((place) => describeOnSite(place, name)))]);
  return [
    makeFinding(
      "SPECIFICATION-ON-SITE",
      "state.specification",
      `The specification of ${name} lies nowhere but on ${where}: what takes the site takes the plan to build it again.`,
      "Push the repository to a host elsewhere as well, and name that in state.specification.",
    ),
  ];
}

/** What nobody has written down, though a bad day depends on it. */
export function placesUnknown({ site: { name }, state }: SiteSpec): Finding[] {
  const unknown = [
    ...(state !== undefined && state.backend === undefined ? [["its state", "state.backend"]] : []),
    ...(state?.secretsKey === undefined && !keepsKey(state?.backend)
      ? [["the key to its secrets", "state.secretsKey"]]
      : []),
    ...(state?.specification === undefined || state.specification.length === 0
      ? [["a copy of its specification", "state.specification"]]
      : []),
  ];
  if (unknown.length === 0) return [];
  return [
    makeFinding(
      "STATE-PLACE-UNKNOWN",
      "state",
      `${name} does not say where ${list(
        unknown.map(([what]) => what ?? ""),
        "or",
      )} is kept: nothing says whether that would be lost with the site.`,
      `Set ${list(unknown.map(([, path]) => path ?? ""))}, for example to 'paper in the safe' or git@git.example.org:${name}.git.`,
    ),
  ];
}

/** Pulumi Cloud and the clouds' stores of keys hold the key themselves. */
function keepsKey(backend: string | undefined): boolean {
  return backend !== undefined && /^https:/.test(backend);
}

function secretsInClear({ backend, secretsKey, specification = [] }: NonNullable<SiteSpec["state"]>): Finding[] {
  const places: [string, string | undefined][] = [
    ["state.backend", backend],
    ["state.secretsKey", secretsKey],
    ...specification.map((place, index): [string, string] => [`state.specification[${index}]`, place]),
  ];
  return places
    .filter(
      ([path, text]) =>
        text !== undefined && (hasPassword(text) || (path === "state.secretsKey" && looksLikeSecret(text))),
    )
    .map(([path]) =>
      makeFinding(
        "SECRET-IN-CLEAR",
        path,
        `${path} contains what looks like a secret itself; the specification only says where it is kept.`,
        "Write the place, for example 'paper in the safe', and change what was written here: it is known now.",
      ),
    );
}
