import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { Agent, fetch } from "undici";
import { type Lab, type LabOptions, startLab } from "../../lab";
import type { LabTopology } from "../../lab/topology";

/** What a call came back with. */
export interface Answer {
  status: number;
  reason: string;
  // biome-ignore lint/suspicious/noExplicitAny: the answers have every shape there is
  body: any;
}

/** Two hypervisors with a ZFS pool each and a third vote, the smallest cluster that survives a loss. */
export const twoNodes: LabTopology = {
  cluster: "site",
  witnesses: ["backup-1"],
  localContent: ["backup", "images", "import", "iso", "rootdir", "snippets", "vztmpl"],
  nodes: ["srv1", "srv2"].map((name) => ({
    name,
    cores: 6,
    memoryGiB: 32,
    bridges: ["vmbr0"],
    storages: [{ id: "tank", type: "zfspool", sizeGiB: 100, content: ["images", "rootdir"] }],
  })),
  shared: [],
  exports: [{ server: "192.0.2.5", path: "/dumps", sizeGiB: 50 }],
};

/** Longer than anything takes, also on a busy machine. */
const PATIENCE_MS = 15_000;

/** A lab in a folder of its own, with the calls that tests need. */
export class TrialLab {
  private constructor(
    readonly lab: Lab,
    readonly folder: string,
    private readonly topology: LabTopology,
    private readonly speed: number,
    private readonly agent: Agent,
    private readonly more: Pick<LabOptions, "hosts">,
  ) {}

  static async start(
    topology: LabTopology = twoNodes,
    speed = 400,
    folder?: string,
    more: Pick<LabOptions, "hosts"> = {},
  ): Promise<TrialLab> {
    const place = folder ?? fs.mkdtempSync(path.join(os.tmpdir(), "lab-"));
    const silent = process.stderr.write;
    // The lab says aloud that nothing is validated; a hundred tests need not repeat it.
    process.stderr.write = () => true;
    const lab = await startLab({ folder: place, topology, clock: { speed }, ...more }).finally(() => {
      process.stderr.write = silent;
    });
    const agent = new Agent({ connect: { ca: fs.readFileSync(lab.caFile, "utf8") } });
    return new TrialLab(lab, place, topology, speed, agent, more);
  }

  /** Ends the lab and starts it again on the same folder. */
  async restart(): Promise<TrialLab> {
    await this.end();
    return TrialLab.start(this.topology, this.speed, this.folder, this.more);
  }

  async end(): Promise<void> {
    await this.agent.destroy();
    await this.lab.stop();
  }

  /** Ends the lab and removes its folder. */
  async remove(): Promise<void> {
    await this.end();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  async call(
    node: string,
    method: string,
    call: string,
    form?: Record<string, string | number>,
    headers: Record<string, string> = { Authorization: `PVEAPIToken=${this.lab.tokens.root}` },
  ): Promise<Answer> {
    const body =
      form && method !== "GET"
        ? new URLSearchParams(Object.fromEntries(Object.entries(form).map(([key, value]) => [key, String(value)])))
        : undefined;
    const query = form && method === "GET" ? `?${new URLSearchParams(form as Record<string, string>)}` : "";
    const response = await fetch(`${this.lab.endpoints[node]}/api2/json${call}${query}`, {
      method,
      headers,
      dispatcher: this.agent,
      ...(body
        ? { body: body.toString(), headers: { ...headers, "Content-Type": "application/x-www-form-urlencoded" } }
        : {}),
    });
    const text = await response.text();
    return { status: response.status, reason: response.statusText, body: text === "" ? "" : JSON.parse(text) };
  }

  /** The data of a call that must succeed. */
  // biome-ignore lint/suspicious/noExplicitAny: the answers have every shape there is
  async ask(node: string, method: string, call: string, form?: Record<string, string | number>): Promise<any> {
    const answer = await this.call(node, method, call, form);
    if (answer.status !== 200)
      throw new Error(`${method} ${call}: ${answer.status} ${answer.reason} ${JSON.stringify(answer.body)}`);
    return answer.body.data;
  }

  /** How a task ended, and its log. */
  async finished(upid: string): Promise<{ exit: string; log: string[] }> {
    const node = upid.split(":")[1]!;
    const task = `/nodes/${node}/tasks/${encodeURIComponent(upid)}`;
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; ) {
      const status = await this.ask(node, "GET", `${task}/status`);
      if (status.status === "stopped") {
        const log = await this.ask(node, "GET", `${task}/log`, { limit: 500 });
        return { exit: status.exitstatus, log: log.map((line: { t: string }) => line.t) };
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    throw new Error(`the task ${upid} did not end`);
  }

  /** Makes the call, waits for its task and answers how it ended. */
  async task(
    node: string,
    method: string,
    call: string,
    form?: Record<string, string | number>,
  ): Promise<{ exit: string; log: string[] }> {
    return this.finished(await this.ask(node, method, call, form));
  }

  /** A virtual machine with one small disk. */
  async createVm(node: string, vmid: number, more: Record<string, string | number> = {}): Promise<void> {
    const form = {
      vmid,
      name: `vm${vmid}`,
      memory: 512,
      cores: 1,
      scsihw: "virtio-scsi-single",
      scsi0: "tank:2",
      net0: "virtio,bridge=vmbr0",
      ...more,
    };
    const { exit } = await this.task(node, "POST", `/nodes/${node}/qemu`, form);
    if (exit !== "OK") throw new Error(`create ${vmid}: ${exit}`);
  }

  /** A call of the control interface. */
  // biome-ignore lint/suspicious/noExplicitAny: the answers have every shape there is
  async control(method: string, call: string, body?: unknown, token = this.lab.controlToken): Promise<any> {
    const response = await fetch(`${this.lab.controlUrl}${call}`, {
      method,
      headers: { Authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = (await response.json()) as { error?: string };
    if (!response.ok) throw new Error(answer.error);
    return answer;
  }

  /** Lets so many virtual seconds pass and the work of that time happen. */
  async pass(seconds: number): Promise<void> {
    await this.control("POST", "/clock/advance", { seconds });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }

  /** Asks again until the condition holds. */
  async until<T>(read: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; ) {
      const value = await read();
      if (holds(value)) return value;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error("what was waited for did not happen");
  }
}
