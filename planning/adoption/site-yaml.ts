/** The site file of an interpretation: what people open first, and edit from then on. */
import { Document, isMap, isPair, isScalar, isSeq, type Node, type Pair, Scalar, visit, type YAMLMap } from "yaml";
import type { Interpretation, InterpretedGuest } from "./interpretation";

const WIDTH = 110;
/** Where a line of its own for each entry would hide what belongs together. */
const ONE_LINE = [
  "disks",
  "networks",
  "bridges",
  "vlans",
  "storages",
  "boot",
  "keep",
  "roles",
  "coldReplica",
  "content",
];
/** Readers of older YAML take some of these for numbers. */
const QUOTED = ["mac", "schedule"];
/** Keys of a guest in the order in which people ask for them. */
const GUEST_KEYS = [
  "hostname",
  "kind",
  "id",
  "on",
  "os",
  "cores",
  "sockets",
  "cpuType",
  "memoryGiB",
  "swapGiB",
  "bios",
  "tpm",
  "agent",
  "unprivileged",
  "nesting",
  "disks",
  "networks",
  "boot",
  "started",
  "protection",
  "coldReplica",
  "adopted",
  "keep",
];
const SECTIONS: Readonly<Record<string, string>> = {
  servers: "Servers with what they have. Sizes are GiB (2^30 bytes), rounded down.",
  storages: "Storages that several servers see.",
  networks: "One for each bridge and VLAN that a guest is in.",
  guests:
    "Guests as they were found. What has no word here stays as it is on the hypervisor as long as a guest is `adopted`; parts in `keep` are never changed from here.",
  targets: "Where copies lie, beside storages.",
  backups: "Backup jobs. They are counted in the plan and not managed (`managed: false`).",
};

/**
 * The text of a site.yaml: the site, with what was left out of it as comments. Reads back as the same site.
 *
 * @param interpretation What `interpretCluster` gave.
 */
export function siteYaml({ site, guests, left }: Interpretation): string {
  const { guests: said, ...rest } = site;
  const ordered = Object.entries(said ?? {}).map(([name, guest]) => [name, inOrder(guest)] as const);
  const content = { ...rest, ...(said && { guests: Object.fromEntries(ordered) }) };
  // Guests come before the copies that are made of them.
  const document = new Document(sections(content), { aliasDuplicateObjects: false });
  shape(document);
  document.commentBefore = comment(
    `${site.site.name}, imported from the running site.`,
    "Everything is said as it was found: as long as `asFound` is true, what the plan finds wrong with it is a warning. Settle the findings of `coldspare check`, then remove it.",
  );
  const refused = guests.filter(({ name }) => name === undefined).map(refusal);
  commentSections(document, refused);
  commentGuests(document, guests);
  const last = left.map(({ subject, what }) => `- ${subject}: ${what}`);
  const missing = said === undefined ? refused : [];
  if (missing.length + last.length > 0)
    document.comment = comment("Left as it is, and said nowhere above:", ...missing, ...last);
  return document.toString({ lineWidth: 0, flowCollectionPadding: true });
}

function sections(content: object): Record<string, unknown> {
  const order = ["site", "servers", "storages", "networks", "guests", "targets", "backups"];
  const entries = Object.entries(content);
  const place = (key: string) => (order.includes(key) ? order.indexOf(key) : order.length);
  return Object.fromEntries(entries.sort(([one], [other]) => place(one) - place(other)));
}

function inOrder(guest: object): Record<string, unknown> {
  const place = (key: string) => (GUEST_KEYS.includes(key) ? GUEST_KEYS.indexOf(key) : GUEST_KEYS.length);
  return Object.fromEntries(Object.entries(guest).sort(([one], [other]) => place(one) - place(other)));
}

/** Short collections on one line; a blank line before each section. */
function shape(document: Document): void {
  visit(document, {
    Pair(_key, pair) {
      const key = String(isScalar(pair.key) ? pair.key.value : pair.key);
      if (QUOTED.includes(key) && isScalar(pair.value)) pair.value.type = "QUOTE_DOUBLE";
      if (ONE_LINE.includes(key)) flatten(pair.value as Node | null, key);
    },
  });
  for (const [index, pair] of pairsOf(document.contents).entries()) keyOf(pair).spaceBefore = index > 0;
}

/** The entries of a collection each on one line, or all of it where its entries are plain values. */
function flatten(value: Node | null, key: string): void {
  if (!isMap(value) && !isSeq(value)) return;
  const entries = value.items.map((item) => (isPair(item) ? item.value : item));
  const nested = entries.filter((entry) => isMap(entry) || isSeq(entry));
  if (nested.length === 0 || key === "boot" || key === "coldReplica") value.flow = true;
  else for (const entry of nested) entry.flow = true;
}

function commentSections(document: Document, refused: readonly string[]): void {
  for (const pair of pairsOf(document.contents)) {
    const key = keyOf(pair);
    const text = SECTIONS[String(key.value)];
    if (text === undefined) continue;
    const more = key.value === "guests" && refused.length > 0 ? ["Not taken over:", ...refused] : [];
    key.commentBefore = comment(text, ...more);
  }
}

function commentGuests(document: Document, guests: readonly InterpretedGuest[]): void {
  const byName = new Map(guests.map((guest) => [guest.name, guest]));
  const section = pairsOf(document.contents).find((pair) => keyOf(pair).value === "guests");
  for (const [index, pair] of pairsOf(section?.value).entries()) {
    const key = keyOf(pair);
    key.spaceBefore = index > 0;
    const left = byName.get(String(key.value))?.left ?? [];
    if (left.length > 0) key.commentBefore = comment("Stays as it is:", ...left.map((line) => `- ${line}`));
  }
}

function refusal({ vmid, title, node, reason }: InterpretedGuest): string {
  return `- ${vmid} '${title}' on ${node}: ${reason}`;
}

function pairsOf(node: unknown): Pair[] {
  return isMap(node) ? (node as YAMLMap).items : [];
}

/** The key of a pair as a node, which takes comments. */
function keyOf(pair: Pair): Scalar {
  if (!isScalar(pair.key)) pair.key = new Scalar(pair.key);
  return pair.key as Scalar;
}

/** Lines of a comment, wrapped; those of a list are indented. */
function comment(...paragraphs: string[]): string {
  return paragraphs.flatMap(wrapped).join("\n");
}

function wrapped(paragraph: string): string[] {
  const indent = paragraph.startsWith("- ") ? "   " : " ";
  const lines: string[] = [];
  let line = "";
  for (const word of paragraph.split(/\s+/)) {
    if (line !== "" && line.length + word.length + 1 > WIDTH) {
      lines.push(line);
      line = "";
    }
    line = line === "" ? `${lines.length === 0 ? " " : indent}${word}` : `${line} ${word}`;
  }
  return [...lines, line];
}
