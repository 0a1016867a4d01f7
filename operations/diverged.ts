/**
 * What only the old side of a guest has. It is never removed by itself: either it is copied into a powered-off guest of its own
 * before anything is written over it, or the person has said that it may go.
 */
import { must } from "./drill-copy";
import { about, pathOf, type Return, stateAt, untilUnlocked } from "./failback-moves";
import type { ReturnGuest } from "./failback-plan";
import { copyArguments, dataDrives, parseGuestConf } from "./guest-conf";
import { DIVERGED_TAG } from "./live-types";
import type { Step } from "./steps";

/** Name of the guest that keeps the old data. */
export const divergedName = (guest: string): string => `${guest}-diverged`;

/** Nothing for `none` and `discard`: what is written over is written over by the steps that follow. */
export function divergedSteps(run: Return, each: ReturnGuest): Step[] {
  if (each.diverged !== "keep" && each.diverged !== "extract") return [];
  const keep = keepStep(run, each);
  return each.diverged === "keep" ? [keep] : [keep, extractStep(run, each)];
}

function keepStep(run: Return, each: ReturnGuest): Step {
  const { guest, home, vmid, divergedId } = each;
  const { operator } = run;
  const id = divergedId!;
  const copy = { ...each, guest: divergedName(guest) };
  return {
    id: `keep-${guest}`,
    guest,
    title: `copy what is only on ${home} into the powered-off guest ${divergedName(guest)} (${id})`,
    seconds: 600,
    isDone: async () => {
      if ((await stateAt(operator, copy, home, id)) === "absent") return false;
      const { lock, tags } = await operator.pve.get<{ lock?: string; tags?: string }>(
        `${pathOf(each, home, id)}/config`,
      );
      return lock === undefined && (tags ?? "").split(/[;, ]/).includes(DIVERGED_TAG);
    },
    async run() {
      if ((await stateAt(operator, copy, home, id)) !== "absent") await continueCopy(run, each, copy, id);
      else if (each.method === "restore") await cloneOldPrimary(run, each, copy, id);
      else await copyReplica(run, each, id);
      await operator.journal.write(run.operation, {
        event: "note",
        guest,
        text: `the data that only ${home} had of ${guest} (${vmid}) is in ${divergedName(guest)} (${id}) on ${home}`,
      });
    },
  };
}

/** An earlier run was broken off: the server went on copying by itself. */
async function continueCopy(run: Return, each: ReturnGuest, copy: ReturnGuest, id: number): Promise<void> {
  const { operator } = run;
  const config = await operator.pve.get<{ name?: string; hostname?: string }>(`${pathOf(each, each.home, id)}/config`);
  const name = config.name ?? config.hostname;
  if (name !== undefined && name !== copy.guest) {
    throw new Error(
      `the id ${id} on ${each.home} was taken by '${name}' meanwhile: give that another id, then run this again`,
    );
  }
  await untilUnlocked(operator, copy, each.home, id);
  await label(run, each, id);
}

/** The old primary is there as a guest, off: Proxmox VE clones it itself. */
async function cloneOldPrimary(run: Return, each: ReturnGuest, copy: ReturnGuest, id: number): Promise<void> {
  const { home, vmid, kind } = each;
  const { pve } = run.operator;
  const state = await stateAt(run.operator, each, home, vmid);
  if (state === "running") throw new Error(`${each.guest} (${vmid}) runs on ${home}: its old side must be off`);
  const name = kind === "qemu" ? { name: copy.guest } : { hostname: copy.guest };
  const form = { newid: id, full: true, ...name, description: description(each) };
  await pve.task(home, "POST", `${pathOf(each, home, vmid)}/clone`, form, about("keep a copy of", each, vmid));
  await label(run, each, id);
}

/**
 * Under replication the old side is volumes without a guest: their configuration went with the active side. Each is read from
 * its own file on the server. No network card is made: a copy must not answer in the guest's place.
 */
async function copyReplica(run: Return, each: ReturnGuest, id: number): Promise<void> {
  const { operator } = run;
  const { home, away, vmid, guest } = each;
  const text = await must(operator, home, ["cat", `/etc/pve/nodes/${away}/qemu-server/${vmid}.conf`]);
  const conf = parseGuestConf(text);
  const paths: Record<string, string> = {};
  for (const { volume } of dataDrives(conf)) {
    paths[volume] = (await must(operator, home, ["pvesm", "path", volume])).trim();
  }
  if (Object.keys(paths).length === 0)
    throw new Error(`the configuration of ${guest} (${vmid}) on ${away} names no disk`);
  const created = copyArguments(conf, {
    name: divergedName(guest),
    tags: [DIVERGED_TAG],
    description: description(each),
    paths,
    bridges: {},
  });
  await must(operator, home, ["qm", "create", String(id), ...created], COPY_SECONDS);
}

/** A copy of a large disk takes hours. */
const COPY_SECONDS = 24 * 3600;

function description({ guest, home, away }: ReturnGuest): string {
  return `What only ${home} had of ${guest} when it came back, while ${guest} was active on ${away}. Powered off; remove it when nobody needs it any more.`;
}

/** Tags, no autostart, and network cards without a cable: the same addresses as the guest's own must not appear twice. */
async function label({ operator: { pve } }: Return, each: ReturnGuest, id: number): Promise<void> {
  const path = `${pathOf(each, each.home, id)}/config`;
  const config = await pve.get<Record<string, unknown>>(path);
  const cards = Object.entries(config).flatMap(([key, value]) => {
    const text = String(value);
    return /^net\d+$/.test(key) && !/(^|,)link_down=1(,|$)/.test(text) ? [[key, `${text},link_down=1`]] : [];
  });
  await pve.put(path, { ...Object.fromEntries(cards), tags: DIVERGED_TAG, onboot: false }, about("mark", each, id));
}

function extractStep({ operator }: Return, each: ReturnGuest): Step {
  const { guest, home, divergedId, kind } = each;
  return {
    id: `extract-${guest}`,
    guest,
    title: `how to get files out of ${divergedName(guest)}`,
    seconds: 1,
    optional: true,
    async run(note) {
      for (const line of await extractLines(operator.pve, each, divergedId!)) note(line);
      note(
        kind === "qemu"
          ? `or start it on ${home} and use its console: it has no network, and nothing guards it`
          : `or start it on ${home}, \`pct enter ${divergedId}\`: its network is unplugged`,
      );
    },
  };
}

/** For each disk: read-only, so that the copy stays what it was. */
async function extractLines(pve: Return["operator"]["pve"], each: ReturnGuest, id: number): Promise<string[]> {
  if (each.kind === "lxc")
    return [
      `on ${each.home}: \`pct mount ${id}\`, then below /var/lib/lxc/${id}/rootfs; afterwards \`pct unmount ${id}\``,
    ];
  const config = await pve.get<Record<string, string>>(`${pathOf(each, each.home, id)}/config`);
  const strings = Object.fromEntries(Object.entries(config).map(([key, value]) => [key, String(value)]));
  return dataDrives(strings)
    .filter(({ key }) => /^(scsi|virtio|sata|ide)/.test(key))
    .map(
      ({ key, volume }) =>
        `on ${each.home}, ${key}: \`guestmount --ro -i -a "$(pvesm path ${volume})" /mnt\` (package libguestfs-tools); afterwards \`guestunmount /mnt\``,
    );
}
