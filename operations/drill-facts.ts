/** What a drill must know, out of what is live on the site. Pure. */
import type { ManifestGuest, SiteManifest } from "../planning/manifest";
import type { DrillFacts } from "./drill-plan";
import type { LiveGuest, LiveSite } from "./live-types";

export function drillFacts(manifest: SiteManifest, live: LiveSite): DrillFacts {
  const standbyServer: Record<string, string | undefined> = {};
  const standby: Record<string, DrillFacts["standby"][string]> = {};
  const lastSync: Record<string, string | undefined> = {};
  for (const guest of Object.values(manifest.guests)) {
    const found = live.guests[guest.name];
    if (!found) continue;
    const server = standbyServerOf(guest, found);
    standbyServer[guest.name] = server;
    standby[guest.name] = newestStandby(found);
    // A job that still points the other way says nothing of this server's copy.
    lastSync[guest.name] = found.job?.target === server ? found.job?.lastSync : undefined;
  }
  const servers = Object.values(live.servers);
  return {
    standbyServer,
    standby,
    lastSync,
    up: servers.filter(({ api, ssh }) => api === "up" && ssh === "up").map(({ name }) => name),
    usedGiB: Object.fromEntries(servers.map(({ name, usedGiB }) => [name, usedGiB])),
    takenIds: live.takenIds,
  };
}

function standbyServerOf({ primary, spare }: ManifestGuest, { activeSide }: LiveGuest): string | undefined {
  if (activeSide === "primary") return spare;
  return activeSide === "spare" ? primary : undefined;
}

/** While a standby is the active side, no copy of the guest is left that a drill could start. */
function newestStandby({ activeSide, standbys }: LiveGuest): DrillFacts["standby"][string] {
  if (activeSide !== "primary") return undefined;
  const good = standbys.filter((each) => each.good && !each.running && each.recoveryPoint !== undefined);
  const newest = good.sort((a, b) => (a.recoveryPoint! < b.recoveryPoint! ? 1 : -1))[0];
  return newest && { vmid: newest.vmid, recoveryPoint: newest.recoveryPoint! };
}
