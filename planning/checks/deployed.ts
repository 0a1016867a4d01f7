/** The plan next to what is deployed: disks as they are, and sides as they are recorded. */
import { type Context, own, type Placed, sorted } from "../context";

/** Checks disks that are there already, and the record of active sides. */
export function checkDeployed(context: Context): void {
  for (const guest of context.guests) checkDisks(context, guest);
  checkActiveSides(context);
}

function checkDisks(context: Context, { name, spec }: Placed): void {
  // Disks that are kept as they are change neither size nor place from here.
  if (spec.keep.includes("disks")) return;
  const deployed = own(context.options.deployedDisks ?? {}, name) ?? [];
  const path = `guests.${name}.disks`;
  const gone = deployed.flatMap((size, index) => (index >= spec.disks.length && size > 0 ? [{ index, size }] : []));
  // A disk is its position. With fewer disks and other sizes, the data of one would become the data of another.
  const moved = spec.disks.findIndex((disk, index) => (deployed[index] ?? 0) > 0 && disk.sizeGiB !== deployed[index]);
  if (gone.length > 0 && moved >= 0) {
    context.add(
      "DISK-REMAPPED",
      path,
      `${name} has disks of ${deployed.join(", ")} GiB, and is to have ${spec.disks.map((disk) => disk.sizeGiB).join(", ")} GiB: a disk is its place in the list, so disk ${moved} would be the one of ${deployed[moved]} GiB, and ${gone.map(({ index }) => `disk ${index}`).join(", ")} would be taken away.`,
      `Only the last disk can be taken away, in an update of its own: put the others back as they are. To drop an earlier one, copy what is needed to it from the last disk, and remove that one.`,
    );
    return;
  }
  for (const { index, size } of gone)
    context.add(
      "DISK-REMOVED",
      path,
      `Disk ${index} of ${name} (${size} GiB) is no longer in the specification: it becomes an unused volume, which no backup and no replica holds.`,
      `Put it back into ${path}, or copy what is needed first; remove the unused volume by hand when it may go.`,
    );
  for (const [index, disk] of spec.disks.entries()) {
    const size = deployed[index];
    if (size !== undefined && disk.sizeGiB < size)
      context.add(
        "DISK-SHRINKS",
        `${path}[${index}].sizeGiB`,
        `Disk ${index} of ${name} has ${size} GiB and cannot be shrunk to ${disk.sizeGiB} GiB.`,
        `Keep ${size} GiB. To get smaller: add a disk of ${disk.sizeGiB} GiB to ${path}, copy the data inside the guest, switch to it, then remove the old disk.`,
      );
  }
}

function checkActiveSides(context: Context): void {
  for (const [name, side] of sorted(context.options.active ?? {})) {
    const guest = own(context.spec.guests, name);
    if (guest === undefined)
      context.add(
        "ACTIVE-SIDE-INVALID",
        `guests.${name}`,
        `The ${side} of '${name}' is recorded as active, but there is no such guest.`,
        `Remove '${name}' from the record of active sides.`,
      );
    else if (side === "spare" && guest.coldReplica === undefined)
      context.add(
        "ACTIVE-SIDE-INVALID",
        `guests.${name}.coldReplica`,
        `The spare of ${name} is recorded as active, but ${name} has no coldReplica.`,
        `Give ${name} its coldReplica back, or remove it from the record of active sides.`,
      );
  }
}
