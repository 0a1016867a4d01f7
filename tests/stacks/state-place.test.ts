/** Where a run keeps its state, as the engine chooses it, and what is said when that is a part of the site. */
import { backendInUse, networkMounts, type Surroundings, statePlaceFindings } from "../../stacks/state-place";
import { cleanSite, planWith } from "../planning/sites";

const credentials = JSON.stringify({
  current: "https://api.pulumi.com",
  accessTokens: { "https://api.pulumi.com": "pul-secret" },
});

const at = (files: Record<string, string>, more: Partial<Surroundings> = {}): Surroundings => ({
  env: {},
  home: "/home/me",
  project: "/home/me/office",
  machine: { hosts: ["laptop-1"], mounts: [] },
  read: (path) => files[path],
  ...more,
});

const inProject = (url: string) => ({ "/home/me/office/Pulumi.yaml": `name: office\nbackend: { url: "${url}" }\n` });
const inHome = { "/home/me/.pulumi/credentials.json": credentials };

describe("the backend in use", () => {
  test.each([
    ["nothing is known", at({}), undefined],
    ["the login counts last", at(inHome), "https://api.pulumi.com"],
    ["then Pulumi.yaml", at({ ...inHome, ...inProject("s3://office") }), "s3://office"],
    [
      "the environment first",
      at({ ...inHome, ...inProject("s3://office") }, { env: { PULUMI_BACKEND_URL: "gs://office" } }),
      "gs://office",
    ],
    [
      "a login elsewhere",
      at({ "/opt/pulumi/credentials.json": credentials }, { env: { PULUMI_HOME: "/opt/pulumi" } }),
      "https://api.pulumi.com",
    ],
    ["a folder of the project", at(inProject("file://./state")), "file:///home/me/office/state"],
    ["a folder at home", at(inProject("file://~/state?no_tmp_dir=true")), "file:///home/me/state"],
    ["home itself", at(inProject("file://~")), "file:///home/me"],
    ["any folder", at(inProject("file:///srv/state")), "file:///srv/state"],
    ["a file that cannot be understood", at({ "/home/me/office/Pulumi.yaml": "a: [" }), undefined],
    ["a project without a backend", at({ "/home/me/office/Pulumi.yaml": "name: office" }), undefined],
  ])("%s", (_name, surroundings, expected) => {
    expect(backendInUse(surroundings)).toBe(expected);
  });
});

describe("what is said at preview", () => {
  const told = (surroundings: Surroundings, ...set: string[]) =>
    statePlaceFindings(planWith(cleanSite(), set), surroundings).map(({ code, message }) => `${code}: ${message}`);
  const elsewhere =
    'state={"secretsKey":"paper in the safe","specification":["git@git.example.org:x.git"],"backend":"s3://x"}';

  test("nobody has written down where key and copies are: a note, and no more", () => {
    const findings = statePlaceFindings(planWith(cleanSite()), at(inProject("file://./state")));
    expect(findings).toMatchObject([{ code: "STATE-PLACE-UNKNOWN", severity: "info" }]);
  });

  test("a state elsewhere, written down, is not worth a word", () => {
    expect(told(at(inProject("file://./state")), elsewhere)).toEqual([]);
  });

  test("a state in a folder of a server of the site", () => {
    const onServer = at(inProject("file://./state"), { machine: { hosts: ["one", "10.0.1.1"], mounts: [] } });
    expect(told(onServer, elsewhere)).toEqual([
      "STATE-ON-SITE: The state of office (file:///home/me/office/state) lies on one, a server of office: what takes the site takes its state.",
    ]);
  });

  test("a state in a folder that a server of the site exports", () => {
    const machine = { hosts: ["laptop-1"], mounts: networkMounts("10.0.1.3:/srv /home/me nfs4 rw 0 0\n") };
    expect(told(at(inProject("file://./state"), { machine }), elsewhere)).toEqual([
      expect.stringContaining("lies on vault, a server of office"),
    ]);
  });

  test("a passphrase in a file of a guest of the site, unless the site says where it is kept", () => {
    const env = { PULUMI_CONFIG_PASSPHRASE_FILE: "/root/passphrase", PULUMI_BACKEND_URL: "s3://x" };
    const onGuest = at({}, { env, machine: { hosts: ["10.0.2.11"], mounts: [] } });
    expect(told(onGuest)).toEqual([
      "STATE-KEY-ON-SITE: The key to the secrets of office is kept on wiki, a guest of office: without it nobody opens them, nor the state.",
      expect.stringContaining("STATE-PLACE-UNKNOWN"),
    ]);
    expect(told(onGuest, elsewhere)).toEqual([]);
  });

  test("what the plan says already is not said twice", () => {
    const place = 'state={"backend":"s3://x?endpoint=https://vault","secretsKey":"safe","specification":["elsewhere"]}';
    expect(told(at(inProject("s3://x?endpoint=https://vault")), place)).toEqual([]);
  });

  test("this computer is read without a fault, and no credentials show", () => {
    const findings = statePlaceFindings(planWith(cleanSite()));
    expect(findings.every(({ severity }) => severity !== "error")).toBe(true);
    expect(JSON.stringify(told(at(inHome)))).not.toContain("pul-secret");
  });
});

test("mounts of other hosts, as the kernel writes them", () => {
  const text = [
    "/dev/sda1 / ext4 rw 0 0",
    "proc /proc proc rw 0 0",
    "vault:/srv/dumps /mnt/pve/backups nfs4 rw 0 0",
    "[fd00::3]:/srv /mnt/with\\040space nfs rw 0 0",
    "//nas.example.org/share /mnt/share cifs rw 0 0",
    "me@wiki:/home /mnt/home fuse.sshfs rw 0 0",
    "",
  ].join("\n");
  expect(networkMounts(text)).toEqual([
    { folder: "/mnt/pve/backups", host: "vault" },
    { folder: "/mnt/with space", host: "fd00::3" },
    { folder: "/mnt/share", host: "nas.example.org" },
    { folder: "/mnt/home", host: "wiki" },
  ]);
});
