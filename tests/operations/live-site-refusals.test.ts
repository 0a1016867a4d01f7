/** What is no readable cluster: each is said in clear words, with the way out, and without the secret. */
import { createServer } from "node:net";
import { liveEndpoints } from "../../operations/live-site/connect";
import { readCluster } from "../../operations/live-site/read";
import { PveClient, type PveClientOptions } from "../../providers/pve/client";
import { type LiveCluster, startCluster } from "../live/clusters";
import { type FakeAnswer, type FakeRequest, makeCertificate, startFake } from "../providers/fake-server";

const SECRET = "11111111-2222-3333-4444-555555555555";
const TOKEN = `reader@pve!read=${SECRET}`;
const retry = { attempts: 2, baseSeconds: 0.01 };

async function refusal(options: Omit<PveClientOptions, "apiToken"> & { apiToken?: string }) {
  const pve = new PveClient({ apiToken: TOKEN, retry, connectSeconds: 2, ...options });
  const error = await readCluster(pve).then(
    () => undefined,
    (thrown: Error) => thrown,
  );
  pve.close();
  expect(error).toBeDefined();
  expect(error!.message).not.toContain(SECRET);
  return error as Error & { kind?: string };
}

const HTML: FakeAnswer = { body: "<html><title>Router</title></html>" };
const VERSION = { version: "9.1.1", release: "9.1", repoid: "abc" };

describe("what is no Proxmox VE, or an old one", () => {
  test.each<[string, (request: FakeRequest) => FakeAnswer, string, RegExp]>([
    [
      "404",
      () => ({ status: 404, reason: "Not Found", body: "" }),
      "not-proxmox",
      /answers 404 Not Found.*no Proxmox VE/,
    ],
    ["a redirection", () => ({ status: 302, reason: "Found", body: "" }), "not-proxmox", /302/],
    ["HTML", () => HTML, "not-proxmox", /no Proxmox VE.*Fix: .*--endpoint https:/],
    ["another JSON", () => ({ body: '{"status":"ok"}' }), "not-proxmox", /does not tell a version/],
    ["data of another shape", () => ({ data: ["9.1"] }), "not-proxmox", /does not tell a version/],
    [
      "a version of a backup server",
      () => ({ data: { version: "4.1", release: "2" } }),
      "not-proxmox",
      /Proxmox Backup Server/,
    ],
    [
      "a backup server that refuses the token",
      () => ({ status: 401, reason: "authentication failed - no authentication credentials provided.", body: "" }),
      "not-proxmox",
      /Proxmox Backup Server.*8007/,
    ],
    [
      "7.4",
      () => ({ data: { version: "7.4-3", release: "7.4", repoid: "x" } }),
      "too-old",
      /7\.4-3; 8\.0 and newer.*Fix: upgrade/,
    ],
    [
      "a wrong token",
      () => ({ status: 401, reason: "Authentication failed!", body: "" }),
      "no-access",
      /does not take the API token: Authentication failed!.*COLDSPARE_API_TOKEN.*pveum user token add/,
    ],
    [
      "a gateway without its server",
      () => ({ status: 502, reason: "Bad Gateway", body: "" }),
      "unreachable",
      /Bad Gateway/,
    ],
    [
      "a mail gateway, whose version looks alike",
      ({ path }) =>
        path === "/version" ? { data: VERSION } : { status: 501, reason: "Method not implemented", body: "" },
      "not-proxmox",
      /does not know the call/,
    ],
  ])("%s", async (_what, answer, kind, words) => {
    const fake = await startFake(answer);
    const error = await refusal({ endpoints: { pve1: fake.url }, ca: fake.pem });
    await fake.close();
    expect(error).toMatchObject({ name: "LiveSiteError", kind, message: expect.stringMatching(words) });
  });

  test("nobody listens", async () => {
    const fake = await startFake(() => HTML);
    await fake.close();
    const error = await refusal({ endpoints: { pve1: fake.url }, ca: fake.pem });
    expect(error).toMatchObject({
      kind: "unreachable",
      message: expect.stringMatching(/ECONNREFUSED.*Fix: .*second --endpoint/),
    });
  });

  test("a port that speaks no TLS", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => undefined).resume();
      socket.end("SSH-2.0-OpenSSH_10.0\r\n");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const error = await refusal({ endpoints: { pve1: `https://127.0.0.1:${port}` } });
    await new Promise((resolve) => server.close(resolve));
    expect(error).toMatchObject({ kind: "not-proxmox", message: expect.stringMatching(/no HTTPS/) });
  });

  test("a certificate that nobody vouches for: its fingerprint, and both ways to trust it", async () => {
    const fake = await startFake(() => ({ data: VERSION }));
    const error = await refusal({ endpoints: { pve1: fake.url }, ca: (await makeCertificate()).cert });
    await fake.close();
    expect(error.kind).toBe("no-access");
    expect(error.message).toContain(fake.fingerprint);
    expect(error.message).toMatch(/COLDSPARE_CA_FILE.*COLDSPARE_FINGERPRINTS/);
    expect(error.message).not.toContain("pulumi");
    // Nothing was sent to it.
    expect(fake.requests).toEqual([]);
  });

  test("another certificate than the pinned one", async () => {
    const fake = await startFake(() => ({ data: VERSION }));
    const error = await refusal({ endpoints: { pve1: fake.url }, fingerprints: { pve1: "AA".repeat(32) } });
    await fake.close();
    expect(error).toMatchObject({ kind: "no-access", message: expect.stringMatching(/pinned is AA:AA/) });
  });
});

describe("a token that may not see what is needed", () => {
  let cluster: LiveCluster;
  beforeAll(async () => {
    cluster = await startCluster("smb", { speed: 400 });
    // Roles of one's own that each lack something.
    for (const [roleid, privs] of [
      ["NoGuests", "Sys.Audit,Datastore.Audit"],
      ["NoStorages", "Sys.Audit,VM.Audit"],
      ["NoServers", "VM.Audit,Datastore.Audit"],
      ["Enough", "Sys.Audit,VM.Audit,Datastore.Audit"],
    ])
      await cluster.pve.post("/access/roles", { roleid, privs });
  });
  afterAll(() => cluster.stop());

  test.each([
    ["noguests", { "/": "NoGuests" }, /lacks VM\.Audit on \/vms \(without it no guest is listed\)/],
    ["nostorages", { "/": "NoStorages" }, /lacks Datastore\.Audit on \/storage/],
    ["noservers", { "/": "NoServers" }, /lacks Sys\.Audit on \//],
    ["oneguest", { "/": "NoGuests", "/vms/110": "PVEAuditor" }, /lacks VM\.Audit on \/vms/],
    ["nothing", {}, /lacks Sys\.Audit on \/ .*VM\.Audit on \/vms .*Datastore\.Audit on \/storage/],
  ])("%s: the privilege, its path and the commands that grant it", async (name, grants, words) => {
    const token = await cluster.token(name, grants as Record<string, string>);
    const pve = cluster.client(token);
    const error = await readCluster(pve).catch((thrown: Error & { kind: string }) => thrown);
    pve.close();
    expect(error).toMatchObject({ kind: "privilege", message: expect.stringMatching(words) });
    const { message } = error as Error;
    expect(message).toContain(`pveum acl modify / --users ${name}@pve --roles PVEAuditor`);
    expect(message).toContain(`pveum acl modify / --tokens '${name}@pve!read' --roles PVEAuditor`);
    expect(message).not.toContain(token.split("=")[1]);
  });

  test("what is optional is read around, and told", async () => {
    const pve = cluster.client(await cluster.token("enough", { "/": "Enough" }));
    const { unread, guests } = await readCluster(pve);
    pve.close();
    expect(guests).toHaveLength(6);
    expect(unread).toEqual([{ what: "the pools", why: expect.stringContaining("Pool.Audit on /pool") }]);
  });
});

describe("faults of single calls", () => {
  let cluster: LiveCluster;
  beforeAll(async () => {
    cluster = await startCluster("smb", { speed: 400 });
  });
  afterAll(() => cluster.stop());

  /** The lab behind a server that answers some calls itself. */
  async function behind(answer: (path: string) => FakeAnswer | undefined) {
    const answers = new Map<string, unknown>();
    const relay = async (path: string, query: Record<string, string>) => cluster.pve.get<unknown>(path, query);
    // The fake answers at once: what the lab says is asked for before.
    const fake = await startFake(({ path }) => answer(path) ?? { data: answers.get(path) });
    const pve = new PveClient({ endpoints: { front: fake.url }, apiToken: TOKEN, ca: fake.pem, retry });
    const get = pve.get.bind(pve);
    pve.get = async <T>(path: string, query: Record<string, never> = {}, about = {}) => {
      if (answer(path) === undefined) answers.set(path, await relay(path, query));
      return get<T>(path, query, about);
    };
    const snapshot = await readCluster(pve).finally(async () => {
      pve.close();
      await fake.close();
    });
    return snapshot;
  }

  test.each<[string, FakeAnswer, RegExp]>([
    [
      "its file is broken",
      { status: 500, reason: "unable to parse value of 'scsi0'", body: "" },
      /unable to parse value of 'scsi0'/,
    ],
    ["its server does not answer", { status: 595, reason: "Connection refused", body: "" }, /^srv2 does not answer$/],
    ["its server is overloaded", { status: 503, reason: "Service Unavailable", body: "" }, /Service Unavailable/],
    [
      "it is forbidden",
      { status: 403, reason: "Permission check failed (/vms/113, VM.Audit)", body: "" },
      /^the token lacks VM\.Audit on \/vms\/113$/,
    ],
  ])("a guest: %s", async (_what, answer, words) => {
    const { guests, unread } = await behind((path) => (path === "/nodes/srv2/qemu/113/pending" ? answer : undefined));
    expect(guests).toHaveLength(6);
    expect(guests.find(({ vmid }) => vmid === 113)).toMatchObject({
      name: "sql-erp",
      unreadable: expect.stringMatching(words),
    });
    expect(guests.filter(({ config }) => config === undefined)).toHaveLength(1);
    expect(unread).toEqual([]);
  });

  test.each([
    ["/cluster/ha/resources", "the HA resources"],
    ["/cluster/replication", "the replication jobs"],
    ["/cluster/backup", "the backup jobs"],
    ["/nodes/srv1/network", "the networks of srv1"],
    ["/cluster/firewall/options", "the cluster's firewall"],
    ["/cluster/config/qdevice", "the third vote (QDevice)"],
  ])("%s cannot be read: told, and never taken for 'there is none'", async (broken, what) => {
    const { unread, guests } = await behind((path) =>
      path === broken ? { status: 500, reason: "unable to open file", body: "" } : undefined,
    );
    expect(guests).toHaveLength(6);
    expect(unread).toEqual([{ what, why: "unable to open file" }]);
  });

  test.each(["/cluster/status", "/storage", "/cluster/resources"])(
    "%s is needed: nothing is read by half",
    async (broken) => {
      const failing = behind((path) =>
        path === broken ? { status: 500, reason: "unable to open file", body: "" } : undefined,
      );
      await expect(failing).rejects.toMatchObject({ name: "LiveSiteError", kind: "unreachable" });
    },
  );
});

describe("endpoints as they are typed", () => {
  test.each([
    ["https://192.168.10.11:8006", { "192.168.10.11": "https://192.168.10.11:8006" }],
    ["192.168.10.11", { "192.168.10.11": "https://192.168.10.11:8006" }],
    ["pve1.example.org", { "pve1.example.org": "https://pve1.example.org:8006" }],
    ["srv1=https://10.0.0.1", { srv1: "https://10.0.0.1:8006" }],
    ["https://pve.example.org:443/", { "pve.example.org": "https://pve.example.org" }],
    ["https://[fd00::11]:8006", { "[fd00::11]": "https://[fd00::11]:8006" }],
  ])("%s", (typed, expected) => {
    expect(liveEndpoints([typed])).toEqual(expected);
  });

  test.each([["http://10.0.0.1:8006"], ["https://"], ["ssh://x"]])("%s is refused with what to write", (typed) => {
    expect(() => liveEndpoints([typed])).toThrow(/write https:\/\/ADDRESS:8006/);
  });

  test("none at all", () => {
    expect(() => liveEndpoints([])).toThrow(/--endpoint https:\/\/ADDRESS:8006/);
  });
});
