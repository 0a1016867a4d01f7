/** `coldspare import` and `coldspare adopt`: written down, taken over, and nothing on the hypervisors is different. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { readCluster } from "../../operations/live-site/read";
import { interpretCluster } from "../../planning/adoption/interpret";
import { planSite } from "../../planning/plan-site";
import type { SiteSpecInput } from "../../planning/schema";
import { createAccounts } from "../../tests/lab/accounts";
import type { LiveCluster } from "../../tests/live/clusters";
import type { Check } from "../check";
import { access, difference, endpoint, photograph, withCluster } from "./cluster";
import { Project } from "./project";
import { coldspare, type Scenario } from "./scenario";

type Kind = "smb" | "large" | "by-hand";

const imports = (part: Kind | "half", name: string, quick: boolean): Scenario => ({
  name,
  part,
  quick,
  run: ({ check, folder }) =>
    withCluster(part, async (cluster) => {
      const before = await photograph(cluster);
      const site = await written(check, cluster, folder);
      if (part !== "half") await takenOver(check, cluster, site);
      const changed = difference(before, await photograph(cluster));
      check.that("the hypervisors are, byte for byte, as they were", changed === undefined, changed);
    }),
});

/** The folder that `import` writes. */
async function written(check: Check, cluster: LiveCluster, folder: string): Promise<string> {
  const env = await access(cluster, folder, await cluster.auditor());
  const site = join(folder, "site");
  await cluster.resetCalls();
  const run = await coldspare(["import", ...endpoint(cluster), "--out", site], env);
  const { total, changing } = await cluster.calls();
  check.that("import ends well", run.code === 0, `exit code ${run.code}\n${run.stdout}\n${run.stderr}`);
  check.equal("reading changed nothing", changing, 0);
  check.figure(`read and written in ${run.seconds.toFixed(1)} s, ${total} calls`);
  const spec = parse(readFileSync(join(site, "site.yaml"), "utf8")) as SiteSpecInput;
  const { guests } = interpretCluster(await readCluster(cluster.pve));
  const out = guests.filter((guest) => guest.name === undefined);
  check.equal(
    "every guest is in the file or was left out",
    Object.keys(spec.guests ?? {}).length + out.length,
    guests.length,
  );
  check.that(
    "whoever was left out is named with the reason",
    out.every(({ vmid, reason }) => reason !== undefined && new RegExp(`\\b${vmid}\\b`).test(run.stdout)),
    run.stdout,
  );
  const planned = await coldspare(["check", join(site, "site.yaml"), "--quiet"]);
  check.that("the file passes its own check", planned.code === 0, planned.stdout);
  const again = await coldspare(["import", ...endpoint(cluster), "--out", site], env);
  check.that("a folder that is not empty is refused", again.code === 2 && /empty/.test(again.stderr), again.stderr);
  check.figure(`${guests.length - out.length} of ${guests.length} guests taken over`);
  return site;
}

/** The account that `coldspare privileges --for pulumi` prints for what was written: no more than the program needs. */
async function programToken(cluster: LiveCluster, folder: string): Promise<string> {
  const site = parse(readFileSync(join(folder, "site.yaml"), "utf8")) as SiteSpecInput;
  return (await createAccounts(cluster.lab, planSite(site))).pulumi;
}

/** `adopt`, and two updates. */
async function takenOver(check: Check, cluster: LiveCluster, folder: string): Promise<void> {
  const project = await Project.open(folder, cluster, await programToken(cluster, folder));
  await cluster.resetCalls();
  const adopted = await project.coldspare(["adopt", "--yes"]);
  check.that("adopt ends well", adopted.code === 0, `${adopted.stdout}\n${adopted.stderr}`.slice(-6000));
  check.equal("adopt makes no call that changes anything", await cluster.changing(), 0);
  for (const which of ["the next update", "and the one after it"]) {
    const up = await project.up();
    check.that(
      `${which} shows no change`,
      up.code === 0 && Object.keys(up.changes).join() === "same",
      `${JSON.stringify(up.changes)} ${up.stderr}`,
    );
  }
  check.equal("no update made a call that changes anything", await cluster.changing(), 0);
  check.figure(`taken over in ${adopted.seconds.toFixed(0)} s`);
}

const lostState: Scenario = {
  name: "the state is lost: rebuilt from the site file without touching a guest",
  part: "smb",
  quick: true,
  run: ({ check, folder }) =>
    withCluster("smb", async (cluster) => {
      const env = await access(cluster, folder, await cluster.auditor());
      const site = join(folder, "site");
      await coldspare(["import", ...endpoint(cluster), "--out", site], env);
      const token = await programToken(cluster, site);
      const project = await Project.open(site, cluster, token);
      const first = await project.coldspare(["adopt", "--yes"]);
      check.that("a stack takes the site over", first.code === 0, `${first.stdout}\n${first.stderr}`.slice(-4000));
      const before = await photograph(cluster);
      const known = (await project.pulumi(["stack", "export"])).stdout;
      await project.fine(project.pulumi(["stack", "rm", "prod", "--yes", "--force", "--preserve-config"]));
      check.equal("the state is gone", (await project.pulumi(["stack", "ls", "--json"])).stdout.trim(), "[]");
      await project.fine(project.pulumi(["stack", "init", "prod"]));
      // A new stack has a new salt: what was encrypted with the old one is set again.
      await project.fine(project.pulumi(["config", "set", "--secret", "coldspare:apiToken"], token));
      await cluster.resetCalls();
      const again = await project.coldspare(["adopt", "--yes"]);
      check.that("adopt rebuilds it", again.code === 0, `${again.stdout}\n${again.stderr}`.slice(-4000));
      const rebuilt = (await project.pulumi(["stack", "export"])).stdout;
      check.equal("with the same resources", urns(rebuilt), urns(known));
      const up = await project.up();
      check.equal("the next update shows no change", Object.keys(up.changes), ["same"]);
      check.equal("no call changed anything", await cluster.changing(), 0);
      check.that("no guest is different", difference(before, await photograph(cluster)) === undefined);
    }),
};

function urns(exported: string): string[] {
  const { deployment } = JSON.parse(exported) as { deployment: { resources?: { urn: string }[] } };
  return (deployment.resources ?? []).map(({ urn }) => urn).sort();
}

const refusals: Scenario = {
  name: "import without access, or into a folder with something in it: a clear word, and nothing written",
  part: "smb",
  quick: true,
  run: ({ check, folder }) =>
    withCluster("smb", async (cluster) => {
      const env = await access(cluster, folder, await cluster.token("blind", { "/storage": "PVEDatastoreAdmin" }));
      const blind = await coldspare(["import", ...endpoint(cluster), "--out", join(folder, "one")], env);
      check.that("a missing privilege is named", blind.code === 1 && /VM\.Audit/.test(blind.stderr), blind.stderr);
      check.that("nothing was written", !existsSync(join(folder, "one")));
      const full = join(folder, "two");
      mkdirSync(full);
      writeFileSync(join(full, "notes.txt"), "mine");
      const good = await access(cluster, folder, await cluster.auditor());
      const taken = await coldspare(["import", ...endpoint(cluster), "--out", full], good);
      check.that(
        "a full folder is refused, and what is in it named",
        taken.code === 2 && /notes\.txt/.test(taken.stderr),
        taken.stderr,
      );
      check.equal("it is as it was", readdirSync(full), ["notes.txt"]);
    }),
};

export const importScenarios: readonly Scenario[] = [
  imports("smb", "import and adopt: a small firm's site", false),
  imports("large", "import and adopt: 15 servers with 120 guests", false),
  imports("by-hand", "import and adopt: a cluster that was made by hand", true),
  imports("half", "import: half of the cluster is off", false),
  lostState,
  refusals,
];
