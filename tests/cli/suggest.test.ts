import { didYouMean, nearest } from "../../cli/suggest";

test.each([
  ["smb-sit", "smb-site"],
  ["SMB-SITE", "smb-site"],
  ["smbsite", "smb-site"],
  ["hetzner", undefined],
  ["x", undefined],
])("%s is nearest to %s", (word, expected) => {
  expect(nearest(word, ["smb-site", "smb-site-too-large"])).toBe(expected);
});

test("says nothing where nothing is near", () => {
  expect(didYouMean("docker-2", ["docker-1"])).toBe("; did you mean 'docker-1'?");
  expect(didYouMean("zzz", ["docker-1"])).toBe("");
});
