/** What Proxmox VE allows root@pam alone, no token and no role, and how a site does without. */

export interface RootOnly {
  /** Setting or action, as Proxmox VE names it. */
  what: string;
  why: string;
  instead: string;
}

/** Source: pve-access-control, qemu-server and pve-container of Proxmox VE 9 ('only root can set …'). */
export const rootOnly: readonly RootOnly[] = [
  {
    what: "hookscript of a guest",
    why: "a hook script runs as root on the server, so whoever sets one is root there",
    instead:
      "the guard is set over SSH by the program on the server (`coldspare-node`); the provider ignores the setting",
  },
  {
    what: "snippets on a storage",
    why: "the API takes no upload of them: a snippet may be a hook script",
    instead: "programs are installed over SSH",
  },
  {
    what: "moving a guest's configuration to another server (/etc/pve/nodes)",
    why: "no call of the API does it; it says where a guest may start",
    instead: "`coldspare-node take-config` over SSH, after fencing is settled",
  },
  {
    what: "pvecm expected",
    why: "it overrules the cluster's protection against two halves",
    instead: "a third vote; by hand over SSH, after fencing is settled",
  },
  {
    what: "disks by path (/dev/…) and device passthrough without a mapping",
    why: "they reach any file or device of the server",
    instead: "such disks are left as they are (`keep: [disks]`)",
  },
  {
    what: "lock and --skiplock",
    why: "a lock protects a guest from a second task",
    instead: "waited for; a lock that was left behind is named with the command that lifts it",
  },
  {
    what: "args, and the features mount, fuse and keyctl of containers",
    why: "they change how the process is confined",
    instead: "left as they are on guests that were taken over; the program never sets them",
  },
  {
    what: "tmpdir, dumpdir and script of vzdump jobs",
    why: "they write and run on the server as root",
    instead: "never set; dumps of folders and volumes are made by `coldspare-backup` on the server",
  },
];
