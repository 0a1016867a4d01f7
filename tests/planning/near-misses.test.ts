/** What is close to a mistake and is none: a finding there would teach people to overlook findings. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type OverrideError, overrideSite, type PlanOptions } from "../../planning";
import { STACK_SETTINGS } from "../../planning/checks/secrets";
import { cleanSite, planWith } from "./sites";

const codes = (set: string[], options: PlanOptions = {}) =>
  planWith(cleanSite(), set, options).findings.map(({ code }) => code);

test.each<[string, string[], PlanOptions?]>([
  ["a storage of another host, by its full name", ["storages.backups.server=valut.example.org"]],
  ["a storage of another host, by its address", ["storages.backups.server=10.0.1.9"]],
  ["a storage of a device", ["storages.backups.server=gateway"]],
  ["a storage of a host that no name here is like", ["storages.backups.server=archive-of-the-town"]],
  ["an export below the pool's directory", ["storages.backups.export=/srv/dumps/vm"]],
  ["disks that grow, and one more", ["guests.mail.disks[0].sizeGiB=120"], { deployedDisks: { mail: [100] } }],
  ["a place that never had a disk", [], { deployedDisks: { mail: [100, 0] } }],
  ["a secret of its own", ['guests.mail.cloudInit={"passwordSecret":"mail-password"}']],
  ["a disk with a name", ["guests.mail.disks[0].name=data"]],
  ["31 disks", [`guests.mail.disks=${JSON.stringify(Array(31).fill({ sizeGiB: 1, storage: "tank" }))}`]],
  [
    "a guest that changes its network, and keeps its address",
    ['networks.copy={"vlan":9,"bridge":"vmbr0"}', 'guests.mail.coldReplica.networks={"apps":"copy"}'],
  ],
  [
    "rules for a machine that cloud-init tells its address",
    [
      'networks.branch={"vlan":7,"subnet":"10.7.0.0/16","subnet6":"fd00:7::/64","bridge":"vmbr0"}',
      'guests.mail.coldReplica.networks={"apps":"branch"}',
      'guests.mail.coldReplica.reIp=[{"from":"10.0.2.0/24","to":"10.7.9.0/24"},{"from":"fd00:2::/64","to":"fd00:7::/64"}]',
      "guests.mail.cloudInit={}",
    ],
  ],
  ["leases with a witness, a guard and times that fit", ["site.fencing=lease", "site.lease.watchdogSeconds=60"]],
  ["times of leases that nobody uses", ["site.lease.marginSeconds=1"]],
  [
    "power of every server that carries guests",
    [
      "site.fencing=power",
      'servers.one.power={"kind":"command","off":["plug","off","1"],"status":["plug","status","1"]}',
      'servers.two.power={"kind":"redfish","url":"https://10.0.9.2","username":"admin","passwordSecret":"bmc-two"}',
    ],
  ],
  [
    "commands on every possible side",
    [
      "guests.mail.agent=true",
      `guests.mail.commands=${JSON.stringify(["operator", "primary", "spare", "guest", "vault"].map((on) => ({ when: "after-start", on, run: ["true"] })))}`,
      'groups.office={"guests":["mail"],"commands":[{"when":"before-stop","run":["true"]}]}',
    ],
  ],
  [
    "a probe by the agent of a guest without an address",
    ["guests.mail.agent=true", 'guests.mail.probes=[{"kind":"agent"}]', 'guests.mail.networks=[{"network":"apps"}]'],
  ],
  [
    "a drill of everything, of a group and of a guest",
    [
      'drills.all={"guests":"all","schedule":"monthly"}',
      'drills.office={"group":"office"}',
      'drills.mail={"guests":["mail"]}',
      'groups.office={"guests":["wiki"]}',
    ],
  ],
  [
    "a bucket elsewhere that takes additions only, for folders of a server",
    [
      'targets.cloud={"kind":"restic","quotaGiB":500,"location":"cloud","backend":{"type":"s3","endpoint":"https://s3.example.org:9000","bucket":"office","accessKeySecret":"s3-key","secretKeySecret":"cloud-secret-key-2"},"passwordSecret":"cloud-password","appendOnly":true}',
      'backups.data={"target":"cloud","schedule":"02:00","folders":[{"server":"vault","paths":["/srv/scans"],"usedGiB":20}],"keep":{"daily":7},"recoveryPoint":"2d","verify":{"reread":"sun 06:00"}}',
      'targets.house={"kind":"restic","sizeGiB":500,"backend":{"type":"sftp","on":"one","path":"/srv/restic"},"passwordSecret":"house-password"}',
      'backups.house={"target":"house","schedule":"03:00","folders":[{"server":"vault","paths":["/srv/scans"],"usedGiB":20}]}',
    ],
  ],
  [
    "a Proxmox Backup Server, and a copy of it that fetches from it",
    [
      'targets.store={"kind":"pbs","on":"vault","datastore":"office","disks":{"layout":"mirror","count":2,"sizeTB":4}}',
      'targets.copy={"kind":"pbs","host":"pbs.example.org","datastore":"office","sizeGiB":3000,"syncFrom":{"target":"store","schedule":"05:00"}}',
      'backups.store={"target":"store","schedule":"21:00","keep":{"daily":7,"weekly":4},"immutableFor":"7d","recoveryPoint":"26h","verify":{"testRestore":{"schedule":"sun 04:00","guests":["mail"]}}}',
    ],
  ],
  [
    "weekly and monthly media, one set of them off site, written in the morning",
    [
      'targets.shelf.rotation=[{"name":"weekly","media":["a","b"],"swap":"mon 09:00"},{"name":"monthly","media":["m"],"swap":"*-01 09:00","offSite":true}]',
      "targets.shelf.schedule=06:00",
      "targets.shelf.grace=3d",
      "site.timeZone=Europe/Berlin",
    ],
  ],
  ["a retention with one rule of 0", ['backups.nightly.keep={"last":0,"daily":7}']],
  [
    "guests by a tag that one has",
    [
      'guests.mail.tags=["mail"]',
      'backups.mail={"storage":"backups","schedule":"13:00","guests":{"tag":"mail"},"keep":{"daily":7,"weekly":4}}',
    ],
  ],
  ["the smallest guest, in a nested pool", ["guests.mail.memoryGiB=0.015625", "guests.mail.pool=office/mail"]],
])("%s", (...[, set, options]) => {
  expect(codes(set, options)).toEqual([]);
});

test("an ISO image on a shared storage ties nobody to a server", () => {
  const iso = ["images.debian.kind=iso", "images.debian.storage=media"];
  const media = (content: string) =>
    `storages.media={"type":"nfs","server":"vault","export":"/srv/dumps/media","sizeGiB":50,"content":["${content}"]}`;
  expect(codes([media("iso"), ...iso])).toEqual([]);
  expect(codes([media("vztmpl"), ...iso])).toEqual(["STORAGE-CONTENT", "STORAGE-CONTENT"]);
});

test("with an ISO image on a local storage of content iso there is that one note", () => {
  const plan = planWith(cleanSite(), [
    "images.debian.kind=iso",
    'servers.one.storages.local.content=["iso","snippets"]',
    'servers.two.storages.local.content=["iso","snippets"]',
  ]);
  expect(plan.ok).toBe(true);
  expect(plan.findings.map(({ code, severity }) => [code, severity])).toEqual([["IMAGE-ISO-LOCAL", "info"]]);
});

test("a third hypervisor is a third voter", () => {
  const witness = (role: string) => codes([`servers.vault.roles=["${role}"]`, "site.cluster=null"]);
  expect(witness("backup-server")).toContain("VOTERS-TWO");
  expect(witness("hypervisor")).not.toContain("VOTERS-TWO");
});

test("passwords travel encrypted only: a BMC is asked over https", () => {
  const bmc = (url: string) =>
    codes([`servers.one.power={"kind":"redfish","url":"${url}","username":"a","passwordSecret":"bmc"}`]);
  expect(bmc("https://[fd00:9::1]:8443")).toEqual([]);
  expect(bmc("http://10.0.9.1")).toEqual(["SPEC-INVALID"]);
  expect(bmc("10.0.9.1")).toEqual(["SPEC-INVALID"]);
});

test("a disk that is remapped is not told to keep its size as well", () => {
  expect(codes([], { deployedDisks: { mail: [600, 100] } })).toEqual(["DISK-REMAPPED"]);
  expect(codes([], { deployedDisks: { mail: [100, 100] } })).toEqual(["DISK-REMOVED"]);
});

test("where the host keeps more than there is, nobody is told to shrink guests", () => {
  const found = codes(["servers.one.hostReserve.cores=9", "servers.one.hostReserve.memoryGiB=33"]);
  expect(found).toEqual(["HOST-RESERVE-TOO-LARGE"]);
});

test("an override may add a guest as a whole, and names the one that was meant", () => {
  const wiki = cleanSite().guests!.wiki!;
  const added = overrideSite(cleanSite(), [
    `guests.chat=${JSON.stringify({ ...wiki, id: 103 })}`,
    "guests.chat.cores=1",
  ]) as { guests: Record<string, { cores: number }> };
  expect(added.guests.chat?.cores).toBe(1);
  try {
    overrideSite(cleanSite(), ["guests.wikki.cores=1"]);
    throw new Error("nothing was refused");
  } catch (error) {
    expect((error as OverrideError).finding?.fix).toBe(
      "Did you mean 'wiki'? A new one is added as a whole: guests.wikki={…}.",
    );
  }
});

test("the settings that are no names for secrets are those that the stack reads", () => {
  const source = readFileSync(join(__dirname, "../../stacks/settings.ts"), "utf8");
  const read = [...source.matchAll(/config\.\w+(?:<[^(]*>)?\("(\w+)"\)/g)].map((match) => match[1]!);
  expect([...new Set(read)].sort()).toEqual([...STACK_SETTINGS].sort());
});

test.each([
  "monthly",
  "Sun *-*-1..7 03:00",
  "sat 02:00",
  "Mon..Fri 22:30:00",
  "mon,thu *-*-* 4:00 Europe/Paris",
  "*-1,4,7,10-01 05:00 UTC",
  "2026-*~1 01:00",
  "*:0/15",
])("systemd knows '%s'", (schedule) => {
  expect(codes([`drills.some={"schedule":${JSON.stringify(schedule)}}`])).toEqual([]);
});

test.each(["", "every month", "*-*-32 03:00", "*-13-1", "25:00", "03:60", "Sun Mon 03:00", "03:00 03:00"])(
  "systemd does not know '%s'",
  (schedule) => {
    expect(codes([`drills.some={"schedule":${JSON.stringify(schedule)}}`])).toEqual(["DRILL-SCHEDULE"]);
  },
);

test.each<[string, string, string]>([
  [
    "servers.one.power",
    '{"kind":"redfish","usrname":"admin","url":"https://10.0.9.1","username":"a","passwordSecret":"b"}',
    "username",
  ],
  ["guests.mail.probes", '[{"kind":"http","prot":443}]', "port"],
  ["guests.mail.coldReplica.reIp", '[{"from":"10.0.2.0/24","to":"10.0.2.0/24","gatway":"10.0.2.1"}]', "gateway"],
  ["groups.office", '{"guests":["mail"],"delaySecond":4}', "delaySeconds"],
  ["drills.all", '{"shedule":"monthly"}', "schedule"],
  ["site.lease", '{"marginSecond":80}', "marginSeconds"],
])("a mistyped key in %s is told apart", (path, value, meant) => {
  const [finding] = planWith(cleanSite(), [`${path}=${value}`]).findings.filter(
    ({ code }) => code === "SPEC-UNKNOWN-KEY",
  );
  expect(finding?.fix).toContain(`Write '${meant}' instead of`);
});
