import { deriveGuestId, deriveMac, planSite } from "../../planning";
import { cleanSite, planWith } from "./sites";

test("derived ids and MAC addresses are the same for ever: a change here renumbers every site", () => {
  expect(deriveGuestId("office", "mail")).toBe(251258);
  expect([deriveMac("office", "mail", 0), deriveMac("office", "mail", 1)]).toEqual([
    "9A:B6:B3:37:A9:F6",
    "F6:1C:70:FD:5B:BA",
  ]);
});

test("three thousand guests get ids in the range, and unicast, locally administered MAC addresses", () => {
  const ids = new Set<number>();
  const macs = new Set<string>();
  for (let n = 0; n < 3_000; n++) {
    const id = deriveGuestId("site", `guest-${n}`);
    expect(id >= 200_000 && id <= 899_999).toBe(true);
    ids.add(id);
    const mac = deriveMac("site", `guest-${n}`, n % 4);
    expect(mac).toMatch(/^[0-9A-F][26AE](:[0-9A-F]{2}){5}$/);
    macs.add(mac);
  }
  expect(macs.size).toBe(3_000);
  // As many as random numbers would hit twice among 700,000, and not many more.
  expect(3_000 - ids.size).toBeLessThan(20);
});

test("standby ids are derived for 'restore', and differ from the guest's own", () => {
  const { guests } = planWith(cleanSite(), ["guests.wiki.id=null"]);
  const ids = [guests.wiki!.id, ...guests.wiki!.replica!.standbyIds!];
  expect(new Set(ids).size).toBe(3);
  expect(guests.mail!.replica!.standbyIds).toBeUndefined();
});

test("the active side changes neither id nor MAC address", () => {
  const [home, away] = [planSite(cleanSite()), planSite(cleanSite(), { active: { mail: "spare", wiki: "spare" } })];
  for (const name of ["mail", "wiki"]) {
    expect(away.guests[name]!.id).toBe(home.guests[name]!.id);
    expect(away.guests[name]!.addresses).toEqual(home.guests[name]!.addresses);
    expect(away.guests[name]!.replica!.standbyIds).toEqual(home.guests[name]!.replica!.standbyIds);
  }
});
