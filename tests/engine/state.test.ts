/** A new project, its state in each place, moved and lost: with the real engine and the very commands of README and docs/state.md. */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { backendUrl, projectFiles, type StateChoice, writeProject } from "../../cli/project";
import { canS3, Daemon, freePort, S3_SERVER } from "../backup/daemons";
import { checkout, toolchainEnvironment } from "./engine";

jest.setTimeout(180_000);

const TOKEN = "coldspare@pve!pulumi=11111111-2222-3333-4444-555555555555";

let home: string;
let env: NodeJS.ProcessEnv;

beforeAll(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), "coldspare-state-")));
  const { PULUMI_BACKEND_URL: _url, PULUMI_CONFIG_PASSPHRASE: _passphrase, ...inherited } = process.env;
  env = { ...inherited, ...toolchainEnvironment(), HOME: home };
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

interface Ended {
  code: number | null;
  text: string;
}

/** Lines of a shell in a folder, as somebody types them: the first that fails ends them. */
function typed(folder: string, lines: string, more: NodeJS.ProcessEnv = {}, input = ""): Ended {
  const { status, stdout, stderr } = spawnSync("bash", ["-e", "-c", lines], {
    cwd: folder,
    env: { ...env, ...more },
    input,
    encoding: "utf8",
  });
  return { code: status, text: stdout + stderr };
}

function fine(ended: Ended): string {
  if (ended.code !== 0) throw new Error(ended.text);
  return ended.text;
}

/** The shell block below a heading. */
function block(page: string, heading: string): string {
  const section = page.split(/^#{2,} /m).find((part) => part.replace(/^\d+\. /, "").startsWith(heading)) ?? "";
  const [, lines] = /```sh\n([\s\S]*?)```/.exec(section) ?? [];
  if (lines === undefined) throw new Error(`no commands below '${heading}'`);
  return lines;
}

const readme = (folder: string): string => readFileSync(join(folder, "README.md"), "utf8");
const stateDoc = readFileSync(join(checkout, "docs/state.md"), "utf8");

function project(name: string, state: StateChoice): string {
  const folder = join(home, name);
  const siteText = "site: { name: office }\nservers: {}\n";
  const endpoints = { srv1: "https://192.168.10.11:8006" };
  writeProject(folder, projectFiles({ name, siteText, stack: "prod", endpoints, state, readme: [] }));
  return folder;
}

const passphraseOf = (name: string) => ({
  PULUMI_CONFIG_PASSPHRASE_FILE: join(home, `.config/coldspare/${name}.passphrase`),
});

/** Every file of a folder, as one text. */
function everything(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8"))
    .join("\n");
}

function setToken(folder: string, secrets: NodeJS.ProcessEnv): void {
  fine(typed(folder, block(readme(folder), "Secrets"), secrets, TOKEN));
}

const token = (folder: string, secrets: NodeJS.ProcessEnv) =>
  typed(folder, "pulumi config get coldspare:apiToken", secrets);

test("a local state: the commands of the README, and no secret in clear in any file", () => {
  const folder = project("lyon", { kind: "local" });
  const secrets = passphraseOf("lyon");
  fine(typed(folder, block(readme(folder), "The stack 'prod'")));
  setToken(folder, secrets);
  expect(existsSync(join(folder, "state/.pulumi/stacks/lyon/prod.json"))).toBe(true);
  expect(fine(token(folder, secrets)).trim()).toBe(TOKEN);
  expect(everything(folder)).not.toContain("11111111-2222");
  const settings = readFileSync(join(folder, "Pulumi.prod.yaml"), "utf8");
  expect(settings).toMatch(/^# Settings of the stack 'prod'/);
  expect(Object.keys(parse(settings).config)).toEqual([
    "coldspare:siteFile",
    "coldspare:endpoints",
    "coldspare:apiToken",
  ]);
});

test("a lost state is begun anew beside the project, whose secrets stay", () => {
  const folder = project("nice", { kind: "local" });
  const secrets = passphraseOf("nice");
  fine(typed(folder, block(readme(folder), "The stack 'prod'")));
  setToken(folder, secrets);
  renameSync(join(folder, "state"), join(home, "lost"));
  mkdirSync(join(folder, "state"));
  const [begin = ""] = block(stateDoc, "When the state is lost").split("\n");
  expect(begin).toBe("pulumi stack init prod");
  fine(typed(folder, begin, secrets));
  expect(fine(token(folder, secrets)).trim()).toBe(TOKEN);
});

test("without the passphrase nothing opens the secrets, and the state can still be put aside", () => {
  const folder = project("metz", { kind: "local" });
  fine(typed(folder, block(readme(folder), "The stack 'prod'")));
  setToken(folder, passphraseOf("metz"));
  writeFileSync(join(home, "wrong.passphrase"), "wrong");
  const wrong = { PULUMI_CONFIG_PASSPHRASE_FILE: join(home, "wrong.passphrase") };
  expect(token(folder, wrong)).toMatchObject({
    code: expect.any(Number),
    text: expect.stringContaining("incorrect passphrase"),
  });
  expect(token(folder, wrong).code).not.toBe(0);
  fine(typed(folder, "pulumi stack export --file aside.json"));
  expect(existsSync(join(folder, "aside.json"))).toBe(true);
});

test("a new passphrase opens what the old one did, and the old one no more", () => {
  const folder = project("arles", { kind: "local" });
  const old = passphraseOf("arles");
  fine(typed(folder, block(readme(folder), "The stack 'prod'")));
  setToken(folder, old);
  const change = "pulumi stack change-secrets-provider passphrase";
  expect(stateDoc).toContain(`\n${change}\n`);
  fine(typed(folder, change, old, "a new one\n"));
  expect(token(folder, old).code).not.toBe(0);
  writeFileSync(old.PULUMI_CONFIG_PASSPHRASE_FILE, "a new one");
  expect(fine(token(folder, old)).trim()).toBe(TOKEN);
});

(canS3 ? describe : describe.skip)("a bucket", () => {
  let store: Daemon;
  let endpoint: string;
  const keys = { AWS_ACCESS_KEY_ID: "office", AWS_SECRET_ACCESS_KEY: "secret-of-the-store" };
  beforeAll(async () => {
    const data = join(home, "store");
    mkdirSync(join(data, "office-state"), { recursive: true });
    const port = await freePort();
    endpoint = `http://127.0.0.1:${port}`;
    const credentials = ["--access", keys.AWS_ACCESS_KEY_ID, "--secret", keys.AWS_SECRET_ACCESS_KEY];
    store = await new Daemon(port, [S3_SERVER, ...credentials, "--port", `127.0.0.1:${port}`, "posix", data]).start();
  });
  afterAll(() => store.kill());

  const inBucket = (name: string) => join(home, `store/office-state/.pulumi/stacks/${name}/prod.json`);

  test("takes the state at the address that is written into Pulumi.yaml", () => {
    const folder = project("brest", { kind: "s3", bucket: "office-state", endpoint });
    // The keys are put in by hand: `read` asks a terminal for them.
    const commands = block(readme(folder), "The stack 'prod'").replace(/^.*AWS_.*\n/gm, "");
    const secrets = { ...passphraseOf("brest"), ...keys };
    fine(typed(folder, commands, keys));
    setToken(folder, secrets);
    expect(existsSync(inBucket("brest"))).toBe(true);
    expect(fine(token(folder, secrets)).trim()).toBe(TOKEN);
    expect(everything(join(home, "store"))).not.toContain("11111111-2222");
  });

  test("takes a state that is moved there, as docs/state.md says", () => {
    const folder = project("lille", { kind: "local" });
    const secrets = { ...passphraseOf("lille"), ...keys };
    fine(typed(folder, block(readme(folder), "The stack 'prod'")));
    setToken(folder, secrets);
    const url = backendUrl({ kind: "s3", bucket: "office-state", endpoint });
    const edit = `sed -i 's|url: .*|url: ${url.replaceAll("&", "\\&")}|' Pulumi.yaml`;
    // The preview needs the servers.
    const commands = block(stateDoc, "Move it")
      .replace(/^# Now change.*$/m, edit)
      .replace("pulumi preview\n", "");
    expect(commands).toContain("sed -i");
    fine(typed(folder, commands, secrets));
    expect(existsSync(inBucket("lille"))).toBe(true);
    expect(existsSync(join(folder, "state.json"))).toBe(false);
    expect(fine(token(folder, secrets)).trim()).toBe(TOKEN);
    expect(fine(typed(folder, "pulumi whoami --verbose", secrets))).toContain("s3://office-state");
  });
});
