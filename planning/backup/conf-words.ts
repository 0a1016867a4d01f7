/** Words of the configuration files that Perl programs on servers read: `key=value`, values percent-encoded. */

/** As Coldspare::System's `encode`: what is no plain word is percent-encoded, byte by byte. */
export function encodeWord(text: string): string {
  return [...new TextEncoder().encode(text)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[A-Za-z0-9._@+-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    })
    .join("");
}

type Value = string | number | readonly string[] | undefined;

/** A line `head key=value …`; lists are joined by commas, absent values left out. */
export function words(head: string, values: Readonly<Record<string, Value>>): string {
  const pairs = Object.entries(values).flatMap(([key, value]) => {
    if (value === undefined || (Array.isArray(value) && value.length === 0)) return [];
    return [`${key}=${encodeList([value].flat().map(String))}`];
  });
  return [head, ...pairs].join(" ");
}

/** Words in one, joined by commas, as of a command line. */
export function encodeList(values: readonly string[]): string {
  return values.map(encodeWord).join(",");
}

/** Names of what is backed up, as points carry them. */
export function folderSubject(server: string, paths: readonly string[]): string {
  return `folder:${server}:${paths[0] ?? ""}`;
}

export function volumeSubject(server: string, volume: string): string {
  return `volume:${server}:${volume}`;
}
