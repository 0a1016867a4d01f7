/** Every example, previewed by the real engine in a project outside the checkout that installed the packed package. */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { installedModules, projectFrom, SDK } from "./consumer";
import { checkout, EngineStack } from "./engine";
import { SiteLab } from "./site-lab";

jest.setTimeout(600_000);

const folder = join(checkout, "examples");
let newest: string;
let site: SiteLab;
const left: (() => void)[] = [];

beforeAll(async () => {
  newest = installedModules();
  site = await SiteLab.start();
});
afterAll(async () => {
  for (const remove of left) remove();
  await site?.end();
});

/** A stack of an example, with the lab's addresses and credentials. */
async function stackOf(example: string, modules: string, more: Record<string, unknown> = {}): Promise<EngineStack> {
  const project = projectFrom(join(folder, example), modules);
  const stack = new EngineStack({ program: project, stack: "example" });
  left.push(
    () => rmSync(project, { recursive: true, force: true }),
    () => stack.remove(),
  );
  stack.trust(site.lab.caFile);
  const { endpoints, tokens, caFile } = site.lab;
  await stack.init(
    {
      "proxmoxve:endpoint": endpoints.srv1,
      "coldspare:endpoints": endpoints,
      "coldspare:caFile": caFile,
      ...more,
    },
    { "proxmoxve:apiToken": tokens.root, "coldspare:apiToken": tokens.root },
  );
  return stack;
}

/** Names of what a preview would make, without components and providers. */
function made(steps: string[]): string[] {
  return steps
    .map((step) => step.split("::"))
    .filter(([action = "", , types = ""]) => {
      const own = types.split("$").at(-1) ?? "";
      return action.startsWith("create ") && !/^(pulumi:(pulumi|providers):|coldspare:index:)/.test(own);
    })
    .map((parts) => parts.at(-1) ?? "")
    .sort();
}

const FINGERPRINT = Array.from({ length: 32 }, () => "ab").join(":");

const examples: [example: string, made: string[], config?: Record<string, unknown>][] = [
  ["one-guest", ["sql-replication", "sql-vm"]],
  ["container", ["wiki-container", "wiki-replication"]],
  [
    "physical-server",
    ["srv1-bridge-vmbr1", "srv1-dns", "srv1-image-debian-13", "srv1-storage-fast", "srv1-time", "srv1-vlan-backup"],
  ],
  ["whole-site", ["erp-replication", "erp-vm", "office-backup-nightly", "office-storage-backup-nfs"]],
  ["site-file", ["mail-replication", "mail-vm"]],
  [
    "backups",
    [
      "main-datastore",
      "main-namespace",
      "main-prune",
      "main-storage",
      "main-token",
      "main-token-audit",
      "main-token-backup",
      "main-user",
      "main-user-audit",
      "main-user-backup",
      "main-verify",
      "office-backup-nightly",
    ],
    { "backups:fingerprint": FINGERPRINT },
  ],
  ["independent-servers", ["erp-registered", "erp-vm"]],
  ["transform", ["gateway-replication", "gateway-vm"]],
  ["commonjs", ["sql-replication", "sql-vm"]],
];

test("every example is run by a test", () => {
  const elsewhere = ["es-module", "python", "yaml"];
  const folders = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect([...examples.map(([example]) => example), ...elsewhere].sort()).toEqual(
    folders.map(({ name }) => name).sort(),
  );
});

test.each(examples)("%s is previewed", async (example, expected, config = {}) => {
  const stack = await stackOf(example, newest, config);
  const preview = await stack.preview();
  if (preview.code !== 0) throw new Error(preview.log);
  expect(made(preview.steps)).toEqual(expected);
});

test("es-module is previewed, with the oldest SDK that the package allows", async () => {
  const stack = await stackOf("es-module", installedModules(SDK.oldest));
  const preview = await stack.preview();
  if (preview.code !== 0) throw new Error(preview.log);
  expect(made(preview.steps)).toEqual(["sql-replication", "sql-vm"]);
});
