/** The folder that `init` and `import` write: its texts, and that it appears whole or not at all. */
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { UsageError } from "../../cli/io";
import { backendUrl, type ProjectOptions, projectFiles, type StateChoice, writeProject } from "../../cli/project";
import own from "../../package.json";
import { coldspare } from "./run";

const options: ProjectOptions = {
  name: "office",
  siteText: "site: { name: office }\nservers: {}\n",
  stack: "prod",
  endpoints: { srv1: "https://192.168.10.11:8006", srv2: "https://[fd00::12]:8006" },
  state: { kind: "local" },
  caFile: "pve-root-ca.pem",
  readme: ["## The site\n\nTwo servers.\n"],
};

const withState = (state: StateChoice) => projectFiles({ ...options, state });

describe("the files", () => {
  const files = projectFiles(options);

  test("are all there", () => {
    expect(Object.keys(files).sort()).toEqual([
      ".gitignore",
      "Pulumi.prod.yaml",
      "Pulumi.yaml",
      "README.md",
      "index.ts",
      "package.json",
      "site.yaml",
      "state/README.md",
      "tsconfig.json",
    ]);
  });

  test("the packages are those of this release", () => {
    const { dependencies, devDependencies, engines, private: isPrivate, name } = JSON.parse(files["package.json"]!);
    expect(dependencies).toEqual({
      coldspare: `^${own.version}`,
      "@pulumi/pulumi": own.peerDependencies["@pulumi/pulumi"],
    });
    expect(devDependencies).toEqual({ typescript: own.dependencies.typescript });
    expect(engines).toEqual(own.engines);
    expect({ isPrivate, name }).toEqual({ isPrivate: true, name: "office-site" });
  });

  test("the program runs the site, and nothing else", () => {
    expect(files["index.ts"]).toContain('import { runSite } from "coldspare/stacks";');
    expect(files["index.ts"]!.trim().split("\n")).toHaveLength(4);
  });

  test("the stack's settings say the site file, every endpoint and the CA, and no secret", () => {
    expect(parse(files["Pulumi.prod.yaml"]!)).toEqual({
      config: {
        "coldspare:siteFile": "site.yaml",
        "coldspare:endpoints": options.endpoints,
        "coldspare:caFile": "pve-root-ca.pem",
      },
    });
  });

  test("without endpoints and a CA the settings are still a valid file", () => {
    const { caFile: _ca, ...without } = options;
    const text = projectFiles({ ...without, endpoints: {} })["Pulumi.prod.yaml"]!;
    expect(parse(text)).toEqual({ config: { "coldspare:siteFile": "site.yaml" } });
    expect(text).toContain("# coldspare:caFile: pve-root-ca.pem");
  });

  test("the project says its name and backend", () => {
    expect(parse(files["Pulumi.yaml"]!)).toMatchObject({
      name: "office",
      runtime: "nodejs",
      backend: { url: "file://./state" },
    });
  });

  test("editors find the schema, also where the text names one already", () => {
    expect(files["site.yaml"]!.split("\n")[0]).toMatch(/^# yaml-language-server: \$schema=node_modules\/coldspare/);
    const named = `# yaml-language-server: $schema=./mine.json\n${options.siteText}`;
    expect(projectFiles({ ...options, siteText: named })["site.yaml"]).toBe(named);
  });

  test("extra files join, and replace", () => {
    const more = projectFiles({ ...options, extra: { "import.json": "{}", "index.ts": "// mine\n" } });
    expect(more).toMatchObject({ "import.json": "{}", "index.ts": "// mine\n" });
  });

  test.each([
    [{ kind: "local" }, "file://./state"],
    [{ kind: "local", folder: "./pulumi" }, "file://./pulumi"],
    [{ kind: "local", folder: "../state" }, "file://./../state"],
    [{ kind: "local", folder: "/srv/pulumi" }, "file:///srv/pulumi"],
    [{ kind: "local", folder: "~/pulumi" }, "file://~/pulumi"],
    [{ kind: "s3", bucket: "office", region: "eu-west-3" }, "s3://office?region=eu-west-3"],
    [{ kind: "s3", bucket: "office" }, "s3://office"],
    [
      { kind: "s3", bucket: "office", endpoint: "https://s3.example.org" },
      "s3://office?endpoint=https%3A%2F%2Fs3.example.org&region=us-east-1&s3ForcePathStyle=true",
    ],
    [{ kind: "cloud" }, "https://api.pulumi.com"],
  ] as [StateChoice, string][])("state %j lies at %s", (state, url) => {
    expect(backendUrl(state)).toBe(url);
    expect(parse(withState(state)["Pulumi.yaml"]!).backend).toEqual({ url });
  });

  test("a folder of state is made inside the project only", () => {
    const folders = (state: StateChoice) => Object.keys(withState(state)).filter((path) => path.endsWith("/README.md"));
    expect(folders({ kind: "local", folder: "pulumi/" })).toEqual(["pulumi/README.md"]);
    expect(folders({ kind: "local", folder: "/srv/pulumi" })).toEqual([]);
    expect(folders({ kind: "local", folder: "../state" })).toEqual([]);
    expect(folders({ kind: "cloud" })).toEqual([]);
  });
});

describe("the README", () => {
  const readme = (more: Partial<ProjectOptions> = {}) => projectFiles({ ...options, ...more })["README.md"]!;

  test("takes the sections that it is given, and numbers its steps", () => {
    const text = readme();
    expect(text).toContain("## The site\n\nTwo servers.");
    const steps = [...text.matchAll(/^### (\d+)\. (.*)$/gm)].map(([, number, title]) => `${number} ${title}`);
    expect(steps.map((step) => Number.parseInt(step, 10))).toEqual(steps.map((_, index) => index + 1));
    // The token's step names that one.
    expect(text).toContain("needed in step 6");
    expect(steps).toContain("6 Secrets");
    expect(text).toContain("`coldspare-pulumi@pve!office=<secret>`");
  });

  test("goes on from installing to a drill", () => {
    const commands = [...readme().matchAll(/^(?:npx |npm |pulumi |scp )[^\n]*$/gm)].map(([line]) => line);
    const expected = [
      "npm install",
      "npx coldspare check",
      "npx coldspare privileges",
      "scp root@192.168.10.11:/etc/pve/pve-root-ca.pem pve-root-ca.pem",
      "pulumi stack init prod",
      "pulumi config set --secret coldspare:apiToken",
      "pulumi preview",
      "pulumi up",
      "npx coldspare status",
      "npx coldspare drill --all --dry-run",
    ];
    expect(commands.filter((line) => expected.includes(line))).toEqual(expected);
  });

  test("says what each kind of state needs", () => {
    expect(readme()).toContain("PULUMI_CONFIG_PASSPHRASE_FILE=~/.config/coldspare/office.passphrase");
    expect(readme({ state: { kind: "local", folder: "/srv/pulumi" } })).toContain("mkdir -p /srv/pulumi");
    const bucket = readme({ state: { kind: "s3", bucket: "office" } });
    expect(bucket).toMatch(/AWS_SECRET_ACCESS_KEY[\s\S]*PASSPHRASE_FILE[\s\S]*pulumi stack init prod/);
    const cloud = readme({ state: { kind: "cloud", organisation: "acme" } });
    expect(cloud).toMatch(/pulumi login\npulumi stack init acme\/prod/);
    expect(cloud).not.toContain("PASSPHRASE");
  });

  test("takes over first what exists", () => {
    expect(readme()).not.toContain("coldspare adopt");
    const text = readme({ adopt: true });
    expect(text.indexOf("npx coldspare adopt")).toBeLessThan(text.indexOf("pulumi preview"));
    expect(text).toContain("`import.json`");
  });

  test("asks every server for its SSH key", () => {
    expect(readme()).toContain("hostKeys.srv2[0]' \"$(ssh-keyscan -t ed25519 fd00::12 |");
    const hosts = { srv1: "192.168.10.11", witness: "192.168.10.13" };
    expect(readme({ hosts })).toContain("ssh.hostKeys.witness[0]' \"$(ssh-keyscan -t ed25519 192.168.10.13 |");
  });

  test("names commands of coldspare that there are, with options that they have", async () => {
    const lines = [...readme({ adopt: true }).matchAll(/^npx coldspare ([^#\n]*)/gm)].map(([, words = ""]) =>
      words.trim(),
    );
    expect(lines.length).toBeGreaterThan(8);
    for (const line of lines) {
      const [command = "", ...words] = line.split(/\s+/);
      const { code, out } = await coldspare([command, "--help"]);
      expect({ line, code }).toEqual({ line, code: 0 });
      for (const option of words.filter((word) => word.startsWith("--"))) expect(out).toContain(option);
    }
  });

  test("each line of its shell blocks is one that a shell takes", () => {
    for (const state of [{ kind: "local" }, { kind: "s3", bucket: "b" }, { kind: "cloud" }] as StateChoice[])
      for (const [, block = ""] of readme({ state, adopt: true }).matchAll(/```sh\n([\s\S]*?)```/g)) {
        const { status, stderr } = spawnSync("sh", ["-n"], {
          input: block.replace(/<[a-z]+>/g, "x"),
          encoding: "utf8",
        });
        expect({ block, status, stderr }).toEqual({ block, status: 0, stderr: "" });
      }
  });
});

describe("the folder", () => {
  let home: string;
  beforeEach(() => {
    home = realpathSync(mkdtempSync(join(tmpdir(), "coldspare-project-")));
  });
  afterEach(() => {
    chmodSync(home, 0o755);
    rmSync(home, { recursive: true, force: true });
  });

  const files = { "a.txt": "a\n", "deep/b.txt": "b\n" };
  const refused = (folder: string, content: Record<string, string> = files): string => {
    try {
      writeProject(folder, content);
    } catch (error) {
      expect(error).toBeInstanceOf(UsageError);
      return (error as Error).message;
    }
    throw new Error("it was written");
  };

  test("is made with its parents, and nothing beside it", () => {
    const folder = join(home, "sites/office");
    writeProject(folder, files);
    expect(readFileSync(join(folder, "deep/b.txt"), "utf8")).toBe("b\n");
    expect(readdirSync(join(home, "sites"))).toEqual(["office"]);
    expect(readdirSync(folder).sort()).toEqual(["a.txt", "deep"]);
  });

  test("may exist and be empty, or be a repository without files", () => {
    const folder = join(home, "office");
    mkdirSync(join(folder, ".git"), { recursive: true });
    writeProject(folder, files);
    expect(readdirSync(folder).sort()).toEqual([".git", "a.txt", "deep"]);
  });

  test("that is not empty is refused, and what is in it named", () => {
    for (const name of ["g", "f", "e", "d", "c", "b", ".hidden"]) writeFileSync(join(home, name), "");
    expect(refused(home)).toBe(
      `the folder ${home} is not empty: it has .hidden, b, c, d, e and 2 more. Name a folder that does not exist yet; nothing was written`,
    );
    expect(readdirSync(home)).toHaveLength(7);
  });

  test("that is a file, or a link to nowhere, is refused", () => {
    const file = join(home, "office");
    writeFileSync(file, "mine");
    expect(refused(file)).toContain("is a file");
    expect(refused(join(file, "deep"))).toContain("a part of its path is a file");
    symlinkSync(join(home, "gone"), join(home, "link"));
    expect(refused(join(home, "link"))).toContain("a link that leads nowhere");
    expect(readFileSync(file, "utf8")).toBe("mine");
  });

  test.each(["../out.txt", "/out.txt", "deep/../../out.txt"])("no file leads out of it: %s", (path) => {
    const folder = join(home, "new/office");
    expect(() => writeProject(folder, { "a.txt": "a", [path]: "b" })).toThrow("leads out of the project's folder");
    expect(readdirSync(home)).toEqual([]);
  });

  test("a file that cannot be written leaves nothing behind, neither in a new folder nor in an empty one", () => {
    const clash = { "a.txt": "a", "a.txt/b.txt": "b" };
    expect(refused(join(home, "new/office"), clash)).toContain("Nothing was written");
    expect(readdirSync(home)).toEqual([]);
    expect(refused(home, clash)).toContain("Nothing was written");
    expect(readdirSync(home)).toEqual([]);
  });

  test("a name that has appeared meanwhile is left as it is, and everything else goes", () => {
    mkdirSync(join(home, ".git"));
    writeFileSync(join(home, ".git/config"), "mine");
    expect(refused(home, { "a.txt": "a", ".git": "x" })).toContain("has appeared meanwhile");
    expect(readdirSync(home)).toEqual([".git"]);
    expect(readFileSync(join(home, ".git/config"), "utf8")).toBe("mine");
  });

  test("without permission says so", () => {
    chmodSync(home, 0o555);
    // Root may write everywhere: it becomes nobody for this call.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.("nobody");
    try {
      expect(refused(join(home, "office"))).toContain("there is no permission to");
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  test("what must be kept is never ignored by git, what is secret always is", () => {
    const folder = join(home, "office");
    writeProject(folder, { ...projectFiles(options), "state/.pulumi/stacks/office/prod.json": "{}" });
    execFileSync("git", ["init", "-q", folder]);
    const secret = [".env", "office.passphrase", "id_ed25519", "server.key", "coldspare.token", "break-glass.yaml"];
    const again = ["node_modules/x", "ca-bundle.pem", "state/.pulumi/locks/a/b.json"];
    const kept = [
      ...Object.keys(projectFiles(options)),
      "state/.pulumi/stacks/office/prod.json",
      "state/.pulumi/meta.yaml",
      "package-lock.json",
      "pve-root-ca.pem",
      "import.json",
    ];
    const { stdout } = spawnSync("git", ["-C", folder, "check-ignore", "--no-index", "--stdin"], {
      input: [...secret, ...again, ...kept].join("\n"),
      encoding: "utf8",
    });
    expect(stdout.trim().split("\n").sort()).toEqual([...secret, ...again].sort());
    expect(existsSync(join(folder, ".gitignore"))).toBe(true);
  });
});
