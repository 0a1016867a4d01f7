import { planSite } from "../../planning";
import { planWith, smbSite } from "./sites";

const plan = planSite(smbSite());

test("the small firm's site can be built, and survives the loss of any one server", () => {
  expect(plan.findings.filter(({ severity }) => severity !== "info")).toEqual([]);
  expect(plan.ok).toBe(true);
  expect(Object.values(plan.losses).map(({ server, survives }) => [server, survives])).toEqual([
    ["backup-1", true],
    ["srv1", true],
    ["srv2", true],
  ]);
});

test("who runs where, who stands by, what may be lost and how long it takes", () => {
  const table = Object.values(plan.guests).map(({ name, id, primary, spare, activeServer, addresses, replica }) => [
    name,
    id,
    primary,
    spare,
    activeServer,
    addresses[0]?.address,
    replica?.recoveryPoint.seconds,
    replica?.recoveryTime.seconds,
  ]);
  expect(table).toEqual([
    ["dc-1", 110, "srv1", "srv2", "srv1", "192.168.20.10/24", 915, 465],
    ["docker-1", 114, "srv2", "srv1", "srv2", "192.168.20.14/24", 904, 435],
    ["files-1", 111, "srv1", "srv2", "srv1", "192.168.20.11/24", 915, 510],
    ["remote-app", 112, "srv2", "srv1", "srv2", "192.168.20.12/24", 31.5 * 3600 + 806, 540],
    ["sql-erp", 113, "srv2", "srv1", "srv2", "192.168.20.13/24", 304, 495],
  ]);
});

test("times say where they come from", () => {
  expect(plan.guests["files-1"]?.replica?.recoveryPoint.basis).toBe(
    "15 min between two runs of '*/15' + 14 s to send 1.02 GiB (4.1 GiB/h) at 80 MB/s + 1 s while dc-1 may be sent first",
  );
  expect(plan.guests["remote-app"]?.replica?.recoveryPoint.basis).toBe(
    "backups at '22:30' (2 h 41 min long), restored at '06:00': at worst 1 d 7 h from the backup that is restored to the restore after it + 13 min 26 s to restore 60 GiB at 80 MB/s",
  );
  expect(plan.guests["docker-1"]?.replica?.recoveryTime.basis).toBe(
    "5 min until confirmed + 45 s for 3 activations (after sql-erp, remote-app) + 30 s of boot delays + 1 min to boot",
  );
});

test("room before and after each loss", () => {
  const usage = (server: string, lost?: string) => {
    const { before, afterLossOf } = plan.servers[server]!.capacity;
    const { memoryGiB, memoryLimitGiB, cores, coreLimit } = lost === undefined ? before : afterLossOf[lost]!;
    return [memoryGiB, memoryLimitGiB, cores, coreLimit];
  };
  expect(usage("srv1")).toEqual([8.3, 28, 4, 15]);
  expect(usage("srv1", "srv2")).toEqual([26.75, 28, 14, 15]);
  expect(usage("srv2")).toEqual([18.45, 28, 10, 33]);
  expect(usage("srv2", "srv1")).toEqual([26.75, 28, 14, 33]);
  expect(usage("srv1", "backup-1")).toEqual(usage("srv1"));
});

test("what each storage pool has to hold", () => {
  expect(
    plan.storages
      .filter(({ totalGiB }) => totalGiB > 0)
      .map((pool) => [
        pool.server,
        pool.storage,
        pool.primaryGiB,
        pool.replicaGiB,
        pool.backupGiB,
        pool.imageGiB,
        pool.fits,
      ]),
  ).toEqual([
    ["backup-1", "vzdump", 0, 0, 3898.8, 0, true],
    ["srv1", "local", 0, 0, 0, 1, true],
    ["srv1", "tank", 760, 300 + 140 + 2 * 120, 0, 0, true],
    ["srv2", "local", 0, 0, 0, 1, true],
    ["srv2", "tank", 560, 760, 0, 0, true],
    ["shared", "backup-nfs", 0, 0, 3898.8, 0, true],
  ]);
});

test("the loss of a hypervisor: who starts on the other one, in boot order", () => {
  const { restarts, lost, shed, quorum, lapses } = plan.losses.srv2!;
  expect(restarts.map(({ guest, on, recoveryTimeSeconds }) => [guest, on, recoveryTimeSeconds])).toEqual([
    ["sql-erp", "srv1", 495],
    ["remote-app", "srv1", 540],
    ["docker-1", "srv1", 435],
  ]);
  expect([lost, shed]).toEqual([[], []]);
  expect(quorum).toEqual({ votes: 2, expected: 3, needed: 2, quorate: true });
  expect(lapses).toEqual([
    "dc-1 and files-1 have no spare: it was on srv2",
    "docker-1, remote-app and sql-erp run without a spare until srv2 is back",
  ]);
});

test("the loss of the backup server stops nothing, but what lapses is listed", () => {
  const { restarts, lapses, survives } = plan.losses["backup-1"]!;
  expect(survives).toBe(true);
  expect(restarts).toEqual([]);
  expect(lapses).toEqual([
    "backups 'machines' of data on srv1 and data on srv2 stop: archive is on backup-1",
    "backups 'nightly' of dc-1, docker-1, files-1, remote-app and sql-erp stop: backup-nfs is on backup-1",
    "off-line medium 'offline-disks' is neither written nor swapped: it is attached to backup-1",
    "the spare of remote-app is not refreshed: it is restored from backup-nfs",
    "the vote of the witness: the cluster stands on the votes of srv1 and srv2",
  ]);
});

test("the loss of the whole site leaves the off-line medium, and its age is said", () => {
  expect(plan.siteLoss).toEqual({
    medium: "offline-disks",
    // In the week in which the clock is put back there is an hour more between two Mondays at 09:00.
    worstCaseLossSeconds: 7 * 86_400 + 3600 + 10.5 * 3600,
    worstCaseOffSiteSeconds: 35 * 86_400 + 10.5 * 3600,
    text: "If everything at this site is lost at once, off-line medium 'offline-disks' is left: at worst 7 d 11 h old (7 d 1 h from the detachment of a medium to that of the next one + up to 10 h 30 min that its content is old when it is detached: backups at '22:30' to backup-nfs, copied to the medium at '05:00'; a swap that is late adds its delay). Of its 5 media the one attached to backup-1 burns too, and those on the shelf survive only where that is not in the building. Off site are the media of monthly: the newest of them is at worst 35 d 10 h old. Not on it: folder:backup-1:/srv/containers, folder:srv1:/etc and folder:srv2:/etc. On hosts elsewhere are folder:backup-1:/srv/containers on cloud (s3.example.org), at worst 1 d 55 s old; folder:srv1:/etc and folder:srv2:/etc on cloud (s3.example.org), at worst 1 d 2 s old.",
  });
});

test("3-2-1-1-0 is met by everything that is backed up, and every target holds it for a year", () => {
  const { copies, targets } = plan.backups;
  for (const { subject, copies: _, ...lines } of Object.values(copies))
    expect([subject, ...Object.values(lines)]).toEqual([subject, true, true, true, true, true]);
  expect(
    Object.values(targets).map(({ name, fits, limitGiB, forecast }) => [
      name,
      fits,
      limitGiB,
      Math.round(forecast.peakGiB),
    ]),
  ).toEqual([
    ["archive", true, 255, 1],
    ["backup-nfs", true, 4860, 3899],
    ["cloud", true, 200, 61],
  ]);
  // Dumps of a guest on another server are a copy themselves.
  expect(copies["folder:backup-1:/srv/containers"]?.copies.map(({ where }) => where)).toEqual([
    "srv2",
    "backup-1",
    "cloud",
  ]);
});

test("physical devices are in the plan as they are", () => {
  expect(Object.keys(plan.devices)).toHaveLength(7);
  expect(plan.devices["router-1"]).toMatchObject({ kind: "router", duty: "confidentiality", address: "192.168.10.1" });
});

describe("too large", () => {
  test("memory and cores that do not fit after a loss are refused, with the sum in the message", () => {
    const large = planWith(smbSite(), ["guests.sql-erp.memoryGiB=20", "guests.sql-erp.cores=8"]);
    expect(large.ok).toBe(false);
    expect(large.losses.srv1?.survives).toBe(false);
    expect(large.losses.srv2?.survives).toBe(false);
    expect(
      large.findings.filter(({ severity }) => severity === "error").map(({ message, fix }) => [message, fix]),
    ).toEqual([
      [
        "When srv2 is lost, sql-erp needs 8 cores, and srv1 has 6: it does not start there.",
        "Give sql-erp at most 6 cores, or place it elsewhere.",
      ],
      [
        "When srv2 is lost, its guests do not fit on srv1: dc-1 2 + docker-1 2 + files-1 2 + remote-app 4 + sql-erp 8 is 18 virtual cores, and srv1 carries 15 (6 logical cores, 1 kept for the host, times 3).",
        "Take 3 cores from these guests, raise policies.coreOvercommit if their load allows it, or place a guest or its spare elsewhere.",
      ],
      [
        "When srv2 is lost, its guests do not fit on srv1: dc-1 4 + docker-1 4 + files-1 4 + remote-app 6 + sql-erp 20, with 0.15 of overhead each, is 38.75 GiB of memory, and srv1 has 28 GiB for guests. 10.75 GiB are missing.",
        "Take 10.75 GiB from these guests, give srv1 that much more memory, or place a guest or its spare elsewhere.",
      ],
      [
        "srv2 has no room for its guests: docker-1 4 + remote-app 6 + sql-erp 20, with 0.15 of overhead each, is 30.45 GiB of memory, and srv2 has 28 GiB for guests. 2.45 GiB are missing.",
        "Take 2.45 GiB from these guests, give srv2 that much more memory, or place a guest or its spare elsewhere.",
      ],
      [
        "When srv1 is lost, its guests do not fit on srv2: dc-1 4 + docker-1 4 + files-1 4 + remote-app 6 + sql-erp 20, with 0.15 of overhead each, is 38.75 GiB of memory, and srv2 has 28 GiB for guests. 10.75 GiB are missing.",
        "Take 10.75 GiB from these guests, give srv2 that much more memory, or place a guest or its spare elsewhere.",
      ],
    ]);
  });

  test("cores that a guest needs but the other server does not have", () => {
    const messages = planWith(smbSite(), ["guests.sql-erp.cores=8", "policies.coreOvercommit=8"]).findings;
    expect(messages.map(({ message }) => message)).toContain(
      "When srv2 is lost, sql-erp needs 8 cores, and srv1 has 6: it does not start there.",
    );
  });

  test("with shedding, the least important guests stay off, and only as many as needed", () => {
    const shed = planWith(smbSite(), [
      "guests.sql-erp.memoryGiB=14",
      "policies.allowShedding=true",
      "guests.docker-1.sheddable=true",
      "guests.remote-app.sheddable=true",
    ]);
    expect(shed.ok).toBe(true);
    expect(shed.losses.srv1?.shed).toEqual(["remote-app"]);
    expect(shed.losses.srv2?.shed).toEqual(["remote-app"]);
    expect(shed.losses.srv2?.restarts.map(({ guest }) => guest)).toEqual(["sql-erp", "docker-1"]);
  });
});

test("after a failover the roles are reversed, and what follows from them", () => {
  const after = planSite(smbSite(), { active: { "sql-erp": "spare" } });
  expect(after.guests["sql-erp"]).toMatchObject({
    primary: "srv2",
    spare: "srv1",
    activeSide: "spare",
    activeServer: "srv1",
    standbyServer: "srv2",
  });
  expect(after.losses.srv1?.restarts.map(({ guest }) => guest)).toEqual(["dc-1", "files-1", "sql-erp"]);
  expect(after.losses.srv2?.restarts.map(({ guest }) => guest)).toEqual(["remote-app", "docker-1"]);
  expect(after.guests["sql-erp"]?.id).toBe(plan.guests["sql-erp"]?.id);
  expect(after.guests["sql-erp"]?.addresses).toEqual(plan.guests["sql-erp"]?.addresses);
});

test("tags and notes say who is primary and who is spare; only one line follows the active side", () => {
  const after = planSite(smbSite(), { active: { "dc-1": "spare" } });
  const [before, now] = [plan.guests["dc-1"]!, after.guests["dc-1"]!];
  expect(before.tags).toEqual(["coldspare", "coldspare-primary", "confidentiality", "windows"]);
  expect(now.tags).toEqual(before.tags);
  expect(before.notes).toBe(
    [
      "## dc-1",
      "",
      "Active Directory, LDAP and network access policy",
      "",
      "- Site: smb",
      "- Primary: srv1",
      "- Spare: srv2, powered off",
      "- Refreshed by: storage-replication, '*/15'",
      "- Recovery point: 20 min, as promised",
      "- Active: primary (srv1)",
      "",
      "Managed by coldspare. Only one side may ever run.",
    ].join("\n"),
  );
  const changed = now.notes.split("\n").filter((line, index) => line !== before.notes.split("\n")[index]);
  expect(changed).toEqual(["- Active: spare (srv2)"]);
});
