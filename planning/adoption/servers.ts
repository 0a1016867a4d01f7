/** The servers of a cluster: those that can be planned with, and why the others cannot. */
import type { z } from "zod";
import { parseAddress } from "../ip";
import { type server, siteSpec } from "../schema";
import { list } from "../units";
import { interfacesOf } from "./bridges";
import type { LeftAsItIs } from "./interpretation";
import { uniqueNames } from "./names";
import type { ClusterSnapshot, NodeSnapshot } from "./snapshot";
import { floorGiB } from "./words";

export type ServerInput = z.input<typeof server>;

export interface InterpretedServers {
  /** Without their storages. */
  servers: Record<string, ServerInput>;
  left: LeftAsItIs[];
}

/** Servers with their sizes, addresses, bridges and VLANs; storages come from `interpretStorages`. */
export function interpretServers(snapshot: ClusterSnapshot): InterpretedServers {
  const servers: Record<string, ServerInput> = {};
  const left: LeftAsItIs[] = [];
  for (const node of snapshot.nodes) {
    const problem = cannotBePlanned(node);
    if (problem !== undefined) left.push({ subject: `server ${node.name}`, what: problem });
    else servers[node.name] = serverOf(node, left);
  }
  if (snapshot.qdevice === true) addQDevice(servers, left);
  return { servers, left };
}

function cannotBePlanned({ name, online, cores, memory }: NodeSnapshot): string | undefined {
  if (!siteSpec.shape.servers.keyType.safeParse(name).success)
    return "its name is none that a specification can have: it and its guests are left out of the plan";
  if (cores !== undefined && cores >= 1 && memory !== undefined && floorGiB(memory) > 0) return undefined;
  return online
    ? "it did not say how many cores and how much memory it has: it and its guests are left out of the plan; import again"
    : "it is off, and how many cores and how much memory it has is not known: it, its guests and its vote are left out of the plan; import again when it is back";
}

function serverOf(node: NodeSnapshot, left: LeftAsItIs[]): ServerInput {
  const { bridges, vlans, left: unsaid } = interfacesOf(node);
  if (!node.online)
    left.push({
      subject: `server ${node.name}`,
      what: "it is off: it is planned with its sizes, but its storages, networks and guests could not be read; import again when it is back",
    });
  if (unsaid.length > 0)
    left.push({
      subject: `network interfaces of ${node.name}`,
      what: `${list(unsaid)}: a specification has bridges and VLANs only, they stay as they are`,
    });
  return {
    roles: ["hypervisor"],
    cores: Math.floor(node.cores ?? 1),
    memoryGiB: floorGiB(node.memory ?? 0),
    ...addressOf(node),
    ...(Object.keys(bridges).length > 0 && { bridges }),
    ...(Object.keys(vlans).length > 0 && { vlans }),
  };
}

/** Its address in the cluster; of a server that is in none, that of the interface with the gateway. */
function addressOf({ address, networks }: NodeSnapshot): Pick<ServerInput, "address" | "address6"> {
  const way = networks.find(({ gateway, gateway6 }) => gateway !== undefined || gateway6 !== undefined);
  const text = address ?? (way?.cidr ?? way?.cidr6)?.split("/")[0];
  if (text === undefined) return {};
  if (parseAddress(text, 4) !== undefined) return { address: text };
  return parseAddress(text, 6) === undefined ? {} : { address6: text };
}

/** The machine behind a QDevice is not told by the API; its vote must count all the same. */
function addQDevice(servers: Record<string, ServerInput>, left: LeftAsItIs[]): void {
  const name =
    uniqueNames([{ id: "vote", title: "qdevice", fallback: "qdevice" }], Object.keys(servers)).get("vote") ?? "qdevice";
  servers[name] = { roles: ["witness"], cores: 1, memoryGiB: 1 };
  left.push({
    subject: `server ${name}`,
    what: "a QDevice gives a third vote; the API does not say on which machine: correct its name, address and sizes, of which only the vote counts in the plan",
  });
}
