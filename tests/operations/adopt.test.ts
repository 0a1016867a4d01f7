/** Taking over: what a preview means, what is written into the state, and in which order Pulumi is called. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { type AdoptOutcome, adopt } from "../../operations/adopt";
import { at, type PreviewStep, planAdoption } from "../../operations/adopt-preview";
import { completeState } from "../../operations/adopt-state";
import type { Engine, EngineCall } from "../../operations/up-engine";
import { providerFlags } from "../../planning/adoption/provider-flags";

const VM = "proxmoxve:index/vmLegacy:VmLegacy";
const CT = "proxmoxve:index/containerLegacy:ContainerLegacy";
const urn = (name: string, type = VM) => `urn:pulumi:prod::site::${type}::${name}`;
const step = (op: string, name: string, more: Partial<PreviewStep> = {}): PreviewStep => ({
  op,
  urn: urn(name),
  ...more,
});
const update = (name: string, paths: string[], inputs: Record<string, unknown>, olds: Record<string, unknown> = {}) =>
  step("update", name, {
    newState: { type: VM, custom: true, inputs },
    oldState: { inputs: olds },
    detailedDiff: Object.fromEntries(paths.map((path) => [path, { kind: "update" }])),
  });

describe("what stands in the state alone", () => {
  it.each<[string, string, Record<string, unknown>, string, boolean]>([
    ["a switch of the provider's", VM, {}, "migrate", true],
    ["an agent that is off", VM, { agent: { enabled: false, timeout: "15m" } }, "agent", true],
    ["an agent that is on", VM, { agent: { enabled: true } }, "agent", false],
    ["the patience with an agent", VM, { agent: { enabled: true } }, "agent.timeout", true],
    ["whether an agent is on", VM, { agent: { enabled: true } }, "agent.enabled", false],
    ["no watchdog", VM, {}, "watchdog", true],
    ["a watchdog", VM, { watchdog: { enabled: true } }, "watchdog", false],
    ["one core of the usual type", VM, { cpu: { cores: 1, sockets: 1, type: "qemu64", flags: [] } }, "cpu", true],
    ["one core of another type", VM, { cpu: { cores: 1, type: "host" } }, "cpu", false],
    ["two cores", VM, { cpu: { cores: 2 } }, "cpu", false],
    ["flags of a core", VM, { cpu: { cores: 1, flags: ["+aes"] } }, "cpu", false],
    ["the memory that Proxmox VE gives by itself", VM, { memory: { dedicated: 512 } }, "memory", true],
    ["any other memory", VM, { memory: { dedicated: 513 } }, "memory", false],
    ["memory that may shrink", VM, { memory: { dedicated: 512, floating: 256 } }, "memory", false],
    ["what a disk was made from", VM, { disks: [{}, {}] }, "disks[1].importFrom", true],
    ["how large a disk is", VM, { disks: [{}, {}] }, "disks[1].size", false],
    ["a container's id", CT, {}, "vmId", true],
    ["a machine's id", VM, {}, "vmId", false],
    ["one core of a container", CT, { cpu: { cores: 1, architecture: "amd64" } }, "cpu", true],
    ["another kind of processor", CT, { cpu: { cores: 1, architecture: "arm64" } }, "cpu", false],
    ["anything of another kind of resource", "proxmoxve:backup/job:Job", {}, "schedule", false],
  ])("%s", (_, type, inputs, path, isFlag) => {
    expect(providerFlags(type, inputs).includes(path)).toBe(isFlag);
  });
});

describe("a preview", () => {
  it("says what is taken over, what is made and what that does; components and providers are no things", () => {
    const plan = planAdoption([
      step("import", "web-vm", { newState: { type: VM, custom: true, importID: "srv1/100" } }),
      step("create", "web", { newState: { type: "coldspare:index:VirtualMachine", custom: false } }),
      step("create", "srv1-guard", { newState: { type: "pulumi-nodejs:dynamic/coldspare:ServerGuard", custom: true } }),
    ]);
    expect(plan.imports).toEqual([{ urn: urn("web-vm"), name: "web-vm", id: "srv1/100" }]);
    expect(plan.creates).toMatchObject([
      { name: "srv1-guard", what: expect.stringContaining("a change on the server") },
    ]);
    expect(plan.refusals).toEqual([]);
  });

  it("is refused where anything that exists would change, with both values", () => {
    const { refusals, completions } = planAdoption([
      update(
        "web-vm",
        ["migrate", "memory.dedicated", "disks[1].size"],
        { memory: { dedicated: 8192 }, disks: [{}, { size: 20 }] },
        {
          memory: { dedicated: 4096 },
          disks: [{}, { size: 10 }],
        },
      ),
    ]);
    expect(completions).toEqual([]);
    expect(refusals).toMatchObject([{ code: "OPERATION-ADOPT-CHANGES", subject: "web-vm" }]);
    expect(refusals[0]?.message).toContain("memory.dedicated: 4096 there, 8192 in the site file");
    expect(refusals[0]?.message).toContain("disks[1].size: 10 there, 20 in the site file");
    expect(refusals[0]?.message).not.toContain("migrate");
  });

  it("never shows a secret", () => {
    const secret = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", plaintext: '"geheim"' };
    const { refusals } = planAdoption([update("web-vm", ["password"], { password: secret })]);
    expect(refusals[0]?.message).toContain("a secret");
    expect(JSON.stringify(refusals)).not.toContain("geheim");
  });

  it("is refused where an update does not say what it changes", () => {
    expect(planAdoption([update("web-vm", [], {})]).refusals).toHaveLength(1);
  });

  it.each(["delete", "replace", "create-replacement", "delete-replaced", "discard"])(
    "is refused where it would %s",
    (op) => {
      expect(planAdoption([step(op, "old-vm")]).refusals).toMatchObject([
        { code: "OPERATION-ADOPT-DESTROYS", subject: "old-vm", message: expect.stringContaining(op) },
      ]);
    },
  );

  it("is refused for any property that is no flag, whatever else differs with it", () => {
    const flags = ["migrate", "rebootAfterUpdate", "watchdog"];
    const others = ["name", "tags", "memory.dedicated", "cpu.cores", "protection", "nodeName", "disks[0].size"];
    fc.assert(
      fc.property(fc.subarray(flags), fc.subarray(others, { minLength: 1 }), (some, real) => {
        const { refusals, completions } = planAdoption([update("web-vm", [...some, ...real], {})]);
        expect(completions).toEqual([]);
        for (const path of real) expect(refusals[0]?.message).toContain(path);
      }),
    );
  });
});

describe("the state", () => {
  const entry = {
    urn: urn("web-vm"),
    type: VM,
    inputs: { name: "web", disks: [{ size: 10 }] },
    outputs: { name: "web", disks: [{ size: 10 }], agent: null, __pulumi_raw_state_delta: { obj: {} } },
  };
  const other = { urn: urn("db-vm"), outputs: { __pulumi_raw_state_delta: { obj: {} } } };
  const state = { version: 3, deployment: { manifest: { magic: "x" }, resources: [entry, other] } };
  const completion = {
    urn: entry.urn,
    type: VM,
    paths: ["migrate", "agent", "disks[0].importFrom"],
    inputs: {
      migrate: true,
      agent: { __defaults: ["timeout"], enabled: false, timeout: "15m" },
      disks: [{ importFrom: "local:import/a.qcow2" }],
    },
  };

  it("gets the values that the program gives, and loses the bridge's note that they would contradict", () => {
    const done = completeState(state, [completion]) as unknown as typeof state;
    const [first, second] = done.deployment.resources;
    expect((first as typeof entry).inputs).toEqual({
      name: "web",
      migrate: true,
      agent: { __defaults: ["timeout"], enabled: false, timeout: "15m" },
      disks: [{ size: 10, importFrom: "local:import/a.qcow2" }],
      scsiHardware: "virtio-scsi-pci",
    });
    expect(first?.outputs).toEqual({
      name: "web",
      migrate: true,
      agent: { enabled: false, timeout: "15m" },
      disks: [{ size: 10, importFrom: "local:import/a.qcow2" }],
      scsiHardware: "virtio-scsi-pci",
    });
    expect(second).toBe(other);
    expect(done).toMatchObject({ version: 3, deployment: { manifest: { magic: "x" } } });
    expect(entry.outputs).toHaveProperty("__pulumi_raw_state_delta");
  });

  it("keeps the controller that the machine has", () => {
    const lsi = { ...entry, outputs: { ...entry.outputs, scsiHardware: "lsi" } };
    const done = completeState({ deployment: { resources: [lsi] } }, [completion]);
    expect(done.deployment?.resources?.[0]?.outputs).toMatchObject({ scsiHardware: "lsi" });
    expect(done.deployment?.resources?.[0]?.inputs).not.toHaveProperty("scsiHardware");
  });

  it("is the same when it is completed twice", () => {
    const once = completeState(state, [completion]);
    expect(completeState(once, [completion])).toEqual(once);
  });

  it("finds values at paths", () => {
    expect(at({ disks: [{ size: 1 }, { size: 2 }] }, "disks[1].size")).toBe(2);
    expect(at({ disks: [] }, "disks[1].size")).toBeUndefined();
  });
});

describe("a run", () => {
  const imports = [step("import", "web-vm", { newState: { type: VM, custom: true, importID: "srv1/100" } })];
  const flags = [update("web-vm", ["migrate"], { migrate: true })];
  const state = JSON.stringify({
    version: 3,
    deployment: { resources: [{ urn: urn("web-vm"), inputs: {}, outputs: {} }] },
  });
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "coldspare-adopt-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** An engine that answers each kind of call in turn, and what it was asked. */
  function scripted(previews: (PreviewStep[] | { fails: string })[], fails: Record<string, string> = {}) {
    const calls: { args: string; mode: string; input?: string }[] = [];
    const engine: Engine = async (args, { env, input }: EngineCall) => {
      const line = args.join(" ");
      calls.push({ args: line, mode: env.COLDSPARE_ADOPT ?? "", ...(input === undefined ? {} : { input }) });
      const failure = Object.entries(fails).find(([part]) => line.startsWith(part))?.[1];
      if (failure !== undefined) return { code: 255, stdout: "", stderr: failure };
      if (line.startsWith("preview")) {
        const next = previews.shift();
        if (next === undefined) throw new Error("one preview too many");
        return "fails" in next
          ? {
              code: 255,
              stdout: JSON.stringify({ diagnostics: [{ severity: "error", message: next.fails }] }),
              stderr: "",
            }
          : { code: 0, stdout: JSON.stringify({ steps: next }), stderr: "" };
      }
      return { code: 0, stdout: line.startsWith("stack export") ? state : "", stderr: "" };
    };
    return { engine, calls };
  }
  const run = (engine: Engine, agrees = true): Promise<AdoptOutcome> =>
    adopt({
      project: folder,
      stack: "prod",
      env: { COLDSPARE_ADOPT: "take", PULUMI_ENABLE_STREAMING_JSON_PREVIEW: "true" },
      engine,
      say: () => undefined,
      agree: async () => agrees,
      now: () => new Date("2026-01-02T03:04:05Z"),
    });

  it("looks, takes over, completes the state, and looks again", async () => {
    const { engine, calls } = scripted([imports, flags, []]);
    const { outcome, backup } = await run(engine);
    expect(outcome).toBe("done");
    expect(
      calls.map(({ args, mode }) => `${mode || "-"} ${args.replace(" --non-interactive --stack prod", "")}`),
    ).toEqual([
      "- stack export",
      "look preview --json",
      "take up --yes --skip-preview",
      "- preview --json",
      "- stack export",
      "- stack import",
      "- preview --json",
    ]);
    expect(JSON.parse(calls[5]?.input ?? "")).toMatchObject({
      deployment: { resources: [{ inputs: { migrate: true }, outputs: { migrate: true } }] },
    });
    expect(backup).toBe(join(folder, "state-before-adopt-prod-2026-01-02T03-04-05-000Z.json"));
    expect(readFileSync(backup!, "utf8")).toBe(state);
    expect(statSync(backup!).mode & 0o777).toBe(0o600);
  });

  it("goes on at the state where it was ended before that was completed", async () => {
    const { engine, calls } = scripted([flags, flags, []]);
    expect((await run(engine)).outcome).toBe("done");
    expect(calls.some(({ args }) => args.startsWith("up"))).toBe(false);
  });

  it("has nothing to do where a preview shows nothing", async () => {
    const { engine, calls } = scripted([[]]);
    expect((await run(engine)).outcome).toBe("nothing");
    expect(calls.map(({ args }) => args.split(" ")[0])).toEqual(["stack", "preview"]);
  });

  it("changes nothing when it is declined, refused, or the preview fails", async () => {
    for (const [previews, agrees, outcome] of [
      [[imports], false, "declined"],
      [[[...imports, update("db-vm", ["name"], { name: "db" })]], true, "refused"],
      [[{ fails: "no stack selected" }], true, "refused"],
    ] as const) {
      const { engine, calls } = scripted([...previews] as never);
      const result = await run(engine, agrees);
      expect(result.outcome).toBe(outcome);
      expect(calls.map(({ args }) => args.split(" ")[0])).toEqual(["stack", "preview"]);
    }
    expect(readdirSync(folder)).toEqual([]);
  });

  it("says why the preview failed", async () => {
    const { refusals } = await run(scripted([{ fails: "no stack selected" }]).engine);
    expect(refusals).toMatchObject([
      { code: "OPERATION-ADOPT-UNREADABLE", message: expect.stringContaining("no stack selected") },
    ]);
  });

  it.each([
    ["up", "error: the stack is currently locked by 1 lock(s)", "locked"],
    ["stack import", "error: checksum", "checksum"],
  ])("has failed where pulumi %s fails, and says so", async (command, stderr, word) => {
    const { outcome, refusals } = await run(scripted([imports, flags], { [command]: stderr }).engine);
    expect(outcome).toBe("failed");
    expect(refusals[0]?.message).toContain(word);
    expect(`${refusals[0]?.message} ${refusals[0]?.fix}`).toContain("coldspare adopt");
  });

  it("is refused where there is no state to read", async () => {
    const { outcome, refusals } = await run(
      scripted([], { "stack export": "error: no stack named 'prod' found" }).engine,
    );
    expect(outcome).toBe("refused");
    expect(refusals[0]?.message).toContain("no stack named 'prod' found");
  });

  it("tells the program what is in the state already", async () => {
    const seen: (string | undefined)[] = [];
    const { engine } = scripted([[]]);
    await run((args, call) => {
      seen.push(call.env.COLDSPARE_ADOPT_KNOWN);
      return engine(args, call);
    });
    expect(seen).toEqual([undefined, "web-vm"]);
  });

  it("has failed where something is still to be changed in the end", async () => {
    const { outcome, refusals } = await run(scripted([imports, flags, [update("web-vm", ["cpu.type"], {})]]).engine);
    expect(outcome).toBe("failed");
    expect(refusals).toMatchObject([{ code: "OPERATION-ADOPT-INCOMPLETE", subject: "web-vm" }]);
  });
});
