/** What `coldspare failover` says, and ends with, when some guests could not be brought up or were taken meanwhile. */
import type { Operator } from "../../operations/context";

let operator: () => Operator;
jest.mock("../../cli/open-site", () => ({
  openSite: async () => ({ operator: operator(), source: "manifest.json", close: async () => undefined }),
}));

import { failover } from "../../cli/commands/failover";
import type { SiteManifest } from "../../planning";
import { FakeSite } from "../operations/fake-site";

let site: FakeSite;
afterEach(() => site.remove());

async function run(json: boolean): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  const io = {
    stdout: { write: (text: string) => (out += text) },
    stderr: { write: (text: string) => (err += text) },
    env: { PATH: "/usr/bin:/bin" },
  };
  const options = { json, color: false, yes: true, confirmOff: "srv2", wait: false, record: false };
  const code = await failover("srv2", options, io);
  return { code, out, err };
}

function made(change?: (manifest: SiteManifest) => SiteManifest): void {
  site = new FakeSite(change);
  operator = () => site.operator();
  site.kill("srv2");
}

/** The ERP's own command before its start fails, and must not. */
const withFailingCommand = (manifest: SiteManifest): SiteManifest => {
  manifest.guests["sql-erp"]!.commands = [
    { when: "before-start", on: "operator", run: ["false"], timeoutSeconds: 5, required: true },
  ];
  return manifest;
};

describe("one guest that cannot be brought up", () => {
  test("ends with 1; the text names it, what is up all the same, and the way on", async () => {
    made(withFailingCommand);
    const { code, err } = await run(false);
    expect(code).toBe(1);
    expect(err).toMatch(/^stopped: before the start of sql-erp: false: .*which must succeed before the start/m);
    expect(err).toContain("remote-app and docker-1 were brought up all the same.\n");
    expect(err).toMatch(/the same command goes on from here\. \(failover-srv2-/);
  });

  test("the document has the outcome 'failed' and the guests that it is about", async () => {
    made(withFailingCommand);
    const { code, out } = await run(true);
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ outcome: "failed", failed: ["sql-erp"] });
  });
});

describe("one guest that its server took back meanwhile", () => {
  const takenWhenJobStops = () => {
    made();
    site.onChange = (what) => {
      if (!/replication\/113-0/.test(what)) return;
      site.onChange = undefined;
      for (const voter of ["srv1", "srv2", "backup-1"])
        Object.assign(site.votes.get(voter)!.get("sql-erp")!, { epoch: 4, server: "srv2", by: "guard@srv2" });
      site.up.set("srv2", true);
      site.guests.get(113)!.running = true;
    };
  };

  test("is no failure of the others, and the command says where it is", async () => {
    takenWhenJobStops();
    const { code, out } = await run(false);
    expect(out).toMatch(/done: .*docker-1 on srv1/);
    expect(out).toMatch(/sql-erp has gone home: srv2 came back and took it/);
    expect(out).toMatch(/`coldspare status` shows them/);
    expect(code).toBe(1);
    expect(site.twice).toEqual([]);
  });

  test("the document has the outcome 'partial' and who took what", async () => {
    takenWhenJobStops();
    const { code, out } = await run(true);
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      outcome: "partial",
      taken: { "sql-erp": "sql-erp has gone home: srv2 came back and took it" },
    });
  });
});
