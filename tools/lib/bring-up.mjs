// Brings the SMB site up in the lab with the real engine, and proves that doing it again changes nothing.
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { run } from "./exec.mjs";
import { nodeOf } from "./node.mjs";
import { hostsSite, requireHosts, sshConfig, writeHostsSite } from "./real-hosts.mjs";

const LAYOUT = "smb-site";
const STACK = "lab";

/**
 * @param {{ checkout: string, env: NodeJS.ProcessEnv, schema?: string, log: (text: string) => void,
 *   stage: <T>(title: string, work: () => Promise<T>) => Promise<T>, args?: string[] }} options
 */
export async function bringUp({ checkout, env, schema, log, stage, args = [] }) {
  const hosts = args.includes("--hosts");
  if (hosts) requireHosts(checkout);
  const place = new Place(checkout, env, hosts);
  const lab = await stage("Start the lab: simulated Proxmox VE servers on this machine", () => startLab(place, schema));
  await stage("Stack 'lab': configuration and secrets", () => configureStack(place, lab));
  await stage("pulumi up", () => pulumiUp(place, []));
  await stage("pulumi up again: nothing may change", () => pulumiUp(place, ["--expect-no-changes"]));
  await stage("pulumi up --refresh: nothing may change", () => pulumiUp(place, ["--refresh", "--expect-no-changes"]));
  await writeEnvironmentFile(place);
  log(await whoRunsWhere(place));
  log(nextSteps(hosts));
  return 0;
}

/** Without an engine there is still the plan and its proof. */
export async function planOnly({ checkout, log }) {
  log("What needs no engine still works, the plan and its proof first of all:\n");
  await run(nodeOf(checkout), ["dist/cli/main.js", "check", LAYOUT], {
    cwd: checkout,
    onLine: (line) => log(line),
    check: false,
  });
}

/** Where everything of the lab lies: beside the checkout's own files, ignored by git. */
class Place {
  constructor(checkout, env, hosts) {
    this.checkout = checkout;
    this.hosts = hosts;
    // A lab of real hosts is another lab: one does not turn into the other.
    this.folder = join(checkout, ".coldspare", ...(hosts ? ["hosts"] : []));
    this.stack = hosts ? `${STACK}-hosts` : STACK;
    this.lab = join(this.folder, "lab");
    this.state = join(this.folder, "state");
    this.passphraseFile = join(this.folder, "passphrase");
    this.environmentFile = join(this.folder, "env");
    this.manifestFile = join(this.folder, "manifest.json");
    this.env = {
      ...process.env,
      ...env,
      PULUMI_BACKEND_URL: `file://${this.state}`,
      PULUMI_CONFIG_PASSPHRASE_FILE: this.passphraseFile,
      SSL_CERT_FILE: join(this.lab, "ca.pem"),
    };
    mkdirSync(this.state, { recursive: true });
    if (!existsSync(this.passphraseFile)) {
      writeFileSync(this.passphraseFile, randomBytes(24).toString("base64url"), { mode: 0o600 });
    }
  }

  pulumi(args, options = {}) {
    return run("pulumi", [...args, "--stack", this.stack, "--non-interactive"], {
      cwd: this.checkout,
      env: this.env,
      ...options,
    });
  }
}

async function startLab(place, schema) {
  const require = createRequire(join(place.checkout, "package.json"));
  const { loadLayout } = require("./dist/stacks/layouts.js");
  const { parseSite, planSite } = require("./dist/planning/index.js");
  const { labTopology } = require("./dist/lab/from-site.js");
  const { spec } = parseSite(place.hosts ? hostsSite(place.checkout, LAYOUT) : loadLayout(LAYOUT));
  mkdirSync(place.lab, { recursive: true });
  const topology = join(place.folder, "lab-topology.json");
  writeFileSync(topology, JSON.stringify(labTopology(planSite(spec)), null, 2));
  const args = ["dist/lab/main.js", "start", "--topology", topology, "--folder", place.lab, "--detach", "--json"];
  // Twenty times real time: replicas are fresh and guests have booted while one still reads what was done.
  if (place.hosts) args.push("--hosts", "--speed", "20");
  const { stdout } = await run("node", [...args, ...(schema ? ["--schema", schema] : [])], {
    cwd: place.checkout,
    env: place.env,
  });
  return JSON.parse(stdout);
}

async function configureStack(place, lab) {
  if (!existsSync(join(place.checkout, `Pulumi.${place.stack}.yaml`)) || !(await stackExists(place))) {
    await run("pulumi", ["stack", "init", place.stack, "--non-interactive"], {
      cwd: place.checkout,
      env: place.env,
      check: false,
    });
  }
  const values = {
    ...(place.hosts ? { "coldspare:siteFile": writeHostsSite(place, LAYOUT) } : { "coldspare:layout": LAYOUT }),
    "coldspare:caFile": lab.caFile,
    // A lab may be thrown away; a real site keeps the default, which is true.
    "coldspare:protect": "false",
  };
  const pairs = Object.entries(values).flatMap(([key, value]) => ["--plaintext", `${key}=${value}`]);
  await place.pulumi(["config", "set-all", ...pairs]);
  for (const [server, endpoint] of Object.entries(lab.endpoints)) {
    await place.pulumi(["config", "set", "--path", `coldspare:endpoints.${server}`, endpoint]);
  }
  if (place.hosts) await configureSsh(place);
  // Through standard input: what stands on a command line can be read by everybody on the machine.
  await place.pulumi(["config", "set", "--secret", "coldspare:apiToken"], {
    input: readFileSync(lab.tokenFile, "utf8").trim(),
  });
}

/** With it the update installs the guard on every server. */
async function configureSsh(place) {
  const { keyFile, hosts, hostKeys } = await sshConfig(place);
  await place.pulumi(["config", "set", "--path", "coldspare:ssh.keyFile", keyFile]);
  for (const [server, address] of Object.entries(hosts))
    await place.pulumi(["config", "set", "--path", `coldspare:ssh.hosts.${server}`, address]);
  for (const [server, [key]] of Object.entries(hostKeys))
    await place.pulumi(["config", "set", "--path", `coldspare:ssh.hostKeys.${server}[0]`, key]);
}

async function stackExists(place) {
  const { stdout } = await run("pulumi", ["stack", "ls", "--json"], { cwd: place.checkout, env: place.env });
  return JSON.parse(stdout).some((stack) => stack.name === place.stack);
}

/** Runs `pulumi up` and shows what it did: one line for each resource that was touched, errors whole. */
async function pulumiUp(place, args) {
  await place.pulumi(["up", "--yes", "--skip-preview", "--suppress-outputs", ...args], {
    onLine: (line) => worthShowing(line) && process.stdout.write(`      ${line.trimEnd()}\n`),
  });
}

/** Leaves out the engine's waiting dots, announcements of what comes next, and resources that stay as they are. */
function worthShowing(line) {
  if (line.trim() === "" || /^(@ |Updating \()/.test(line)) return false;
  if (/^ *[~+-]* +\S+:\S+ /.test(line))
    return / (created|updated|deleted|replaced|refreshed) \(|error|warning/.test(line);
  return true;
}

async function whoRunsWhere(place) {
  const { formatDuration } = createRequire(join(place.checkout, "package.json"))("./dist/planning/index.js");
  const { stdout } = await place.pulumi(["stack", "output", "--json"]);
  const { guests, losses, siteLoss } = JSON.parse(stdout);
  const time = (estimate) => (estimate ? formatDuration(Math.ceil(estimate.seconds / 60) * 60) : "");
  const rows = Object.entries(guests).map(([name, guest]) => [
    name,
    String(guest.id),
    guest.activeServer,
    guest.activeServer === guest.primary ? (guest.spare ?? "nobody") : guest.primary,
    guest.method ?? "",
    (guest.addresses[0]?.address ?? "dhcp").split("/")[0],
    time(guest.recoveryPoint),
    time(guest.recoveryTime),
  ]);
  const head = ["guest", "id", "runs on", "stands by", "method", "address", "loses up to", "back within"];
  const verdicts = Object.values(losses).map(
    (loss) => `  Loss of ${loss.server}: ${loss.survives ? "survived" : `NOT survived: ${loss.lost.join(", ")}`}`,
  );
  const age = siteLoss.worstCaseLossSeconds;
  const whole = age === undefined ? siteLoss.text : `${siteLoss.medium} is left, at worst ${formatDuration(age)} old`;
  return ["", table([head, ...rows]), "", ...verdicts, `  Loss of the whole site: ${whole}`].join("\n");
}

function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows
    .map(
      (row) =>
        `  ${row
          .map((cell, column) => cell.padEnd(widths[column]))
          .join("  ")
          .trimEnd()}`,
    )
    .join("\n");
}

/** What the operator's commands read, beside the manifest. */
const COMMANDS = ["COLDSPARE_MANIFEST", "COLDSPARE_API_TOKEN_FILE", "COLDSPARE_SSH_KEY", "COLDSPARE_STATE"];

async function prepareCommands(place) {
  const { stdout } = await place.pulumi(["stack", "output", "manifest", "--json"]);
  writeFileSync(place.manifestFile, stdout);
  const { keyFile } = await sshConfig(place);
  Object.assign(place.env, {
    COLDSPARE_MANIFEST: place.manifestFile,
    COLDSPARE_API_TOKEN_FILE: join(place.lab, "root-token"),
    COLDSPARE_SSH_KEY: keyFile,
    COLDSPARE_STATE: join(place.folder, "journal"),
  });
}

async function writeEnvironmentFile(place) {
  if (place.hosts) await prepareCommands(place);
  const names = ["PATH", "PULUMI_HOME", "PULUMI_SKIP_UPDATE_CHECK", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"];
  const more = [
    "PULUMI_BACKEND_URL",
    "PULUMI_CONFIG_PASSPHRASE_FILE",
    "SSL_CERT_FILE",
    "COLDSPARE_MODULES",
    ...COMMANDS,
  ];
  const lines = [...names, ...more]
    .filter((name) => place.env[name] !== undefined)
    .map((name) => `export ${name}='${place.env[name].replaceAll("'", "'\\''")}'`);
  writeFileSync(place.environmentFile, `${lines.join("\n")}\n`);
}

function nextSteps(hosts) {
  const folder = hosts ? ".coldspare/hosts" : ".coldspare";
  const lab = (command) => `npm run lab -- ${command}${hosts ? " --folder .coldspare/hosts/lab" : ""}`;
  const steps = [
    [`. ${folder}/env`, "the engine, its state and the lab's certificate, for this shell"],
    [`pulumi stack output guests --stack ${hosts ? "lab-hosts" : STACK}`, "what monitoring reads"],
    ["npx coldspare check smb-site", "the plan and its proof, with no engine"],
    ["npx coldspare check smb-site --set guests.sql-erp.memoryGiB=24", "what if?"],
    ...(hosts ? OPERATE : []),
    [lab("status"), "servers and guests of the lab"],
    [lab("kill srv1"), "pull a server's plug (and: revive srv1)"],
    [lab("stop"), "end the lab; npm start goes on where it was"],
  ];
  const width = Math.max(...steps.map(([command]) => command.length));
  return ["", "Go on:", ...steps.map(([command, what]) => `  ${command.padEnd(width)}  ${what}`)].join("\n");
}

const OPERATE = [
  ["npx coldspare status", "every guest: which side is active, how old its copy is"],
  ["npx coldspare drill files-1", "start its replica in isolation, probe it, throw it away"],
  ["npx coldspare failover srv2 --dry-run", "what would happen if srv2 were lost now"],
];
