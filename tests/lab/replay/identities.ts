/*
 * Names that a server makes up differ between the recording and the lab: task ids, backup files, checksums. They are
 * learnt from the answers, in pairs, and put into the later requests.
 */
const MADE_UP = [
  /UPID:[A-Za-z0-9-]+:[0-9A-F]{8}:[0-9A-F]{8}:[0-9A-F]{8}:[a-z]+:[^:]*:[^:\s]+:/g,
  /vzdump-[a-z]+-\d+-\d{4}_\d\d_\d\d-\d\d_\d\d_\d\d/g,
  /\b[0-9a-f]{40}\b/g,
];

/** How clients write such names into paths and forms. */
const ENCODINGS = [(name: string) => name, (name: string) => name.replaceAll("!", "%21"), encodeURIComponent];

/** Recorded names and what the lab called the same thing. */
export class Identities {
  private readonly pairs = new Map<string, string>();

  /** Pairs the made-up names of two texts that stand at the same place of an answer. */
  learn(recorded: unknown, actual: unknown): void {
    if (typeof recorded === "string" && typeof actual === "string") this.learnText(recorded, actual);
    else if (Array.isArray(recorded) && Array.isArray(actual))
      for (const [index, item] of recorded.entries()) this.learn(item, actual[index]);
    else if (isRecord(recorded) && isRecord(actual))
      for (const key of Object.keys(recorded)) this.learn(recorded[key], actual[key]);
  }

  /** The text of a recorded request with the lab's names in it; encoded names are found as well. */
  translate(text: string): string {
    let result = text;
    for (const [recorded, actual] of this.pairs)
      for (const encode of ENCODINGS) result = result.replaceAll(encode(recorded), encode(actual));
    return result;
  }

  private learnText(recorded: string, actual: string): void {
    for (const pattern of MADE_UP) {
      const ours = actual.match(pattern) ?? [];
      for (const [index, name] of (recorded.match(pattern) ?? []).entries()) {
        const other = ours[index];
        if (other !== undefined) this.pairs.set(name, other);
      }
    }
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
