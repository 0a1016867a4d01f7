/** The name that somebody probably meant. */
import { closest, distance } from "fastest-levenshtein";

/** The known name nearest to a mistyped one; undefined when none is near. */
export function nearest(wrong: string, known: readonly string[]): string | undefined {
  if (known.length === 0 || wrong === "") return undefined;
  const found = closest(wrong, [...known]);
  // What shares hardly a letter with the nearest name is no misspelling of it.
  return distance(wrong, found) <= Math.max(1, Math.ceil(wrong.length / 2.5)) ? found : undefined;
}
