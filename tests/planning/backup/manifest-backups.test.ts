import { manifestText, parseManifest, planSite, type SiteSpecInput, siteManifest } from "../../../planning";
import { cleanSite, planWith } from "../sites";

const manifestOf = (change: Partial<SiteSpecInput>) =>
  siteManifest(planSite({ ...cleanSite(), ...change }), { endpoints: {} });

const targets: NonNullable<SiteSpecInput["targets"]> = {
  store: {
    kind: "pbs",
    on: "vault",
    datastore: "office",
    namespace: "guests/daily",
    path: "/srv/pbs",
    sizeGiB: 2000,
    encryption: "client",
  },
  away: { kind: "pbs", host: "pbs.example.org", datastore: "copies", storage: "pbs-away", sizeGiB: 900, quotaGiB: 800 },
  nas: { kind: "zfs-receiver", on: "vault", dataset: "tank/copies", direction: "pull", raw: true, sizeGiB: 100 },
  cloud: {
    kind: "restic",
    quotaGiB: 200,
    backend: {
      type: "s3",
      endpoint: "https://s3.example.org/",
      bucket: "office",
      prefix: "/data/",
      accessKeySecret: "s3-key",
      secretKeySecret: "s3-secret",
    },
    passwordSecret: "cloud-password",
    appendOnly: true,
    pruneOn: "vault",
  },
  house: {
    kind: "restic",
    backend: { type: "sftp", on: "vault", path: "/srv/restic" },
    passwordSecret: "house-password",
    sizeGiB: 300,
  },
};

const backups: NonNullable<SiteSpecInput["backups"]> = {
  nightly: { target: "store", schedule: "01:00", keep: { daily: 7 }, immutableFor: "7d", verify: { reread: "sun" } },
  data: {
    target: "cloud",
    schedule: "02:00",
    folders: [{ server: "vault", paths: ["/srv/scans", "/etc"], usedGiB: 20 }],
    volumes: [{ server: "vault", volume: "wiki-data", usedGiB: 3 }],
    hooks: { before: [["dump", "wiki"]] },
    recoveryPoint: "2d",
  },
};

describe("the part about copies", () => {
  const manifest = manifestOf({ targets, backups });

  test("each kind of target", () => {
    expect(manifest.backups?.targets).toEqual({
      store: {
        kind: "pbs",
        on: "vault",
        host: "10.0.1.3",
        port: 8007,
        datastore: "office",
        namespace: "guests/daily",
        storage: "store",
        encrypted: true,
        location: "barn",
        limitGiB: 1700,
      },
      away: {
        kind: "pbs",
        host: "pbs.example.org",
        port: 8007,
        datastore: "copies",
        storage: "pbs-away",
        encrypted: false,
        limitGiB: 765,
      },
      nas: {
        kind: "zfs-receiver",
        on: "vault",
        host: "10.0.1.3",
        port: 22,
        user: "root",
        hostKeys: [],
        dataset: "tank/copies",
        direction: "pull",
        raw: true,
        pruner: "coldspare",
        location: "barn",
        limitGiB: 85,
      },
      cloud: {
        kind: "restic",
        repository: "s3:https://s3.example.org/office/data",
        backend: targets.cloud?.kind === "restic" ? targets.cloud.backend : undefined,
        passwordSecret: "cloud-password",
        appendOnly: true,
        pruneOn: "vault",
        limitGiB: 200,
      },
      house: {
        kind: "restic",
        repository: "sftp://root@10.0.1.3:22//srv/restic",
        backend: { type: "sftp", on: "vault", port: 22, user: "root", hostKeys: [], path: "/srv/restic" },
        passwordSecret: "house-password",
        appendOnly: false,
        location: "barn",
        limitGiB: 255,
      },
    });
  });

  test("each policy", () => {
    expect(manifest.backups?.policies.nightly).toMatchObject({
      target: "store",
      schedule: "01:00",
      keep: { daily: 7 },
      guests: ["mail", "wiki"],
      immutableSeconds: 7 * 86_400,
      reread: "sun",
    });
    expect(manifest.backups?.policies.data).toMatchObject({
      guests: [],
      folders: [{ server: "vault", paths: ["/srv/scans", "/etc"], exclude: [] }],
      volumes: [{ server: "vault", volume: "wiki-data" }],
      hooks: { before: [["dump", "wiki"]], after: [], timeoutSeconds: 600 },
      recoveryPointSeconds: 2 * 86_400,
    });
  });

  test("the text is read again without a change, and keys of a newer release stay", () => {
    expect(parseManifest(manifestText(manifest))).toEqual(manifest);
    const newer = JSON.parse(manifestText(manifest));
    newer.backups.targets.cloud.tier = "cold";
    newer.backups.targets.cloud.backend.tier = "cold";
    newer.backups.policies.data.keep.decadely = 1;
    expect(parseManifest(JSON.stringify(newer))).toEqual(newer);
  });
});

test("rotated media: sets, their calendar and the day of the first turn in the site's time zone", () => {
  const { site } = cleanSite();
  const berlin = manifestOf({ site: { ...site, timeZone: "Europe/Berlin" } }).backups;
  expect(berlin?.timeZone).toBe("Europe/Berlin");
  expect(berlin?.rotations.shelf).toMatchObject({
    on: "vault",
    copies: "backups",
    mountPoint: "/mnt/coldspare/shelf",
    sets: [{ name: "weekly", media: ["disk-a", "disk-b"], swap: "mon 09:00", offSite: false }],
    startSeconds: Date.UTC(2026, 0, 4, 23) / 1000,
    graceSeconds: 2 * 86_400,
    schedule: "05:00",
  });
  expect(berlin?.targets.shelf).toMatchObject({ kind: "offline-medium", copies: "backups", limitGiB: 4000 });
});

test("a policy of a storage has that storage as its target", () => {
  const plain = manifestOf({}).backups;
  expect(plain?.policies.nightly?.target).toBe("backups");
  expect(plain?.targets.backups).toEqual({ kind: "vzdump", storage: "backups", location: "barn", limitGiB: 3600 });
});

test("where nothing is backed up there is no such part", () => {
  expect("backups" in manifestOf({ targets: {}, backups: {} })).toBe(false);
});

test("a schedule that is none is a finding, and such a policy is in no manifest", () => {
  const plan = planWith(cleanSite(), ["backups.nightly.schedule=at night"]);
  expect(siteManifest(plan, { endpoints: {} }).backups?.policies).toEqual({});
});
