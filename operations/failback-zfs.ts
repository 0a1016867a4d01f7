/** Home again by `zfs-sync`: the old side becomes a copy while the guest runs on, gets what was written last, and is started. */
import { about, pathOf, type Return } from "./failback-moves";
import type { ReturnGuest } from "./failback-plan";
import { setTag } from "./guest-power";
import { ACTIVE_TAG } from "./live-types";
import type { Step } from "./steps";
import { keptIn, keptWords, runReplica } from "./zfs-replica";

/** From the newest point that both sides have. What only the old side has is set aside there, or gone if the person said so. */
export function reverseStep({ operator, operation }: Return, each: ReturnGuest): Step {
  const { guest, home, away, diverged } = each;
  const of = operator.manifest.guests[guest]!;
  const discard = diverged === "discard" ? ["--discard"] : [];
  return {
    id: `reverse-${guest}`,
    guest,
    title: `make ${guest} on ${home} a copy of what runs on ${away}, while it runs on`,
    seconds: 300,
    async run(note) {
      const kept = keptIn(await runReplica(operator, away, ["reverse", guest, ...discard]));
      if (kept.length === 0) return;
      const text = keptWords(home, of, kept);
      note(text);
      await operator.journal.write(operation, { event: "note", guest, text });
    },
  };
}

/** The guest is off, and its server may still run it: afterwards nothing of it is sent from there any more. */
export function lastSyncSteps({ operator }: Return, { guest, home, away }: ReturnGuest): Step[] {
  return [
    {
      id: `sync-${guest}`,
      guest,
      title: `send what ${guest} wrote last from ${away} to ${home}`,
      seconds: 30,
      async run(note) {
        const { point } = await runReplica(operator, away, ["sync", guest]);
        note(point ?? "sent");
      },
    },
    {
      id: `passive-${guest}`,
      guest,
      title: `make the volumes of ${guest} on ${away} read-only`,
      seconds: 2,
      optional: true,
      run: async () => void (await runReplica(operator, away, ["passive", guest])),
    },
  ];
}

/** Done once: what the guest has written at home since must not be put back. */
export function activateHomeStep({ operator }: Return, { guest, home }: ReturnGuest): Step {
  const of = operator.manifest.guests[guest]!;
  return {
    id: `activate-${guest}`,
    guest,
    title: `put the volumes of ${guest} on ${home} to the newest complete point`,
    seconds: 5,
    async run(note) {
      const done = await runReplica(operator, home, ["activate", guest]);
      const kept = keptIn(done);
      note(kept.length > 0 ? keptWords(home, of, kept) : (done.point ?? "done"));
    },
  };
}

/** The registered guest stands by again: without the mark of the active side, and not started with its server. */
export function standbyAgainStep({ operator }: Return, each: ReturnGuest): Step {
  const { guest, kind, away, vmid } = each;
  return {
    id: `standby-${guest}`,
    guest,
    title: `${vmid} on ${away} stands by again`,
    seconds: 2,
    async run() {
      const at = { guest, kind, server: away, vmid };
      await setTag(operator, at, ACTIVE_TAG, false);
      const pve = operator.pveAt(away) ?? operator.pve;
      await pve.put(`${pathOf(each, away, vmid)}/config`, { onboot: false }, about("label the spare of", each, vmid));
    },
  };
}
