/** Settings that the server keeps as one text, `chunk-order=inode,sync-level=file`, and this package as an object with names of its own. */

type Value = string | number | boolean;

/** The text, with its parts sorted, so that two of the same content are equal. Empty: `undefined`. */
export function optionText(options: Readonly<Record<string, Value | undefined>>): string | undefined {
  const parts = Object.entries(options)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}=${value}`);
  return parts.length === 0 ? undefined : parts.sort().join(",");
}

/** The object of a text. */
export function optionsOf(text: string): Record<string, Value> {
  const parts = text.split(",").filter((part) => part.includes("="));
  return Object.fromEntries(
    parts.map((part) => {
      const [key = "", value = ""] = part.split(/=(.*)/s);
      return [key.trim().replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()), parsed(value.trim())];
    }),
  );
}

function parsed(text: string): Value {
  if (text === "true" || text === "false") return text === "true";
  return /^\d+$/.test(text) ? Number(text) : text;
}
