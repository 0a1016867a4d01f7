/** An undo of a guest by `zfs-sync`: its old side starts as it was, and what the spare has written is given up. */
import type { ManifestGuest } from "../planning/manifest";
import type { Operator } from "./context";
import { must } from "./drill-server";
import type { Step } from "./steps";
import { keptIn, keptWords, runReplica } from "./zfs-replica";

/**
 * A planned switch has made the old side's volumes read-only, at the point that both sides have; they are put to that point, which
 * changes nothing in them, and opened. After a switch that nobody planned they are as the server left them, and stay so.
 */
export function writableStep(operator: Operator, guest: ManifestGuest): Step {
  const { name, primary, zfs } = guest;
  return {
    id: `writable-${name}`,
    guest: name,
    title: `see that the volumes of ${name} on ${primary} can be written`,
    seconds: 2,
    async run(note) {
      const asked = ["zfs", "get", "-H", "-o", "value", "readonly", ...(zfs?.datasets ?? [])];
      const values = (await must(operator, primary, asked)).split("\n").map((value) => value.trim());
      if (!values.includes("on")) return note("they are as the switch left them");
      const { point } = await runReplica(operator, primary, ["activate", name]);
      note(point ?? "opened");
    },
  };
}

/** Only once the primary runs. The person has said that what was written to the spare may go. */
export function discardAwayStep(operator: Operator, guest: ManifestGuest): Step {
  const { name, primary, spare } = guest;
  return {
    id: `reverse-${name}`,
    guest: name,
    title: `make ${name} on ${spare} a copy of ${primary} again; what was written there is gone`,
    seconds: 60,
    optional: true,
    async run(note) {
      const done = await runReplica(operator, primary, ["reverse", name, "--discard"]);
      const kept = keptIn(done);
      if (kept.length > 0) note(keptWords(spare!, guest, kept));
    },
  };
}
