/**
 * Home again over a backup, for guests whose spare is made by `restore`. At every moment at least one good copy of the newest data
 * is there: the standby that was active (it is only shut down, never written to), from the backup on also that one, and in the end
 * the guest at home. Nothing is deleted.
 */
import type { GuestConfig } from "../providers/pve/types";
import { disksOf, normalTags, notesWith, notesWithout, standbyName } from "../providers/standby-inspect";
import { about, backupsOf, configAt, pathOf, progressOf, type Return, stateAt, untilUnlocked } from "./failback-moves";
import type { ReturnGuest } from "./failback-plan";
import { newBackup } from "./failback-volumes";
import { ACTIVE_TAG } from "./live-types";
import type { Step } from "./steps";

interface Backup {
  volid: string;
  ctime: number;
}

/** Settings of the old primary that the standby's backup does not have. */
interface Settings {
  name?: string;
  tags?: string;
  description?: string;
  startup?: string;
  onboot: boolean;
  protection: boolean;
}

/** From the shut-down standby to a guest under the primary's id on `server`, off. */
export function restoreSteps(run: Return, each: ReturnGuest, server: string): Step[] {
  return [
    ...(each.oldPrimary ? [rememberStep(run, each)] : []),
    backupStep(run, each),
    restoreStep(run, each, server),
    settleStep(run, each, server),
  ];
}

/** What is told of the old primary is read before it is written over; its deletion protection is lifted with the consent given. */
function rememberStep(run: Return, each: ReturnGuest): Step {
  const { guest, home, vmid } = each;
  const { operator, memory } = run;
  return {
    id: `remember-${guest}`,
    guest,
    title: `read the settings of ${guest} (${vmid}) on ${home}`,
    seconds: 1,
    async run() {
      // A restore that broke has left less of them than what was read then.
      if (memory.get<Settings>(guest, "settings") === undefined) {
        const config = await configAt(operator, each, home, vmid);
        await memory.keep(run, guest, "settings", settingsOf(config), `settings of ${vmid} on ${home} as they were`);
      }
      if (memory.get<Settings>(guest, "settings")?.protection) {
        await operator.pve.put(
          `${pathOf(each, home, vmid)}/config`,
          { protection: false },
          about("prepare", each, vmid),
        );
      }
    },
  };
}

function settingsOf(config: GuestConfig): Settings {
  const { name = config.hostname, tags, description, startup } = config;
  return {
    ...(name !== undefined && { name }),
    ...(tags !== undefined && { tags }),
    ...(description !== undefined && { description }),
    ...(startup !== undefined && { startup }),
    onboot: Number(config.onboot ?? 0) === 1,
    protection: Number(config.protection ?? 0) === 1,
  };
}

/** The standby is off, so the backup is whole; it stays after the operation, as one more copy of the last state there. */
function backupStep(run: Return, each: ReturnGuest): Step {
  const { guest, away, activeId, backupStorage } = each;
  const { operator, memory } = run;
  return {
    id: `backup-${guest}`,
    guest,
    title: `back ${guest} (${activeId}) up on ${away} to ${backupStorage}`,
    seconds: 600,
    async run(note) {
      const before = await backupsOf(operator, each, away, activeId);
      await operator.pve.task(
        away,
        "POST",
        `/nodes/${away}/vzdump`,
        {
          vmid: activeId,
          storage: backupStorage,
          mode: "stop",
          compress: "zstd",
          // Older backups of this id are none of ours to prune.
          remove: false,
          "notes-template": `${guest}, on its way home`,
        },
        about("back up", each, activeId),
        { onProgress: progressOf(operator, each, `backup-${guest}`) },
      );
      const made = newBackup(before, await backupsOf(operator, each, away, activeId));
      if (made === undefined)
        throw new Error(`${away} wrote a backup of ${activeId} to ${backupStorage}, but it is not there`);
      const backup: Backup = { volid: made.volid, ctime: made.ctime ?? 0 };
      await memory.keep(run, guest, "backup", backup, `backup ${made.volid}`);
      note(made.volid);
    },
  };
}

/** Over the old primary, where there is one: Proxmox VE then throws its disks away, for which the person has decided. */
function restoreStep(run: Return, each: ReturnGuest, server: string): Step {
  const { guest, kind, vmid, storage } = each;
  const { operator, memory } = run;
  return {
    id: `restore-${guest}`,
    guest,
    title: `restore ${guest} from it to ${vmid} on ${server}`,
    seconds: 600,
    async run() {
      const backup = memory.get<Backup>(guest, "backup");
      if (backup === undefined)
        throw new Error(
          `which backup ${guest} is to be restored from is not in the journal: abandon this operation and begin anew`,
        );
      const state = await stateAt(operator, each, server, vmid);
      if (state === "running") throw new Error(`${guest} (${vmid}) runs on ${server}: it is not restored over`);
      // An earlier run may have begun it: the server goes on by itself.
      if (state !== "absent") await untilUnlocked(operator, each, server, vmid);
      const seen = await backupsOf(operator, each, server, each.activeId);
      if (!seen.some(({ volid }) => volid === backup.volid)) {
        throw new Error(
          `${server} does not see ${backup.volid}: ${each.backupStorage} must be one storage that both servers reach. Nothing was written over`,
        );
      }
      await operator.pve.task(
        server,
        "POST",
        `/nodes/${server}/${kind}`,
        {
          vmid,
          ...(kind === "qemu" ? { archive: backup.volid } : { ostemplate: backup.volid, restore: true }),
          storage,
          force: state !== "absent",
          start: false,
          unique: false,
          onboot: false,
        },
        about(`restore ${backup.volid} into`, each, vmid),
        { onProgress: progressOf(operator, each, `restore-${guest}`) },
      );
      await verifyWhole(run, each, server);
    },
  };
}

async function verifyWhole({ operator }: Return, each: ReturnGuest, server: string): Promise<void> {
  const { guest, vmid, activeId, away } = each;
  const config = await configAt(operator, each, server, vmid);
  const original = await configAt(operator, each, away, activeId);
  const [made, expected] = [disksOf(config).length, disksOf(original).length];
  if (config.lock === undefined && made === expected) return;
  throw new Error(
    `the restored ${guest} (${vmid}) on ${server} is not whole: ${config.lock === undefined ? `${made} of ${expected} disks` : `locked (${config.lock})`}. The standby ${activeId} on ${away} has everything; run this again`,
  );
}

/** The standby's backup brings the standby's name, tags and notes along. */
function settleStep(run: Return, each: ReturnGuest, server: string): Step {
  const { guest, kind, vmid } = each;
  const { operator, memory } = run;
  return {
    id: `settle-${guest}`,
    guest,
    title: `give ${vmid} on ${server} the name and settings of ${guest}`,
    seconds: 2,
    async run() {
      const old = memory.get<Settings>(guest, "settings");
      const restored = await configAt(operator, each, server, vmid);
      const tags = normalTags(old?.tags ?? restored.tags).filter((tag) => !ROLE_TAGS.includes(tag));
      const primary = tags.includes("coldspare") ? [...tags, "coldspare-primary"] : tags;
      await operator.pve.put(
        `${pathOf(each, server, vmid)}/config`,
        {
          [kind === "qemu" ? "name" : "hostname"]: old?.name ?? operator.manifest.guests[guest]?.hostname ?? guest,
          tags: normalTags(primary).join(";"),
          description: old?.description ?? notesWithout(restored.description),
          startup: old?.startup ?? restored.startup,
          onboot: operator.manifest.guests[guest]!.boot.atHostBoot,
          ...(old?.protection ? { protection: true } : {}),
        },
        about("settle", each, vmid),
      );
    },
  };
}

const ROLE_TAGS = ["coldspare-spare", "coldspare-primary", ACTIVE_TAG, "coldspare-diverged"];

/**
 * The standby that was active is a cold one again. It holds exactly what is in the backup, so it is the newest good copy there is:
 * it is labelled as such, and the next refresh restores into the other id.
 */
export function standbyStep(run: Return, each: ReturnGuest): Step {
  const { guest, kind, away, activeId } = each;
  const { operator, memory } = run;
  return {
    id: `standby-${guest}`,
    guest,
    title: `${activeId} on ${away} stands by again`,
    seconds: 2,
    async run() {
      const backup = memory.get<Backup>(guest, "backup");
      const config = await configAt(operator, each, away, activeId);
      const tags = normalTags(config.tags).filter((tag) => tag !== ACTIVE_TAG);
      const time = backup && new Date(backup.ctime * 1000).toISOString().replace(".000Z", "Z");
      await operator.pve.put(
        `${pathOf(each, away, activeId)}/config`,
        {
          [kind === "qemu" ? "name" : "hostname"]: standbyName(guest),
          tags: tags.join(";"),
          onboot: false,
          ...(backup && {
            description: notesWith(notesWithout(config.description), { time: time!, volid: backup.volid }),
          }),
        },
        about("label the standby of", each, activeId),
      );
    },
  };
}
