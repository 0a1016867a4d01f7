import { createHash } from "node:crypto";
import fc from "fast-check";
import {
  type ManifestAccess,
  ManifestError,
  manifestHash,
  manifestText,
  overrideSite,
  parseManifest,
  planSite,
  type SiteSpecInput,
  siteManifest,
} from "../../planning";
import { randomSite } from "./random-sites";
import { cleanSite, planWith, smbSite } from "./sites";

const nowhere: ManifestAccess = { endpoints: {} };
const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample";
const access: ManifestAccess = {
  endpoints: { one: "https://10.0.1.1:8006", two: "https://10.0.1.2:8006", three: "https://10.0.1.9:8006" },
  fingerprints: { two: "AB:CD" },
  ca: "-----BEGIN CERTIFICATE-----",
  ssh: {
    hosts: { two: "127.0.0.1:40022", vault: "[fd00:1::3]:2222" },
    hostKeys: { one: [KEY], two: [KEY], vault: [KEY] },
  },
};

const manifestOf = (set: string[] = [], way: ManifestAccess = nowhere) => siteManifest(planWith(cleanSite(), set), way);

test("the manifest of a small site, word for word", () => {
  expect(siteManifest(planWith(cleanSite()), access)).toEqual({
    format: 1,
    site: "office",
    cluster: "office",
    fencing: "confirm",
    lease: { termSeconds: 60, renewSeconds: 10, marginSeconds: 75, watchdogSeconds: 60 },
    witness: "vault",
    ca: "-----BEGIN CERTIFICATE-----",
    allowShedding: false,
    expectedVotes: 3,
    memoryOverheadGiB: 0.15,
    servers: {
      one: {
        roles: ["hypervisor"],
        address: "10.0.1.1",
        endpoint: "https://10.0.1.1:8006",
        ssh: { host: "10.0.1.1", port: 22, user: "root", hostKeys: [KEY] },
        memoryLimitGiB: 28,
        coreLimit: 21,
      },
      two: {
        roles: ["hypervisor"],
        address: "10.0.1.2",
        endpoint: "https://10.0.1.2:8006",
        fingerprint: "AB:CD",
        ssh: { host: "127.0.0.1", port: 40022, user: "root", hostKeys: [KEY] },
        memoryLimitGiB: 28,
        coreLimit: 21,
      },
      vault: {
        roles: ["backup-server", "witness"],
        address: "10.0.1.3",
        ssh: { host: "fd00:1::3", port: 2222, user: "root", hostKeys: [KEY] },
        memoryLimitGiB: 4,
        coreLimit: 3,
      },
    },
    guests: {
      mail: {
        name: "mail",
        kind: "qemu",
        vmid: 101,
        primary: "one",
        spare: "two",
        method: "storage-replication",
        voters: ["one", "two", "vault"],
        memoryGiB: 8,
        cores: 2,
        boot: { order: 50, delaySeconds: 0, seconds: 60, atHostBoot: true },
        priority: 50,
        sheddable: false,
        recoveryPointSeconds: 1200,
        recoveryTimeSeconds: 375,
        recoveryTimePromisedSeconds: 600,
        storages: ["tank"],
        networks: [
          {
            network: "apps",
            bridge: "vmbr0",
            vlan: 2,
            mac: expect.stringMatching(/^[0-9A-F:]{17}$/),
            address: "10.0.2.10/24",
            address6: "fd00:2::10/64",
            gateway: "10.0.2.1",
            gateway6: "fd00:2::1",
          },
        ],
        cloudInit: false,
        agent: false,
        probes: [{ kind: "tcp", port: 25, timeoutSeconds: 300 }],
        commands: [],
      },
      wiki: expect.objectContaining({
        primary: "two",
        spare: "one",
        method: "restore",
        standbyIds: [expect.any(Number), expect.any(Number)],
        backupStorage: "backups",
        standbyStorage: "tank",
        recoveryPointSeconds: 172_800,
      }),
    },
    groups: {},
    drills: {},
    // Word for word in backup/manifest-backups.test.ts.
    backups: expect.any(Object),
  });
});

test("the manifest of the small firm is the text of its hash, and is read again", () => {
  const manifest = siteManifest(planSite(smbSite()), nowhere);
  const text = manifestText(manifest);
  expect(parseManifest(text)).toEqual(manifest);
  expect(manifestHash(manifest)).toBe(createHash("sha256").update(text).digest("hex"));
  expect(Object.keys(manifest.guests)).toEqual([...Object.keys(manifest.guests)].sort());
  expect(JSON.stringify(manifest)).not.toMatch(/"active/);
});

test("neither the order of keys nor the active side shows, and what is read is what was written", () => {
  fc.assert(
    fc.property(randomSite, ({ spec, options }) => {
      const backwards = { ...spec, guests: Object.fromEntries(Object.entries(spec.guests ?? {}).reverse()) };
      const manifest = siteManifest(planSite(spec), nowhere);
      const text = manifestText(manifest);
      expect(manifestText(siteManifest(planSite(backwards, options), nowhere))).toBe(text);
      expect(parseManifest(text)).toEqual(JSON.parse(JSON.stringify(manifest)));
    }),
    { numRuns: 30 },
  );
});

test("each guest with a spare has two or three different voters, its own sides first", () => {
  fc.assert(
    fc.property(randomSite, ({ spec }) => {
      for (const { voters, primary, spare } of Object.values(siteManifest(planSite(spec), nowhere).guests)) {
        if (spare === undefined) expect(voters).toEqual([]);
        // A spare on its own primary is an error of the plan.
        else if (spare !== primary) expect(voters.slice(0, 2)).toEqual([primary, spare]);
        expect(new Set(voters).size).toBe(voters.length);
        expect(voters.length).toBeLessThanOrEqual(3);
      }
    }),
    { numRuns: 30 },
  );
});

test.each<[string, string[], string[], string | undefined]>([
  ["a witness", [], ["one", "two", "vault"], "vault"],
  ["no witness and a third hypervisor", ['servers.vault.roles=["hypervisor"]'], ["one", "two", "vault"], undefined],
  ["no third server", ['servers.vault.roles=["backup-server"]'], ["one", "two"], undefined],
  ["a hypervisor as witness", ['servers.vault.roles=["hypervisor", "witness"]'], ["one", "two", "vault"], undefined],
])("voters with %s", (_, set, voters, witness) => {
  const manifest = manifestOf(set);
  expect(manifest.guests.mail?.voters).toEqual(voters);
  expect(manifest.witness).toBe(witness);
});

test("power, groups, probes, commands and drills, with their defaults", () => {
  const manifest = manifestOf([
    'servers.one.power={"kind":"redfish","url":"https://10.0.9.1","username":"admin","passwordSecret":"bmc"}',
    'servers.two.power={"kind":"command","off":["plug","off"],"status":["plug","status"]}',
    'guests.mail.probes=[{"kind":"http","tls":true},{"kind":"tcp","port":25,"timeoutSeconds":9}]',
    'guests.mail.commands=[{"when":"after-start","run":["tell","everybody"]}]',
    'groups={"office":{"guests":["wiki","mail"]}}',
    'drills={"monthly":{"group":"office","schedule":"Sun *-*-1..7 03:00","maximumAge":"5w"},"all":{}}',
  ]);
  expect(manifest.servers.one?.power).toEqual({
    kind: "redfish",
    url: "https://10.0.9.1",
    username: "admin",
    passwordSecret: "bmc",
  });
  expect(manifest.servers.two?.power).toEqual({ kind: "command", off: ["plug", "off"], status: ["plug", "status"] });
  expect(manifest.guests.mail).toMatchObject({
    group: "office",
    probes: [
      { kind: "http", port: 443, path: "/", tls: true, timeoutSeconds: 300 },
      { kind: "tcp", port: 25, timeoutSeconds: 9 },
    ],
    commands: [
      { when: "after-start", on: "operator", run: ["tell", "everybody"], timeoutSeconds: 60, required: false },
    ],
  });
  expect(manifest.groups.office).toEqual({ guests: ["wiki", "mail"], order: 50, delaySeconds: 0, commands: [] });
  expect(manifest.drills).toEqual({
    all: { guests: ["mail", "wiki"] },
    monthly: { guests: ["wiki", "mail"], schedule: "Sun *-*-1..7 03:00", maximumAgeSeconds: 5 * 604_800 },
  });
  expect(parseManifest(manifestText(manifest))).toEqual(manifest);
});

describe("networks on the spare", () => {
  const branch =
    'networks.branch={"vlan":7,"subnet":"10.7.0.0/16","subnet6":"fd00:7::/64","gateway":"10.7.0.1","gateway6":"fd00:7::1","dnsServers":["10.7.0.2"],"bridge":"vmbr0"}';
  const mapped = [branch, 'guests.mail.coldReplica.networks={"apps":"branch"}'];

  test("the same network is not repeated", () => {
    expect(manifestOf([branch]).guests.mail).not.toHaveProperty("spareNetworks");
  });

  test("another network and another subnet: the host part stays", () => {
    const rules = [
      { from: "10.0.2.0/24", to: "10.7.3.0/24" },
      { from: "fd00:2::/64", to: "fd00:7::/64", dnsServers: ["fd00:7::2"] },
    ];
    const { networks, spareNetworks } = manifestOf([...mapped, `guests.mail.coldReplica.reIp=${JSON.stringify(rules)}`])
      .guests.mail!;
    expect(spareNetworks).toEqual([
      {
        network: "branch",
        bridge: "vmbr0",
        vlan: 7,
        mac: networks[0]!.mac,
        address: "10.7.3.10/24",
        address6: "fd00:7::10/64",
        gateway6: "fd00:7::1",
        dnsServers: ["fd00:7::2"],
      },
    ]);
  });

  test("a gateway of its own", () => {
    const rules = [{ from: "10.0.2.0/24", to: "10.7.3.0/24", gateway: "10.7.3.254" }];
    const spare = manifestOf([...mapped, `guests.mail.coldReplica.reIp=${JSON.stringify(rules)}`]).guests.mail!
      .spareNetworks!;
    expect(spare[0]).toMatchObject({ gateway: "10.7.3.254", dnsServers: ["10.7.0.2"] });
  });

  test("any host part of one subnet has its place in another one of the same length", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 254 }), fc.integer({ min: 0, max: 255 }), (host, third) => {
        const spec = overrideSite(cleanSite(), [
          ...mapped,
          `guests.mail.networks[0].address=10.0.2.${host}`,
          `guests.mail.coldReplica.reIp=[{"from":"10.0.2.0/24","to":"10.7.${third}.0/24"}]`,
        ]) as SiteSpecInput;
        const spare = siteManifest(planSite(spec), nowhere).guests.mail!.spareNetworks![0]!;
        expect(spare.address).toBe(`10.7.${third}.${host}/24`);
      }),
      { numRuns: 20 },
    );
  });
});

describe("a text that is no manifest", () => {
  const good = manifestText(manifestOf());
  type Broken = Record<string, unknown> & { guests?: { mail: Record<string, unknown> } };
  const changed = (change: (value: Broken) => unknown) => {
    const value: Broken = JSON.parse(good);
    change(value);
    return JSON.stringify(value);
  };

  test.each<[string, string, RegExp]>([
    ["nothing", "", /is empty/],
    ["cut off", good.slice(0, 200), /cut off or was changed by hand/],
    ["a list", "[]", /no JSON object/],
    ["something else", "{}", /no number `format`/],
    [
      "a newer format",
      changed((value) => Object.assign(value, { format: 2 })),
      /format 2, and this release reads up to 1/,
    ],
    [
      "without guests",
      changed((value) => Reflect.deleteProperty(value, "guests")),
      /guests: expected record is missing/,
    ],
    [
      "with a wrong value deep inside",
      changed((value) => Object.assign(value.guests!.mail, { vmid: "101" })),
      /guests\.mail\.vmid: expected int|guests\.mail\.vmid: expected number/,
    ],
  ])("%s", (_, text, message) => {
    expect(() => parseManifest(text)).toThrow(ManifestError);
    expect(() => parseManifest(text)).toThrow(message);
  });

  test("keys of a newer release are kept", () => {
    const text = changed((value) => {
      Object.assign(value, { colour: "blue" });
      Object.assign(value.guests!.mail, { mood: "good" });
    });
    const read: object = parseManifest(text);
    expect(read).toMatchObject({ colour: "blue", guests: { mail: { mood: "good" } } });
  });
});
