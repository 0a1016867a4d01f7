// `npm start -- --hosts`: the lab's servers as real hosts (Linux and root), so that guard, failover and drills can be tried.
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { run } from "./exec.mjs";

/** Throws with what is missing here. */
export function requireHosts(checkout) {
  const { canRunHosts } = createRequire(join(checkout, "package.json"))("./dist/lab/hosts/requirements.js");
  const answer = canRunHosts();
  if (!answer.ok) throw new Error(`--hosts: ${answer.why}`);
}

/** Seconds from power-on until a guest answers: what one waits for in a lab is the commands, not the guests. */
const BOOT_SECONDS = 3;

/**
 * The layout as real hosts can have it: guests that boot at once, and no copies of folders, whose repositories and buckets want
 * passwords that no lab has.
 */
export function hostsSite(checkout, layout) {
  const { loadLayout } = createRequire(join(checkout, "package.json"))("./dist/stacks/layouts.js");
  const { targets: _, ...site } = loadLayout(layout);
  const { nightly } = site.backups;
  const guests = Object.entries(site.guests).map(([name, guest]) => [
    name,
    { ...guest, boot: { ...guest.boot, delaySeconds: 0, seconds: BOOT_SECONDS } },
  ]);
  return { ...site, backups: { nightly }, guests: Object.fromEntries(guests) };
}

/** @returns the file with the site, below the place of the lab */
export function writeHostsSite(place, layout) {
  const { stringify } = createRequire(join(place.checkout, "package.json"))("yaml");
  const file = join(place.folder, "site.yaml");
  writeFileSync(file, stringify(hostsSite(place.checkout, layout)));
  return file;
}

/** The way to the hosts over SSH, as `coldspare:ssh` says it. */
export async function sshConfig(place) {
  const { stdout } = await run("node", ["dist/lab/main.js", "hosts", "--folder", place.lab, "--json"], {
    cwd: place.checkout,
    env: place.env,
  });
  const hosts = JSON.parse(stdout);
  const each = (value) => Object.fromEntries(Object.entries(hosts).map(([name, host]) => [name, value(host)]));
  return {
    keyFile: Object.values(hosts)[0].keyFile,
    hosts: each(({ ssh }) => ssh),
    hostKeys: each(({ hostKey }) => [hostKey]),
  };
}
