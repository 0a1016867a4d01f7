import { badParameters } from "./errors";

/** Key-value pairs of a property string such as `local:1,format=qcow2`. The value without a key gets the default key. */
export function parseProperties(text: string, defaultKey: string): Record<string, string> {
  const result: Record<string, string> = {};
  for (const part of text.split(",")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    if (equals < 0) result[defaultKey] = part;
    else result[part.slice(0, equals)] = part.slice(equals + 1);
  }
  return result;
}

/** The default key's value first, the others sorted: the order in which PVE prints drives. */
export function printProperties(values: Record<string, string>, defaultKey: string): string {
  const rest = Object.keys(values)
    .filter((key) => key !== defaultKey)
    .sort()
    .map((key) => `${key}=${values[key]}`);
  return [values[defaultKey] ?? "", ...rest].filter((part) => part !== "").join(",");
}

const MODELS =
  "e1000, e1000-82540em, e1000-82544gc, e1000-82545em, e1000e, i82551, i82557b, i82559er, ne2k_isa, ne2k_pci, pcnet, rtl8139, virtio, vmxnet3";

/** A guest's network card: `virtio,bridge=vmbr0`, `model=virtio,…` and `virtio=<mac>,…` mean the same. */
export function parseQemuNet(
  key: string,
  text: string,
): { model: string; mac: string | undefined; rest: Record<string, string> } {
  const values = parseProperties(text, "model");
  const models = new Set(MODELS.split(", "));
  const direct = Object.keys(values).find((name) => models.has(name));
  const model = direct ?? values.model;
  if (!model || !models.has(model))
    throw badParameters({
      [key]: `invalid format - format error\n${key}.model: value '${model ?? ""}' does not have a value in the enumeration '${MODELS}'\n`,
    });
  const mac = direct ? values[direct] : values.macaddr;
  const rest = Object.fromEntries(
    Object.entries(values).filter(([name]) => ![direct, "model", "macaddr"].includes(name)),
  );
  return { model, mac, rest };
}

/** A MAC address with Proxmox's prefix. */
export function randomMac(): string {
  const byte = () =>
    Math.floor(Math.random() * 256)
      .toString(16)
      .toUpperCase()
      .padStart(2, "0");
  return `BC:24:11:${byte()}:${byte()}:${byte()}`;
}
