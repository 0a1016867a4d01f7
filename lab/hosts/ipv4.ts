/** `192.168.10.1` as a number. */
export function toNumber(address: string): number {
  return address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function toText(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");
}

/** Whether the address (with or without prefix length) lies in the network of another one, `192.168.10.1/24`. */
export function sameNetwork(network: string, address: string): boolean {
  const [own = "", length = "24"] = network.split("/");
  const size = 2 ** (32 - Number(length));
  return Math.floor(toNumber(own) / size) === Math.floor(toNumber(address.split("/")[0]!) / size);
}
