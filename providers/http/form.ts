/** Parameters of a call as both APIs take them. */

/** A list goes as its name repeated, booleans go as 0 and 1, and what is undefined is left out. */
export type FormValue = string | number | boolean | readonly string[] | undefined;

/** Form encoding; `;` is escaped, as Proxmox VE splits on it. */
export function encodeForm(parameters: Readonly<Record<string, FormValue>>): string {
  const pair = (key: string, value: string | number | boolean) =>
    `${encodeURIComponent(key)}=${encodeURIComponent(typeof value === "boolean" ? Number(value) : value)}`;
  return Object.entries(parameters)
    .flatMap(([key, value]) => {
      if (value === undefined) return [];
      return typeof value === "object" ? value.map((item) => pair(key, item)) : [pair(key, value)];
    })
    .join("&");
}
