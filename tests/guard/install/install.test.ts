import { chmodSync, lstatSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manifestText, renderNodeConf } from "../../../planning";
import { sha256 } from "../../../providers/guard/handoff";
import { PartlyInitialised } from "../../../providers/serve";
import { type ServerGuardState, serverGuardHandler } from "../../../providers/server-guard-handler";
import { FakeServers, SERVERS } from "./servers";

jest.setTimeout(30_000);

const HOOK = "local:snippets/coldspare-guard";
const SNIPPET = "var/lib/vz/snippets/coldspare-guard";

let servers: FakeServers;
let handler: ReturnType<typeof serverGuardHandler>;
let cache: string;
let guestIds: { vmid: number; primary: string }[];
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "coldspare-cache-"));
  process.env.XDG_CACHE_HOME = cache;
  servers = new FakeServers();
  handler = serverGuardHandler(servers.connect);
  guestIds = Object.values(servers.manifest().guests);
  for (const { vmid, primary } of guestIds) servers.guest(primary, "qemu-server", vmid);
});
afterEach(() => {
  servers.end();
  rmSync(cache, { recursive: true, force: true });
  delete process.env.XDG_CACHE_HOME;
});

const create = async (server: string, set: string[] = []) =>
  (await handler.create(servers.context, servers.inputs(server, set))).outs;

type States = Record<(typeof SERVERS)[number], ServerGuardState>;

/** As the engine does it: all at once. */
async function createAll(set: string[] = []): Promise<States> {
  const states = await Promise.all(SERVERS.map((server) => create(server, set)));
  return Object.fromEntries(states.map((state) => [state.server, state])) as States;
}

/** A site with its guards, made once and copied. */
let made: { folder: string; states: States } | undefined;
async function installed(options: { withCommands?: boolean } = {}): Promise<States> {
  if (made === undefined) {
    const states = await createAll();
    made = { folder: servers.copyTo(mkdtempSync(join(tmpdir(), "coldspare-made-"))), states };
  }
  servers.copyFrom(made.folder);
  if (!options.withCommands) for (const server of SERVERS) servers.commands(server);
  servers.told.length = 0;
  return made.states;
}
afterAll(() => made && rmSync(made.folder, { recursive: true, force: true }));

const refresh = async (state: ServerGuardState) => (await handler.read(servers.context, state.server, state))!;

const reasonsOf = async (work: Promise<unknown>): Promise<string[]> => {
  const error = await work.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(PartlyInitialised);
  return (error as PartlyInitialised<ServerGuardState>).reasons;
};

describe("a guard", () => {
  test("is installed on all servers at once: programs, configuration, keys, units, hook scripts", async () => {
    const states = await installed({ withCommands: true });
    const manifest = servers.manifest();
    for (const server of SERVERS) {
      expect(servers.read(server, "etc/coldspare/site.json")).toBe(manifestText(manifest));
      expect(servers.read(server, "etc/coldspare/node.conf")).toBe(renderNodeConf(manifest, server));
      expect(servers.read(server, "etc/coldspare/generation")).toBe(`1 ${sha256(manifestText(manifest))}\n`);
      expect(statSync(servers.path(server, "usr/local/sbin/coldspare-node")).mode & 0o777).toBe(0o755);
      expect(statSync(servers.path(server, "etc/coldspare/id_ed25519")).mode & 0o777).toBe(0o600);
      expect(statSync(servers.path(server, "root/.ssh/authorized_keys")).mode & 0o777).toBe(0o600);
      const authorized = servers.read(server, "root/.ssh/authorized_keys").trim().split("\n");
      const peers = SERVERS.filter((other) => other !== server);
      expect(authorized.sort()).toEqual(
        peers
          .map(
            (peer) =>
              `command="/usr/local/sbin/coldspare-node serve",restrict ${states[peer].publicKey} coldspare@${peer}`,
          )
          .sort(),
      );
      for (const peer of peers) {
        expect(servers.read(server, "etc/coldspare/known_hosts")).toMatch(
          new RegExp(`^${peer},${manifest.servers[peer]?.address} ssh-ed25519 `, "m"),
        );
      }
      expect(states[server]).toMatchObject({ generation: 1, drift: [] });
      // Nothing half-written is left.
      expect(readdirSync(servers.path(server, "etc/coldspare")).filter((name) => name.startsWith("."))).toEqual([]);
    }
    for (const { vmid, primary } of guestIds) {
      expect(servers.read(primary, `etc/pve/nodes/${primary}/qemu-server/${vmid}.conf`)).toContain(
        `hookscript: ${HOOK}\n`,
      );
    }
    for (const server of ["one", "two"]) {
      const units = readdirSync(servers.path(server, "units")).sort();
      expect(units).toEqual([
        "coldspare-agent.service.active",
        "coldspare-agent.service.enabled",
        "coldspare-boot.service.enabled",
      ]);
      // Once, however many were ready at the same time.
      expect(servers.commands(server).slice(-2)).toEqual(["systemctl start coldspare-agent.service", "reconcile"]);
    }
    // A witness runs no guests.
    expect(servers.read("vault", SNIPPET)).toBe("");
    expect(servers.commands("vault")).toEqual([]);
  });

  test("costs little state, with no text and no secret in it", async () => {
    const { one: state } = await installed();
    expect(JSON.stringify(state).length).toBeLessThan(1000);
    expect(JSON.stringify(state)).not.toContain("PRIVATE");
    expect(await refresh(state)).toEqual(state);
  });

  test("that is as it should be is not touched", async () => {
    const states = await installed();
    for (const server of SERVERS) servers.commands(server);
    const before = SERVERS.map((server) => statSync(servers.path(server, "etc/coldspare/node.conf")).ino);
    for (const server of SERVERS) {
      const state = states[server];
      expect(handler.diff(state, servers.inputs(server))).toEqual({ changes: false, replaces: [] });
      expect(await handler.update(servers.context, server, state, servers.inputs(server))).toEqual(state);
      expect(await refresh(state)).toEqual(state);
    }
    expect(SERVERS.map((server) => statSync(servers.path(server, "etc/coldspare/node.conf")).ino)).toEqual(before);
    expect(servers.commands("one")).toEqual([]);
    expect(servers.told.filter((line) => !line.includes("agents start when"))).toEqual([]);
  });

  test("starts no agent before every server that answers has its guard", async () => {
    await create("one");
    expect(servers.told.join()).toContain(
      "one: the guard is installed; the agents start when it is on two and vault, too",
    );
    await create("two");
    expect(servers.read("one", "units/coldspare-agent.service.active")).toBe("");
    expect(servers.commands("one").join()).not.toContain("start");
    servers.down("vault");
    await create("two");
    expect(servers.commands("one")).toEqual(["systemctl start coldspare-agent.service", "reconcile"]);
  });

  test("gets a greater number with each change, whoever is asked, also when an older text returns", async () => {
    await installed();
    const changed = ["site.fencing=lease"];
    expect((await createAll(changed)).two.generation).toBe(2);
    const old = sha256(manifestText(servers.manifest()));
    const back = await createAll();
    expect(Object.values(back).map(({ generation }) => generation)).toEqual([3, 3, 3]);
    expect(servers.read("one", "etc/coldspare/history").split("\n")[0]).toBe(`1 ${old}`);
    servers.down("two");
    await create("one", changed);
    await create("vault", changed);
    servers.up("two");
    // It comes back with number 3; what it missed is number 4.
    expect((await create("two", changed)).generation).toBe(4);
    expect(servers.commands("two")).toContain("systemctl reload-or-restart coldspare-agent.service");
  });
});

describe("what others changed", () => {
  test("is found by a refresh, all of it, and repaired by the next update", async () => {
    const { one } = await installed();
    const vmid = guestIds.find(({ primary }) => primary === "one")?.vmid ?? 0;
    servers.write("one", "usr/local/sbin/coldspare-node", "#!/bin/sh\n");
    chmodSync(servers.path("one", "usr/local/sbin/coldspare-drill"), 0o644);
    servers.remove("one", SNIPPET);
    servers.write("one", "root/.ssh/authorized_keys", "ssh-rsa A me\n");
    servers.remove("one", "units/coldspare-agent.service.active");
    const first = await refresh(one);
    expect(first.drift).toEqual([
      "/usr/local/sbin/coldspare-node was changed",
      "/usr/local/sbin/coldspare-drill has mode 644 instead of 755",
      `/${SNIPPET} is missing`,
      "the key of two is not in authorized_keys any more",
      "the key of vault is not in authorized_keys any more",
      "and 1 more",
    ]);
    expect(servers.told.at(-1)).toMatch(/coldspare-agent\.service does not run\. The next `pulumi up` repairs it$/);
    expect(handler.diff(first, servers.inputs("one")).changes).toBe(true);
    await handler.update(servers.context, "one", first, servers.inputs("one"));
    expect(await refresh(one)).toEqual(one);

    servers.guest("one", "qemu-server", vmid);
    servers.write("one", "etc/coldspare/node.conf", "format 1\n");
    servers.remove("one", "etc/coldspare/site.json");
    servers.remove("one", "units/coldspare-boot.service.enabled");
    servers.remove("one", "etc/coldspare/id_ed25519");
    const second = await refresh(one);
    expect(second.drift).toEqual([
      "/etc/coldspare/site.json is missing",
      "/etc/coldspare/node.conf was changed",
      "the server's own key is missing",
      "coldspare-boot.service is not enabled",
    ]);
    const repaired = await handler.update(servers.context, "one", second, servers.inputs("one"));
    expect(await refresh(repaired)).toEqual(repaired);
    expect(servers.read("two", "root/.ssh/authorized_keys")).toContain(`${repaired.publicKey} coldspare@one`);
    expect(servers.read("two", "root/.ssh/authorized_keys")).not.toContain(one.publicKey);
  });

  test("keys of people stay, through a link into the cluster's file system, too", async () => {
    servers.write("one", "etc/pve/priv/authorized_keys", "ssh-rsa AAAA admin@laptop\n");
    servers.write("one", "root/.ssh/.keep", "");
    symlinkSync(servers.path("one", "etc/pve/priv/authorized_keys"), servers.path("one", "root/.ssh/authorized_keys"));
    await createAll();
    expect(lstatSync(servers.path("one", "root/.ssh/authorized_keys")).isSymbolicLink()).toBe(true);
    const lines = servers.read("one", "etc/pve/priv/authorized_keys").trim().split("\n");
    expect(lines[0]).toBe("ssh-rsa AAAA admin@laptop");
    expect(lines).toHaveLength(3);
  });

  test("a hook script of somebody else is left and told of", async () => {
    const { vmid, primary } = guestIds[0]!;
    servers.guest(
      primary,
      "qemu-server",
      vmid,
      "hookscript: local:snippets/mine.sh\nmemory: 512\n[before]\nhookscript: x\n",
    );
    const reasons = await reasonsOf(create(primary));
    expect(reasons.join()).toContain(`${primary}: guest ${vmid} has the hook script local:snippets/mine.sh already`);
    expect(servers.commands(primary).join()).not.toContain(`qm set ${vmid}`);
  });

  test("what does not work is said with the command, and recorded so that the next update tries again", async () => {
    servers.write("one", "qm-fails", "no such storage 'local'\n");
    const error = (await create("one").catch((thrown: unknown) => thrown)) as PartlyInitialised<ServerGuardState>;
    expect(error.reasons.join()).toMatch(
      /one: `qm set \d+ --hookscript local:snippets\/coldspare-guard`: no such storage 'local'\. Fix:/,
    );
    expect(handler.diff(error.properties, servers.inputs("one")).changes).toBe(true);
  });
});

describe("a guest that is locked by a backup", () => {
  const locked = "VM is locked (backup)\n";
  const own = () => guestIds.find(({ primary }) => primary === "one")?.vmid ?? 0;
  const conf = () => servers.read("one", `etc/pve/nodes/one/qemu-server/${own()}.conf`);

  test("gets its hook script when the lock goes within seconds", async () => {
    const { one } = await installed();
    servers.guest("one", "qemu-server", own());
    servers.write("one", "qm-fails", locked.repeat(2));
    expect((await handler.update(servers.context, "one", one, servers.inputs("one"))).drift).toEqual([]);
    expect(conf()).toContain(`hookscript: ${HOOK}`);
  });

  test("fails no update, and is left to the agent", async () => {
    const { one } = await installed();
    servers.guest("one", "qemu-server", own(), "lock: backup\nmemory: 512\n");
    servers.write("one", "qm-fails", locked.repeat(100));
    const state = await handler.update(servers.context, "one", one, servers.inputs("one"));
    expect(state.drift).toEqual([]);
    expect(servers.told).toContain(
      `one: guest ${own()} is locked (a backup, or another task); coldspare-agent.service sets its hook script when the lock is gone, it looks once a minute`,
    );
    expect(conf()).not.toContain("hookscript");
    // However old the lock is.
    const file = servers.path("one", `etc/pve/nodes/one/qemu-server/${own()}.conf`);
    utimesSync(file, 1_700_000_000, 1_700_000_000);
    expect((await refresh(state)).drift).toEqual([]);
    expect(servers.told.at(-1)).toBe(`one: guest ${own()} has no hook script yet; the agent sets it within minutes`);
    // The lock is gone and nobody set it: that is drift.
    servers.guest("one", "qemu-server", own());
    expect((await refresh(state)).drift).toEqual([]);
    utimesSync(file, 1_700_000_000, 1_700_000_000);
    expect((await refresh(state)).drift).toEqual([`no hook script at guest ${own()}`]);
  });
});

describe("a server that is down", () => {
  test("fails to be created by its name and with the way out, and is read as it was recorded", async () => {
    const states = await installed();
    servers.down("two");
    await expect(create("two", ["site.fencing=lease"])).rejects.toThrow(
      /^two: its guard could not be brought up to date: .*No route to host.*`coldspare up` updates the rest/,
    );
    expect(await refresh(states.two)).toEqual(states.two);
    expect(servers.told.at(-1)).toContain("Its guard is left as it was recorded");
    expect((await create("one", ["site.fencing=lease"])).generation).toBe(2);
    expect(servers.told.join()).toContain("one: its guard cannot be made known to two now");
  });
});

describe("deletion", () => {
  const remove = (state: ServerGuardState) => handler.delete(servers.context, state.server, state);

  test("of all servers, in any order, leaves records and keys alone", async () => {
    const states = await installed();
    servers.write("one", "var/lib/coldspare/records/web", "epoch=3");
    await Promise.all(SERVERS.map((server) => remove(states[server])));
    for (const server of SERVERS) {
      expect(servers.read(server, "usr/local/sbin/coldspare-node")).toBe("");
      expect(servers.read(server, "etc/coldspare/node.conf")).toBe("");
      expect(servers.read(server, "etc/coldspare/id_ed25519")).toContain("PRIVATE KEY");
      expect(servers.read(server, "root/.ssh/authorized_keys").trim()).toBe("");
    }
    expect(servers.read("one", "var/lib/coldspare/records/web")).toBe("epoch=3");
    for (const { vmid, primary } of guestIds) {
      expect(servers.read(primary, `etc/pve/nodes/${primary}/qemu-server/${vmid}.conf`)).toBe("memory: 512\n");
    }
    expect(servers.told.at(-1)).toContain("records in /var/lib/coldspare and its key in /etc/coldspare are kept");
  });

  test("under a lease takes the lease away before the agent, or the guests would end with it", async () => {
    const leased = ["site.fencing=lease"];
    await installed();
    const states = await createAll(leased);
    await Promise.all(SERVERS.map((server) => remove(states[server])));
    expect(servers.commands("one").slice(-4)).toEqual([
      "systemctl reload-or-restart coldspare-agent.service",
      "systemctl disable --now coldspare-agent.service",
      "systemctl disable --now coldspare-boot.service",
      "systemctl daemon-reload",
    ]);
    expect(servers.read("one", "conf-when-stopped")).toContain("\nfencing confirm\n");
  });

  test("of one that others count as a voter keeps its guard", async () => {
    const states = await installed();
    await remove(states.one);
    expect(servers.read("one", SNIPPET)).not.toBe("");
    expect(servers.told.at(-1)).toContain("one: the guard stays, as two and vault may count one as a voter");
    // It is taken back into the site.
    expect((await create("one")).drift).toEqual([]);
    expect(servers.read("one", "etc/coldspare/retired")).toBe("");
  });

  test("of one that is gone for good does not stand in the way", async () => {
    const states = await installed();
    servers.down("two");
    await remove(states.two);
    expect(servers.told.at(-1)).toContain("Its guard is left on it as it is");
  });
});
