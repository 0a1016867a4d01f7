/** Reading the texts of Proxmox VE's configuration: options, sizes, flags. */

const KIB = 1024;
const GIB = KIB ** 3;
const UNITS: Readonly<Record<string, number>> = { "": 1, K: KIB, M: KIB ** 2, G: GIB, T: KIB ** 4 };

/**
 * A property string such as `local-zfs:vm-100-disk-0,size=32G,ssd=1`. What stands without a key gets `first` as its key.
 *
 * @returns Keys and values in their order; of a key that stands twice the last value.
 */
export function parseOptions(text: string, first: string): Map<string, string> {
  const options = new Map<string, string>();
  for (const part of text.split(",")) {
    if (part === "") continue;
    const at = part.indexOf("=");
    if (at < 0) options.set(first, part);
    else options.set(part.slice(0, at), part.slice(at + 1));
  }
  return options;
}

/** A size as Proxmox VE writes it (`32G`, `528K`, `4194304`) in GiB; undefined for anything else and for nothing. */
export function parseGiB(text: string | undefined): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([KMGT]?)$/.exec(text ?? "");
  const bytes = Number(match?.[1] ?? 0) * (UNITS[match?.[2] ?? ""] ?? 1);
  return bytes > 0 ? bytes / GIB : undefined;
}

/** Bytes in GiB, rounded down to two decimals: what is planned with is never more than there is. */
export function floorGiB(bytes: number): number {
  return Math.floor((bytes / GIB) * 100) / 100;
}

/** A whole number that is not negative; undefined for any other text. */
export function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text.trim()) ? Number(text.trim()) : undefined;
}

/** Proxmox VE takes `1`, `on`, `yes` and `true`. */
export function flag(text: string | undefined): boolean {
  return text !== undefined && /^(1|on|yes|true)$/i.test(text);
}

/** `1 snapshot`, `2 snapshots`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** A text that someone typed, on one line and without control characters. */
export function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must go.
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ").trim();
}

/** Things in groups, in the order in which each group's first one comes. */
export function groupBy<T, K>(things: Iterable<T>, keyOf: (thing: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const thing of things) {
    const key = keyOf(thing);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [thing]);
    else group.push(thing);
  }
  return groups;
}
