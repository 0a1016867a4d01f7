/** `check --live` as far as every `check` needs it: nothing here loads a client. */
import { UsageError } from "./io";

/** Options that mean something with --live alone. @throws UsageError */
export function refuseLiveOptions({ endpoint, html }: { endpoint?: string[]; html?: string }): void {
  const given = [...(endpoint === undefined ? [] : ["--endpoint"]), ...(html === undefined ? [] : ["--html"])];
  if (given.length > 0) throw new UsageError(`${given.join(" and ")}: add --live to look at a running cluster`);
}

/** What `coldspare check --help` says about it. */
export const liveHelp = `A running cluster (no specification, no engine; not one call that changes anything):
  coldspare check --live --endpoint https://192.168.10.11:8006
  coldspare check --live --endpoint pve1 --endpoint pve2 --html tonight.html
  coldspare check --live --endpoint https://pve1:8006 --json | jq -r .headline
  The token comes from COLDSPARE_API_TOKEN or COLDSPARE_API_TOKEN_FILE (user@realm!name=secret),
  the CA from COLDSPARE_CA_FILE (/etc/pve/pve-root-ca.pem) or COLDSPARE_FINGERPRINTS. The role
  PVEAuditor on / is enough, but for the list of backups: Proxmox VE shows it to those alone who
  have Datastore.AllocateSpace on the storage and VM.Backup on the guests. What cannot be read is
  told, and never taken for safe.

With --live and --json (GiB, Unix seconds; keys are only added):
  { formatVersion, cluster, version, readAt, headline, survives, ok,
    counts: { servers, off, running, stopped, templates },
    servers: [{ server, online, storages, stopped, templates, withoutBackup,
                counts: { itself, person, noRoom, backup, nothing, unknown },
                guests: [{ id, title, server, fate, byItself, comesBack, on, how, memoryGiB, cores,
                           diskGiB, backup: { storage, at } }],
                quorum: { votes, expected, needed, quorate, unsure },
                room: [{ server, memoryGiB, memoryLimitGiB, cores, coreLimit, takes, fits }],
                restores: { guests, memoryShortGiB, storageShortGiB } }],
    storages: [{ storage, server, type, totalGiB, usedGiB, promisedGiB, active }],
    findings: [{ code, severity, subject, message, fix, guests: [ID] }],
    unread: [{ what, why }], next: [ … ] }
  fate is ha, ha-replica, shared, replica, backup, nothing or unknown.
  It ends with 0 when no guest is lost with any one server and there is no error, with 1 otherwise,
  and with 2 when the cluster cannot be read.`;
