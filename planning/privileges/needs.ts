/**
 * Every call that is checked, and what it asks for: of our own client, and of the bridged provider 8.6.0 (seen in the lab). The
 * published API schema of Proxmox VE 9.2 says most of it; `inside` quotes what the code behind a call checks where the schema
 * only says that everybody may call. A test compares the table with the schema.
 */
import type { AccountDuty, Need } from "./types";

const all = ["pulumi", "operate", "monitor"] as const;
const both = ["pulumi", "operate"] as const;
const pulumi = ["pulumi"] as const;
const operate = ["operate"] as const;
const monitor = ["monitor"] as const;

const VM = "/nodes/{node}/qemu/{vmid}";

/** Settings of a machine, by what the configuration call asks for each (qemu-server, 'check_vm_modify_config_perm'). */
const SETTINGS = [
  "VM.Config.CDROM",
  "VM.Config.CPU",
  "VM.Config.Cloudinit",
  "VM.Config.Disk",
  "VM.Config.HWType",
  "VM.Config.Memory",
  "VM.Config.Network",
  "VM.Config.Options",
] as const;

const reading: Need[] = [
  need(all, "GET /cluster/status", "quorum, and which servers are up", "everything", ["Sys.Audit"]),
  need(all, "GET /cluster/backup", "backup jobs", "everything", ["Sys.Audit"]),
  need(all, "GET /nodes/{node}/status", "sizes and load of a server", "everything", ["Sys.Audit"]),
  need(
    all,
    `GET ${VM}/config`,
    "settings of guests; and guests of others, whose ids are not to be taken",
    "all-guests",
    ["VM.Audit"],
  ),
  need(all, `GET ${VM}/status/current`, "whether a guest runs", "all-guests", ["VM.Audit"]),
  need(all, "GET /nodes/{node}/storage/{storage}/content", "volumes and copies", "all-storages", ["Datastore.Audit"]),
  need(all, "GET /nodes/{node}/storage/{storage}/status", "room that is left", "all-storages", ["Datastore.Audit"]),
  inside(monitor, "GET /pools", "pools, for `import`", "all-pools", ["Pool.Audit"], "lists pools with Pool.Audit"),
  inside(
    monitor,
    "GET /nodes/{node}/storage/{storage}/content",
    "which backups exist: Proxmox VE lists them only to those who may make them",
    "backup-storages",
    ["Datastore.AllocateSpace"],
    "Datastore.AllocateSpace on the storage of a backup, beside VM.Backup on its guest",
  ),
  inside(
    monitor,
    "GET /nodes/{node}/storage/{storage}/content",
    "the same, of the guests that are in them",
    "guests",
    ["VM.Backup"],
    "VM.Backup on the guest of a backup",
  ),
  need(monitor, "GET /cluster/ha/resources", "what HA starts elsewhere, for `check --live`", "everything", [
    "Sys.Audit",
  ]),
  need(monitor, "GET /cluster/firewall/options", "the firewall, for `import`", "everything", ["Sys.Audit"]),
  need(monitor, "GET /cluster/config/qdevice", "a third vote", "everything", ["Sys.Audit"]),
];

const building: Need[] = [
  inside(
    pulumi,
    "POST /nodes/{node}/qemu",
    "make a machine",
    "guests",
    ["VM.Allocate"],
    "VM.Allocate on /vms/{vmid} or its pool",
  ),
  inside(
    pulumi,
    "POST /nodes/{node}/lxc",
    "make a container",
    "guests",
    ["VM.Allocate"],
    "VM.Allocate on /vms/{vmid} or its pool",
  ),
  need(pulumi, `PUT ${VM}/config`, "change settings of a guest", "guests", SETTINGS),
  need(pulumi, `PUT ${VM}/resize`, "grow a disk", "guests", ["VM.Config.Disk"]),
  need(pulumi, `POST ${VM}/migrate`, "move a guest to its server", "guests", ["VM.Migrate"]),
  need(pulumi, `POST ${VM}/status/start`, "start a guest", "guests", ["VM.PowerMgmt"]),
  need(pulumi, `DELETE ${VM}`, "remove a guest", "guests", ["VM.Allocate"]),
  need(
    pulumi,
    `GET ${VM}/agent/network-get-interfaces`,
    "wait for the agent of an image that has it",
    "guests-with-agent",
    ["VM.GuestAgent.Audit"],
  ),
  inside(
    pulumi,
    "POST /nodes/{node}/qemu",
    "disks on a storage",
    "disk-storages",
    ["Datastore.AllocateSpace"],
    "Datastore.AllocateSpace on the storage",
  ),
  inside(
    pulumi,
    "POST /nodes/{node}/qemu",
    "cards on a bridge or VLAN",
    "bridges",
    ["SDN.Use"],
    "SDN.Use on /sdn/zones/localnetwork/{bridge}",
  ),
  inside(
    pulumi,
    "POST /cluster/replication",
    "make and change replication jobs",
    "replicated",
    ["VM.Replicate"],
    "VM.Replicate on /vms/{vmid}",
  ),
  need(pulumi, "POST /cluster/backup", "make and change backup jobs", "root", ["Sys.Modify"], true),
  need(pulumi, "POST /storage", "make storage entries", "managed-storages", ["Datastore.Allocate"]),
  need(pulumi, "POST /nodes/{node}/network", "bridges and VLANs that the specification manages", "managed-servers", [
    "Sys.Modify",
  ]),
  need(pulumi, "PUT /nodes/{node}/dns", "DNS and time zone that the specification sets", "managed-servers", [
    "Sys.Modify",
  ]),
  need(pulumi, "POST /nodes/{node}/storage/{storage}/download-url", "images", "image-storages", [
    "Datastore.AllocateTemplate",
  ]),
  inside(
    pulumi,
    "DELETE /nodes/{node}/storage/{storage}/content/{volume}",
    "remove an image that nobody needs any more",
    "image-storages",
    ["Datastore.Allocate"],
    "Datastore.Allocate on the storage",
  ),
  need(pulumi, "GET /nodes/{node}/query-url-metadata", "size of an image before it is downloaded", "image-servers", [
    "Sys.AccessNetwork",
  ]),
  need(pulumi, "POST /pools", "pools", "pools", ["Pool.Allocate", "Pool.Audit"]),
];

/** A replica by `restore` is refreshed by both: at `pulumi up` and by `coldspare refresh`. */
const restoring: Need[] = [
  inside(
    both,
    "POST /nodes/{node}/vzdump",
    "back a guest up before it changes sides, or for its standby",
    "guests",
    ["VM.Backup"],
    "VM.Backup on /vms/{vmid}",
  ),
  inside(
    both,
    "POST /nodes/{node}/vzdump",
    "write the backup",
    "backup-storages",
    ["Datastore.AllocateSpace"],
    "Datastore.AllocateSpace on the storage",
  ),
  inside(
    both,
    "POST /nodes/{node}/qemu",
    "restore into a standby",
    "standbys",
    ["VM.Allocate", "VM.Backup", "VM.PowerMgmt", "VM.Migrate", "VM.Clone", ...SETTINGS],
    "VM.Allocate on /vms/{vmid}, and what the settings of the backup ask for",
  ),
];

const operating: Need[] = [
  need(operate, `POST ${VM}/status/start`, "start, stop and shut down", "guests", ["VM.PowerMgmt"]),
  need(
    operate,
    `PUT ${VM}/config`,
    "marks, start with the server, other networks and a fresh generation id on the spare",
    "guests",
    SETTINGS,
  ),
  need(operate, `POST ${VM}/migrate`, "planned failover and failback", "guests", ["VM.Migrate"]),
  need(operate, `POST ${VM}/clone`, "keep what an old side alone has", "guests", ["VM.Clone"]),
  inside(
    operate,
    "POST /nodes/{node}/qemu",
    "restore over a guest",
    "guests",
    ["VM.Allocate"],
    "VM.Allocate on /vms/{vmid} or its pool",
  ),
  need(operate, `POST ${VM}/agent/ping`, "whether a guest answers", "guests-with-agent", ["VM.GuestAgent.Audit"]),
  inside(
    operate,
    "PUT /cluster/replication/{id}",
    "disable and enable replication around a switch",
    "replicated",
    ["VM.Replicate"],
    "VM.Replicate on /vms/{vmid}",
  ),
  inside(
    operate,
    "POST /nodes/{node}/qemu",
    "copies of drills, and of what is kept of an old side",
    "copies",
    ["VM.Allocate", "VM.PowerMgmt", "VM.GuestAgent.Audit", ...SETTINGS],
    "VM.Allocate on /vms/{vmid}",
  ),
  inside(
    operate,
    "POST /nodes/{node}/qemu",
    "disks of copies",
    "disk-storages",
    ["Datastore.AllocateSpace"],
    "Datastore.AllocateSpace on the storage",
  ),
  inside(
    operate,
    "POST /nodes/{node}/qemu",
    "cards of restored guests, and of drills and branches on isolated bridges with names of their own",
    "all-bridges",
    ["SDN.Use"],
    "SDN.Use on /sdn/zones/localnetwork/{bridge}",
  ),
  inside(
    operate,
    "PUT /nodes/{node}/storage/{storage}/content/{volume}",
    "protect the last good copy, and note its verification",
    "backup-storages",
    ["Datastore.Allocate"],
    "Datastore.Allocate on the storage",
  ),
  need(operate, "POST /nodes/{node}/status", "shut the site's servers down", "hypervisors", ["Sys.PowerMgmt"]),
];

/** The whole table. */
export const needs: readonly Need[] = [...reading, ...building, ...restoring, ...operating];

function need(
  duties: readonly AccountDuty[],
  call: string,
  purpose: string,
  scope: Need["scope"],
  privileges: readonly string[],
  onlyWithJobs?: true,
): Need {
  return { duties, call, purpose, scope, privileges, ...(onlyWithJobs && { onlyWithJobs }) };
}

function inside(
  duties: readonly AccountDuty[],
  call: string,
  purpose: string,
  scope: Need["scope"],
  privileges: readonly string[],
  checked: string,
): Need {
  return { duties, call, purpose, scope, privileges, inside: checked };
}
