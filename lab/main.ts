import * as fs from "node:fs";
import * as path from "node:path";
import { Command } from "commander";
import {
  callControl,
  findRunning,
  type RunningLab,
  removeRunning,
  startDetached,
  stopRunning,
  writeRunning,
} from "./detach";
import { startLab } from "./index";
import { writePrivate } from "./tls";
import type { LabTopology } from "./topology";

interface StartOptions {
  topology?: string;
  folder: string;
  schema?: string;
  pbsSchema?: string;
  speed?: string;
  taskSpeed?: string;
  detach?: boolean;
  hosts?: boolean;
  json?: boolean;
}

interface CommonOptions {
  folder: string;
  json?: boolean;
}

function say(options: { json?: boolean }, value: unknown, plain: string): void {
  process.stdout.write(options.json ? `${JSON.stringify(value)}\n` : `${plain}\n`);
}

/** Ports that the folder used before: the endpoints stay the same over a restart while the ports are free. */
function rememberedPorts(folder: string): Record<string, number> {
  const file = path.join(folder, "ports.json");
  return fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, "utf8")) as Record<string, number>) : {};
}

function describe(lab: RunningLab): string {
  const lines = Object.entries(lab.endpoints).map(([node, url]) => `  ${node.padEnd(12)} ${url}`);
  return [
    "The lab runs:",
    ...lines,
    ...Object.entries(lab.backupServers ?? {}).map(([name, { url }]) => `  ${name.padEnd(12)} ${url}  (backup server)`),
    `  CA           ${lab.caFile}`,
    `  token        in ${lab.tokenFile}`,
    `  control      ${lab.controlUrl}`,
  ].join("\n");
}

async function start(options: StartOptions): Promise<void> {
  const folder = path.resolve(options.folder);
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const running = await findRunning(folder);
  if (running) return say(options, running, describe(running));
  const speed = options.speed ?? (options.hosts ? "1" : "20");
  const topologyFile = options.topology ?? path.join(folder, "topology.json");
  if (!fs.existsSync(topologyFile))
    throw new Error(`there is no topology file ${topologyFile}; name one with --topology`);
  if (options.detach) {
    const args = ["start", "--topology", path.resolve(topologyFile), "--folder", folder, "--speed", speed];
    if (options.schema) args.push("--schema", path.resolve(options.schema));
    if (options.pbsSchema) args.push("--pbs-schema", path.resolve(options.pbsSchema));
    if (options.hosts) args.push("--hosts");
    if (options.taskSpeed) args.push("--task-speed", options.taskSpeed);
    const lab = await startDetached(folder, args);
    return say(options, lab, describe(lab));
  }
  await serve({ ...options, speed }, folder, topologyFile);
}

async function serve(options: StartOptions & { speed: string }, folder: string, topologyFile: string): Promise<void> {
  const topology = JSON.parse(fs.readFileSync(topologyFile, "utf8")) as LabTopology;
  const speed = Number(options.speed);
  if (!(speed > 0)) throw new Error(`--speed ${options.speed}: must be a number above 0`);
  const taskSpeed = options.taskSpeed === undefined ? undefined : Number(options.taskSpeed);
  if (taskSpeed !== undefined && !(taskSpeed > 0))
    throw new Error(`--task-speed ${options.taskSpeed}: must be a number above 0`);
  const base = {
    folder,
    topology,
    clock: { speed, ...(taskSpeed === undefined ? {} : { taskSpeed }) },
    ...(options.hosts ? { hosts: true } : {}),
    ...(options.schema ? { schemaFile: options.schema } : {}),
    ...(options.pbsSchema ? { pbsSchemaFile: options.pbsSchema } : {}),
  };
  const { control, ...ports } = rememberedPorts(folder);
  const lab = await startLab({ ...base, ports, ...(control ? { controlPort: control } : {}) }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== "EADDRINUSE") throw error;
      return startLab(base);
    },
  );
  const portOf = (url: string) => Number(new URL(url).port);
  const used = Object.fromEntries(Object.entries(lab.endpoints).map(([node, url]) => [node, portOf(url)]));
  const backupPorts = Object.fromEntries(
    Object.entries(lab.backupServers).map(([name, { url }]) => [`pbs-${name}`, portOf(url)]),
  );
  fs.writeFileSync(
    path.join(folder, "ports.json"),
    JSON.stringify({ ...used, ...backupPorts, control: portOf(lab.controlUrl) }),
  );
  const tokenFile = path.join(folder, "root-token");
  writePrivate(tokenFile, lab.tokens.root);
  const running: RunningLab = {
    pid: process.pid,
    endpoints: lab.endpoints,
    caFile: lab.caFile,
    tokenFile,
    controlUrl: lab.controlUrl,
    backupServers: Object.fromEntries(
      // Access data stay in their own files.
      Object.entries(lab.backupServers).map(([name, { url, fingerprint, address }]) => [
        name,
        { url, fingerprint, address },
      ]),
    ),
  };
  writeRunning(folder, running);
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.once(signal, () => {
      removeRunning(folder);
      void lab.stop().then(() => process.exit(0));
    });
  say(options, running, describe(running));
}

async function control(options: CommonOptions, method: string, call: string, body?: unknown): Promise<unknown> {
  const folder = path.resolve(options.folder);
  const lab = await findRunning(folder);
  if (!lab)
    throw new Error(`no lab runs in ${folder}; start one with: start --topology FILE --folder ${options.folder}`);
  return callControl(folder, lab, method, call, body);
}

interface Overview {
  time: number;
  witnesses: Record<string, boolean>;
  nodes: { name: string; up: boolean; quorate: boolean }[];
  guests: { vmid: number; type: string; name?: string; node: string; running: boolean }[];
}

function overviewText(view: Overview): string {
  const lines = [`Virtual time ${new Date(view.time * 1000).toISOString()}`];
  for (const node of view.nodes)
    lines.push(
      `node    ${node.name.padEnd(14)} ${node.up ? "up" : "DOWN"}${node.up && !node.quorate ? ", no quorum" : ""}`,
    );
  for (const [name, up] of Object.entries(view.witnesses))
    lines.push(`witness ${name.padEnd(14)} ${up ? "up" : "DOWN"}`);
  for (const guest of view.guests)
    lines.push(
      `guest   ${String(guest.vmid).padEnd(6)} ${(guest.name ?? "").padEnd(18)} ${guest.node.padEnd(12)} ${guest.running ? "running" : "stopped"}`,
    );
  return lines.join("\n");
}

const program = new Command("lab").description("A simulator of the Proxmox VE API for trials and tests");
const common = (command: Command) =>
  command.option("--folder <dir>", "the lab's folder", ".coldspare/lab").option("--json", "answer as JSON");

common(program.command("start").description("start the lab, or show it when it runs already"))
  .option("--topology <file>", "what the lab is made of (JSON); default: topology.json in the folder")
  .option(
    "--schema <file>",
    "published API schema; without it requests are not validated. Default: the file that COLDSPARE_PVE_SCHEMA names",
    process.env.COLDSPARE_PVE_SCHEMA,
  )
  .option(
    "--pbs-schema <file>",
    "the same for Proxmox Backup Server. Default: the file that COLDSPARE_PBS_SCHEMA names",
    process.env.COLDSPARE_PBS_SCHEMA,
  )
  .option("--task-speed <n>", "how many times quicker PVE's own work is (copies, backups, starts); default: 1")
  .option("--speed <n>", "virtual seconds per real second; default: 20, with --hosts 1")
  .option("--hosts", "nodes are real hosts (namespaces, sshd), guests real processes; needs Linux and root")
  .option("--detach", "run on in the background")
  .action(start);

common(program.command("stop").description("end the lab; its state stays in the folder")).action(
  async (options: CommonOptions) => {
    const stopped = await stopRunning(path.resolve(options.folder));
    say(options, { stopped }, stopped ? "The lab has ended." : "No lab runs in this folder.");
  },
);

common(program.command("status").description("nodes, witnesses and guests")).action(async (options: CommonOptions) => {
  const folder = path.resolve(options.folder);
  const lab = await findRunning(folder);
  if (!lab) {
    process.exitCode = 3;
    return say(options, { running: false }, "No lab runs in this folder.");
  }
  const view = (await callControl(folder, lab, "GET", "/")) as Overview;
  say(options, { running: true, ...lab, ...view }, overviewText(view));
});

for (const [verb, description, plain] of [
  ["kill", "cut a node or a witness off, as a power failure does", "is off"],
  ["revive", "bring a node or a witness back", "is back"],
] as const)
  common(program.command(`${verb} <name>`).description(description)).action(
    async (name: string, options: CommonOptions) => {
      const view = (await control(options, "GET", "/")) as Overview;
      const kind = view.witnesses[name] === undefined ? "nodes" : "witnesses";
      const answer = await control(options, "POST", `/${kind}/${encodeURIComponent(name)}/${verb}`);
      say(options, answer, `${name} ${plain}.`);
    },
  );

common(
  program
    .command("split <names> <others>")
    .description("cut the network between two sides; each is a list such as srv1,backup-1, 'operator' stands for you"),
).action(async (names: string, others: string, options: CommonOptions) => {
  const view = await control(options, "POST", "/partition", { a: names.split(","), b: others.split(",") });
  say(options, view, overviewText(view as Overview));
});

common(program.command("heal").description("everybody sees everybody again")).action(async (options: CommonOptions) => {
  const view = await control(options, "POST", "/heal");
  say(options, view, overviewText(view as Overview));
});

common(program.command("request <vmid> [method] [path] [body]").description("ask the service of a running guest"))
  .option("--node <node>", "the guest's process on this node, if there are two")
  .action(
    async (
      vmid: string,
      method = "GET",
      target = "/",
      body = "",
      options: CommonOptions & { node?: string } = { folder: "" },
    ) => {
      const { folder: _folder, json: _json, ...more } = options;
      const call = { method, path: target, body, ...more };
      const answer = (await control(options, "POST", `/guests/${vmid}/request`, call)) as { body: string };
      say(options, answer, answer.body.trimEnd());
    },
  );

common(program.command("hosts").description("how the real hosts are reached")).action(
  async (options: CommonOptions) => {
    const hosts = (await control(options, "GET", "/hosts")) as Record<
      string,
      { up: boolean; ssh: string; keyFile: string }
    >;
    const lines = Object.entries(hosts).map(
      ([name, { up, ssh, keyFile }]) =>
        `${name.padEnd(14)} ${up ? "up  " : "DOWN"} ssh -i ${keyFile} -p ${ssh.split(":")[1]} root@${ssh.split(":")[0]}`,
    );
    say(options, hosts, lines.join("\n") || "The lab has no real hosts: start it with --hosts.");
  },
);

common(
  program.command("move-config <vmid> <from> <to>").description("move a guest's configuration file to another node"),
)
  .option("--on <node>", "node on which the command runs; default: the new one")
  .action(async (vmid: string, from: string, to: string, options: CommonOptions & { on?: string }) => {
    const answer = await control(options, "POST", "/config-move", {
      vmid: Number(vmid),
      from,
      to,
      ...(options.on ? { on: options.on } : {}),
    });
    say(options, answer, `Guest ${vmid} belongs to ${to}.`);
  });

common(program.command("advance <seconds>").description("let virtual time pass at once")).action(
  async (seconds: string, options: CommonOptions) => {
    const answer = (await control(options, "POST", "/clock/advance", { seconds: Number(seconds) })) as { time: number };
    say(options, answer, `Virtual time is ${new Date(answer.time * 1000).toISOString()}.`);
  },
);

common(program.command("expected <node> <votes>").description("what 'pvecm expected' does on a node")).action(
  async (node: string, votes: string, options: CommonOptions) => {
    const answer = await control(options, "POST", `/nodes/${node}/expected`, { votes: Number(votes) });
    say(options, answer, `${node} now expects ${votes} vote(s).`);
  },
);

common(
  program.command("coverage").description("which calls and parameters of the API the lab knows and has seen"),
).action(async (options: CommonOptions) => {
  const answer = (await control(options, "GET", "/coverage")) as { text: string; handled: string[] };
  say(options, answer, `${answer.text}\n${answer.handled.length} calls are answered.`);
});

common(program.command("calls").description("calls made since the start or the last reset"))
  .option("--reset", "start counting anew")
  .action(async (options: CommonOptions & { reset?: boolean }) => {
    const report = (await control(options, "GET", "/calls")) as {
      total: number;
      changing: number;
      calls: Record<string, number>;
    };
    if (options.reset) await control(options, "POST", "/calls/reset");
    const lines = Object.entries(report.calls).map(([call, count]) => `${String(count).padStart(6)}  ${call}`);
    say(options, report, [...lines, `${report.total} calls, ${report.changing} of them changing`].join("\n"));
  });

program.parseAsync().catch((error: Error) => {
  process.stderr.write(`lab: ${error.message}\n`);
  process.exitCode = 1;
});
