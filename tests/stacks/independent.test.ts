/** Hypervisors without a cluster: which side of a guest by zfs-sync is active, whose provider makes what. */
import * as proxmoxve from "@pulumi/proxmoxve";
import type * as pulumi from "@pulumi/pulumi";
import { Site } from "../../components";
import { type Side, type SitePlan, votersOf } from "../../planning";
import { compareActiveSides, type GuestRow } from "../../stacks/active-sides";
import { endpointFindings } from "../../stacks/build-site";
import { record } from "../components/recorder";
import { cleanSite, planWith } from "../planning/sites";

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
