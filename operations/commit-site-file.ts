/**
 * The site file after a commit: the spare is the home now, and the former home is the spare. Only the words that change are
 * changed, in the file's own text: comments, order and layout are the person's.
 */
import { parseDocument, Scalar } from "yaml";
import { type Finding, parseSite, planSite } from "../planning";
import type { ManifestGuest, SiteManifest } from "../planning/manifest";
import { refusal } from "./refusals";

export interface SiteFileChange {
  /** The new text; absent with refusals. */
  text?: string;
  /** Lines for a person: `-` what goes, `+` what comes. */
  diff: string[];
  refusals: Finding[];
}

/** @param text A site file in YAML (or JSON). @param guests The guests that are committed. */
export function commitSiteFile(text: string, manifest: SiteManifest, guests: readonly string[]): SiteFileChange {
  const document = parseDocument(text, { merge: true, prettyErrors: false });
  const refusals: Finding[] = [];
  const edits: { from: number; to: number; word: string }[] = [];
  for (const name of guests) {
    const { primary, spare } = manifest.guests[name]!;
    for (const [path, was, becomes] of [
      [["guests", name, "on"], primary, spare!],
      [["guests", name, "coldReplica", "on"], spare!, primary],
    ] as const) {
      const node: unknown = document.getIn(path, true);
      if (node instanceof Scalar && node.value === becomes) continue;
      if (!(node instanceof Scalar) || node.value !== was || !node.range || !isPlain(text, node)) {
        refusals.push(byHand(name, path.join("."), was, becomes));
        continue;
      }
      edits.push({ from: node.range[0], to: node.range[1], word: becomes });
    }
    refusals.push(...networksByHand(manifest.guests[name]!));
  }
  if (refusals.length > 0) return { diff: [], refusals };
  const changed = applied(text, edits);
  const errors = problems(changed);
  if (errors.length > 0) return { diff: [], refusals: errors };
  return { text: changed, diff: differences(text, changed), refusals: [] };
}

/** The word stands there as it is, not by an alias or in a form that another word would break. */
function isPlain(text: string, { range, value }: Scalar): boolean {
  return range != null && text.slice(range[0], range[1]).replace(/^(['"])(.*)\1$/, "$2") === value;
}

function byHand(guest: string, path: string, was: string, becomes: string): Finding {
  return refusal(
    "OPERATION-COMMIT-SITE-FILE",
    guest,
    `the site file does not say '${was}' at ${path} in a way that can be changed by itself (a merge key, an anchor, or other words)`,
    `change it by hand: ${path} becomes ${becomes}; then \`pulumi up --refresh\``,
  );
}

function networksByHand({ name, spareNetworks, spare }: ManifestGuest): Finding[] {
  if (spareNetworks === undefined) return [];
  const cards = spareNetworks.map(({ network, address }) => `${network}${address === undefined ? "" : ` ${address}`}`);
  return [
    refusal(
      "OPERATION-COMMIT-SITE-FILE",
      name,
      `${name} has other networks on ${spare}, which become its own: which rules are left over is not for a program to say`,
      `change guests.${name} by hand: on, networks (${cards.join(", ")}) and coldReplica; then \`pulumi up --refresh\``,
    ),
  ];
}

function applied(text: string, edits: readonly { from: number; to: number; word: string }[]): string {
  let changed = text;
  for (const { from, to, word } of [...edits].sort((a, b) => b.from - a.from)) {
    changed = changed.slice(0, from) + word + changed.slice(to);
  }
  return changed;
}

/** A site file with errors would leave the site without a plan. */
function problems(text: string): Finding[] {
  const { spec, findings } = parseSite(parseDocument(text, { merge: true }).toJS());
  const all = spec === undefined ? findings : [...findings, ...planSite(spec).findings];
  return all.filter(({ severity }) => severity === "error");
}

function differences(before: string, after: string): string[] {
  const [old, now] = [before.split("\n"), after.split("\n")];
  // Words are replaced by words: no line comes or goes.
  return old.flatMap((line, index) => {
    const place = `${String(index + 1).padStart(5)} `;
    return line === now[index] ? [] : [`${place}- ${line}`, `${place}+ ${now[index]}`];
  });
}
