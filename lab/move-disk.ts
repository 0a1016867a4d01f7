import { type Call, flag } from "./call";
import { copySeconds } from "./clone";
import { fail } from "./errors";
import { parseDrive, printDrive } from "./qemu-config";
import { addUnused } from "./qemu-drives";
import { startTask } from "./tasks";
import { allocateDisk, findVolume, formatSize, removeVolume } from "./volumes";

/** `POST …/move_disk`: a disk moves to another storage of the same node. */
export function moveDisk(call: Call): string {
  const { domain, node, params, identity } = call;
  const guest = domain.guestOn(node, "qemu", call.path.vmid!);
  const key = params.disk ?? "";
  const text = guest.config[key];
  if (text === undefined) throw fail(`disk '${key}' does not exist`);
  domain.checkLock(guest);
  const storage = params.storage;
  if (!storage) throw fail("moving a disk to another guest is not part of this lab");
  domain.storage(storage, node);
  const values = parseDrive(text);
  const volume = findVolume(domain, node, values.file ?? "");
  if (!volume) throw fail(`volume '${values.file}' does not exist`);
  if (values.file!.startsWith(`${storage}:`) && (!params.format || params.format === volume.format))
    throw fail("you can't move to the same storage with same format");
  return startTask(domain, {
    node,
    type: "qmmove",
    id: String(guest.vmid),
    user: identity.full,
    work: (handle) =>
      domain.withGuest(guest.vmid, async () => {
        handle.log(`create full clone of drive ${key} (${values.file})`);
        await handle.takes(copySeconds(volume.used));
        const { volid } = allocateDisk(domain, node, storage, guest.vmid, {
          size: volume.size,
          format: params.format ?? volume.format,
          source: volume,
        });
        guest.config[key] = printDrive({ ...values, file: volid, size: formatSize(volume.size) });
        if (flag(params.delete)) removeVolume(domain, volume);
        else addUnused(guest.config, values.file!);
        domain.save();
      }),
  });
}
