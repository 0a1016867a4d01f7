/** Every command of docs/tutorial.md, run one after another as its reader would, in a copy of the checkout. */
import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { canRunHosts } from "../../lab/hosts";

const checkout = resolve(__dirname, "../..");
const check = canRunHosts();
if (!check.ok) process.stderr.write(`tests/hosts: SKIPPED: ${check.why}\n`);
const here = check.ok ? describe : describe.skip;

/** Blocks of shell commands, in order. */
function blocks(): string[] {
  const page = readFileSync(join(checkout, "docs/tutorial.md"), "utf8");
  return [...page.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block!);
}

/** What git knows, and what was installed and built. */
function copyOfCheckout(): string {
  const folder = mkdtempSync(join(tmpdir(), "coldspare-tutorial-"));
  const files = execFileSync("git", ["ls-files", "-z"], { cwd: checkout, encoding: "utf8" }).split("\0");
  for (const file of files.filter((name) => name !== ""))
    cpSync(join(checkout, file), join(folder, file), { recursive: true });
  for (const made of ["node_modules", "dist"]) execFileSync("cp", ["-al", join(checkout, made), folder]);
  return folder;
}

/** One shell for all blocks, as one terminal: a failing command ends it. */
function shell(folder: string, script: string): Promise<{ code: number; text: string }> {
  const child = spawn("bash", ["-e", "-c", script], {
    cwd: folder,
    env: { ...process.env, NO_COLOR: "1", NODE_COMPILE_CACHE: "" },
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

here("the tutorial", () => {
  let folder: string;
  beforeAll(() => {
    folder = copyOfCheckout();
  }, 120_000);
  afterAll(async () => {
    await shell(folder, "npm run lab -- stop --folder .coldspare/hosts/lab || true");
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  it("leads from nothing to a drill, a failover and home again", async () => {
    const marked = blocks().map((block, index) => `echo "--- block ${index + 1}"\n${block}`);
    const { code, text } = await shell(folder, marked.join("\n"));
    if (code !== 0) throw new Error(text.slice(-6000));
    expect(text).toMatch(/docker-1 +recovered/);
    expect(text).toContain("6.75 GiB");
    expect(text).toContain("done: sql-erp on srv1, remote-app on srv1, docker-1 on srv1");
    expect(text).toContain("home again: sql-erp on srv2, remote-app on srv2, docker-1 on srv2");
  }, 900_000);
});
