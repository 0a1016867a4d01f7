/** What is done by hand between recordings, outside the API. */
export type Happening =
  | { kind: "node-dies"; node: string }
  | { kind: "expect-one-vote"; node: string }
  | { kind: "move-config"; vmid: number; from: string; to: string }
  | { kind: "time-passes"; seconds: number }
  | { kind: "status-round" }
  | { kind: "recording"; name: string };

/** A call that brings the lab into a state which nobody recorded. */
export interface SetUpCall {
  kind: "call";
  method: "POST" | "PUT" | "DELETE";
  path: string;
  form?: string;
}

/** Everything that was there before the first call of a recording. */
export interface StartingState {
  /** Recordings that had run before, and whose outcome this one needs, in order. */
  after: string[];
  /** What happened after those, in order. */
  next: (SetUpCall | Happening)[];
  /** Recordings that ran so shortly before this one that their outcome was not yet published. */
  justBefore?: string[];
  /** What happened by hand in the middle: before which call, and what. */
  meanwhile?: { beforeSeq: number; next: Happening[] };
  /** Bridges of pve1, where they are not `vmbr0`. */
  bridgesOfPve1?: string[];
}

const call = (method: SetUpCall["method"], path: string, form?: string): SetUpCall => ({
  kind: "call",
  method,
  path,
  ...(form === undefined ? {} : { form }),
});

/** Guests 100 (replicated to pve2 every minute) and 101 were there all the time. */
export const ALWAYS: SetUpCall[] = [
  call("POST", "/nodes/pve1/qemu", "vmid=100&name=a&memory=32&scsihw=virtio-scsi-single&scsi0=tank%3A1"),
  call("POST", "/nodes/pve1/qemu", "vmid=101&name=a&memory=32&scsihw=virtio-scsi-single&scsi0=tank%3A1"),
  call("POST", "/cluster/replication", "id=100-0&type=local&target=pve2&schedule=*%2F1"),
];

// Guest 500 as 40 found it: made by an older version of the program, with the node's own drive as ide3.
const GUEST_500 = call(
  "POST",
  "/nodes/pve1/qemu",
  "vmid=500&name=sql&acpi=1&agent=enabled%3D0%2Cfstrim_cloned_disks%3D0%2Ctype%3Dvirtio&balloon=0&bios=seabios" +
    "&boot=order%3Dide3%3Bscsi0%3Bnet0&cores=1&cpu=qemu64&ide3=file%3Dcdrom%2Cmedia%3Dcdrom&keyboard=en-us&memory=64" +
    "&numa=0&onboot=0&ostype=l26&protection=0" +
    "&scsi0=file%3Dlocal%3A1%2Cformat%3Draw%2Caio%3Dio_uring%2Cbackup%3D1%2Ciothread%3D0%2Cssd%3D0%2Cdiscard%3Dignore" +
    "%2Ccache%3Dnone%2Creplicate%3D1&scsihw=virtio-scsi-pci&serial0=socket&sockets=1&tablet=1&template=0",
);
// Guest 410 had come to pve1 by a failover meanwhile.
const GUEST_410 = call(
  "POST",
  "/nodes/pve1/qemu",
  "vmid=410&name=sql&memory=64&cores=1&scsihw=virtio-scsi-single&scsi0=tank%3A1&net0=virtio%2Cbridge%3Dvmbr0&onboot=1",
);

/** The outcome of another recording. */
export const recording = (name: string): Happening => ({ kind: "recording", name });
const at = (after: string[], ...next: StartingState["next"]): StartingState => ({ after, next });

const CPU = ["01-create-stopped", "04-update-cpu-memory"];
const GROWN = [...CPU, "05-grow-disk"];
const ADDED = [...GROWN, "06-add-disk"];
const REMOVED = [...ADDED, "07-remove-disk"];
const STARTED = [...REMOVED, "08-started"];
const BACKED_UP = ["30-vzdump-and-restore-on-other-node"];
const RESTORED = [...BACKED_UP, "31-restore-over-existing"];
const CYCLED = [...RESTORED, "36-wrong-input", "37-replication-cycle"];

const LATER = [...RESTORED, "36-wrong-input"];
/** Where guest 500 is new and has the node's drive. */
const with500 = (...after: string[]): StartingState => ({
  after: LATER,
  next: [GUEST_410, GUEST_500, ...after.map(recording)],
});

const MOVED = ["40-create-without-cdrom", "41-moved-behind-its-back"];

function with500Dead(): StartingState {
  const state = with500(...MOVED);
  return { ...state, next: [...state.next, { kind: "node-dies", node: "pve2" }] };
}

/** Starting state of each recording. */
export const startingStates: Record<string, StartingState> = {
  "01-create-stopped": at([]),
  "03-refresh": at(["01-create-stopped"]),
  "04-update-cpu-memory": at(["01-create-stopped"]),
  "05-grow-disk": { ...at(["01-create-stopped"]), justBefore: ["04-update-cpu-memory"] },
  "06-add-disk": at(GROWN),
  "07-remove-disk": at(ADDED),
  "08-started": at(REMOVED),
  "09-memory-change-of-running": { ...at(REMOVED), justBefore: ["08-started"] },
  "10-stop-and-destroy": at([...STARTED, "09-memory-change-of-running"]),
  "11-cloudinit-bad-ssh-key": at([]),
  "12-clone": at(REMOVED),
  "13-zfs": at([...REMOVED, "12-clone"]),
  "14-replication": at([...REMOVED, "12-clone", "13-zfs"]),
  "15-replication-removed": at([...REMOVED, "12-clone", "13-zfs", "14-replication"]),
  "16-backup-job": at([...REMOVED, "12-clone", "13-zfs"]),
  "17-pool": at([...REMOVED, "12-clone", "13-zfs", "16-backup-job"]),
  "18-storages": at([]),
  "19-bridge": { ...at([]), bridgesOfPve1: [] },
  "20-firewall": at([...REMOVED, "17-pool", "18-storages"]),
  "21-ha": at([...REMOVED, "17-pool", "18-storages", "20-firewall"]),
  "22-container-without-template": at([]),
  "23-destroy-all": at([...REMOVED, "17-pool", "18-storages", "20-firewall", "21-ha"]),
  "30-vzdump-and-restore-on-other-node": at([]),
  "31-restore-over-existing": at(BACKED_UP),
  "32-snapshots": at(RESTORED),
  "33-power": at(BACKED_UP),
  "34-migrate-stopped": at(RESTORED),
  "35-hookscript": at(BACKED_UP),
  "36-wrong-input": at(RESTORED),
  "37-replication-cycle": at([]),
  "38-node-dead": at(CYCLED, { kind: "node-dies", node: "pve2" }, { kind: "time-passes", seconds: 40 }),
  "39-failover-by-config-move": {
    ...at(CYCLED, { kind: "node-dies", node: "pve2" }, { kind: "time-passes", seconds: 90 }),
    meanwhile: {
      beforeSeq: 724,
      next: [
        { kind: "expect-one-vote", node: "pve1" },
        { kind: "move-config", vmid: 410, from: "pve2", to: "pve1" },
      ],
    },
    bridgesOfPve1: [],
  },
  "40-create-without-cdrom": with500(),
  "41-moved-behind-its-back": with500("40-create-without-cdrom"),
  "41a-default-cdrom-blocks-migration": with500(),
  "42-refresh-preview-migrate-false": with500(...MOVED),
  "43-refresh-preview-migrate-true": with500(...MOVED),
  "44-program-follows": with500(...MOVED),
  "46-provider-migrates": with500(...MOVED),
  "47-back-to-pve2": with500("40-create-without-cdrom"),
  "49-node-dead-refresh": with500Dead(),
};
