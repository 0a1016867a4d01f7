import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { Agent, fetch } from "undici";
import { type Lab, type LabTopology, startLab } from "../../lab";

/** What a call of a backup server came back with; its errors are plain text. */
export interface PbsReply {
  status: number;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: the answers have every shape there is
  data: any;
}

export const MEDIUM = "11111111-2222-4333-8444-555555555555";

/** Two hypervisors, two backup servers at different places, and a disk that can be carried between them. */
export const withBackup: LabTopology = {
  cluster: "site",
  witnesses: ["box"],
  localContent: ["backup", "images", "import", "iso", "rootdir", "snippets", "vztmpl"],
  nodes: ["srv1", "srv2"].map((name) => ({
    name,
    cores: 6,
    memoryGiB: 32,
    bridges: ["vmbr0"],
    storages: [{ id: "tank", type: "zfspool", sizeGiB: 100, content: ["images", "rootdir"] }],
  })),
  shared: [],
  backupServers: [
    { name: "pbs1", address: "192.0.2.31", datastores: [{ name: "main", sizeGiB: 200 }] },
    { name: "pbs2", address: "192.0.2.32", datastores: [{ name: "offsite", sizeGiB: 200 }] },
  ],
  media: [{ uuid: MEDIUM, sizeGiB: 50, server: "pbs1" }],
};

const PATIENCE_MS = 20_000;

/** A lab with backup servers, and the calls that tests make of them. */
export class BackupLab {
  private constructor(
    readonly lab: Lab,
    readonly folder: string,
    private readonly agent: Agent,
    private readonly speed: number,
  ) {}

  static async start(speed = 400, folder?: string): Promise<BackupLab> {
    const place = folder ?? fs.mkdtempSync(path.join(os.tmpdir(), "lab-pbs-"));
    const silent = process.stderr.write;
    process.stderr.write = () => true;
    const schema = process.env.COLDSPARE_PVE_SCHEMA;
    const pbsSchema = process.env.COLDSPARE_PBS_SCHEMA;
    const lab = await startLab({
      folder: place,
      topology: withBackup,
      clock: { speed, taskSpeed: 20 },
      ...(schema ? { schemaFile: schema } : {}),
      ...(pbsSchema ? { pbsSchemaFile: pbsSchema } : {}),
    }).finally(() => {
      process.stderr.write = silent;
    });
    return new BackupLab(lab, place, new Agent({ connect: { ca: fs.readFileSync(lab.caFile, "utf8") } }), speed);
  }

  async end(): Promise<void> {
    await this.agent.destroy();
    await this.lab.stop();
  }

  async remove(): Promise<void> {
    await this.end();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  async restart(): Promise<BackupLab> {
    await this.end();
    return BackupLab.start(this.speed, this.folder);
  }

  // ---- backup servers

  async call(
    server: string,
    method: string,
    call: string,
    form: Record<string, unknown> = {},
    token = this.lab.backupServers[server]!.token,
  ): Promise<PbsReply> {
    const isQuery = method === "GET" || method === "DELETE";
    const pairs = Object.entries(form).flatMap<[string, string]>(([key, value]) =>
      Array.isArray(value) ? value.map((one): [string, string] => [key, String(one)]) : [[key, String(value)]],
    );
    const query = isQuery && pairs.length > 0 ? `?${new URLSearchParams(pairs)}` : "";
    const response = await fetch(`${this.lab.backupServers[server]!.url}/api2/json${call}${query}`, {
      method,
      dispatcher: this.agent,
      headers: {
        Authorization: `PBSAPIToken=${token}`,
        ...(isQuery ? {} : { "Content-Type": "application/json" }),
      },
      ...(isQuery ? {} : { body: JSON.stringify(form) }),
    });
    const text = await response.text();
    const isJson = response.status === 200 && response.headers.get("content-type")?.startsWith("application/json");
    return { status: response.status, text, data: isJson ? JSON.parse(text).data : undefined };
  }

  /** The data of a call that must succeed. */
  async ask(
    server: string,
    method: string,
    call: string,
    form?: Record<string, unknown>,
    token?: string,
    // biome-ignore lint/suspicious/noExplicitAny: the answers have every shape there is
  ): Promise<any> {
    const reply = await this.call(server, method, call, form, token);
    if (reply.status !== 200) throw new Error(`${method} ${call}: ${reply.status} ${reply.text}`);
    return reply.data;
  }

  /** How a task of a backup server ended, and its log without times. */
  async ended(server: string, upid: string): Promise<{ exit: string; log: string[] }> {
    const task = `/nodes/localhost/tasks/${encodeURIComponent(upid)}`;
    const status = await this.until(
      () => this.ask(server, "GET", `${task}/status`),
      ({ status: state }) => state === "stopped",
    );
    const log = await this.ask(server, "GET", `${task}/log`, { limit: 0 });
    return { exit: status.exitstatus, log: log.map(({ t }: { t: string }) => t.replace(/^\S+: /, "")) };
  }

  /** Makes the call and waits for its task. */
  async task(
    server: string,
    method: string,
    call: string,
    form?: Record<string, unknown>,
  ): Promise<{ exit: string; log: string[] }> {
    return this.ended(server, await this.ask(server, method, call, form));
  }

  /** A user of its own with one token, and what both may do. */
  async token(server: string, user: string, role: string, place = "/datastore"): Promise<string> {
    await this.ask(server, "POST", "/access/users", { userid: user });
    await this.ask(server, "PUT", "/access/acl", { path: place, role, "auth-id": user });
    return this.secondToken(server, user, "one", role, place);
  }

  async secondToken(server: string, user: string, name: string, role: string, place = "/datastore"): Promise<string> {
    const { tokenid, value } = await this.ask(server, "POST", `/access/users/${user}/token/${name}`);
    await this.ask(server, "PUT", "/access/acl", { path: place, role, "auth-id": tokenid });
    return `${tokenid}:${value}`;
  }

  // biome-ignore lint/suspicious/noExplicitAny: the answers have every shape there is
  snapshots(server: string, store: string, more: Record<string, unknown> = {}, token?: string): Promise<any[]> {
    return this.ask(server, "GET", `/admin/datastore/${store}/snapshots`, more, token);
  }

  // ---- hypervisors

  // biome-ignore lint/suspicious/noExplicitAny: the answers have every shape there is
  async pveCall(node: string, method: string, call: string, form: Record<string, unknown> = {}): Promise<any> {
    const text = new URLSearchParams(
      Object.entries(form).map<[string, string]>(([key, value]) => [key, String(value)]),
    ).toString();
    const isQuery = method === "GET" || method === "DELETE";
    const response = await fetch(`${this.lab.endpoints[node]}/api2/json${call}${isQuery && text ? `?${text}` : ""}`, {
      method,
      dispatcher: this.agent,
      headers: {
        Authorization: `PVEAPIToken=${this.lab.tokens.root}`,
        ...(isQuery ? {} : { "Content-Type": "application/x-www-form-urlencoded" }),
      },
      ...(isQuery ? {} : { body: text }),
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    const isJson = response.headers.get("content-type")?.startsWith("application/json") && bytes.length > 0;
    return {
      status: response.status,
      reason: response.statusText,
      bytes,
      body: isJson ? JSON.parse(bytes.toString()) : undefined,
    };
  }

  // biome-ignore lint/suspicious/noExplicitAny: the answers have every shape there is
  async pve(node: string, method: string, call: string, form?: Record<string, unknown>): Promise<any> {
    const reply = await this.pveCall(node, method, call, form);
    if (reply.status !== 200)
      throw new Error(`${method} ${call}: ${reply.status} ${reply.reason} ${JSON.stringify(reply.body)}`);
    return reply.body.data;
  }

  async pveTask(
    node: string,
    method: string,
    call: string,
    form?: Record<string, unknown>,
  ): Promise<{ exit: string; log: string[] }> {
    const upid: string = await this.pve(node, method, call, form);
    const task = `/nodes/${node}/tasks/${encodeURIComponent(upid)}`;
    const status = await this.until(
      () => this.pve(node, "GET", `${task}/status`),
      ({ status: state }) => state === "stopped",
    );
    const log = await this.pve(node, "GET", `${task}/log`, { limit: 500 });
    return { exit: status.exitstatus, log: log.map(({ t }: { t: string }) => t) };
  }

  /** A running machine with a disk of 2 GiB. */
  async machine(node: string, vmid: number): Promise<void> {
    const form = { vmid, name: `vm${vmid}`, memory: 512, scsi0: "tank:2", net0: "virtio,bridge=vmbr0" };
    await this.pveTask(node, "POST", `/nodes/${node}/qemu`, form);
    await this.pveTask(node, "POST", `/nodes/${node}/qemu/${vmid}/status/start`);
  }

  /** Attaches the datastore of a backup server as a storage, with root's token unless another is named. */
  async attach(storage: string, server: string, datastore: string, more: Record<string, unknown> = {}): Promise<void> {
    const { address, fingerprint, token } = this.lab.backupServers[server]!;
    const [username, password] = [token.slice(0, token.indexOf(":")), token.slice(token.indexOf(":") + 1)];
    const form = { storage, type: "pbs", server: address, datastore, username, password, fingerprint, ...more };
    await this.pve("srv1", "POST", "/storage", form);
  }

  backup(node: string, vmid: number, storage: string, more: Record<string, unknown> = {}) {
    return this.pveTask(node, "POST", `/nodes/${node}/vzdump`, { vmid, storage, mode: "snapshot", ...more });
  }

  // ---- the lab itself

  // biome-ignore lint/suspicious/noExplicitAny: the answers have every shape there is
  async control(method: string, call: string, body?: unknown): Promise<any> {
    const response = await fetch(`${this.lab.controlUrl}${call}`, {
      method,
      headers: { Authorization: `Bearer ${this.lab.controlToken}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = (await response.json()) as { error?: string };
    if (!response.ok) throw new Error(answer.error);
    return answer;
  }

  /** What lies on the first disk of a guest. */
  async disk(vmid: number): Promise<string> {
    return (await this.control("GET", `/guests/${vmid}/data`)).text;
  }

  async pass(seconds: number): Promise<void> {
    await this.control("POST", "/clock/advance", { seconds });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }

  async until<T>(read: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; ) {
      const value = await read();
      if (holds(value)) return value;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error("what was waited for did not happen");
  }
}
