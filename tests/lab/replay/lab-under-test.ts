import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Lab, type LabTopology, startLab } from "../../../lab";
import { HttpsTarget } from "./https-target";
import { Player } from "./player";
import { ALWAYS, type Happening, type SetUpCall, type StartingState } from "./starting-states";

/** The cluster that the recordings were made on: two nodes, a directory and a ZFS pool each, no third vote. */
function topology(bridgesOfPve1: string[]): LabTopology {
  const node = (name: string, bridges: string[]) => ({
    name,
    cores: 2,
    memoryGiB: 24,
    bridges,
    localGiB: 250,
    storages: [{ id: "tank", type: "zfspool" as const, sizeGiB: 100, content: ["images", "rootdir"] }],
  });
  return {
    cluster: "real",
    witnesses: [],
    nodes: [node("pve1", bridgesOfPve1), node("pve2", ["vmbr0"])],
    shared: [],
    localContent: ["backup", "images", "import", "iso", "snippets", "vztmpl"],
  };
}

/** Virtual seconds per real second: waiting for a task costs milliseconds. */
const SPEED = 50;
/** PVE's pvestatd publishes the guests' state every 10 seconds; what was there before a recording had been published. */
const PUBLISHED_SECONDS = 15;

/** A lab in the starting state of one recording. */
export class LabUnderTest {
  readonly player: Player;
  private constructor(
    private readonly folder: string,
    private readonly lab: Lab,
    private readonly target: HttpsTarget,
  ) {
    this.player = new Player(target);
  }

  /** Starts a lab of its own and brings it into the state. */
  static async start(state: StartingState, schemaFile: string | undefined): Promise<LabUnderTest> {
    const folder = mkdtempSync(join(tmpdir(), "coldspare-replay-"));
    const lab = await startLab({
      folder,
      topology: topology(state.bridgesOfPve1 ?? ["vmbr0"]),
      clock: { speed: SPEED },
      ...(schemaFile === undefined ? {} : { schemaFile }),
    });
    const target = new HttpsTarget(
      { url: lab.endpoints.pve1 ?? "", ca: readFileSync(lab.caFile, "utf8"), token: lab.tokens.root },
      (seconds) => advance(lab, seconds),
    );
    const started = new LabUnderTest(folder, lab, target);
    await started.setUp(state);
    return started;
  }

  async stop(): Promise<void> {
    this.target.close();
    await this.lab.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async setUp(state: StartingState): Promise<void> {
    for (const call of ALWAYS) await this.call(call);
    for (const name of state.after) await this.player.play(name);
    for (const one of state.next) {
      if (one.kind === "call") await this.call(one);
      else await this.happen(one);
    }
    await this.target.advance(PUBLISHED_SECONDS);
  }

  private async call({ method, path, form }: SetUpCall): Promise<void> {
    const { status, reason, answer } = await this.target.send(method, path, {}, form);
    if (status !== 200) throw new Error(`starting state: ${method} ${path}: ${status} ${reason}`);
    const upid = (answer as { data: unknown }).data;
    if (typeof upid !== "string" || !upid.startsWith("UPID:")) return;
    const url = `/nodes/${upid.split(":")[1]}/tasks/${encodeURIComponent(upid)}/status`;
    for (let waited = 0; waited < 300; waited++) {
      const { data } = (await this.target.send("GET", url, {}, undefined)).answer as { data: Record<string, unknown> };
      if (data.status === "stopped") {
        if (data.exitstatus !== "OK") throw new Error(`starting state: ${method} ${path}: ${String(data.exitstatus)}`);
        return;
      }
      await this.target.advance(1);
    }
    throw new Error(`starting state: ${method} ${path}: the task does not end`);
  }

  private async happen(happening: Happening): Promise<void> {
    switch (happening.kind) {
      case "recording":
        await this.player.play(happening.name);
        return;
      case "time-passes":
        return this.target.advance(happening.seconds);
      case "node-dies":
        return control(this.lab, `/nodes/${happening.node}/kill`, {});
      case "expect-one-vote":
        return control(this.lab, `/nodes/${happening.node}/expected`, { votes: 1 });
      case "move-config":
        return control(this.lab, "/config-move", { vmid: happening.vmid, from: happening.from, to: happening.to });
    }
  }
}

async function control(lab: Lab, path: string, body: Record<string, unknown>): Promise<void> {
  const response = await fetch(`${lab.controlUrl}${path}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${lab.controlToken}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`control interface: ${path}: ${await response.text()}`);
}

// In steps, because a task that waits several times waits anew after each of them.
async function advance(lab: Lab, seconds: number): Promise<void> {
  for (let left = seconds; left > 0; left -= 5) await control(lab, "/clock/advance", { seconds: Math.min(left, 5) });
}
