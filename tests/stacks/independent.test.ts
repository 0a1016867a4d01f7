/** Hypervisors without a cluster: which side of a guest by zfs-sync is active, whose provider makes what. */
import * as proxmoxve from "@pulumi/proxmoxve";
import * as pulumi from "@pulumi/pulumi";
import { Site } from "../../components";
import { type Side, type SitePlan, votersOf } from "../../planning";
import { compareActiveSides, type GuestRow } from "../../stacks/active-sides";
import { endpointFindings } from "../../stacks/build-site";
import { readDeployed } from "../../stacks/deployed";
import { record } from "../components/recorder";
import { cleanSite, planWith } from "../planning/sites";
import { type Fake, type FakeAnswer, startFake } from "../providers/fake-server";

const INDEPENDENT = [
  "site.cluster=null",
  "guests.wiki=null",
  "storages.backups.managed=false",
  "backups.nightly=null",
  "targets.shelf=null",
  "guests.mail.coldReplica.method=zfs-sync",
];
const plan = (active: Record<string, Side> = {}): SitePlan => planWith(cleanSite(), INDEPENDENT, { active });

const home: GuestRow = { vmid: 101, node: "one", status: "running", tags: "coldspare" };
const away: GuestRow = { vmid: 101, node: "two", status: "stopped", tags: "coldspare;coldspare-spare" };
const off = { status: "stopped" };

test.each<[string, GuestRow[], Record<string, Side>, string[]]>([
  ["at home", [home, away], {}, []],
  [
    "a failover that is recorded",
    [
      { ...home, ...off },
      { ...away, status: "running" },
    ],
    { mail: "spare" },
    [],
  ],
  [
    "the spare runs",
    [
      { ...home, ...off },
      { ...away, status: "running" },
    ],
    {},
    ["mail is active on its spare (two), and coldspare:active.mail says primary: guest 101 runs on two."],
  ],
  [
    "at home and recorded away",
    [home, away],
    { mail: "spare" },
    ["mail is active on its primary (one), and coldspare:active.mail says spare: guest 101 runs on one."],
  ],
  [
    "off, with the mark of a failover",
    [
      { ...home, ...off },
      { ...away, tags: "coldspare;coldspare-active" },
    ],
    {},
    [
      "mail is active on its spare (two), and coldspare:active.mail says primary: guest 101 on two is marked as active.",
    ],
  ],
  ["off on both", [{ ...home, ...off }, away], {}, []],
  ["only the spare's server answers", [away], {}, []],
])("%s", (_, rows, active, expected) => {
  const { guests } = plan(active);
  const found = compareActiveSides(Object.values(guests), rows, {}, (guest) => votersOf(plan(active), guest));
  expect(found.map(({ message }) => message)).toEqual(expected);
});

test("each hypervisor needs an endpoint of its own; a cluster does not", () => {
  const endpoints = { one: "https://10.0.1.1:8006" };
  expect(endpointFindings(plan(), { endpoints })).toMatchObject([
    { code: "SERVER-NO-ENDPOINT", subject: "servers.two" },
  ]);
  expect(endpointFindings(planWith(cleanSite()), { endpoints })).toEqual([]);
});

test("servers and guests are made with their own server's provider, whichever side is active; URNs stay", async () => {
  const build = async (active: Record<string, Side>) => {
    const seen = new Map<string, string>();
    const transformations: pulumi.ResourceTransformation[] = [
      ({ name, type, opts }) => {
        const { provider, providers } = opts as pulumi.CustomResourceOptions & pulumi.ComponentResourceOptions;
        const given = provider ?? (providers as Record<string, pulumi.ProviderResource> | undefined)?.proxmoxve;
        if (given !== undefined) seen.set(`${type}::${name}`, (given as unknown as { label: string }).label);
        return undefined;
      },
    ];
    const { recorder } = await record(() => {
      const provider = (server: string) => {
        const made = new proxmoxve.Provider(`pve-${server}`, { endpoint: `https://${server}:8006`, apiToken: "x" });
        return Object.assign(made, { label: server });
      };
      const serverProviders = { one: provider("one"), two: provider("two") };
      return new Site("office", { site: plan(active), serverProviders }, { transformations });
    });
    return { seen, identities: recorder.identities(), one: (name: string) => recorder.one(name).inputs };
  };
  const [atHome, switched] = [await build({}), await build({ mail: "spare" })];
  for (const { seen } of [atHome, switched]) {
    expect(seen.get("coldspare:index:PhysicalServer::two")).toBe("two");
    expect(seen.get("coldspare:index:VirtualMachine::mail")).toBe("one");
  }
  expect(switched.identities).toEqual(atHome.identities);
  expect(atHome.one("mail-vm")).toMatchObject({ nodeName: "one", started: true });
  expect(switched.one("mail-vm")).toMatchObject({ nodeName: "one", started: false, onBoot: false });
  expect(switched.one("mail-registered")).toMatchObject({ node: "two", source: "one", active: true });
});

describe("what is deployed is read of each server for itself", () => {
  const fakes: Fake[] = [];
  afterEach(() => Promise.all(fakes.splice(0).map((fake) => fake.close())));

  const config = (gib: number) => ({ data: { name: "mail", scsi0: `tank:vm-101-disk-0,size=${gib}G` } });
  const serve = async (node: string, status: string, gib: number) => {
    const answers: Record<string, FakeAnswer> = {
      "/version": { data: { version: "9.0.3" } },
      "/cluster/resources": { data: [{ vmid: 101, node, type: "qemu", name: "mail", tags: "coldspare", status }] },
      "/cluster/status": { data: [{ type: "node", name: node, online: 1 }] },
      [`/nodes/${node}/qemu/101/config`]: config(gib),
      [`/nodes/${node}/qemu/101/status/current`]: { data: { status } },
    };
    const fake = await startFake(({ path }) => answers[path] ?? { status: 501, reason: `no ${path}` });
    fakes.push(fake);
    return fake;
  };
  const read = async (one: Fake, two: Fake) =>
    readDeployed(plan(), {
      layout: "smb-site",
      endpoints: { one: one.url, two: two.url },
      apiToken: pulumi.secret("coldspare@pve!pulumi=8f1a"),
      ca: `${one.pem}\n${two.pem}`,
      fingerprints: {},
      active: {},
      protect: true,
    });

  test("the guest of the primary counts, whichever server answers first", async () => {
    const { disks, findings } = await read(await serve("one", "running", 100), await serve("two", "stopped", 90));
    expect({ disks, findings }).toEqual({ disks: { mail: [100] }, findings: [] });
  });

  test("a failover that the config does not record is found on the other server", async () => {
    const { findings } = await read(await serve("one", "stopped", 100), await serve("two", "running", 100));
    expect(findings.map(({ code }) => code)).toEqual(["ACTIVE-MISMATCH"]);
  });

  test("one that does not answer is named, and the other is read", async () => {
    const [one, two] = [await serve("one", "running", 100), await serve("two", "stopped", 90)];
    await two.close();
    fakes.splice(fakes.indexOf(two), 1);
    const { disks, findings } = await read(one, two);
    expect(disks).toEqual({ mail: [100] });
    expect(findings.map(({ code, subject }) => `${code} ${subject}`)).toEqual(["SITE-UNREACHABLE servers.two"]);
  });
});
