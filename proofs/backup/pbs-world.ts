/**
 * Hypervisors and backup servers of the lab, a guest with real bytes, and the commands of coldspare as processes of their own. What
 * a copy must hold is read from the files of the lab's disks, not asked of any API.
 */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { manifestText, planSite, type SiteSpecInput, siteManifest } from "../../planning";
import { checkout } from "../../tests/engine/engine";
import { createAccounts } from "../../tests/lab/accounts";
import { BackupLab } from "../../tests/lab/pbs-client";
import type { Check } from "../check";
import type { Chance } from "../random";
import { digestOfBytes, Ledger } from "./ledger";
import { endOf, type Run } from "./server";

export const GUEST = "erp";
export const VMID = 100;
/** Targets, which are called as their storages on the hypervisors. */
export const VAULT = "vault";
export const ELSEWHERE = "elsewhere";
export const POLICY = "nightly";

const site: SiteSpecInput = {
  site: { name: "proof", cluster: "site" },
  servers: {
    ...Object.fromEntries(
      ["srv1", "srv2"].map((name, index) => [
        name,
        {
          roles: ["hypervisor" as const],
          cores: 6,
          memoryGiB: 32,
          address: `192.0.2.${11 + index}`,
          bridges: { vmbr0: {} },
          storages: {
            tank: { type: "zfspool" as const, sizeGiB: 100, content: ["images" as const, "rootdir" as const] },
          },
        },
      ]),
    ),
    pbs1: { roles: ["backup-server"], cores: 2, memoryGiB: 8, address: "192.0.2.31" },
    pbs2: { roles: ["backup-server"], cores: 2, memoryGiB: 8, address: "192.0.2.32", location: "elsewhere" },
  },
  guests: {
    [GUEST]: {
      kind: "vm",
      os: "linux",
      id: VMID,
      on: "srv1",
      cores: 1,
      memoryGiB: 0.5,
      disks: [{ sizeGiB: 2, storage: "tank" }],
    },
  },
  targets: {
    [VAULT]: { kind: "pbs", on: "pbs1", datastore: "main", sizeGiB: 200, managed: false, tokenSecret: "pbs" },
    [ELSEWHERE]: {
      kind: "pbs",
      on: "pbs2",
      datastore: "offsite",
      sizeGiB: 200,
      managed: false,
      tokenSecret: "pbs",
      syncFrom: { target: VAULT, schedule: "hourly" },
    },
  },
  backups: { [POLICY]: { target: VAULT, schedule: "22:30", guests: [GUEST], keep: { last: 3 } } },
};

export interface ListedPoint {
  id: string;
  target: string;
  verified: "ok" | "failed" | "none";
}

export class PbsWorld {
  readonly ledger = new Ledger();
  private restores = 0;

  private constructor(
    readonly lab: BackupLab,
    private readonly folder: string,
    private readonly chance: Chance,
    /** What the commands work with: the operator's account that `coldspare privileges --any-id` prints. */
    private readonly token: string,
  ) {}

  static async open(folder: string, chance: Chance): Promise<PbsWorld> {
    const lab = await BackupLab.start(400, join(folder, "lab"));
    const plan = planSite(site);
    const { operate } = await createAccounts(lab.lab, plan, { anyId: true });
    const world = new PbsWorld(lab, folder, chance, operate);
    await lab.attach(VAULT, "pbs1", "main");
    await lab.attach(ELSEWHERE, "pbs2", "offsite");
    await lab.machine("srv1", VMID);
    const manifest = siteManifest(plan, { endpoints: lab.lab.endpoints });
    writeFileSync(world.manifestFile, manifestText(manifest));
    await world.change();
    return world;
  }

  private get manifestFile(): string {
    return join(this.folder, "manifest.json");
  }

  /** The guest writes something new. */
  async change(): Promise<void> {
    const text = this.chance.bytes(this.chance.between(2000, 60_000)).toString("base64");
    await this.lab.control("POST", `/guests/${VMID}/write`, { text, bytes: this.chance.between(1, 40) * 2 ** 20 });
  }

  /** A command of coldspare, from its sources. */
  async cold(args: readonly string[]): Promise<Run> {
    return endOf(this.start(args));
  }

  start(args: readonly string[]) {
    const program = ["--require", join(checkout, "bench/register.cjs"), join(checkout, "cli/main.ts")];
    return spawn(process.execPath, [...program, ...args], {
      cwd: this.folder,
      env: {
        PATH: process.env.PATH,
        HOME: this.folder,
        COLDSPARE_MANIFEST: this.manifestFile,
        COLDSPARE_STATE: join(this.folder, "operator"),
        COLDSPARE_API_TOKEN: this.token,
        COLDSPARE_CA_FILE: this.lab.lab.caFile,
        NO_COLOR: "1",
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  /** What is on the guest's first disk, from the file that holds its bytes. */
  private disk(vmid: number): string {
    const folder = join(this.folder, "lab/volumes");
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
      new RegExp(`(^|/)vm-${vmid}-disk-0$`).test(name),
    );
    if (files.length !== 1) throw new Error(`${files.length} disks of guest ${vmid}: ${files.join(", ")}`);
    return digestOfBytes(readFileSync(join(folder, files[0]!)));
  }

  /** Bytes in the chunk store, so that a proof sees that something is there. */
  get chunkFiles(): number {
    return readdirSync(join(this.folder, "lab"), { recursive: true, encoding: "utf8" }).filter(
      (name) => name.includes(".chunks/") && statSync(join(this.folder, "lab", name)).isFile(),
    ).length;
  }

  async points(): Promise<ListedPoint[]> {
    const { code, out, err } = await this.cold(["backups", GUEST, "--json"]);
    if (code !== 0) throw new Error(`coldspare backups: ${code} ${err}`);
    return (JSON.parse(out) as { points: ListedPoint[] }).points;
  }

  /** A backup by the policy; the ledger notes what the guest's disk held. */
  async backUp(): Promise<Run> {
    const digest = this.disk(VMID);
    const run = await this.cold(["backups", "run", POLICY, "--yes"]);
    await this.note(digest);
    return run;
  }

  /** Copies that came since the last look hold this; one of another target what its origin holds. */
  async note(digest = this.disk(VMID)): Promise<void> {
    for (const { id } of await this.points()) this.ledger.note(GUEST, [pointOf(id)], digest);
  }

  /** Restores beside the original and compares. Undefined: the same bytes. */
  async compare({ id }: ListedPoint): Promise<string | undefined> {
    const name = `back-${++this.restores}`;
    const run = await this.cold(["restore", GUEST, "--point", id, "--as", name, "--to", "srv2", "--yes"]);
    if (run.code !== 0) return `coldspare restore ended with ${run.code}: ${run.err.trim().slice(-300)}`;
    const guests = await this.lab.pve("srv1", "GET", "/cluster/resources", { type: "vm" });
    const restored = guests.find((guest: { name?: string }) => guest.name === name);
    if (restored === undefined) return `there is no guest ${name}`;
    const same = this.disk(restored.vmid) === this.ledger.wanted(GUEST, pointOf(id));
    await this.lab.pveTask(restored.node, "DELETE", `/nodes/${restored.node}/qemu/${restored.vmid}`);
    return same ? undefined : "what was restored is not what was backed up";
  }

  async allGood(check: Check, when: string, target?: string): Promise<number> {
    const points = (await this.points()).filter(
      (point) => point.verified !== "failed" && (!target || point.target === target),
    );
    const wrong: string[] = [];
    for (const point of points) {
      const problem = await this.compare(point);
      if (problem !== undefined) wrong.push(`${point.id}: ${problem}`);
    }
    check.that(
      `${when}: each of ${points.length} points listed as good restores byte for byte`,
      points.length > 0 && wrong.length === 0,
      wrong.join("; ") || "no point is left",
    );
    return points.length;
  }

  async end(): Promise<void> {
    await this.lab.end();
  }
}

/** Group and time: the same on every backup server that has it. */
function pointOf(volid: string): string {
  return volid.slice(volid.indexOf(":") + 1);
}
