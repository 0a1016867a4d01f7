/** `coldspare check --live`: read-only, on every cluster. */
import { access, difference, endpoint, photograph, withCluster } from "./cluster";
import { coldspare, type Scenario } from "./scenario";

const looks = (part: "smb" | "large" | "by-hand" | "half", name: string, quick: boolean): Scenario => ({
  name,
  part,
  quick,
  run: ({ check, folder }) =>
    withCluster(part, async (cluster) => {
      const before = await photograph(cluster);
      const env = await access(cluster, folder, await cluster.auditor());
      await cluster.control("POST", "/calls/reset");
      const run = await coldspare(["check", "--live", ...endpoint(cluster), "--json"], env);
      const { total, changing } = await cluster.calls();
      check.that("it answers with a report", run.code < 2, `exit code ${run.code}\n${run.stderr}`);
      const report = JSON.parse(run.stdout || "{}") as { servers?: Record<string, unknown> };
      check.equal(
        "it tells of every server",
        Object.keys(report.servers ?? {}).length,
        Object.keys(cluster.endpoints).length,
      );
      check.equal("no call changed anything", changing, 0);
      check.that(
        "nothing is different on the hypervisors",
        difference(before, await photograph(cluster)) === undefined,
      );
      check.figure(`${run.seconds.toFixed(1)} s, ${total} calls`);
      const text = await coldspare(["check", "--live", ...endpoint(cluster)], env);
      check.that(
        "the report for people says what dies with a server",
        /dies|lost|come back|survive/i.test(text.stdout),
        text.stdout.slice(0, 400),
      );
    }),
});

const refusals: Scenario = {
  name: "no access, no privilege, nothing there, no Proxmox: a clear word, and nothing written",
  part: "smb",
  quick: true,
  run: ({ check, folder }) =>
    withCluster("smb", async (cluster) => {
      const look = await cluster.auditor();
      const env = await access(cluster, folder, look);
      const live = (args: string[], more: NodeJS.ProcessEnv = {}) =>
        coldspare(["check", "--live", ...args], { ...env, ...more });
      const blind = await access(cluster, folder, await cluster.token("blind", { "/storage": "PVEDatastoreAdmin" }));
      const cases: [string, Promise<{ code: number; stderr: string }>, RegExp][] = [
        ["without a privilege it names it", live(endpoint(cluster), blind), /VM\.Audit[\s\S]*pveum/],
      ];
      for (const [text, run, words] of cases) {
        const { code, stderr } = await run;
        check.that(text, code === 2 && words.test(stderr), `exit code ${code}: ${stderr}`);
      }
      const good = await access(cluster, folder, look);
      const wrong = await live(endpoint(cluster), {
        ...good,
        COLDSPARE_API_TOKEN_FILE: "",
        COLDSPARE_API_TOKEN: "nobody@pve!none=00000000-0000-4000-8000-000000000000",
      });
      check.that(
        "a wrong token is refused, and its secret is not shown",
        wrong.code === 2 && /does not take the API token/.test(wrong.stderr) && !/00000000-0000/.test(wrong.stderr),
        wrong.stderr,
      );
      const untrusted = await live(endpoint(cluster), { COLDSPARE_CA_FILE: "" });
      check.that(
        "a certificate that is not trusted is refused",
        untrusted.code === 2 && /certificate/i.test(untrusted.stderr),
        untrusted.stderr,
      );
      const nobody = await live(["--endpoint", "https://127.0.0.1:1"]);
      check.that(
        "an address where nobody answers is named",
        nobody.code === 2 && /127\.0\.0\.1/.test(nobody.stderr),
        nobody.stderr,
      );
      const none = await live([]);
      check.that(
        "without an endpoint it says what to write",
        none.code === 2 && /--endpoint/.test(none.stderr),
        none.stderr,
      );
    }),
};

export const liveScenarios: readonly Scenario[] = [
  looks("smb", "what dies tonight: a small firm's site, read-only", true),
  looks("large", "what dies tonight: 15 servers with 120 guests", true),
  looks("by-hand", "what dies tonight: a cluster that was made by hand", false),
  looks("half", "what dies tonight: half of the cluster is off", false),
  refusals,
];
