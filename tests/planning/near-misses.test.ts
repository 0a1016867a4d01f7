/** What is close to a mistake and is none: a finding there would teach people to overlook findings. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type OverrideError, overrideSite, type PlanOptions } from "../../planning";
import { STACK_SETTINGS } from "../../planning/checks/secrets";
import { cleanSite, planWith } from "./sites";

const codes = (set: string[], options: PlanOptions = {}) =>
  planWith(cleanSite(), set, options).findings.map(({ code }) => code);

test.each<[string, string[], PlanOptions?]>([
  ["a storage of another host, by its full name", ["storages.backups.server=valut.example.org"]],
  ["a storage of another host, by its address", ["storages.backups.server=10.0.1.9"]],
  ["a storage of a device", ["storages.backups.server=gateway"]],
  ["a storage of a host that no name here is like", ["storages.backups.server=archive-of-the-town"]],
  ["an export below the pool's directory", ["storages.backups.export=/srv/dumps/vm"]],
  ["disks that grow, and one more", ["guests.mail.disks[0].sizeGiB=120"], { deployedDisks: { mail: [100] } }],
  ["a place that never had a disk", [], { deployedDisks: { mail: [100, 0] } }],
  ["a secret of its own", ['guests.mail.cloudInit={"passwordSecret":"mail-password"}']],
  ["a disk with a name", ["guests.mail.disks[0].name=data"]],
  ["31 disks", [`guests.mail.disks=${JSON.stringify(Array(31).fill({ sizeGiB: 1, storage: "tank" }))}`]],
  ["the smallest guest, in a nested pool", ["guests.mail.memoryGiB=0.015625", "guests.mail.pool=office/mail"]],
])("%s", (...[, set, options]) => {
  expect(codes(set, options)).toEqual([]);
});

test("an ISO image on a shared storage ties nobody to a server", () => {
  const iso = ["images.debian.kind=iso", "images.debian.storage=media"];
  const media = (content: string) =>
    `storages.media={"type":"nfs","server":"vault","export":"/srv/dumps/media","sizeGiB":50,"content":["${content}"]}`;
  expect(codes([media("iso"), ...iso])).toEqual([]);
  expect(codes([media("vztmpl"), ...iso])).toEqual(["STORAGE-CONTENT", "STORAGE-CONTENT"]);
});

test("with an ISO image on a local storage of content iso there is that one note", () => {
  const plan = planWith(cleanSite(), [
    "images.debian.kind=iso",
    'servers.one.storages.local.content=["iso"]',
    'servers.two.storages.local.content=["iso"]',
  ]);
  expect(plan.ok).toBe(true);
  expect(plan.findings.map(({ code, severity }) => [code, severity])).toEqual([["IMAGE-ISO-LOCAL", "info"]]);
});

test("a disk that is remapped is not told to keep its size as well", () => {
  expect(codes([], { deployedDisks: { mail: [600, 100] } })).toEqual(["DISK-REMAPPED"]);
  expect(codes([], { deployedDisks: { mail: [100, 100] } })).toEqual(["DISK-REMOVED"]);
});

test("where the host keeps more than there is, nobody is told to shrink guests", () => {
  const found = codes(["servers.one.hostReserve.cores=9", "servers.one.hostReserve.memoryGiB=33"]);
  expect(found).toEqual(["HOST-RESERVE-TOO-LARGE"]);
});

test("an override may add a guest as a whole, and names the one that was meant", () => {
  const wiki = cleanSite().guests!.wiki!;
  const added = overrideSite(cleanSite(), [
    `guests.chat=${JSON.stringify({ ...wiki, id: 103 })}`,
    "guests.chat.cores=1",
  ]) as { guests: Record<string, { cores: number }> };
  expect(added.guests.chat?.cores).toBe(1);
  try {
    overrideSite(cleanSite(), ["guests.wikki.cores=1"]);
    throw new Error("nothing was refused");
  } catch (error) {
    expect((error as OverrideError).finding?.fix).toBe(
      "Did you mean 'wiki'? A new one is added as a whole: guests.wikki={…}.",
    );
  }
});

test("the settings that are no names for secrets are those that the stack reads", () => {
  const source = readFileSync(join(__dirname, "../../stacks/settings.ts"), "utf8");
  const read = [...source.matchAll(/config\.\w+(?:<[^(]*>)?\("(\w+)"\)/g)].map((match) => match[1]!);
  expect([...new Set(read)].sort()).toEqual([...STACK_SETTINGS].sort());
});
