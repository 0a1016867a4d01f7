/** `coldspare check --live` against labs of a large cluster and of one made by hand: what it says, and that it only reads. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import type { LiveReport } from "../../planning/adoption/live-types";
import { type ClusterKind, type LiveCluster, startCluster } from "../live/clusters";
import { coldspare } from "./run";

const AUDITOR = { "/": "PVEAuditor" };

describe.each(["large", "by-hand"] satisfies ClusterKind[])("the cluster %s", (kind) => {
  let cluster: LiveCluster;
  let env: Record<string, string>;
  const live = (more: string[] = [], tty = false) =>
    coldspare(["check", "--live", "--endpoint", Object.values(cluster.endpoints)[0]!, ...more], env, tty);

  beforeAll(async () => {
    cluster = await startCluster(kind);
    env = { COLDSPARE_API_TOKEN: cluster.lab.tokens.root, COLDSPARE_CA_FILE: cluster.caFile };
  });
  afterAll(() => cluster.stop());

  test("tells of every server and every running guest, with no call but GET", async () => {
    await cluster.resetCalls();
    const { code, out, err } = await live(["--json"]);
    expect(err).toBe("");
    const { changing, calls } = await cluster.calls();
    expect(changing).toBe(0);
    expect(Object.keys(calls).filter((call) => !call.startsWith("GET "))).toEqual([]);
    expect(Object.keys(calls).some((call) => call.includes("/content"))).toBe(true);

    const report: LiveReport = JSON.parse(out);
    expect(report.servers.map(({ server }) => server).sort()).toEqual(Object.keys(cluster.endpoints).sort());
    const rows = await cluster.pve.get<{ vmid: number; status: string; template?: number; node: string }[]>(
      "/cluster/resources",
      { type: "vm" },
    );
    const running = rows.filter(({ status, template }) => status === "running" && !template);
    for (const { vmid, node } of running) {
      const { guests } = report.servers.find(({ server }) => server === node)!;
      expect(guests.filter(({ id }) => id === vmid)).toHaveLength(1);
    }
    expect(report.counts.running).toBe(running.length);
    expect(code).toBe(report.ok ? 0 : 1);
  });

  test("fits 100 columns, begins with the headline, and ends with what would come next", async () => {
    const { out } = await live();
    const lines = out.trimEnd().split("\n");
    expect(lines.filter((line) => line.length > 100)).toEqual([]);
    expect(lines[0]).toMatch(/^If \S+ dies tonight, \d+ of \d+ guests do(es)? not come back/);
    expect(out).toContain("coldspare import");
    expect(out).toBe(stripVTControlCharacters(out));
  });

  test("--html writes one page without scripts or anything from elsewhere", async () => {
    const folder = mkdtempSync(join(tmpdir(), "live-html-"));
    const file = join(folder, "tonight.html");
    const { out, err } = await live(["--html", file]);
    const page = readFileSync(file, "utf8");
    rmSync(folder, { recursive: true });
    expect(err).toBe(`Wrote ${file}\n`);
    expect(page).toContain(out.split("\n")[0]!.slice(0, 40));
    expect(page).not.toMatch(/<script|https?:|src=|url\(/i);
    expect(page).toContain("prefers-color-scheme: dark");
    expect(page).toContain("@media print");
  });

  test("an auditor's token sees no backups: that is told, and nobody is said to be without one", async () => {
    env.COLDSPARE_API_TOKEN = await cluster.token("auditor", AUDITOR);
    const report: LiveReport = JSON.parse((await live(["--json"])).out);
    expect(report.survives).toBe(false);
    expect(report.unread.map(({ why }) => why).join()).toMatch(/lacks Datastore\.AllocateSpace .*the list is empty/);
    for (const { code, message } of report.findings)
      if (/LIVE-NO-COPY|GUEST-NO-BACKUP/.test(code)) expect(message).toContain("not read");
    env.COLDSPARE_API_TOKEN = cluster.lab.tokens.root;
  });

  test("on a terminal it says how far it is, on the error output", async () => {
    const { out, err } = await live(["--quiet"], true);
    expect(err).toMatch(/reading \d+ of \d+: guest \d+/);
    expect(err.endsWith("\r\u001b[K")).toBe(true);
    expect(out).not.toContain("reading ");
  });
});

describe("what cannot be read, and what is wrong use, ends with 2", () => {
  const token = { COLDSPARE_API_TOKEN: "a@pve!b=00000000-0000-4000-8000-000000000000" };

  test.each([
    ["nobody there", ["--live", "--endpoint", "https://127.0.0.1:1"], /127\.0\.0\.1/],
    ["no endpoint", ["--live"], /--endpoint https:/],
    [
      "a specification beside it",
      ["smb-site", "--live", "--endpoint", "https://127.0.0.1:1"],
      /takes no specification/,
    ],
    ["what if", ["--live", "--set", "a=b", "--endpoint", "https://127.0.0.1:1"], /--set: .*leave it out/],
    ["an endpoint without --live", ["smb-site", "--endpoint", "https://127.0.0.1:1"], /--endpoint: add --live/],
    ["a page without --live", ["smb-site", "--html", "x.html"], /--html: add --live/],
  ])("%s", async (_name, args, message) => {
    const { code, out, err } = await coldspare(["check", ...args], token);
    expect(err).toMatch(message);
    expect(err).not.toContain("00000000-0000");
    expect(code).toBe(2);
    expect(out).toBe("");
    expect(existsSync("x.html")).toBe(false);
  });

  test("no token, and one that is not accepted or may see nothing", async () => {
    const cluster = await startCluster("smb");
    try {
      const args = ["check", "--live", "--endpoint", Object.values(cluster.endpoints)[0]!];
      const ca = { COLDSPARE_CA_FILE: cluster.caFile };
      expect(await coldspare(args, ca)).toMatchObject({ code: 2, err: expect.stringContaining("COLDSPARE_API_TOKEN") });
      expect(await coldspare(args, { ...ca, ...token })).toMatchObject({ code: 2, out: "" });
      const blind = await cluster.token("blind", { "/storage": "PVEAuditor" });
      const refused = await coldspare(args, { ...ca, COLDSPARE_API_TOKEN: blind });
      expect(refused).toMatchObject({ code: 2, err: expect.stringContaining("VM.Audit") });
    } finally {
      await cluster.stop();
    }
  });
});
