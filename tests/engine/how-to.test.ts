/** The commands of docs/how-to/running-cluster.md and small-firm.md, one after another, against a cluster of the lab. */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LiveCluster, startCluster } from "../live/clusters";
import { installedModules } from "./consumer";
import { checkout, toolchainEnvironment } from "./engine";

jest.setTimeout(600_000);

let cluster: LiveCluster;
let modules: string;
const folders: string[] = [];

beforeAll(async () => {
  modules = installedModules();
  cluster = await startCluster("smb");
});
afterAll(async () => {
  await cluster?.stop();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A folder with what the reader is told to have at hand: the package, a token in a file, the cluster's CA. */
function desk(token: string): string {
  const folder = mkdtempSync(join(tmpdir(), "coldspare-how-to-"));
  folders.push(folder);
  symlinkSync(modules, join(folder, "node_modules"));
  writeFileSync(join(folder, "token"), token, { mode: 0o600 });
  writeFileSync(join(folder, "pve-root-ca.pem"), readFileSync(cluster.caFile));
  return folder;
}

/** Shell blocks of a page; blocks for a node of the cluster (`sh node`) are not for this machine. */
function commandsOf(page: string): string {
  const text = readFileSync(join(checkout, "docs/how-to", page), "utf8");
  const blocks = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block!);
  return blocks.join("\n");
}

/** What a person types differently here, or answers at a question; and the checks that end with 1 when they find something. */
function forHere(commands: string, endpoint: string): string {
  return commands
    .replaceAll(/^npx coldspare check --(live|strict) .*$/gm, "$& || [ $? = 1 ]")
    .replaceAll("servers.pve1", "servers.srv1")
    .replaceAll("https://192.168.10.11:8006", endpoint)
    .replaceAll("npm install", `ln -s ${modules} node_modules`)
    .replaceAll(/^npx coldspare adopt$/gm, "npx coldspare adopt --yes")
    .replaceAll(/^pulumi up$/gm, "pulumi up --yes --skip-preview")
    .replaceAll(
      /^pulumi config set --secret coldspare:apiToken$/gm,
      'pulumi config set --secret coldspare:apiToken "$MORE"',
    );
}

function shell(script: string, cwd: string, env: NodeJS.ProcessEnv): Promise<{ code: number; text: string }> {
  const child = spawn("bash", ["-e", "-c", script], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
  return new Promise((done, fail) => {
    child.once("error", fail);
    child.once("close", (code) => done({ code: code ?? 1, text }));
  });
}

function engine(folder: string): NodeJS.ProcessEnv {
  return {
    ...toolchainEnvironment(),
    PULUMI_CONFIG_PASSPHRASE: "how-to",
    SSL_CERT_FILE: cluster.caFile,
    NO_COLOR: "1",
    MORE: cluster.lab.tokens.root,
    COLDSPARE_API_TOKEN_FILE: join(folder, "token"),
    HOME: folder,
  };
}

it("a running cluster is looked at, written down and taken over as the page says", async () => {
  const token = await cluster.token("look", { "/": "PVEAuditor" });
  const folder = desk(token);
  const endpoint = Object.values(cluster.endpoints)[0]!;
  await cluster.resetCalls();
  const script = forHere(commandsOf("running-cluster.md"), endpoint);
  const { code, text } = await shell(script, folder, engine(folder));
  if (code !== 0) throw new Error(`${script}\n---\n${text.slice(-6000)}`);
  expect(await cluster.changing()).toBe(0);
  expect(text).toMatch(/unchanged/);
});

it("a new site is begun and checked as the page says", () => {
  const folder = desk("none");
  const pages = commandsOf("small-firm.md").split("\n");
  const begin = pages.slice(0, pages.indexOf("pulumi stack init prod"));
  const commands = forHere(begin.join("\n"), "https://127.0.0.1:1")
    .replaceAll("coldspare init office", "coldspare init office --yes")
    // Names of the page's own guest: a new site has others.
    .replaceAll(/^npx coldspare check --(set|active) .*$/gm, "");
  const text = execFileSync("bash", ["-e", "-c", commands], {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
  expect(text).toMatch(/pveum/);
});
