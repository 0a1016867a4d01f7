import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Lab, type LabTopology, startLab } from "../../../lab";
import { HttpsTarget } from "./https-target";
import { Player, type ReplayResult } from "./player";
import { loadRecording } from "./recording";
import { ALWAYS, type Happening, recording, type SetUpCall, type StartingState } from "./starting-states";

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

/** The lab's clock stands: time passes only where the replay lets it, so that every run sees the same. */
const SPEED = 0.001;
/** PVE's pvestatd publishes what `/cluster/resources` shows in rounds of so many seconds. */
const ROUND_SECONDS = 10;

/** A lab that is brought into the starting states of recordings, one after the other. */
export class LabUnderTest {
  /** Everything that was done to it, in order. */
  private readonly history: string[] = [];
  /** A replay that was broken off leaves a state that nobody described. */
  private isKnown = true;
  private readonly player: Player;

  private constructor(
    private readonly bridges: string,
    private readonly folder: string,
    private readonly lab: Lab,
    private readonly target: HttpsTarget,
  ) {
    this.player = new Player(target);
  }

  /** Starts a lab with the guests that were there all the time. */
  static async start(state: StartingState, schemaFile: string | undefined): Promise<LabUnderTest> {
    const folder = mkdtempSync(join(tmpdir(), "coldspare-replay-"));
    const bridges = state.bridgesOfPve1 ?? ["vmbr0"];
    const lab = await startLab({
      folder,
      topology: topology(bridges),
      clock: { speed: SPEED },
      ...(schemaFile === undefined ? {} : { schemaFile }),
    });
    const target = new HttpsTarget(
      { url: lab.endpoints.pve1 ?? "", ca: readFileSync(lab.caFile, "utf8"), token: lab.tokens.root },
      (seconds) => advance(lab, seconds),
    );
    const started = new LabUnderTest(bridges.join(), folder, lab, target);
    for (const call of ALWAYS) await started.call(call);
    await started.beginMinute();
    return started;
  }

  /** Whether nothing was done to it that does not belong to the state: what is missing can be done on top. */
  leadsTo(state: StartingState): boolean {
    const wanted = deeds(state).map((deed) => JSON.stringify(deed));
    return (
      this.isKnown &&
      this.bridges === (state.bridgesOfPve1 ?? ["vmbr0"]).join() &&
      this.history.every((deed, index) => deed === wanted[index])
    );
  }

  /** Replays a recording from its starting state. */
  async replay(file: string, state: StartingState): Promise<ReplayResult> {
    this.isKnown = false;
    for (const deed of deeds(state).slice(this.history.length)) await this.perform(deed);
    if (!state.justBefore) await this.beginRound();
    const { meanwhile } = state;
    const result = await this.player.play(file, async (seq) => {
      for (const one of seq === meanwhile?.beforeSeq ? meanwhile.next : []) await this.perform(one);
    });
    if (loadRecording(file).some((call) => call.method !== "GET")) this.history.push(JSON.stringify(recording(file)));
    this.isKnown = true;
    return result;
  }

  /** The lab's own list of what it answers of the published API, as text. */
  async coverage(): Promise<string> {
    return ((await control(this.lab, "GET", "/coverage")) as { text: string }).text;
  }

  async stop(): Promise<void> {
    this.target.close();
    await this.lab.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async perform(deed: SetUpCall | Happening): Promise<void> {
    if (deed.kind === "call") await this.call(deed);
    else await this.happen(deed);
    this.history.push(JSON.stringify(deed));
  }

  /** A recording begins with everything published, and with a whole round before the next time. */
  private async beginRound(): Promise<void> {
    // In one leap: the round that falls due within it is held at its end, and the next one a whole round later.
    await control(this.lab, "POST", "/clock/advance", { seconds: ROUND_SECONDS });
  }

  /** Replication and backup jobs run on the minute: every lab starts at the same distance to it. */
  private async beginMinute(): Promise<void> {
    const { time } = (await control(this.lab, "GET", "/")) as { time: number };
    await this.target.advance(60 - (time % 60) + 1);
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
      await this.target.advance(0.5);
    }
    throw new Error(`starting state: ${method} ${path}: the task does not end`);
  }

  private async happen(happening: Happening): Promise<void> {
    switch (happening.kind) {
      case "recording":
        await this.player.play(happening.name);
        return;
      case "status-round":
        return this.beginRound();
      case "time-passes":
        return this.target.advance(happening.seconds);
      case "node-dies":
        return void (await control(this.lab, "POST", `/nodes/${happening.node}/kill`, {}));
      case "expect-one-vote":
        return void (await control(this.lab, "POST", `/nodes/${happening.node}/expected`, { votes: 1 }));
      case "move-config":
        return void (await control(this.lab, "POST", "/config-move", {
          vmid: happening.vmid,
          from: happening.from,
          to: happening.to,
        }));
    }
  }
}

/** All that leads to a state, in order. */
function deeds(state: StartingState): (SetUpCall | Happening)[] {
  const justBefore = state.justBefore?.map(recording);
  return [
    ...state.after.map(recording),
    ...state.next,
    ...(justBefore ? [{ kind: "status-round" } as const, ...justBefore] : []),
  ];
}

async function control(lab: Lab, method: string, path: string, body?: Record<string, unknown>): Promise<unknown> {
  const response = await fetch(`${lab.controlUrl}${path}`, {
    method,
    headers: { Authorization: `Bearer ${lab.controlToken}`, "Content-Type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`control interface: ${path}: ${await response.text()}`);
  return response.json();
}

// In steps, because a task that waits several times waits anew after each of them.
async function advance(lab: Lab, seconds: number): Promise<void> {
  for (let left = seconds; left > 0; left -= 5)
    await control(lab, "POST", "/clock/advance", { seconds: Math.min(left, 5) });
}
