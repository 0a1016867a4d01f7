/** How a guest by `zfs-sync` changes sides: its volumes are put to a recovery point, and the registered guest gets them. */
import type { ManifestGuest } from "../planning/manifest";
import { detachedDisks, volumeOf } from "../providers/registered-config";
import { disksOf } from "../providers/standby-inspect";
import type { Operator } from "./context";
import { configOf } from "./guest-power";
import type { FailoverPlan, GuestMove } from "./plan-failover";
import type { Step } from "./steps";
import { keptIn, keptWords, runReplica } from "./zfs-replica";

/** From the settled side to the registered guest that can be started. Done once: what it has written since must not be put back. */
export function zfsSteps(operator: Operator, plan: FailoverPlan, guest: ManifestGuest, move: GuestMove): Step[] {
  if (move.to === guest.primary) return [];
  return [
    ...(plan.planned ? [passiveStep(operator, move)] : []),
    activateStep(operator, guest, move),
    wholeStep(operator, guest, move),
  ];
}

/** The guest is off, and its server may still run it: what it wrote last goes over. */
export function lastSyncStep(operator: Operator, { guest, from, to }: GuestMove): Step {
  return {
    id: `sync-${guest}`,
    guest,
    title: `send what ${guest} wrote last from ${from} to ${to}`,
    seconds: 30,
    async run(note) {
      const { point } = await runReplica(operator, from, ["sync", guest]);
      note(point ?? "sent");
    },
  };
}

/** The guard keeps the old side from starting; read-only volumes keep everything else from writing there. */
function passiveStep(operator: Operator, { guest, from }: GuestMove): Step {
  return {
    id: `passive-${guest}`,
    guest,
    title: `make the volumes of ${guest} on ${from} read-only`,
    seconds: 2,
    optional: true,
    run: async () => void (await runReplica(operator, from, ["passive", guest])),
  };
}

function activateStep(operator: Operator, guest: ManifestGuest, move: GuestMove): Step {
  const { name } = guest;
  const { to, point } = move;
  const earlier = point.kind === "point" && point.earlier ? ["--point", point.point] : [];
  const which = point.kind === "point" && point.earlier ? `the point of ${point.at}` : "the newest complete point";
  return {
    id: `activate-${name}`,
    guest: name,
    title: `put the volumes of ${name} on ${to} to ${which}`,
    seconds: 5,
    async run(note) {
      const done = await runReplica(operator, to, ["activate", name, ...earlier]);
      const kept = keptIn(done);
      if (done.point !== undefined) note(done.point);
      if (kept.length > 0) note(keptWords(to, guest, kept));
    },
  };
}

/** A guest that lacks a disk would start with the rest of them, and write there. What its notes name is attached now. */
function wholeStep(operator: Operator, guest: ManifestGuest, move: GuestMove): Step {
  const at = { guest: move.guest, kind: move.kind, server: move.to, vmid: move.toId };
  return {
    id: `whole-${guest.name}`,
    guest: guest.name,
    title: `see that ${move.toId} on ${move.to} has all volumes of ${guest.name}`,
    seconds: 1,
    async run(note) {
      const config = await configOf(operator, at);
      if (config === undefined)
        throw new Error(
          `guest ${move.toId} is not registered on ${move.to}: \`pulumi up\` registers it; then run the same command again`,
        );
      const come = detachedDisks(config);
      if (Object.keys(come).length > 0) {
        const pve = operator.pveAt(move.to) ?? operator.pve;
        const about = { guest: move.guest, doing: `attach the volumes of guest ${move.toId}` };
        await pve.put(`/nodes/${move.to}/${move.kind}/${move.toId}/config`, come, about);
        note(`attached ${Object.keys(come).sort().join(", ")}`);
      }
      const named = new Set(
        [...disksOf(config), ...Object.values(come).map(volumeOf)].map((volume) => volume.split(":")[1]),
      );
      const missing = (guest.zfs?.datasets ?? []).map(nameOf).filter((name) => !named.has(name));
      if (missing.length === 0) return;
      throw new Error(
        `guest ${move.toId} on ${move.to} lacks ${missing.join(", ")}: attach ${missing.length === 1 ? "it" : "them"} (\`qm set ${move.toId} --scsi0 <storage>:${missing[0]}\`, as on ${move.from}), then run the same command again`,
      );
    },
  };
}

function nameOf(dataset: string): string {
  return dataset.slice(dataset.lastIndexOf("/") + 1);
}
