/** What coldspare-backup on a server is told, out of the site's manifest; the program itself reads it. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import * as fc from "fast-check";
import { type SiteManifest, siteManifest } from "../../../planning";
import {
  backupSecrets,
  backupServers,
  renderBackupConf,
  renderSwaps,
  trustFiles,
} from "../../../planning/backup/backup-conf";
import { backupUnits } from "../../../planning/backup/backup-units";
import { encodeWord } from "../../../planning/backup/conf-words";
import type { ManifestBackups, ManifestPolicy } from "../../../planning/backup/manifest";
import { onCalendar } from "../../../planning/backup/on-calendar";
import { cleanSite, planWith } from "../sites";

const policy = (more: Partial<ManifestPolicy>): ManifestPolicy => ({
  target: "cloud",
  schedule: "22:30",
  keep: { daily: 7, weekly: 4 },
  guests: [],
  folders: [],
  volumes: [],
  datasets: [],
  hooks: { before: [], after: [], timeoutSeconds: 600 },
  notify: "failure",
  recoveryPointSeconds: 86_400,
  ...more,
});

const BACKUPS: ManifestBackups = {
  timeZone: "Europe/Berlin",
  mail: {
    server: "mx.example.org",
    port: 25,
    tls: "starttls",
    from: "one@example.org",
    to: ["a@example.org", "b@example.org"],
  },
  targets: {
    cloud: {
      kind: "restic",
      repository: "s3:https://s3.example.org/copies/office",
      backend: {
        ...{ type: "s3", endpoint: "https://s3.example.org", bucket: "copies", prefix: "office" },
        ...{ accessKeySecret: "s3-access", secretKeySecret: "s3-secret", ca: "-----BEGIN CERTIFICATE-----" },
      },
      passwordSecret: "restic-cloud",
      appendOnly: true,
      pruneOn: "vault",
      limitGiB: 100,
      rateMBps: 5,
    },
    nas: {
      kind: "restic",
      repository: "sftp://root@[fd00::3]:2222//srv/restic",
      backend: {
        type: "sftp",
        host: "fd00::3",
        port: 2222,
        user: "root",
        hostKeys: ["ssh-ed25519 AAAA"],
        path: "/srv/restic",
      },
      passwordSecret: "restic-nas",
      appendOnly: false,
      limitGiB: 100,
    },
  },
  policies: {
    docs: policy({
      folders: [{ server: "one", paths: ["/srv/our docs", "/home"], exclude: ["*.tmp", "a,b"] }],
      hooks: { before: [["sh", "-c", "dump > '/srv/our docs/db'"]], after: [["true"]], timeoutSeconds: 60 },
      bandwidthMBps: 2.5,
      reread: "sun 04:00",
    }),
    shop: policy({ target: "nas", volumes: [{ server: "two", volume: "shop" }], immutableSeconds: 86_400 }),
    guests: policy({ target: "backup", guests: ["sql-erp"] }),
  },
  rotations: {
    shelf: {
      ...{ on: "vault", copies: "backup", source: "/srv/backup", mountPoint: "/mnt/shelf", schedule: "05:00" },
      sets: [{ name: "weekly", media: ["a", "b"], swap: "mon 09:00", offSite: false }],
      ...{ startSeconds: 1_767_567_600, graceSeconds: 172_800, keep: { daily: 7 }, worstOfflineSeconds: 604_800 },
    },
  },
};

let manifest: SiteManifest;
beforeAll(() => {
  manifest = { ...siteManifest(planWith(cleanSite(), []), { endpoints: {} }), backups: BACKUPS };
});

test("each server is told of its own work, and of no other", () => {
  expect(backupServers(manifest)).toEqual(["one", "two", "vault"]);
  const conf = renderBackupConf(manifest, "one");
  expect(conf).toContain(
    "target cloud repository=s3%3Ahttps%3A%2F%2Fs3.example.org%2Fcopies%2Foffice password=restic-cloud append=1 rate=5 ca=1 access=s3-access secret=s3-secret\n",
  );
  expect(conf).toContain("policy docs target=cloud keep=daily%3A7,weekly%3A4 notify=failure timeout=60 rate=2.5\n");
  expect(conf).toContain(
    "folder docs subject=folder%3Aone%3A%2Fsrv%2Four%20docs path=%2Fsrv%2Four%20docs,%2Fhome exclude=%2A.tmp,a%2Cb\n",
  );
  expect(conf).not.toMatch(/shop|shelf|nas/);
  expect(renderBackupConf(manifest, "two")).toContain("volume shop subject=volume%3Atwo%3Ashop volume=shop\n");
  const pruner = renderBackupConf(manifest, "vault");
  expect(pruner).toMatch(/^target cloud .* append=1 prune=1 /m);
  expect(pruner).not.toContain("folder docs");
  expect(pruner).toContain(
    "rotation shelf mount=%2Fmnt%2Fshelf grace=172800 copies=backup source=%2Fsrv%2Fbackup keep=daily%3A7\n",
  );
});

test("secrets are names, and whoever prunes for others has credentials of its own", () => {
  expect(backupSecrets(manifest, "one")).toEqual(["restic-cloud", "s3-access", "s3-secret"]);
  expect(backupSecrets(manifest, "vault")).toEqual(["restic-cloud", "s3-access-prune", "s3-secret-prune"]);
  expect(backupSecrets(manifest, "two")).toEqual(["restic-nas"]);
});

test("pinned keys and authorities lie beside it", () => {
  expect(trustFiles(manifest, "two")).toEqual([
    { path: "/etc/coldspare/backup/nas.known_hosts", text: "[fd00::3]:2222 ssh-ed25519 AAAA\n" },
  ]);
  expect(trustFiles(manifest, "one")[0]?.path).toBe("/etc/coldspare/backup/cloud.pem");
});

test("every job has a timer in the site's time zone", () => {
  const timers = (server: string) =>
    backupUnits(manifest, server)
      .filter(({ name }) => name.endsWith(".timer"))
      .map(({ name, text }) => `${name} ${/^OnCalendar=(.*)$/m.exec(text)?.[1]}`);
  expect(timers("one")).toEqual([
    "coldspare-backup-docs.timer *-*-* 22:30:00 Europe/Berlin",
    "coldspare-verify-docs.timer Sun *-*-* 04:00:00 Europe/Berlin",
  ]);
  expect(timers("vault")).toEqual([
    "coldspare-prune-docs.timer *-*-* 22:30:00 Europe/Berlin",
    "coldspare-verify-docs.timer Sun *-*-* 04:00:00 Europe/Berlin",
    "coldspare-media-shelf.timer *-*-* 05:00:00 Europe/Berlin",
  ]);
});

test("the list of swaps begins with the turn of the moment and ends where it says", () => {
  const from = Date.UTC(2026, 10, 25) / 1000;
  const lines = renderSwaps(manifest, "vault", from).trim().split("\n");
  const swaps = lines.slice(0, -1).map((line) => line.split(" "));
  expect(Number(swaps[0]?.[2])).toBeLessThanOrEqual(from);
  expect(Number(swaps[1]?.[2])).toBeGreaterThan(from);
  expect(lines.at(-1)).toBe(`until shelf ${from + 400 * 86_400}`);
  expect(swaps).toHaveLength(58);
  for (const [index, [, , , label, , before]] of swaps.entries()) {
    expect([label, before].sort()).toEqual(["a", "b"]);
    if (index > 0) expect(before).toBe(swaps[index - 1]?.[3]);
  }
});

test.each([
  ["*/15", "*-*-* *:00,15,30,45:00 UTC"],
  ["mon..fri 12,18:30", "Mon,Tue,Wed,Thu,Fri *-*-* 12,18:30:00 UTC"],
  ["sat *-1..7 03:00", "Sat *-*-01,02,03,04,05,06,07 03:00:00 UTC"],
  ["monthly", "*-*-01 00:00:00 UTC"],
])("%s is written out for systemd", (event, text) => {
  expect(onCalendar(event, "UTC")).toBe(text);
});

test("a calendar event that is none is refused", () => {
  expect(() => onCalendar("whenever", "UTC")).toThrow(/'whenever' is no calendar event/);
});

test("the program reads what is written, whatever is in it", () => {
  const program = resolve(__dirname, "../../../backup/coldspare-backup");
  const folder = mkdtempSync(join(tmpdir(), "coldspare-conf-"));
  mkdirSync(join(folder, "etc/coldspare"), { recursive: true });
  for (const server of ["one", "two", "vault"]) {
    writeFileSync(join(folder, "etc/coldspare/backup.conf"), renderBackupConf(manifest, server));
    const said = execFileSync(program, ["status", "--plain"], {
      env: { ...process.env, COLDSPARE_ROOT: folder },
      encoding: "utf8",
    });
    expect(said).toMatch(/end\n$/);
  }
  rmSync(folder, { recursive: true });
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme" }),
      (text) => decodeURIComponent(encodeWord(text)) === Buffer.from(text).toString(),
    ),
  );
});
