/** Guests that were there before: off, under other names, on storages that are only counted. */
import { siteManifest, siteReport } from "../../planning";
import { cleanSite, planWith } from "./sites";

const RBD = 'storages.ceph={"type":"rbd","sizeGiB":5000,"content":["images","rootdir"],"managed":false}';
const codes = (plan: ReturnType<typeof planWith>) => plan.findings.map(({ code }) => code);

describe("a guest that is normally off", () => {
  const off = planWith(cleanSite(), ["guests.mail.started=false"]);
  const on = planWith(cleanSite());

  test("takes storage, and neither memory nor cores, before and after a loss", () => {
    expect(off.storages).toEqual(on.storages);
    expect(off.servers.one!.capacity.before).toMatchObject({ memoryGiB: 0, cores: 0, guests: [] });
    expect(off.servers.two!.capacity.afterLossOf.one!.guests).toEqual(["wiki"]);
    expect(off.servers.one!.active).toEqual([]);
    expect(off.servers.one!.primaries).toEqual(["mail"]);
  });

  test("is neither started elsewhere nor missed, with and without a spare", () => {
    expect(on.losses.one!.restarts.map(({ guest }) => guest)).toEqual(["mail"]);
    expect(off.losses.one).toMatchObject({ survives: true, restarts: [], lost: [] });
    const alone = planWith(cleanSite(), ["guests.mail.started=false", "guests.mail.coldReplica=null"]);
    expect(alone.losses.one).toMatchObject({ survives: true, restarts: [], lost: [] });
    expect(codes(alone)).not.toContain("GUEST-NO-SPARE");
  });

  test("fits wherever it is, however large it is", () => {
    const large = planWith(cleanSite(), [
      "guests.mail.started=false",
      "guests.mail.memoryGiB=512",
      "guests.mail.cores=64",
    ]);
    expect(large.ok).toBe(true);
  });

  test("nobody else waits for it after a loss", () => {
    const seconds = (set: string[]) => planWith(cleanSite(), set).guests.wiki!.replica!.recoveryTime.seconds;
    const same = ["guests.mail.on=two", "guests.mail.coldReplica.on=one", "guests.mail.boot.order=1"];
    expect(seconds([...same, "guests.mail.started=false"])).toBeLessThan(seconds(same));
  });

  test("may have a cold replica, and is shown as off", () => {
    expect(off.ok).toBe(true);
    expect(siteReport(off).guests.mail).toMatchObject({ started: false, method: "storage-replication" });
    expect(siteReport(on).guests.mail).not.toHaveProperty("started");
  });

  test("stands in the manifest as off, also when its server boots", () => {
    const { mail, wiki } = siteManifest(off, { endpoints: {} }).guests;
    expect(mail).toMatchObject({ started: false, boot: { atHostBoot: false } });
    expect(wiki).not.toHaveProperty("started");
    expect(wiki!.boot.atHostBoot).toBe(true);
  });
});

describe("a guest of another name on the hypervisor", () => {
  test("has it in plan, report and manifest", () => {
    const plan = planWith(cleanSite(), ["guests.mail.hostname=Mail.Office"]);
    expect(plan.guests.mail!.hostname).toBe("Mail.Office");
    expect(plan.guests.wiki!.hostname).toBe("wiki");
    expect(siteReport(plan).guests.mail!.hostname).toBe("Mail.Office");
    expect(siteManifest(plan, { endpoints: {} }).guests.mail!.hostname).toBe("Mail.Office");
    expect(siteManifest(plan, { endpoints: {} }).guests.wiki).not.toHaveProperty("hostname");
  });
});

describe("a guest that was taken over", () => {
  test.each([
    ["keeps its disks", ['guests.mail.keep=["disks"]']],
    ["has a part of a GiB", ["guests.mail.disks[0].sizeGiB=100.5"]],
    ["has disks on other controllers", ["guests.mail.disks[0].interface=virtio0"]],
    ["has cards with gaps", ["guests.mail.networks[0].interface=net3"]],
    ["has any id", ["guests.mail.id=100"]],
    ["spreads its cores", ["guests.mail.sockets=2"]],
  ])("%s", (_, set) => {
    expect(planWith(cleanSite(), ["guests.mail.adopted=true", ...set]).findings).toEqual([]);
  });

  test("needs no image as a container", () => {
    const box =
      '{"kind":"container","os":"debian","on":"one","cores":1,"memoryGiB":1,"disks":[{"sizeGiB":4,"storage":"tank"}]}';
    expect(codes(planWith(cleanSite(), [`guests.box=${box}`]))).toContain("CONTAINER-NO-IMAGE");
    expect(codes(planWith(cleanSite(), [`guests.box=${box}`, "guests.box.adopted=true"]))).not.toContain(
      "CONTAINER-NO-IMAGE",
    );
  });

  test("has disks of which this specification decides nothing, if it keeps them", () => {
    const options = { deployedDisks: { mail: [200, 50] } };
    expect(codes(planWith(cleanSite(), [], options))).toContain("DISK-REMAPPED");
    const kept = planWith(cleanSite(), ["guests.mail.adopted=true", 'guests.mail.keep=["disks"]'], options);
    expect(kept.findings).toEqual([]);
  });
});

describe("disks on a shared storage that is only counted", () => {
  const moved = [RBD, "guests.mail.disks[0].storage=ceph", "guests.mail.coldReplica=null"];

  test("count there", () => {
    const pool = planWith(cleanSite(), moved).storages.find(({ storage }) => storage === "ceph");
    expect(pool).toMatchObject({ server: "shared", primaryGiB: 100, sizeGiB: 5000 });
  });

  test("are not lost with a server, and nobody starts the guest", () => {
    const plan = planWith(cleanSite(), moved);
    expect(plan.losses.one).toMatchObject({ lost: ["mail"], dataKept: ["mail"], survives: false });
    expect(planWith(cleanSite(), ["guests.mail.coldReplica=null"]).losses.one).not.toHaveProperty("dataKept");
  });

  test("are lost with the server that exports them", () => {
    const far = 'storages.far={"type":"nfs","server":"vault","export":"/srv/x","sizeGiB":900,"content":["images"]}';
    const plan = planWith(cleanSite(), [far, "guests.mail.disks[0].storage=far", "guests.mail.coldReplica=null"]);
    expect(plan.losses.one!.dataKept).toEqual(["mail"]);
    expect(plan.losses.vault).toMatchObject({ lost: ["mail"] });
    expect(plan.losses.vault).not.toHaveProperty("dataKept");
  });

  test("one disk that is not there keeps no data", () => {
    const disks = '[{"sizeGiB":8,"storage":"ceph"},{"sizeGiB":8,"storage":"tank"}]';
    const plan = planWith(cleanSite(), [RBD, `guests.mail.disks=${disks}`, "guests.mail.coldReplica=null"]);
    expect(plan.losses.one).not.toHaveProperty("dataKept");
  });
});

test("servers with capital letters are servers like any other", () => {
  const site = JSON.parse(JSON.stringify(cleanSite()).replaceAll('"one"', '"PVE-One"'));
  const plan = planWith(site);
  expect(plan.findings).toEqual([]);
  expect(Object.keys(plan.losses)).toContain("PVE-One");
});

test("a policy whose job is there already counts like any other", () => {
  const [theirs, ours] = [planWith(cleanSite(), ["backups.nightly.managed=false"]), planWith(cleanSite())];
  expect(theirs.findings).toEqual(ours.findings);
  expect(theirs.storages).toEqual(ours.storages);
});
