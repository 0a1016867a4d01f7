import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { guestsToImport, endpointsOf as projectEndpoints } from "../../cli/import-project";
import { liveConnection } from "../../cli/live-connection";
import { parseSite } from "../../planning";
import { interpretCluster } from "../../planning/adoption/interpret";
import { type LiveCluster, startCluster } from "../live/clusters";
import { byHand } from "../planning/adoption-samples";
import { startFake } from "../providers/fake-server";
import { coldspare, type Written } from "./run";

let work: string;
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), "import-"));
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

const envOf = ({ lab, caFile }: LiveCluster, token = lab.tokens.root) => ({
  COLDSPARE_API_TOKEN: token,
  COLDSPARE_CA_FILE: caFile,
});
const endpointsOf = ({ endpoints }: LiveCluster) =>
  Object.entries(endpoints).flatMap(([server, url]) => ["--endpoint", `${server}=${url}`]);

/** Every file below a folder, with its text. */
function filesIn(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true }).map(String).sort();
  const files = names.filter((name) => statSync(join(folder, name)).isFile());
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}

describe("a small firm", () => {
  let cluster: LiveCluster;
  let folder: string;
  let first: Written;
  beforeAll(async () => {
    cluster = await startCluster("smb");
    folder = join(work, "smb");
    await cluster.resetCalls();
    first = await coldspare(["import", ...endpointsOf(cluster), "--out", folder], envOf(cluster));
  });
  afterAll(() => cluster?.stop());

  test("is written, and nothing of it is changed", async () => {
    expect(first).toMatchObject({ code: 0, err: "" });
    expect(first.out).toMatch(/^smb: Proxmox VE \d\S*, read in \d+\.\d s; nothing on it was changed$/m);
    expect(first.out).toMatch(/^taken over as they are: 6 of 6 guests, 3 servers, /m);
    expect(first.out).toMatch(/^ {2}npx coldspare adopt /m);
    expect(await cluster.changing()).toBe(0);
  });

  test("as a project with program, settings, README and import file", () => {
    const files = filesIn(folder);
    expect(Object.keys(files)).toEqual(
      expect.arrayContaining([
        "Pulumi.prod.yaml",
        "Pulumi.yaml",
        "README.md",
        "import.json",
        "index.ts",
        "package.json",
        "pve-root-ca.pem",
        "site.yaml",
      ]),
    );
    expect(JSON.parse(files["import.json"] ?? "").resources).toHaveLength(6);
    expect(files["README.md"]).toMatch(/6 of 6 guests were taken over/);
    expect(files["Pulumi.prod.yaml"]).toContain(cluster.endpoints.srv1);
    expect(files["Pulumi.prod.yaml"]).toContain("pve-root-ca.pem");
  });

  test("without the token in any file", () => {
    const secret = cluster.lab.tokens.root.split("=")[1] ?? "";
    expect(secret.length).toBeGreaterThan(10);
    expect(JSON.stringify(filesIn(folder))).not.toContain(secret);
    expect(first.out + first.err).not.toContain(secret);
  });

  test("passes its own check", async () => {
    const { code, out } = await coldspare(["check", folder, "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ ok: true, site: { name: "smb" } });
  });

  test("is found again as it was written", async () => {
    const { code, out } = await coldspare(["import", folder, ...endpointsOf(cluster)], envOf(cluster));
    expect(out).toMatch(/ 0 missing, 0 different, 0 beside it/);
    expect(code).toBe(0);
  });

  test("is not written over", async () => {
    const before = filesIn(folder);
    const again = await coldspare(["import", ...endpointsOf(cluster), "--out", folder], envOf(cluster));
    expect(again.code).toBe(2);
    expect(again.err).toMatch(/is not empty/);
    expect(filesIn(folder)).toEqual(before);
  });

  test("can be looked at without writing", async () => {
    const dry = join(work, "dry");
    const args = ["import", ...endpointsOf(cluster), "--out", dry, "--dry-run"];
    const { code, out } = await coldspare(args, envOf(cluster));
    expect(code).toBe(0);
    expect(out).toMatch(/^Nothing was written; without --dry-run: \d+ files in /m);
    expect(existsSync(dry)).toBe(false);
  });

  test("is one JSON document for programs", async () => {
    const args = ["import", ...endpointsOf(cluster), "--dry-run", "--json", "--site", "Main Office"];
    const { code, out } = await coldspare(args, envOf(cluster));
    expect(code).toBe(0);
    const document = JSON.parse(out);
    expect(document).toMatchObject({ formatVersion: 1, ok: true, folder: null, source: { cluster: "smb" } });
    expect(document.site.site.name).toBe("main-office");
    expect(parse(document.siteText)).toEqual(document.site);
    expect(parseSite(document.site).findings).toEqual([]);
  });

  test("shows how far it is, on a terminal", async () => {
    const args = ["import", ...endpointsOf(cluster), "--dry-run"];
    const { err } = await coldspare(args, envOf(cluster), true);
    expect(err).toMatch(/reading 8 of 8: /);
    expect(err.endsWith("\r\u001b[K")).toBe(true);
  });

  test("what is missing and what is different is told, with what would follow", async () => {
    const site = parse(readFileSync(join(folder, "site.yaml"), "utf8"));
    site.guests["sql-erp"].cores = 6;
    site.guests.extra = { ...site.guests["dc-1"], id: 777, networks: [], hostname: "extra" };
    delete site.guests.monitoring;
    const file = join(work, "changed.yaml");
    writeFileSync(file, JSON.stringify(site));
    const { code, out } = await coldspare(["import", file, ...endpointsOf(cluster), "--json"], envOf(cluster));
    expect(code).toBe(1);
    const { ok, parts } = JSON.parse(out);
    expect(ok).toBe(false);
    expect(parts).toContainEqual({
      subject: "guest sql-erp",
      state: "differs",
      note: "cores: 4 there, 6 in the specification",
    });
    expect(parts).toContainEqual(expect.objectContaining({ subject: "guest extra", state: "missing" }));
    expect(parts).toContainEqual(expect.objectContaining({ subject: "guest 115", state: "beside" }));
    expect(await cluster.changing()).toBe(0);
  });

  describe("bad input: a clear word, and nothing is written", () => {
    const out = () => join(work, "never");
    afterEach(() => expect(existsSync(out())).toBe(false));
    const tried = (args: string[], env: Record<string, string>) => coldspare(["import", "--out", out(), ...args], env);

    test("no endpoint", async () => {
      const { code, err } = await tried([], envOf(cluster));
      expect([code, err]).toEqual([2, expect.stringContaining("add --endpoint https://ADDRESS:8006")]);
    });
    test("no token", async () => {
      const { code, err } = await tried(endpointsOf(cluster), { COLDSPARE_CA_FILE: cluster.caFile });
      expect([code, err]).toEqual([2, expect.stringContaining("COLDSPARE_API_TOKEN is not set")]);
    });
    test("a token that nobody knows", async () => {
      const env = envOf(cluster, "root@pam!nobody=00000000-0000-0000-0000-000000000000");
      const { code, err } = await tried(endpointsOf(cluster), env);
      expect(code).toBe(1);
      expect(err).toMatch(/^error: .*\nNothing was written\.\n$/s);
      expect(err).not.toContain("00000000-0000");
    });
    test("a token that may see nothing: the privileges are named", async () => {
      const { code, err } = await tried(endpointsOf(cluster), envOf(cluster, await cluster.token("blind", {})));
      expect(code).toBe(1);
      expect(err).toContain("VM.Audit");
      expect(err).toContain("PVEAuditor");
    });
    test("a certificate that nobody vouches for", async () => {
      const { code, err } = await tried(endpointsOf(cluster), { COLDSPARE_API_TOKEN: cluster.lab.tokens.root });
      expect(code).toBe(1);
      expect(err).toMatch(/certificate/i);
    });
    test("nobody at the address", async () => {
      const { code, err } = await tried(["--endpoint", "https://127.0.0.1:1"], envOf(cluster));
      expect([code, err]).toEqual([1, expect.stringContaining("Nothing was written")]);
    });
    test("a name that is none", async () => {
      const { code, err } = await tried([...endpointsOf(cluster), "--site", "..."], envOf(cluster));
      expect([code, err]).toEqual([2, expect.stringContaining("--site ...")]);
    });
    test("a place for the state that is none", async () => {
      const { code, err } = await tried([...endpointsOf(cluster), "--state", "floppy"], envOf(cluster));
      expect([code, err]).toEqual([2, expect.stringContaining("floppy")]);
    });
    test("options of a new site with a specification", async () => {
      const { code, err } = await tried([folder, ...endpointsOf(cluster)], envOf(cluster));
      expect([code, err]).toEqual([2, expect.stringContaining("--out is for a new site")]);
    });
    test("a specification that cannot be planned", async () => {
      const file = join(work, "broken.yaml");
      writeFileSync(file, "site: { name: 7 }\n");
      const { code, err } = await coldspare(["import", file, ...endpointsOf(cluster)], envOf(cluster));
      expect([code, err]).toEqual([2, expect.stringContaining("cannot be planned")]);
    });
  });

  test("a token that may look and no more is enough", async () => {
    const token = await cluster.token("auditor", { "/": "PVEAuditor" });
    const args = ["import", ...endpointsOf(cluster), "--dry-run", "--json"];
    const [byRoot, byAuditor] = [
      JSON.parse((await coldspare(args, envOf(cluster))).out),
      JSON.parse((await coldspare(args, envOf(cluster, token))).out),
    ];
    expect(byAuditor.site).toEqual(byRoot.site);
  });
});

describe("a cluster made by hand", () => {
  let cluster: LiveCluster;
  beforeAll(async () => {
    cluster = await startCluster("by-hand");
  });
  afterAll(() => cluster?.stop());

  test("every guest is taken over or has a reason, in the summary and in the README", async () => {
    const folder = join(work, "by-hand");
    const { code, out } = await coldspare(["import", ...endpointsOf(cluster), "--out", folder], envOf(cluster));
    expect(code).toBe(0);
    const { guests = {} } = parse(readFileSync(join(folder, "site.yaml"), "utf8"));
    const taken = Object.values(guests).map((guest) => (guest as { id: number }).id);
    const all = (await cluster.pve.get<{ vmid: number }[]>("/cluster/resources", { type: "vm" })).map(
      ({ vmid }) => vmid,
    );
    const readme = readFileSync(join(folder, "README.md"), "utf8");
    expect(taken.length).toBeGreaterThan(0);
    for (const vmid of all.filter((each) => !taken.includes(each))) {
      expect(out).toMatch(new RegExp(`^${vmid} +\\S`, "m"));
      expect(readme).toContain(`- ${vmid} \``);
    }
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
    expect((await coldspare(["check", folder])).code).toBe(0);
  });
});

describe("half a cluster", () => {
  let cluster: LiveCluster;
  beforeAll(async () => {
    cluster = await startCluster("half");
  });
  afterAll(() => cluster?.stop());

  test("what is off is told", async () => {
    const { code, out } = await coldspare(["import", ...endpointsOf(cluster), "--dry-run"], envOf(cluster));
    expect(code).toBe(0);
    expect(out).toMatch(/the cluster has no quorum/);
    expect(out).toMatch(/its server node-d is off/);
  });
});

describe("something else answers", () => {
  const folder = () => join(work, "other");
  const imported = async (answer: Parameters<typeof startFake>[0]): Promise<Written> => {
    const fake = await startFake(answer);
    const ca = join(work, "other.pem");
    writeFileSync(ca, fake.pem);
    const env = { COLDSPARE_API_TOKEN: "root@pam!x=00000000-0000-0000-0000-000000000000", COLDSPARE_CA_FILE: ca };
    try {
      return await coldspare(["import", "--endpoint", fake.url, "--out", folder()], env);
    } finally {
      await fake.close();
    }
  };
  test.each<[string, Parameters<typeof startFake>[0], RegExp]>([
    ["a web page", () => ({ body: "<html>hello</html>" }), /no Proxmox VE/],
    ["a version that is too old", () => ({ data: { version: "6.4-13", release: "6.4", repoid: "9f411e79" } }), /6\.4/],
  ])("%s", async (_what, answer, told) => {
    const { code, err } = await imported(answer);
    expect(err).toMatch(told);
    expect(code).toBe(1);
    expect(existsSync(folder())).toBe(false);
  });
});

test("the import file has the provider's own version", () => {
  const { version } = JSON.parse(readFileSync("node_modules/@pulumi/proxmoxve/package.json", "utf8"));
  expect(guestsToImport(interpretCluster(byHand())).resources[0]).toMatchObject({
    version,
    pluginDownloadUrl: "github://api.github.com/muhlba91/pulumi-proxmoxve",
  });
});

describe("how a cluster is reached", () => {
  const token = { COLDSPARE_API_TOKEN: "root@pam!x=00000000-0000-0000-0000-000000000000" };
  test.each([
    [["pve1"], { pve1: "https://pve1:8006" }],
    [["https://10.0.0.1"], { "10.0.0.1": "https://10.0.0.1:8006" }],
    [["a=https://pve1:8443", "pve2"], { a: "https://pve1:8443", pve2: "https://pve2:8006" }],
  ])("%j", (given, endpoints) => {
    expect(liveConnection(given, token).endpoints).toEqual(endpoints);
  });
  test("from the environment, where nothing is named", () => {
    const env = { ...token, COLDSPARE_ENDPOINTS: '{"pve1": "https://pve1:8006"}' };
    expect(liveConnection([], env).endpoints).toEqual({ pve1: "https://pve1:8006" });
    expect(() => liveConnection([], { ...token, COLDSPARE_ENDPOINTS: "pve1" })).toThrow(/no JSON object/);
  });
  test.each(["http://pve1:8006", "ftp://x", "https://"])("%s is refused", (given) => {
    expect(() => liveConnection([given], token)).toThrow(/write https:\/\/ADDRESS:8006/);
  });

  const interpretation = interpretCluster(byHand());
  test.each<[what: string, endpoints: Record<string, string>, written: Record<string, string>]>([
    [
      "by a server's address: the others at theirs",
      { "192.168.10.11": "https://192.168.10.11:8006" },
      { pve1: "https://192.168.10.11:8006", pve2: "https://192.168.10.12:8006" },
    ],
    [
      "by a server's name",
      { "pve2.example.org": "https://pve2.example.org:8443" },
      { pve1: "https://192.168.10.11:8443", pve2: "https://pve2.example.org:8443" },
    ],
    ["as it was named, and only that", { pve2: "https://127.0.0.1:9000" }, { pve2: "https://127.0.0.1:9000" }],
    ["through a tunnel", { "127.0.0.1": "https://127.0.0.1:9000" }, { pve1: "https://127.0.0.1:9000" }],
  ])("the project has the endpoints %s", (_what, endpoints, written) => {
    expect(projectEndpoints({ interpretation, endpoints })).toEqual(written);
  });
});
