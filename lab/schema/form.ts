/**
 * Reads a form body or a query string as PVE's HTTP server does: pairs are split on `&` **and on `;`**, a value ends
 * at a second `=` that is not encoded, and a key given twice becomes a list.
 *
 * @param text - the raw body, or the query string without `?`
 * @returns decoded text, or a list of texts for a repeated key
 */
export function decodeForm(text: string): Record<string, string | string[]> {
  const result: Record<string, string | string[]> = {};
  for (const pair of text.split(/[&;]/)) {
    if (pair === "") continue;
    const [rawKey, rawValue] = pair.split("=");
    const key = decodeText(rawKey ?? "");
    const value = decodeText(rawValue ?? "");
    const earlier = result[key];
    if (earlier === undefined) result[key] = value;
    else if (Array.isArray(earlier)) earlier.push(value);
    else result[key] = [earlier, value];
  }
  return result;
}

function decodeText(text: string): string {
  const spaced = text.replaceAll("+", " ");
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}
