/**
 * Containers with both kinds of replica, replicas that are dropped or made in the other way, and a spare that was activated
 * by hand, with the real engine and the real bridged provider. Each test goes on where the one before it ended.
 */
import type { SiteReport, SiteSpecInput } from "../../planning";
import { SiteLab } from "./site-lab";
import { Cluster, changed, fine, type Guests, refusal, smallSite } from "./small-site";

jest.setTimeout(300_000);

type Replica = Guests[string]["coldReplica"];

const replicated = (on: string): Replica => ({ on, method: "storage-replication", schedule: "*/5" });
const restored = (on: string, first: number): Replica => ({
  on,
  method: "restore",
  schedule: "06:00",
  backupStorage: "backup-nfs",
  standbyIds: [first, first + 100],
  recoveryPoint: "2d",
});

const container = (id: number, on: string, coldReplica: Replica): Guests[string] => ({
  kind: "container",
  id,
  os: "debian",
  image: "debian-13",
  duty: "availability",
  on,
  cores: 1,
  memoryGiB: 1,
  disks: [
    { sizeGiB: 4, storage: "tank" },
    { name: "data", sizeGiB: 2, storage: "tank" },
  ],
  networks: [{ network: "servers", address: `192.168.20.${id - 180}` }],
  ...(coldReplica ? { coldReplica } : {}),
});

let site: SiteLab;
let spec: SiteSpecInput;
let cluster: Cluster;

beforeAll(async () => {
  const database: Guests[string] = {
    kind: "vm",
    id: 222,
    os: "other",
    duty: "availability",
    on: "srv2",
    cores: 1,
    memoryGiB: 1,
    disks: [{ sizeGiB: 4, storage: "tank" }],
    networks: [{ network: "servers", address: "192.168.20.42" }],
    coldReplica: replicated("srv1") as NonNullable<Replica>,
  };
  spec = {
    ...smallSite({
      web: container(220, "srv1", replicated("srv2")),
      wiki: container(221, "srv2", restored("srv1", 9221)),
      db: database,
    }),
    images: {
      "debian-13": {
        kind: "container-template",
        url: "http://download.proxmox.com/images/system/debian-13-standard_13.1-2_amd64.tar.zst",
        fileName: "debian-13-standard_13.1-2_amd64.tar.zst",
        sizeGiB: 1,
      },
    },
  };
  site = await SiteLab.start(spec);
  cluster = new Cluster(site);
});

afterAll(() => site?.end());

/** Changes one guest of the specification. */
function change(name: string, edit: (guest: Guests[string]) => void): void {
  const guest = spec.guests?.[name];
  if (!guest) throw new Error(`the site has no guest ${name}`);
  edit(guest);
  site.writeSite(spec);
}

async function nothingToDo(...args: string[]): Promise<void> {
  expect(changed(fine(await site.stack.up(...args)))).toEqual([]);
}

/** Calls that changed something at the hypervisors since the last reset. */
async function changingCalls(): Promise<string[]> {
  const { calls } = await site.control<{ calls: Record<string, number> }>("GET", "/calls");
  return Object.keys(calls).filter((call) => !call.startsWith("GET"));
}

/** As a person does it: the job is disabled, the container shut down, its configuration moved, and the container started. */
async function moveByHand(from: string, to: string): Promise<void> {
  await site.pve.put("/cluster/replication/220-0", { disable: true });
  await site.pve.task(from, "POST", `/nodes/${from}/lxc/220/status/shutdown`, {}, { doing: "shut down guest 220" });
  await site.control("POST", "/config-move", { vmid: 220, from, to });
  await site.pve.task(to, "POST", `/nodes/${to}/lxc/220/status/start`, {}, { doing: "start guest 220" });
}

const tags = (config: Record<string, string | number>) => String(config.tags).split(";");

it("makes both containers out of the template, with a replica of each kind", async () => {
  fine(await site.stack.up());
  expect(await cluster.where()).toEqual([
    "220 web lxc running on srv1",
    "221 wiki lxc running on srv2",
    "222 db qemu running on srv2",
    "9221 wiki-spare lxc stopped on srv1",
  ]);
  expect(await cluster.jobs()).toEqual(["220-0 srv1 to srv2", "222-0 srv2 to srv1"]);
  expect(await cluster.volumes()).toEqual(
    expect.arrayContaining([
      "srv1 tank:subvol-220-disk-0",
      "srv2 tank:subvol-220-disk-0",
      "srv2 tank:subvol-220-disk-1",
    ]),
  );
});

it("marks both sides", async () => {
  const primary = await cluster.config("srv2", 221, "lxc");
  expect(tags(primary)).toEqual(["availability", "coldspare", "coldspare-primary"]);
  expect(primary.description).toContain("- Active: primary (srv2)");
  const standby = await cluster.config("srv1", 9221, "lxc");
  expect(tags(standby)).toEqual(["availability", "coldspare", "coldspare-spare"]);
  expect(standby.description).toContain("Powered-off spare of wiki (primary: srv2).");
  expect(standby.onboot).toBe(0);
});

it("changes nothing when it is run again, and nothing with --refresh", async () => {
  await nothingToDo("--refresh");
});

it("grows memory and the root disk in place, and never replaces a container for the sake of a mount point", async () => {
  change("web", (guest) => {
    guest.memoryGiB = 2;
    for (const disk of guest.disks) disk.sizeGiB += 2;
  });
  const run = fine(await site.stack.up());
  expect(changed(run)).toEqual(["update web-container"]);
  const config = await cluster.config("srv1", 220, "lxc");
  expect(config.memory).toBe(2048);
  expect(config.rootfs).toContain("size=6G");
  expect(config.rootfs).toContain("replicate=1");
  // The provider would destroy the container to change a mount point: that is left to `pct resize 220 mp0 4G`.
  expect(config.mp0).toContain("size=2G");
  await site.pve.put("/nodes/srv1/lxc/220/resize", { disk: "mp0", size: "4G" });
  expect(await cluster.where()).toContain("220 web lxc running on srv1");
  await nothingToDo("--refresh");
});

it("makes the replica in the other way when the method changes, and back", async () => {
  change("db", (guest) => {
    guest.coldReplica = restored("srv1", 9222) as NonNullable<Replica>;
  });
  const there = fine(await site.stack.up());
  expect(changed(there)).toEqual(["create db-standby", "delete db-replication", "update db-vm"]);
  expect(await cluster.jobs()).toEqual(["220-0 srv1 to srv2"]);
  expect(await cluster.where()).toContain("9222 db-spare qemu stopped on srv1");
  expect(await cluster.volumes()).not.toContain("srv1 tank:vm-222-disk-0");

  change("db", (guest) => {
    guest.coldReplica = replicated("srv1") as NonNullable<Replica>;
  });
  const back = fine(await site.stack.up());
  expect(changed(back)).toEqual(["create db-replication", "delete db-standby", "update db-vm"]);
  expect(await cluster.jobs()).toEqual(["220-0 srv1 to srv2", "222-0 srv2 to srv1"]);
  expect((await cluster.guests()).map(({ vmid }) => vmid)).not.toContain(9222);
});

it("takes the job away when the replica is dropped, and nothing else", async () => {
  change("db", (guest) => {
    delete guest.coldReplica;
  });
  const run = fine(await site.stack.up());
  expect(changed(run)).toEqual(["delete db-replication", "update db-vm"]);
  expect(await cluster.jobs()).toEqual(["220-0 srv1 to srv2"]);
  expect(await cluster.volumes()).not.toContain("srv1 tank:vm-222-disk-0");
  expect(await cluster.where()).toContain("222 db qemu running on srv2");
  await nothingToDo();
});

it("leaves a restored standby alone that was activated by hand, and its primary stopped", async () => {
  await site.pve.put("/nodes/srv2/lxc/221/config", { onboot: false });
  await site.control("POST", "/nodes/srv2/kill");
  await site.pve.task("srv1", "POST", "/nodes/srv1/lxc/9221/status/start", {}, { doing: "start guest 9221" });
  site.stack.writeConfig(site.config({ "coldspare:active": { wiki: "spare" } }));
  await site.control("POST", "/nodes/srv2/revive");
  const run = fine(await site.stack.up("--refresh"));
  expect(run.steps.filter((step) => /delete|replace/.test(step))).toEqual([]);
  expect(await cluster.where()).toEqual(
    expect.arrayContaining(["221 wiki lxc stopped on srv2", "9221 wiki-spare lxc running on srv1"]),
  );
  expect((await site.stack.outputs<SiteReport>()).guests.wiki).toMatchObject({
    activeSide: "spare",
    activeServer: "srv1",
  });
  await nothingToDo("--refresh");
  expect(await cluster.where()).toContain("9221 wiki-spare lxc running on srv1");
});

it("goes home when the standby is off and the config says so no more", async () => {
  await site.pve.task("srv1", "POST", "/nodes/srv1/lxc/9221/status/shutdown", {}, { doing: "shut down guest 9221" });
  site.stack.writeConfig(site.config());
  const run = fine(await site.stack.up("--refresh"));
  expect(run.steps.filter((step) => /delete|replace/.test(step))).toEqual([]);
  expect(await cluster.where()).toEqual(
    expect.arrayContaining(["221 wiki lxc running on srv2", "9221 wiki-spare lxc stopped on srv1"]),
  );
  expect((await cluster.config("srv2", 221, "lxc")).onboot).toBe(1);
  await nothingToDo("--refresh");
});

it("takes both standbys away when the restored replica is dropped, and nothing else", async () => {
  await site.pve.task(
    "srv2",
    "POST",
    "/nodes/srv2/vzdump",
    { vmid: 221, storage: "backup-nfs", mode: "snapshot", compress: "zstd" },
    { doing: "back up guest 221" },
  );
  site.stack.writeConfig(site.config({ "coldspare:refreshToken": "second" }));
  expect(changed(fine(await site.stack.up()))).toEqual(["update wiki-standby"]);
  const spares = async () => (await cluster.where()).filter((line) => line.includes("-spare"));
  expect(await spares()).toEqual(["9221 wiki-spare lxc stopped on srv1", "9321 wiki-spare lxc stopped on srv1"]);
  change("wiki", (guest) => {
    delete guest.coldReplica;
  });
  const run = fine(await site.stack.up());
  expect(changed(run)).toEqual(["delete wiki-standby", "update wiki-container"]);
  expect(await spares()).toEqual([]);
  expect(await cluster.where()).toContain("221 wiki lxc running on srv2");
});

it("never moves or replaces a container whose server changes in the specification: it says what to do", async () => {
  change("web", (guest) => {
    guest.on = "srv2";
    guest.coldReplica = replicated("srv1") as NonNullable<Replica>;
  });
  await site.control("POST", "/calls/reset");
  const text = refusal(await site.stack.up());
  expect(text).toContain(
    "CONTAINER-ELSEWHERE guests.web: container web is on srv1, and is to be on srv2: `pulumi up` does not move a container.",
  );
  expect(text).toContain("`pct migrate 220 srv2 --restart 1` on srv1");
  expect(await changingCalls()).toEqual([]);
});

/*
 * What happens after a container's configuration was moved by hand. A plain update that has nothing to change there does not
 * notice; one that has (here the notes) fails, as it still asks the old server. A refresh does not find the container on
 * the server that the state names and drops it from the state; nothing is called at the hypervisor. The update then 'creates'
 * it: Proxmox VE refuses the taken id, and the provider, on its second attempt, takes the refusal for its own success and
 * records the container where it is. Nothing is destroyed, nothing is made.
 */
it("finds a container that was moved by hand where it is now, and destroys nothing on the way", async () => {
  await moveByHand("srv1", "srv2");
  const plain = refusal(await site.stack.up());
  expect(plain).toContain("Configuration file 'nodes/srv1/lxc/220.conf' does not exist");
  await site.control("POST", "/calls/reset");
  const preview = fine(await site.stack.preview("--refresh"));
  expect(changed(preview)).toEqual(["create web-container"]);
  const run = fine(await site.stack.up("--refresh"));
  expect(changed(run)).toEqual(["create web-container"]);
  expect(await changingCalls()).toEqual(["POST /nodes/{node}/lxc"]);
  expect(await cluster.where()).toContain("220 web lxc running on srv2");
  // What the provider took over is as it was: its notes are brought up to date now.
  const notes = fine(await site.stack.up("--refresh"));
  expect(changed(notes)).toEqual(["update web-container"]);
  expect((await cluster.config("srv2", 220, "lxc")).description).toContain("- Active: primary (srv2)");
  await nothingToDo("--refresh");
});

it("destroys what it made", async () => {
  fine(await site.stack.destroy());
  expect(await cluster.guests()).toEqual([]);
  expect(await cluster.jobs()).toEqual([]);
  expect(await cluster.volumes()).toEqual([]);
});
