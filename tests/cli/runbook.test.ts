import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { planSite, type SiteSpec, siteManifest } from "../../planning";
import { manifestText } from "../../planning/manifest-text";
import { loadLayout } from "../../stacks/layouts";
import { coldspare } from "./run";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "coldspare-runbook-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

test("runbook of a layout, and of the manifest of the same site, are the same book", async () => {
  const manifest = join(folder, "site.json");
  writeFileSync(manifest, manifestText(siteManifest(planSite(loadLayout("smb-site") as SiteSpec), { endpoints: {} })));
  const bySite = await coldspare(["runbook", "smb-site", "--date", "2026-11-22"]);
  const byManifest = await coldspare(["runbook", "--manifest", manifest, "--date", "2026-11-22"]);
  expect(bySite).toMatchObject({ code: 0, err: "" });
  expect(bySite.out).toMatch(/^# Runbook of site smb \(smb\.internal\)\n\nAs of 2026-11-22\./);
  expect(byManifest).toEqual(bySite);
});

test("--html --out writes a page into a new folder and says where", async () => {
  const file = join(folder, "wall/runbook.html");
  const { code, out, err } = await coldspare(["runbook", "smb-site", "--html", "--server", "srv2", "--out", file]);
  expect({ code, out, err }).toEqual({ code: 0, out: "", err: `written: ${file}\n` });
  expect(readFileSync(file, "utf8")).toMatch(/^<!doctype html>[\s\S]*<h2>srv2 is lost<\/h2>/);
});

test("power-order: text, NUT and JSON", async () => {
  expect((await coldspare(["power-order", "smb-site"])).out).toMatch(
    /^Site smb\n\nGoing down:\n {2}1\. docker-1 \(114\) on srv2/,
  );
  const { out } = await coldspare(["power-order", "smb-site", "--format", "nut", "--self", "srv1"]);
  expect(out).toMatch(/^#!\/bin\/sh\n/);
  expect(out).toContain("\ndown backup-1\n");
  expect(out).not.toContain("\ndown srv1\n");
  const json = JSON.parse((await coldspare(["power-order", "smb-site", "--format", "json"])).out);
  expect(json).toMatchObject({ formatVersion: 1, site: "smb" });
  expect(json.up[0]).toEqual({ kind: "server", server: "backup-1", why: "switch it on" });
});

test.each([
  [["runbook", "smb-site", "--server", "srv3"], /--server srv3: smb has no such server; did you mean 'srv1'\?/],
  [["runbook", "smb-site", "--manifest", "x.json"], /not both/],
  [["runbook", "--manifest", "none.json"], /--manifest none.json cannot be read: ENOENT/],
  [["power-order", "smb-site", "--format", "ups"], /Allowed choices are text, nut, json/],
])("%j is wrong use", async (args, message) => {
  const { code, out, err } = await coldspare(args);
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toMatch(message);
});

test("a site with errors gets no paper that promises anything", async () => {
  const { code, out, err } = await coldspare(["runbook", "smb-site-too-large"]);
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(err).toMatch(/^smb-site-too-large has errors, so no runbook is written\n/);
});
