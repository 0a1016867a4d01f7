import { type LocalStorageSpec, type ServerPlan, type SitePlan, shareOf } from "../planning";
import { backupServersOf } from "./backup-from-site";
import type { LabExport, LabNode, LabNodeStorage, LabTopology } from "./topology";

/**
 * A lab that looks like the site of a plan on the day before the first `pulumi up`: its hypervisors with the pools and
 * bridges that are there already, the directories that other machines export, its backup servers, and its third votes. What the program
 * makes itself (guests, storage entries, jobs) is not there.
 */
export function labTopology(plan: SitePlan): LabTopology {
  const { spec } = plan;
  const servers = Object.entries(spec.servers);
  const nodes = servers
    .filter(([, server]) => server.roles.includes("hypervisor"))
    .map(([name, server]): LabNode => {
      const local = server.storages.local;
      return {
        name,
        cores: server.cores,
        memoryGiB: server.memoryGiB,
        bridges: Object.keys(server.bridges).filter((bridge) => !server.bridges[bridge]?.managed),
        storages: Object.entries(server.storages)
          .filter(([id, storage]) => id !== "local" && !storage.managed)
          .flatMap(([id, storage]) => labStorage(id, storage)),
        ...(local ? { localGiB: local.sizeGiB } : {}),
      };
    });
  const exports = Object.values(spec.storages).flatMap((storage): LabExport[] => {
    const share = shareOf(storage);
    if (share === undefined) return [];
    const exporter = spec.servers[share.server] ?? spec.devices[share.server];
    return [{ server: exporter?.address ?? share.server, path: share.export, sizeGiB: storage.sizeGiB }];
  });
  const cards = Object.values(plan.guests).flatMap((guest) => guest.addresses.map((card) => ({ guest, card })));
  return {
    ...(spec.site.cluster ? { cluster: spec.site.cluster } : {}),
    witnesses: servers.filter(([, server]) => server.roles.includes("witness")).map(([name]) => name),
    nodes,
    shared: [],
    exports,
    addresses: Object.fromEntries(
      servers
        .filter(([, { roles }]) => roles.includes("hypervisor") || roles.includes("witness"))
        .flatMap(([name, server]) => (server.address ? [[name, managementAddress(server)]] : [])),
    ),
    ...backupServersOf(plan),
    gateways: gateways(plan),
    guestAddresses: Object.fromEntries(
      cards.flatMap(({ card }) => (card.address ? [[card.mac.toLowerCase(), card.address]] : [])),
    ),
    guestBootSeconds: Object.fromEntries(
      cards.map(({ guest, card }) => [card.mac.toLowerCase(), guest.spec.boot.seconds]),
    ),
  };
}

/** A storage whose behaviour the lab knows; none for the types that a plan only counts. */
function labStorage(id: string, { type, sizeGiB, content, pool, path }: LocalStorageSpec): LabNodeStorage[] {
  if (type === "lvm" || type === "btrfs") return [];
  return [{ id, type, sizeGiB, content: [...content], ...(pool ? { pool } : {}), ...(path ? { path } : {}) }];
}

const DEFAULT_PREFIX = 24;

/** The router's addresses, of the networks and of the servers' bridges. A guest that is a gateway itself stays the gateway. */
function gateways({ spec, guests }: SitePlan): NonNullable<LabTopology["gateways"]> {
  const found = new Map<string, NonNullable<LabTopology["gateways"]>[number]>();
  const add = (gateway: string | undefined, length: string | undefined, bridge: string, vlan?: number) => {
    if (!gateway?.includes(".") || !length || found.has(gateway)) return;
    found.set(gateway, { address: `${gateway}/${length}`, bridge, ...(vlan === undefined ? {} : { vlan }) });
  };
  for (const { gateway, subnet, bridge, vlan } of Object.values(spec.networks))
    add(gateway, subnet?.split("/")[1], bridge, vlan);
  for (const server of Object.values(spec.servers))
    for (const [name, { gateway, address }] of Object.entries(server.bridges))
      add(gateway, address?.split("/")[1], name);
  const owned = [
    ...Object.values(guests).flatMap((guest) => guest.addresses.map((card) => card.address?.split("/")[0])),
    ...Object.values(spec.servers).map((server) => server.address),
  ];
  return [...found].flatMap(([address, entry]) => (owned.includes(address) ? [] : [entry]));
}

/** The server's address with the prefix length of the bridge that carries it. */
function managementAddress(server: ServerPlan["spec"]): string {
  const carrier = Object.values(server.bridges).find(({ address }) => address?.split("/")[0] === server.address);
  return carrier?.address ?? `${server.address}/${DEFAULT_PREFIX}`;
}
