import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manifestText, planSite, siteManifest } from "../../planning";
import type { SiteSpecInput } from "../../planning/schema";
import { loadLayout } from "../../stacks/layouts";
import { coldspare } from "./run";

const manifest = siteManifest(planSite(loadLayout("smb-site") as SiteSpecInput), {
  // Ports on which nobody listens.
  endpoints: { srv1: "https://127.0.0.1:1", srv2: "https://127.0.0.1:1" },
});

let folder: string;
let env: Record<string, string>;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "coldspare-cli-"));
  const file = join(folder, "manifest.json");
  writeFileSync(file, manifestText(manifest));
  env = {
    HOME: folder,
    COLDSPARE_MANIFEST: file,
    COLDSPARE_API_TOKEN: "root@pam!x=00000000-0000-0000-0000-000000000000",
  };
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("commands on a site, before anything is reached", () => {
  test.each([["status"], ["failover", "srv2"], ["undo", "srv2"], ["journal"]])(
    "%s: without a manifest it says where one is looked for",
    async (...args) => {
      const { code, err } = await coldspare(args, { HOME: folder });
      expect(code).toBe(2);
      expect(err).toMatch(/no site manifest: neither --manifest, COLDSPARE_MANIFEST.*--from root@ADDRESS/);
    },
  );

  test.each([
    [["failover", "srv9"], /site smb has no server 'srv9'; did you mean 'srv/],
    [["failover", "srv2", "--guest", "sql-epr"], /there is no such guest; did you mean 'sql-erp'/],
    [["undo", "sql-epr"], /no guest and no server 'sql-epr'; did you mean 'sql-erp'/],
    [["status", "--watch", "soon"], /--watch soon: write seconds/],
    [["status", "--from", "srv1;rm"], /write root@ADDRESS/],
    [["journal", "failover-x"], /the journal has no operation 'failover-x'/],
  ])("%j is wrong use", async (args, message) => {
    const { code, err } = await coldspare(args, env);
    expect({ code, err }).toEqual({ code: 2, err: expect.stringMatching(message) });
  });

  test("a damaged manifest is named", async () => {
    const file = join(folder, "damaged.json");
    writeFileSync(file, '{"format":1,"site":"x"}');
    const { code, err } = await coldspare(["status", "--manifest", file], env);
    expect({ code, err }).toEqual({
      code: 2,
      err: expect.stringMatching(/damaged\.json: The site manifest is incomplete/),
    });
  });
});

describe("a site of which nobody answers", () => {
  test("status says so, and is done at once", async () => {
    const { code, out } = await coldspare(["status"], env);
    expect(code).toBe(0);
    expect(out).toMatch(/srv1 +down/);
    expect(out).toMatch(/sql-erp +unknown/);
    expect((await coldspare(["status", "--strict"], env)).code).toBe(1);
  });

  test("failover refuses everything at once, as JSON too", async () => {
    const { code, out } = await coldspare(["failover", "srv2", "--yes", "--json"], env);
    expect(code).toBe(1);
    const report = JSON.parse(out) as { outcome: string; refusals: { code: string }[] };
    expect(report.outcome).toBe("refused");
    const codes = report.refusals.map((each) => each.code);
    expect(codes).toEqual(expect.arrayContaining(["OPERATION-NO-MAJORITY", "OPERATION-NOT-CONFIRMED"]));
  });

  test("the journal is empty", async () => {
    expect(await coldspare(["journal"], env)).toMatchObject({ code: 0, out: "nothing was done to this site yet\n" });
    const { out } = await coldspare(["journal", "--json"], env);
    expect(JSON.parse(out)).toEqual({ formatVersion: 1, site: "smb", operations: [] });
  });
});
