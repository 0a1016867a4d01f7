import * as fs from "node:fs";
import * as path from "node:path";
import { ZFS, ZFS_INSIDE, ZFS_ROOT_INSIDE } from "./files";
import { VOLUMES_INSIDE } from "./guests";
import type { HostBind, HostSpecification } from "./types";

/**
 * `zfs` and `zpool` on every host. On a hypervisor the volumes of its zfspool storages are data sets with the bytes that its guests use; a
 * backup server begins without a pool (`truncate -s 10G /disk && zpool create tank /disk` makes one).
 *
 * @param folder where the hosts' configuration files are put
 * @param sockets folder inside a hypervisor that has the lab's socket
 */
export function zfsBinds(hosts: readonly HostSpecification[], folder: string, sockets: string): HostBind[] {
  const programs = ["zfs", "zpool"].map((name) => ({
    from: path.join(ZFS, name),
    to: `/usr/sbin/${name}`,
    readOnly: true,
  }));
  const files = hosts.map(({ name, hypervisor }) => {
    const from = path.join(folder, `zfs-${name}.conf`);
    const guests = hypervisor ? [`lab ${sockets}/pve.sock`, `volumes ${VOLUMES_INSIDE}`] : [];
    fs.writeFileSync(from, `${[`root ${ZFS_ROOT_INSIDE}`, "mounts /", ...guests].join("\n")}\n`);
    return { from, to: "/etc/lab-zfs.conf", hosts: [name], readOnly: true };
  });
  return [{ from: ZFS, to: ZFS_INSIDE, readOnly: true }, ...programs, ...files];
}
