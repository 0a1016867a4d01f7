import { renderNodeConf, siteManifest } from "../../planning";
import { cleanSite, planWith, smbSite } from "./sites";

const KEY = "ssh-ed25519 AAAA";
const lease = ["site.fencing=lease"];

test("the lines of a hypervisor of the small firm", () => {
  const manifest = siteManifest(planWith(smbSite(), lease), {
    endpoints: {},
    ssh: { hostKeys: { srv1: [KEY], srv2: [KEY], "backup-1": [KEY] } },
  });
  expect(renderNodeConf(manifest, "srv2")).toBe(`format 1
site smb
self srv2
hypervisor 1
fencing lease
term 60
renew 10
margin 75
watchdog 60
peer backup-1 192.168.10.13 22
peer srv1 192.168.10.11 22
guest dc-1 qemu primary=srv1 spare=srv2 voters=srv1,srv2,backup-1 ids=110@srv1,110@srv2 order=10 delay=60 onboot=1
guest files-1 qemu primary=srv1 spare=srv2 voters=srv1,srv2,backup-1 ids=111@srv1,111@srv2 order=20 delay=0 onboot=1
guest sql-erp qemu primary=srv2 spare=srv1 voters=srv2,srv1,backup-1 ids=113@srv2,113@srv1 order=30 delay=30 onboot=1
guest remote-app qemu primary=srv2 spare=srv1 voters=srv2,srv1,backup-1 ids=112@srv2,9112@srv1,9212@srv1 order=40 delay=0 onboot=1
guest docker-1 qemu primary=srv2 spare=srv1 voters=srv2,srv1,backup-1 ids=114@srv2,114@srv1 order=50 delay=0 onboot=1
`);
});

test("a witness is no hypervisor, and a guest without a spare is nobody's business", () => {
  const manifest = siteManifest(planWith(cleanSite(), ["guests.wiki.coldReplica=null", "site.lease.termSeconds=30"]), {
    endpoints: {},
  });
  const lines = renderNodeConf(manifest, "vault").split("\n");
  expect(lines).toEqual(expect.arrayContaining(["self vault", "hypervisor 0", "fencing confirm", "term 30"]));
  expect(lines.filter((line) => line.startsWith("guest "))).toEqual([
    "guest mail qemu primary=one spare=two voters=one,two,vault ids=101@one,101@two order=50 delay=0 onboot=1",
  ]);
  expect(lines.filter((line) => line.startsWith("peer "))).toEqual([]);
});

test("servers ask one another at their own addresses, whichever way the operator takes", () => {
  const manifest = siteManifest(planWith(cleanSite(), ["servers.vault.address=null"]), {
    endpoints: {},
    ssh: {
      port: 2200,
      hosts: { two: "127.0.0.1:40022", vault: "vault.example" },
      hostKeys: { one: [KEY], two: [KEY], vault: [KEY] },
    },
  });
  expect(renderNodeConf(manifest, "one")).toContain("\npeer two 10.0.1.2 22\npeer vault vault.example 2200\n");
  expect(renderNodeConf(manifest, "two")).toContain("\npeer one 10.0.1.1 2200\n");
});

test("a server that is not there is named", () => {
  const manifest = siteManifest(planWith(cleanSite()), { endpoints: {} });
  expect(() => renderNodeConf(manifest, "three")).toThrow("Site office has no server 'three'.");
});
