/** A lab of two hypervisors (or more) with a further vote and a backup storage that all see, for tests of the handlers. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Lab, startLab } from "../../lab";
import { PveClient } from "../../providers/pve";
import type { HandlerContext } from "../../providers/serve";

/** Virtual seconds per real second. */
const SPEED = 1000;

export class TwoServers {
  /** What the handlers told the user. */
  readonly told: string[] = [];

  private constructor(
    private readonly folder: string,
    readonly lab: Lab,
    readonly pve: PveClient,
  ) {}

  /** @param cluster Default: `two`. `undefined`: each server is a host of its own. */
  static async start(
    names: readonly string[] = ["srv1", "srv2"],
    { cluster }: { cluster: string | undefined } = { cluster: "two" },
  ): Promise<TwoServers> {
    const folder = mkdtempSync(join(tmpdir(), "coldspare-providers-"));
    const schemaFile = process.env.COLDSPARE_PVE_SCHEMA;
    const node = (name: string) => ({
      name,
      cores: 8,
      memoryGiB: 32,
      bridges: ["vmbr0"],
      storages: [
        { id: "tank", type: "zfspool" as const, sizeGiB: 200, content: ["images", "rootdir"] },
        { id: "slow", type: "zfspool" as const, sizeGiB: 200, content: ["images", "rootdir"] },
      ],
    });
    const lab = await startLab({
      folder,
      topology: {
        ...(cluster === undefined ? {} : { cluster }),
        localContent: ["backup", "images", "vztmpl"],
        witnesses: ["backup-1"],
        nodes: names.map(node),
        shared: [{ id: "backup-nfs", type: "nfs", sizeGiB: 500, content: ["backup"] }],
      },
      clock: { speed: SPEED },
      ...(schemaFile && existsSync(schemaFile) ? { schemaFile } : {}),
    });
    const pve = new PveClient({
      endpoints: lab.endpoints,
      apiToken: lab.tokens.root,
      ca: readFileSync(lab.caFile, "utf8"),
      pollSeconds: 0.01,
      retry: { attempts: 3, baseSeconds: 0.05 },
    });
    return new TwoServers(folder, lab, pve);
  }

  get context(): HandlerContext {
    return { pve: this.pve, ssh: () => ({ hostKeys: {} }), progress: (line) => this.told.push(line) };
  }

  /** A guest of one disk on ZFS. */
  async guest(vmid: number, node: string, more: Record<string, string | number> = {}): Promise<void> {
    const config = { name: `guest-${vmid}`, memory: 512, cores: 1, scsi0: "tank:4", net0: "virtio,bridge=vmbr0" };
    await this.pve.task(node, "POST", `/nodes/${node}/qemu`, { vmid, ...config, ...more }, {});
  }

  config(node: string, vmid: number): Promise<Record<string, unknown>> {
    return this.pve.get(`/nodes/${node}/qemu/${vmid}/config`);
  }

  /** A call to the lab's control interface. */
  async control(path: string, body: unknown = {}): Promise<void> {
    const response = await fetch(`${this.lab.controlUrl}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.lab.controlToken}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`control ${path}: ${response.status} ${await response.text()}`);
  }

  /** Waits for something that the lab does in its own time. */
  async until(done: () => Promise<boolean>, seconds = 10): Promise<void> {
    const end = Date.now() + seconds * 1000;
    while (!(await done())) {
      if (Date.now() > end) throw new Error(`not done after ${seconds} s`);
      await this.pve.pause(0.1);
    }
  }

  async end(): Promise<void> {
    this.pve.close();
    await this.lab.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** What work was refused with. */
export async function refusal(
  work: Promise<unknown>,
): Promise<Error & { properties?: Record<string, unknown>; id?: string }> {
  return work.then(
    () => {
      throw new Error("it was expected to fail, and did not");
    },
    (error: Error) => error,
  );
}
