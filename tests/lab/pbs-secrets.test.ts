import { clusterFiles, storageFile } from "../../lab/hosts/etc-pve-format";
import { createKeyFile, decrypt, encrypt, keyedDigest, parseKeyFile } from "../../lab/pbs/key";
import { emptyDomain } from "../../lab/state";

test("secrets of a storage lie in files of their own, never in storage.cfg", () => {
  const state = emptyDomain("site");
  state.storages.vault = { storage: "vault", type: "pbs", content: "backup", server: "192.0.2.31", datastore: "main" };
  state.storageSecrets = { vault: { password: "s3cret", key: '{"data":"x"}' } };
  const files = clusterFiles(state);
  expect(files.get("priv/storage/vault.pw")).toBe("s3cret\n");
  expect(files.get("priv/storage/vault.enc")).toBe('{"data":"x"}\n');
  expect(storageFile(state.storages)).not.toContain("s3cret");
});

test("a key opens what it closed, and no other does", () => {
  const [key, other] = [createKeyFile(0), createKeyFile(0)].map(parseKeyFile);
  const sealed = encrypt(key!, Buffer.from("invoice"));
  expect(sealed.includes("invoice")).toBe(false);
  expect(decrypt(key!, sealed).toString()).toBe("invoice");
  expect(() => decrypt(other!, sealed)).toThrow();
  expect(keyedDigest(key!, Buffer.from("a"))).not.toBe(keyedDigest(other!, Buffer.from("a")));
  expect(key!.fingerprint).toMatch(/^([0-9a-f]{2}:){31}[0-9a-f]{2}$/);
});

test.each(["", "no json", '{"data":"c2hvcnQ="}'])("%j is no key", (text) => {
  expect(() => parseKeyFile(text)).toThrow("Value does not seems like a valid, JSON formatted encryption key!");
});
