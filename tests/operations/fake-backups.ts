/** A site in memory with copies: storages with archives, and what the programs on the servers answer about theirs. */
import type { Operator } from "../../operations/context";
import type { ManifestBackups, ManifestPolicy } from "../../planning/backup/manifest";
import type { PveClient } from "../../providers/pve/client";
import { PveError } from "../../providers/pve/errors";
import type { SshResult } from "../../providers/ssh";
import { FakeSite } from "./fake-site";

export interface FakeVolume {
  volid: string;
  vmid: number;
  ctime: number;
  size: number;
  notes?: string;
  protected?: number;
  encrypted?: string;
  verification?: { state: string };
  /** Configuration that is in it. */
  config?: Record<string, string>;
}

export interface FakeStorage {
  shared: boolean;
  /** Servers that have it online. */
  servers: string[];
  volumes: FakeVolume[];
  usedGiB: number;
  totalGiB: number;
}

const DAY = 86_400;
const GIB = 1024 ** 3;

const policy = (change: Partial<ManifestPolicy>): ManifestPolicy => ({
  target: "nas",
  schedule: "22:30",
  keep: { last: 3 },
  guests: [],
  folders: [],
  volumes: [],
  datasets: [],
  hooks: { before: [], after: [], timeoutSeconds: 600 },
  notify: "failure",
  recoveryPointSeconds: DAY + 3600,
  ...change,
});

/** Guests go to a shared storage and a backup server, folders to a repository, data sets to a receiver; disks are carried weekly. */
export const BACKUPS: ManifestBackups = {
  timeZone: "Europe/Zurich",
  targets: {
    nas: { kind: "vzdump", storage: "backup-nfs", limitGiB: 800 },
    "pbs-1": {
      kind: "pbs",
      on: "backup-1",
      host: "192.168.10.13",
      port: 8007,
      datastore: "main",
      storage: "pbs",
      encrypted: false,
      limitGiB: 500,
    },
    cloud: {
      kind: "restic",
      repository: "sftp:root@192.168.10.13:/srv/restic",
      backend: { type: "local", on: "backup-1", path: "/srv/restic" },
      passwordSecret: "restic",
      appendOnly: false,
      limitGiB: 200,
    },
    home: {
      kind: "zfs-receiver",
      host: "nas.example.org",
      port: 22,
      user: "root",
      hostKeys: [],
      dataset: "tank/copies",
      direction: "push",
      raw: false,
      pruner: "coldspare",
      limitGiB: 9000,
    },
    shelf: {
      kind: "offline-medium",
      on: "backup-1",
      copies: "nas",
      sizeGiB: 900,
      mountPoint: "/mnt/shelf",
      limitGiB: 800,
    },
  },
  policies: {
    nightly: policy({ guests: ["sql-erp", "files-1"] }),
    weekly: policy({ target: "pbs-1", guests: ["sql-erp"], recoveryPointSeconds: 8 * DAY }),
    folders: policy({ target: "cloud", folders: [{ server: "backup-1", paths: ["/srv/share"], exclude: [] }] }),
    data: policy({
      target: "home",
      datasets: [{ server: "srv1", dataset: "tank/data", recursive: false, encrypted: false }],
    }),
  },
  rotations: {
    shelf: {
      on: "backup-1",
      copies: "nas",
      mountPoint: "/mnt/shelf",
      sets: [{ name: "weekly", media: ["A", "B"], swap: "mon 09:00", offSite: true }],
      startSeconds: Date.parse("2026-01-05T00:00:00Z") / 1000,
      graceSeconds: 2 * DAY,
      schedule: "05:00",
      worstOfflineSeconds: 8 * DAY,
      worstOffSiteSeconds: 8 * DAY,
    },
  },
};

export class FakeBackups {
  readonly site: FakeSite;
  readonly storages: Record<string, FakeStorage>;
  /** Answers by `server: program words`. */
  readonly answers = new Map<string, SshResult>();
  /** What was typed on servers, beside what the site answers itself. */
  readonly commands: string[] = [];
  /** Calls that changed something, with their form. */
  readonly calls: { method: string; path: string; form: Record<string, unknown> }[] = [];
  /** Tasks that fail, by their path. */
  readonly broken = new Map<string, string>();
  readonly tasks: Record<string, unknown>[] = [];
  readonly freeGiB: Record<string, number> = {};

  constructor(change: (backups: ManifestBackups) => void = () => undefined) {
    const backups = structuredClone(BACKUPS);
    change(backups);
    this.site = new FakeSite((manifest) => ({ ...manifest, drills: {}, backups }));
    const now = this.site.time / 1000;
    const erp = this.site.manifest.guests["sql-erp"]!.vmid;
    const files = this.site.manifest.guests["files-1"]!.vmid;
    this.storages = {
      "backup-nfs": {
        shared: true,
        servers: ["srv1", "srv2"],
        usedGiB: 100,
        totalGiB: 1000,
        volumes: [1, 2, 3].map((day) => archive("backup-nfs", erp, now - day * DAY + 18 * 3600)),
      },
      pbs: {
        shared: true,
        servers: ["srv1", "srv2"],
        usedGiB: 50,
        totalGiB: 500,
        volumes: [
          {
            volid: `pbs:backup/vm/${erp}/2026-11-20T02:00:00Z`,
            vmid: erp,
            ctime: now - 2 * DAY,
            size: 40 * GIB,
            verification: { state: "ok" },
            encrypted: "11:22",
          },
        ],
      },
    };
    const lxc = this.site.manifest.guests["files-1"]!.kind === "lxc";
    this.storages["backup-nfs"]!.volumes.push(archive("backup-nfs", files, now - 6 * 3600, lxc ? "lxc" : "qemu"));
    this.answer("backup-1", "coldspare-backup status --plain", [
      `job=folders kind=restic policy=folders target=cloud state=ok at=${iso(now - 3600)} began=${iso(now - 3700)} seconds=100 bytes=1000 newest=${iso(now - 3700)} error=`,
    ]);
    const remembered = [
      `point=aabb01 job=folders subject=folder%3Abackup-1%3A%2Fsrv%2Fshare target=cloud at=${iso(now - 3700)} bytes=1000 verified=none verifiedat= medium=`,
      `point=aabb02 job=folders subject=folder%3Abackup-1%3A%2Fsrv%2Fshare target=cloud at=${iso(now - DAY)} bytes=900 verified=failed verifiedat=${iso(now - 600)} medium=`,
    ];
    for (const how of ["", " --cached"]) this.answer("backup-1", `coldspare-backup points --plain${how}`, remembered);
    this.answer("backup-1", "coldspare-backup media status --plain", [
      `target=shelf attached=A expected=A set=weekly until=${iso(now + DAY)} next=B attachedat=${iso(now - 6 * DAY)} free=${300 * GIB} size=${900 * GIB} written=${iso(now - 3600)} listends=2027-12-01T00:00:00Z error=`,
    ]);
    this.answer("backup-1", "coldspare-backup media points shelf --plain", [
      `point=A%2F1 job=shelf subject=sql-erp target=shelf at=${iso(now - 6 * 3600)} bytes=5000 verified=ok verifiedat=${iso(now - 3600)} medium=A`,
      `point=B%2F1 job=shelf subject=sql-erp target=shelf at=${iso(now - 7 * DAY)} bytes=5000 verified=ok verifiedat=${iso(now - 7 * DAY)} medium=B`,
    ]);
    this.answers.set("backup-1: cat /var/lib/coldspare/media/shelf.swaps", {
      code: 0,
      stdout: [
        `at=${iso(now - 14 * DAY)} medium=B action=attached by=anna`,
        `at=${iso(now - 7 * DAY)} medium=B action=detached by=anna%20m`,
        `at=${iso(now - 7 * DAY)} medium=A action=attached by=anna`,
        "",
      ].join("\n"),
      stderr: "",
    });
    this.answer("srv1", "coldspare-zfs status --plain", [
      `job=data-home kind=zfs policy=data target=home state=ok at=${iso(now - 7200)} newest=${iso(now - 7200)} error=`,
    ]);
    this.answer("srv1", "coldspare-zfs points --plain", [
      `point=coldspare-data-1 job=data-home subject=dataset%3Asrv1%3Atank%2Fdata target=home at=${iso(now - 7200)} bytes=10 verified=none`,
    ]);
  }

  /** Lines of a program's answer; `end` is added. */
  answer(server: string, command: string, lines: readonly string[]): void {
    this.answers.set(`${server}: ${command}`, { code: 0, stdout: [...lines, "end", ""].join("\n"), stderr: "" });
  }

  refuse(server: string, command: string, code: number, stderr: string): void {
    this.answers.set(`${server}: ${command}`, { code, stdout: "", stderr });
  }

  remove(): void {
    this.site.remove();
  }

  operator(by?: string): Operator {
    const base = this.site.operator(by);
    const wrapped = new Map(["srv1", "srv2"].map((server) => [server, this.client(base.pveAt(server)!)]));
    return {
      ...base,
      pve: this.client(base.pve),
      pveAt: (server) => wrapped.get(server),
      ssh: {
        close: async () => undefined,
        run: async (server, argv, options) => {
          const words = argv.map((word) => word.replace("/usr/local/sbin/", "")).join(" ");
          if (this.site.up.get(server) === true) {
            const known = this.answers.get(`${server}: ${words}`);
            if (/^coldspare-(backup|zfs|drill)|^pvesm|^proxmox|^sh -c exec|^cat /.test(words)) {
              this.commands.push(`${server}: ${words}`);
              return known ?? { code: words.endsWith("--plain") ? 127 : 0, stdout: "", stderr: "not found" };
            }
          }
          return base.ssh.run(server, argv, options);
        },
      },
    };
  }

  private client(base: PveClient): PveClient {
    const get = async (path: string, query: Record<string, unknown> = {}): Promise<unknown> => {
      const [, node = "", rest = ""] = /^\/nodes\/([^/]+)\/(.*)$/.exec(path) ?? [];
      const own = /^(storage|vzdump|tasks)/.test(rest) ? this.read(node, rest, query) : undefined;
      if (own === undefined) return base.get(path, query as never);
      // A dead server answers nothing, whatever it has.
      await base.get(`/nodes/${node}/time`);
      if (own instanceof PveError) throw own;
      return own;
    };
    const write = async (method: string, path: string, form: Record<string, unknown> = {}): Promise<unknown> => {
      this.calls.push({ method, path, form });
      const node = /^\/nodes\/([^/]+)/.exec(path)?.[1];
      const why = [...this.broken].find(([part]) => path.includes(part))?.[1];
      if (why !== undefined)
        throw new PveError({ server: node ?? "srv1", call: `${method} ${path}`, status: 500, reason: why });
      const done = this.write(method, path, form);
      if (done) return base.get(`/nodes/${node}/time`);
      const call = method === "PUT" ? base.put : method === "POST" ? base.post : base.delete;
      return call.call(base, path, form as never);
    };
    const client = {
      get,
      put: (path: string, form: Record<string, unknown>) => write("PUT", path, form),
      post: (path: string, form: Record<string, unknown>) => write("POST", path, form),
      delete: (path: string, form: Record<string, unknown>) => write("DELETE", path, form),
      task: async (_node: string, method: string, path: string, form: Record<string, unknown>) =>
        void (await write(method, path, form)),
      close: () => undefined,
    };
    return client as unknown as PveClient;
  }

  private read(node: string, rest: string, query: Record<string, unknown>): unknown {
    if (rest === "tasks") return query.typefilter === "vzdump" ? this.tasks : undefined;
    if (rest === "storage")
      return Object.entries(this.storages).map(([storage, { shared, servers, usedGiB, totalGiB }]) => ({
        storage,
        shared: Number(shared),
        active: Number(servers.includes(node)),
        enabled: 1,
        used: usedGiB * GIB,
        total: totalGiB * GIB,
      }));
    if (rest === "vzdump/extractconfig") {
      const config = this.volume(String(query.volume))?.config ?? {};
      return Object.entries(config)
        .map(([key, value]) => `${key}: ${value}\n`)
        .join("");
    }
    const [, name = "", what] = /^storage\/([^/]+)\/(content|status)$/.exec(rest) ?? [];
    if (what === "status") return { avail: (this.freeGiB[name] ?? 500) * GIB, type: "zfspool" };
    if (what === "content" && query.content === "backup" && this.storages[name] !== undefined)
      return this.storages[name].volumes.map(({ config: _, ...volume }) => ({ ...volume, content: "backup" }));
    return undefined;
  }

  volume(volid: string): FakeVolume | undefined {
    return this.storages[volid.split(":")[0]!]?.volumes.find((each) => each.volid === volid);
  }

  /** Answers whether it was dealt with here. */
  private write(method: string, path: string, form: Record<string, unknown>): boolean {
    const [, node = "", rest = ""] = /^\/nodes\/([^/]+)\/(.*)$/.exec(path) ?? [];
    const content = /^storage\/[^/]+\/content\/(.+)$/.exec(rest)?.[1];
    if (content !== undefined) {
      this.volume(decodeURIComponent(content))!.notes = String(form.notes);
      return true;
    }
    if (rest === "vzdump") {
      const vmid = Number(form.vmid);
      this.storages[String(form.storage)]?.volumes.unshift(archive(String(form.storage), vmid, this.site.time / 1000));
      return true;
    }
    const [, vmid, what] = /^(?:qemu|lxc)\/(\d+)\/(clone)$/.exec(rest) ?? [];
    if (what === "clone") {
      const source = this.site.guests.get(Number(vmid))!;
      const config = {
        ...source.config,
        name: String(form.name ?? form.hostname),
        description: String(form.description),
      };
      this.site.guests.set(Number(form.newid), { server: node, kind: source.kind, running: false, config });
      return true;
    }
    if (method === "POST" && /^(qemu|lxc)$/.test(rest)) {
      const id = Number(form.vmid);
      const there = this.site.guests.get(id);
      if (there !== undefined && form.force !== true) throw new Error(`unable to restore: ${id} exists already`);
      if (there?.running) throw new Error(`unable to restore: ${id} is running`);
      const volume = this.volume(String(form.archive ?? form.ostemplate));
      if (volume === undefined) throw new Error("volume does not exist");
      const given = ["name", "hostname", "tags", "description"].flatMap((key) =>
        form[key] === undefined ? [] : [[key === "hostname" ? "name" : key, String(form[key])]],
      );
      const disks = Object.entries(volume.config ?? {}).map(([key, value]) => [
        key,
        value.replace(/vm-\d+-/, `vm-${id}-`),
      ]);
      const config = { ...Object.fromEntries(disks), ...Object.fromEntries(given), restoredfrom: volume.volid };
      this.site.guests.set(id, { server: node, kind: rest as "qemu", running: false, config });
      return true;
    }
    return false;
  }
}

function iso(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}

/** An archive of a machine with a disk of 60 GiB. */
export function archive(storage: string, vmid: number, ctime: number, kind: "qemu" | "lxc" = "qemu"): FakeVolume {
  const stamp = iso(ctime).slice(0, 19).replace("T", "-").replaceAll("-", "_").replaceAll(":", "_");
  const disk = { [kind === "qemu" ? "scsi0" : "rootfs"]: `tank:vm-${vmid}-disk-0,size=60G` };
  return {
    volid: `${storage}:backup/vzdump-${kind}-${vmid}-${stamp}.${kind === "qemu" ? "vma" : "tar"}.zst`,
    vmid,
    ctime,
    size: 20 * GIB,
    notes: `guest ${vmid}`,
    config: {
      name: `old-${vmid}`,
      memory: "4096",
      ...disk,
      net0: "virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=20",
    },
  };
}
