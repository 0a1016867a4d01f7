/** A whole site with the guard, built by the real engine on real hosts: what it costs in the state, and that it comes to rest. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { type Lab, startLab } from "../../lab";
import { labTopology } from "../../lab/from-site";
import { canRunHosts } from "../../lab/hosts";
import { planSite } from "../../planning";
import { type EngineRun, EngineStack, type StateResource } from "../engine/engine";
import { smbSite } from "../engine/site-lab";

const check = canRunHosts();
if (!check.ok) process.stderr.write(`tests/hosts: SKIPPED: ${check.why}\n`);
const here = check.ok ? describe : describe.skip;

/** As the stack's file holds it: in one line, with everything that the engine keeps beside inputs and outputs. */
const DYNAMIC_BYTES = 2500;

here("a site with the guard", () => {
  let folder: string;
  let lab: Lab;
  let stack: EngineStack;
  // Guests and guards alone: what makes copies has tests of its own, and secrets that this stack has not.
  const { backups: { nightly } = {}, ...rest } = smbSite();
  const site = { ...rest, targets: {}, backups: nightly === undefined ? {} : { nightly } };
  const servers = Object.keys(site.servers);

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "coldspare-guarded-"));
    lab = await startLab({
      folder: join(folder, "lab"),
      topology: labTopology(planSite(site)),
      clock: { speed: 20 },
      hosts: true,
    });
    stack = new EngineStack({ folder });
    stack.trust(lab.caFile);
    const hosts = lab.hosts!;
    writeFileSync(join(folder, "site.yaml"), stringify(site));
    const hostKeys: Record<string, string[]> = {};
    for (const name of servers) hostKeys[name] = [await hosts.hostKey(name)];
    await stack.init(
      {
        "coldspare:siteFile": join(folder, "site.yaml"),
        "coldspare:endpoints": lab.endpoints,
        "coldspare:caFile": lab.caFile,
        "coldspare:protect": false,
        "coldspare:ssh": {
          keyFile: hosts.operatorKeyFile(),
          hosts: Object.fromEntries(servers.map((name) => [name, `127.0.0.1:${hosts.sshPort(name)}`])),
          hostKeys,
        },
      },
      { "coldspare:apiToken": lab.tokens.root },
    );
  }, 60_000);

  afterAll(async () => {
    await lab?.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 30_000);

  const fine = (run: EngineRun): EngineRun => {
    if (run.code !== 0) throw new Error(run.log);
    return run;
  };

  it("is built at the first update, and keeps little of each guard", async () => {
    fine(await stack.up());
    const { resources } = await stack.state();
    const guards = resources.filter(({ type }: StateResource) => type.endsWith("ServerGuard"));
    const bytes = guards.map((guard) => [guard.urn.split("::").at(-1), JSON.stringify(guard).length]);
    if (process.env.COLDSPARE_SHOW)
      process.stderr.write(`${bytes.join("  ")}\n${JSON.stringify(guards[0], null, 1)}\n`);
    expect(guards).toHaveLength(servers.length);
    expect(bytes.filter(([, size]) => Number(size) > DYNAMIC_BYTES)).toEqual([]);
    expect(guards.map(({ outputs }) => outputs?.drift)).toEqual(servers.map(() => []));
  }, 120_000);

  it("changes nothing at the second update, nor at one that looks first", async () => {
    expect(fine(await stack.up()).steps).toEqual([]);
    expect(fine(await stack.up("--refresh")).steps).toEqual([]);
  }, 120_000);
});
