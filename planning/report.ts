import { type BackupsReport, backupsReport } from "./backup/report-backups";
import type { Finding, GuestAddress, LossPlan, SitePlan, StorageUsage, Usage } from "./plan";
import type { DeviceSpec } from "./schema";
import { activeAddresses } from "./spare-networks";

/** A guest as stack outputs show it; times in seconds. */
export interface GuestReport {
  kind: string;
  id: number;
  /** Its name on the hypervisor, where that is another one. */
  hostname?: string;
  /** Present where it is normally off. */
  started?: false;
  duty?: string;
  services: string[];
  primary: string;
  spare?: string;
  method?: string;
  activeSide: string;
  activeServer: string;
  addresses: GuestAddress[];
  recoveryPoint?: { seconds: number; promisedSeconds?: number };
  recoveryTime?: { seconds: number; promisedSeconds?: number };
}

/** What a stack exports about its site: plain data, for people, pictures and monitoring. */
export interface SiteReport {
  site: SitePlan["site"];
  guests: Record<string, GuestReport>;
  servers: Record<
    string,
    { roles: string[]; address?: string; capacity: { before: Usage; afterLossOf: Record<string, Usage> } }
  >;
  storages: StorageUsage[];
  backups: BackupsReport;
  losses: Record<string, LossPlan>;
  siteLoss: SitePlan["siteLoss"];
  devices: Record<string, DeviceSpec>;
  findings: Finding[];
}

/** The plan in the shape that stacks export. */
export function siteReport(plan: SitePlan): SiteReport {
  return {
    site: plan.site,
    guests: Object.fromEntries(Object.values(plan.guests).map((guest) => [guest.name, guestReport(guest)])),
    servers: Object.fromEntries(
      Object.values(plan.servers).map((server) => [
        server.name,
        {
          roles: server.roles,
          ...(server.spec.address ? { address: server.spec.address } : {}),
          capacity: server.capacity,
        },
      ]),
    ),
    storages: plan.storages,
    backups: backupsReport(plan.backups),
    losses: plan.losses,
    siteLoss: plan.siteLoss,
    devices: plan.devices,
    findings: plan.findings,
  };
}

function guestReport(guest: SitePlan["guests"][string]): GuestReport {
  const { replica } = guest;
  return {
    kind: guest.kind,
    id: guest.id,
    ...(guest.hostname === guest.name ? {} : { hostname: guest.hostname }),
    ...(guest.spec.started ? {} : { started: false as const }),
    ...(guest.duty ? { duty: guest.duty } : {}),
    services: guest.spec.services,
    primary: guest.primary,
    ...(guest.spare ? { spare: guest.spare } : {}),
    ...(replica ? { method: replica.method } : {}),
    activeSide: guest.activeSide,
    activeServer: guest.activeServer,
    addresses: activeAddresses(guest).map(withoutDns),
    ...(replica
      ? { recoveryPoint: withoutBasis(replica.recoveryPoint), recoveryTime: withoutBasis(replica.recoveryTime) }
      : {}),
  };
}

function withoutDns(card: GuestAddress & { dnsServers?: string[] }): GuestAddress {
  const { dnsServers: _, ...rest } = card;
  return rest;
}

function withoutBasis({ seconds, promisedSeconds }: { seconds: number; promisedSeconds?: number }) {
  return promisedSeconds === undefined ? { seconds } : { seconds, promisedSeconds };
}
