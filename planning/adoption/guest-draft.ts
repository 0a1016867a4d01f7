/** What is read of a guest before it becomes part of a specification. */
import type { z } from "zod";
import type { disk, GuestPart } from "../schema";

export type DiskInput = z.input<typeof disk>;

/** A network card, before it is known which network of the specification it is in. */
export interface Card {
  /** `net0`. */
  interface: string;
  bridge: string;
  vlan?: number;
  mac?: string;
  firewall: boolean;
  /** Static addresses with prefix length, and their gateways. */
  address?: string;
  gateway?: string;
  address6?: string;
  gateway6?: string;
}

/** A guest while it is read: what can be said, which parts cannot be said in full, and what has no words. */
export class GuestDraft {
  readonly disks: DiskInput[] = [];
  readonly cards: Card[] = [];
  readonly left: string[] = [];
  private readonly kept = new Set<GuestPart>();

  /**
   * @param config Keys and values as Proxmox VE has them.
   * @param storages Storages of the specification that its server sees.
   */
  constructor(
    readonly config: Readonly<Record<string, string>>,
    readonly storages: ReadonlySet<string>,
  ) {}

  /** Leaves a part of it as it is, and says why. */
  keep(part: GuestPart, why: string): void {
    this.kept.add(part);
    this.left.push(`${why}: its ${PARTS[part]} stay${part === "disks" || part === "networks" ? "" : "s"} as found`);
  }

  /** In the order of the schema. */
  get keeps(): GuestPart[] {
    return (Object.keys(PARTS) as GuestPart[]).filter((part) => this.kept.has(part));
  }

  /** Keys of the configuration of the form `<prefix><number>`, by number. */
  numbered(prefix: RegExp): string[] {
    const match = new RegExp(`^(?:${prefix.source})\\d+$`);
    return Object.keys(this.config)
      .filter((key) => match.test(key))
      .sort(compareInterfaces);
  }
}

const PARTS: Readonly<Record<GuestPart, string>> = {
  disks: "disks",
  networks: "network cards",
  cpu: "processor",
  memory: "memory",
};

/** As the provider orders a guest's disks: by bus, then by number. */
export function compareInterfaces(one: string, other: string): number {
  const [busA, busB] = [one.replace(/\d+$/, ""), other.replace(/\d+$/, "")];
  if (busA !== busB) return busA < busB ? -1 : 1;
  return Number(one.slice(busA.length)) - Number(other.slice(busB.length));
}
