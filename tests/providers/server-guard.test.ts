/** What the resource of a guard says without asking a server. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { siteManifest } from "../../planning";
import { handOver, sha256, takeOver } from "../../providers/guard/handoff";
import { serverGuardInputs } from "../../providers/server-guard";
import { serverGuardHandler } from "../../providers/server-guard-handler";
import { cleanSite, planWith } from "../planning/sites";

const handler = serverGuardHandler();
const hostKeys = { one: ["ssh-ed25519 AAAA"], two: ["ssh-ed25519 AAAA"] };

let cache: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "coldspare-cache-"));
  process.env.XDG_CACHE_HOME = cache;
});
afterEach(() => {
  rmSync(cache, { recursive: true, force: true });
  delete process.env.XDG_CACHE_HOME;
});

test("inputs that cannot be", () => {
  const manifest = siteManifest(planWith(cleanSite(), []), { endpoints: {}, ssh: { hosts: {}, hostKeys } });
  const good = serverGuardInputs({ server: "one", manifest });
  expect(handler.check(good)).toEqual([]);
  expect(handler.check({ ...good, host: "" })[0]?.reason).toContain(
    "pulumi config set --path 'coldspare:ssh.hostKeys.one[0]'",
  );
  expect(handler.check({ ...good, server: "a;b", manifest: "x" }).map(({ property }) => property)).toEqual([
    "server",
    "manifest",
  ]);
  expect(
    handler.diff({ ...good, generation: 1, publicKey: "", drift: [] }, { ...good, server: "two" }).replaces,
  ).toEqual(["server"]);
});

test("a manifest goes over by its hash, and nothing else is believed", () => {
  const hash = handOver("text");
  expect(takeOver(hash)).toBe("text");
  expect(() => takeOver(sha256("other"))).toThrow(/is not on this machine .*Fix: run `pulumi up` again/);
  process.env.XDG_CACHE_HOME = __filename;
  expect(takeOver(handOver("elsewhere"))).toBe("elsewhere");
  rmSync(join(tmpdir(), `coldspare-${process.getuid?.()}`, "manifests", `${sha256("elsewhere")}.json`));
});
