import type { DrillFacts } from "../../operations/drill-plan";
import { planDrill } from "../../operations/drill-plan";
import { planSite } from "../../planning";
import { type SiteManifest, siteManifest } from "../../planning/manifest";
import { smbSite } from "../planning/sites";

function smbManifest(): SiteManifest {
  const endpoints = { srv1: "https://192.168.10.11:8006", srv2: "https://192.168.10.12:8006" };
  const hostKeys = Object.fromEntries(["srv1", "srv2", "backup-1"].map((name) => [name, ["ssh-ed25519 AAAA"]]));
  const site = smbSite();
  site.groups = { office: { guests: ["dc-1", "files-1"], order: 10 } };
  return siteManifest(planSite(site), { endpoints, ssh: { hostKeys } });
}

const manifest = smbManifest();

const facts = (changes: Partial<DrillFacts> = {}): DrillFacts => ({
  standbyServer: { "dc-1": "srv2", "files-1": "srv2", "remote-app": "srv1", "sql-erp": "srv1", "docker-1": "srv1" },
  up: ["srv1", "srv2", "backup-1"],
  usedGiB: { srv1: 8.3, srv2: 18.45 },
  standby: { "remote-app": { vmid: 9112, recoveryPoint: "2026-11-21T22:30:00Z" } },
  lastSync: Object.fromEntries(
    ["dc-1", "files-1", "sql-erp", "docker-1"].map((name) => [name, "2026-11-22T03:00:00Z"]),
  ),
  takenIds: [110, 111, 112, 113, 114, 9112],
  ...changes,
});

const shape = (names: string[], changes?: Partial<DrillFacts>) =>
  planDrill(manifest, facts(changes), names).units.map(
    ({ name, server, copies }) =>
      `${name} on ${server}: ${copies.map(({ guest, from }) => `${guest} (${from})`).join(", ")}`,
  );

test("everything: groups in their order, in one network each, then single guests by boot order", () => {
  expect(shape([])).toEqual([
    "office on srv2: dc-1 (volumes), files-1 (volumes)",
    "sql-erp on srv1: sql-erp (volumes)",
    "remote-app on srv1: remote-app (standby)",
    "docker-1 on srv1: docker-1 (volumes)",
  ]);
});

test("a group's name stands for its guests, and one guest of it can be drilled alone", () => {
  expect(shape(["office"])).toEqual(["office on srv2: dc-1 (volumes), files-1 (volumes)"]);
  expect(shape(["files-1"])).toEqual(["office on srv2: files-1 (volumes)"]);
});

test("a copy has an id of its own, the address that its service answers on, and the gateway is the prober", () => {
  const { units } = planDrill(manifest, facts({ takenIds: [900_000_113] }), ["sql-erp"]);
  const [unit] = units;
  expect(unit?.copies[0]).toMatchObject({
    drillId: 900_000_114,
    address: "192.168.20.13",
    recoveryPoint: "2026-11-22T03:00:00Z",
  });
  expect(unit?.networks).toEqual([{ bridge: unit?.copies[0]?.bridges[0], addresses: ["192.168.20.1/24"] }]);
  // The kernel takes 15 characters at most, also with the letter that its two ends are told apart by.
  expect(`p${unit?.networks[0]?.bridge}`.length).toBeLessThanOrEqual(15);
});

test.each([
  ["a guest that nobody knows", ["nobody"], {}, "there is no guest and no group 'nobody'"],
  ["a server that is down", ["sql-erp"], { up: ["srv2"] }, "srv1, which stands by for sql-erp, does not answer"],
  ["a side that is not known", ["sql-erp"], { standbyServer: {} }, "which side of sql-erp stands by is not known"],
  ["no standby", ["remote-app"], { standby: {} }, "remote-app has no good standby on srv1"],
  ["no replica", ["sql-erp"], { lastSync: {} }, "sql-erp was never replicated to srv1"],
  [
    "no memory",
    ["sql-erp"],
    { usedGiB: { srv1: 22 } },
    "the drill of sql-erp needs 8 GiB on srv1, which has 6 GiB left beside what runs now",
  ],
])("refused: %s", (_, names, changes, message) => {
  const plan = planDrill(manifest, facts(changes), names);
  expect(plan.units).toEqual([]);
  expect(plan.refusals.map((finding) => finding.message)).toEqual([message]);
  expect(plan.refusals[0]?.code).toMatch(/^OPERATION-/);
});
