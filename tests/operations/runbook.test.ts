import { execFileSync } from "node:child_process";
import { powerOrder, powerOrderNut, powerOrderText } from "../../operations/power-order";
import { runbook } from "../../operations/runbook";
import { toHtml, toMarkdown } from "../../operations/runbook-document";
import { planSite, type SiteManifest, type SiteSpec, siteManifest } from "../../planning";
import { loadLayout } from "../../stacks/layouts";

const smb = siteManifest(planSite(loadLayout("smb-site") as SiteSpec), {
  endpoints: { srv1: "https://192.168.10.11:8006", srv2: "https://192.168.10.12:8006" },
});

function changed(change: (manifest: SiteManifest) => void): SiteManifest {
  const copy = structuredClone(smb);
  change(copy);
  return copy;
}

const markdown = (manifest: SiteManifest, server?: string) =>
  toMarkdown(runbook(manifest, { date: "2026-11-22", ...(server === undefined ? {} : { server }) }));

/** What stands below a heading, up to the next one. */
function part(text: string, heading: string): string {
  const at = text.indexOf(`### ${heading}`);
  if (at < 0) throw new Error(`no heading ${heading}`);
  const rest = text.slice(at + 4);
  return rest.slice(0, rest.search(/\n##|$(?![\s\S])/));
}

/** The commands of the block of code below a heading, without comments and empty lines. */
const commands = (text: string, heading: string) =>
  (/```sh\n([\s\S]*?)```/.exec(part(text, heading))?.[1] ?? "")
    .split("\n")
    .map((line) => line.replace(/(^|\s+)# .*$/, ""))
    .filter((line) => line !== "");

test("a guest that is normally off is neither started by hand nor counted", () => {
  const off = changed(({ guests }) => {
    guests["sql-erp"]!.started = false;
  });
  const heading = "What it carried, in the order in which it starts elsewhere";
  expect(part(markdown(smb, "srv2"), heading)).toContain("sql-erp");
  expect(part(markdown(off, "srv2"), heading)).not.toContain("sql-erp");
  expect(commands(markdown(off, "srv2"), "By hand").join("\n")).not.toContain("113");
});

test("what is typed by hand on the survivor, word for word and in order", () => {
  expect(commands(markdown(smb, "srv2"), "By hand")).toEqual([
    "ssh root@192.168.10.11",
    "pvecm status",
    "pvecm expected 1",
    'coldspare-node allow sql-erp --because "srv2 is off, seen by NAME at TIME"',
    "pvesr list | grep '^113-'",
    "pvesr disable 113-0",
    "mv /etc/pve/nodes/srv2/qemu-server/113.conf /etc/pve/nodes/srv1/qemu-server/",
    "qm start 113",
    'coldspare-node allow remote-app --because "srv2 is off, seen by NAME at TIME"',
    "qm config 9112 | grep -o 'Recovery point: [^ ]*'",
    "qm config 9212 | grep -o 'Recovery point: [^ ]*'",
    "qm start 9112",
    'coldspare-node allow docker-1 --because "srv2 is off, seen by NAME at TIME"',
    "pvesr list | grep '^114-'",
    "pvesr disable 114-0",
    "mv /etc/pve/nodes/srv2/qemu-server/114.conf /etc/pve/nodes/srv1/qemu-server/",
    "qm start 114",
  ]);
});

test("what a server carried, where it starts and by when, is the plan's", () => {
  const rows = part(markdown(smb, "srv2"), "What it carried")
    .split("\n")
    .filter((line) => /^\| \d/.test(line));
  expect(rows).toEqual([
    "| 1 | **sql-erp** | srv1 | 113 | 8 min 15 s (promised: 20 min) | 10 min |",
    "| 2 | **remote-app** | srv1 | 9112 or 9212 | 9 min | 2 d |",
    "| 3 | **docker-1** | srv1 | 114 | 7 min 15 s | 15 min 4 s |",
  ]);
});

test.each([
  ["confirm", /own eyes/, /failover srv2 --yes --confirm-off srv2/],
  ["power", /switches srv2 off itself/, /failover srv2 --yes$/m],
  ["lease", /at most 2 min 15 s/, /failover srv2 --yes$/m],
] as const)("fencing by %s has its own words", (fencing, words, command) => {
  const text = markdown(
    changed((site) => {
      site.fencing = fencing;
    }),
    "srv2",
  );
  expect(part(text, "Make sure")).toMatch(words);
  expect(part(text, "With the laptop")).toMatch(command);
  // By hand nobody blocks and nobody waits: whatever the mode, the power comes out.
  expect(part(text, "Make sure")).toMatch(/Pull \*\*all\*\* its power cords/);
});

test("a quorum is only spoken of where there is a cluster, and containers are started by their own program", () => {
  const text = markdown(
    changed((site) => {
      delete site.cluster;
      site.guests["docker-1"]!.kind = "lxc";
    }),
    "srv2",
  );
  const typed = commands(text, "By hand");
  expect(typed.filter((line) => line.startsWith("pvecm"))).toEqual([]);
  expect(typed.slice(-2)).toEqual(["mv /etc/pve/nodes/srv2/lxc/114.conf /etc/pve/nodes/srv1/lxc/", "pct start 114"]);
});

test("a group's commands stand with its guests that move: those on other servers run on", () => {
  const text = markdown(
    changed((site) => {
      const command = { on: "operator", timeoutSeconds: 60, required: false };
      // dc-1 is at home on srv1, and its members on srv2 are lost without it.
      site.groups.erp = {
        guests: ["dc-1", "sql-erp", "docker-1", "files-1"],
        order: 1,
        delaySeconds: 10,
        commands: [
          { ...command, when: "before-start", run: ["address-to", "srv1"] },
          { ...command, when: "after-start", run: ["group-is-up"] },
        ],
      };
      for (const name of site.groups.erp.guests) if (site.guests[name]) site.guests[name]!.group = "erp";
    }),
    "srv2",
  );
  const byHand = part(text, "By hand");
  const at = (words: string) => byHand.indexOf(words);
  expect(byHand.match(/address-to|group-is-up/g)).toEqual(["address-to", "group-is-up"]);
  expect(at("address-to")).toBeLessThan(at("qm start 113"));
  expect(at("group-is-up")).toBeGreaterThan(at("qm start 114"));
});

test("groups, their commands and networks that differ on the spare are part of what is typed", () => {
  const text = markdown(
    changed((site) => {
      const command = { on: "operator", run: ["dns-switch", "to srv1"], timeoutSeconds: 60, required: false };
      site.groups.erp = {
        guests: ["docker-1", "sql-erp"],
        order: 1,
        delaySeconds: 10,
        commands: [{ ...command, when: "after-start" }],
      };
      for (const name of site.groups.erp.guests) site.guests[name]!.group = "erp";
      const [card] = site.guests["docker-1"]!.networks;
      site.guests["docker-1"]!.spareNetworks = [
        { ...card!, bridge: "vmbr7", vlan: 77, address: "10.7.0.14/24", gateway: "10.7.0.1" },
      ];
    }),
    "srv2",
  );
  const byHand = part(text, "By hand");
  expect(byHand.indexOf("qm start 114")).toBeLessThan(byHand.indexOf("qm start 113"));
  expect(byHand).toContain("# on your own machine: dns-switch 'to srv1'");
  expect(byHand.indexOf("dns-switch")).toBeGreaterThan(byHand.indexOf("qm start 113"));
  expect(byHand).toMatch(/qm set 114 --net0 virtio=[0-9A-F:]+,bridge=vmbr7,tag=77/i);
  expect(byHand).toContain("qm set 114 --ipconfig0 ip=10.7.0.14/24,gw=10.7.0.1,ip6=fd00:20::14/64");
  expect(byHand.indexOf("--ipconfig0")).toBeLessThan(byHand.indexOf("qm start 114"));
});

test("a guest without a spare is said to stay off, and too little memory names who is left off first", () => {
  const text = markdown(
    changed((site) => {
      const { spare: _, ...alone } = site.guests["docker-1"]!;
      site.guests["docker-1"] = alone;
      site.guests["remote-app"]!.memoryGiB = 64;
      Object.assign(site.guests["remote-app"]!, { sheddable: true });
    }),
    "srv2",
  );
  const carried = part(text, "What it carried");
  expect(carried).toContain("Stay off until srv2 is back or their backup is restored: **docker-1**.");
  expect(carried).toContain("Leave off first: **remote-app**.");
  expect(part(text, "By hand")).not.toContain("docker-1");
});

test("the loss of a helper starts nothing, and warns of the vote", () => {
  const text = markdown(smb, "backup-1");
  expect(text).toContain("**Nothing is to be failed over.**");
  expect(text).toContain("**do not restart** srv1 or srv2");
  expect(text).not.toMatch(/qm start|coldspare failover backup-1/);
});

test("the whole book has a chapter for each loss, those with guests first, and no chapter twice", () => {
  const chapters = [...markdown(smb).matchAll(/^## (.+)$/gm)].map(([, title]) => title);
  expect(chapters).toEqual([
    "srv1 is lost",
    "srv2 is lost",
    "backup-1 is lost",
    "Power cut of the whole site",
    "Rehearsals",
  ]);
});

test("HTML stands by itself: the same words, escaped, sheets for printing, nothing loaded or run", () => {
  const blocks = runbook(smb, { date: "2026-11-22" });
  const html = toHtml([...blocks, { kind: "text", text: "a <b> & `c < d`" }]);
  expect(html).toContain("<p>a &lt;b&gt; &amp; <code>c &lt; d</code></p>");
  expect(html).not.toMatch(/<script|<link|<img|@import|url\(/i);
  expect(html).toMatch(/@media print[\s\S]*break-before: page/);
  expect(html.match(/<h2>/g)).toHaveLength(5);
  for (const line of commands(toMarkdown(blocks), "By hand")) {
    expect(html).toContain(line.replaceAll('"', "&quot;").replaceAll("&", "&amp;").replaceAll("&amp;quot;", "&quot;"));
  }
});

test("an unknown server is no server", () => {
  expect(() => runbook(smb, { server: "srv9" })).toThrow("Site smb has no server 'srv9'.");
});

describe("order of a power cut", () => {
  test("guests against their start, then hypervisors, then who holds a vote; up is the reverse", () => {
    const { down, up } = powerOrder(smb);
    const words = (actions: typeof down) => actions.map((each) => (each.kind === "guest" ? each.guest : each.server));
    expect(words(down)).toEqual(["docker-1", "remote-app", "sql-erp", "files-1", "dc-1", "srv1", "srv2", "backup-1"]);
    expect(words(up)).toEqual([...words(down)].reverse());
  });

  test("a guest that is active on its spare goes down there", () => {
    const { down } = powerOrder(smb, { "remote-app": { server: "srv1", vmid: 9112 } });
    expect(down[1]).toMatchObject({ guest: "remote-app", server: "srv1", vmid: 9112 });
    expect(powerOrderText(smb, { down, up: [] })).toContain("  2. remote-app (9112) on srv1");
  });

  test("the script for NUT asks for every guest wherever it may run, spares its own machine, and is sound shell", () => {
    const script = powerOrderNut(smb, powerOrder(smb));
    execFileSync("sh", ["-n"], { input: script });
    const calls = script.split("\n").filter((line) => /^(stop|down) /.test(line));
    expect(calls).toEqual([
      "stop docker-1 srv2:qm:114 srv1:qm:114",
      "stop remote-app srv2:qm:112 srv1:qm:9112 srv1:qm:9212",
      "stop sql-erp srv2:qm:113 srv1:qm:113",
      "stop files-1 srv1:qm:111 srv2:qm:111",
      "stop dc-1 srv1:qm:110 srv2:qm:110",
      "down srv1",
      "down srv2",
    ]);
  });

  test("the script goes on when a server does not answer, and quotes nothing wrongly", () => {
    const fakes = 'ssh() { echo "ssh $*"; case "$*" in *10.12*) return 255;; esac; }; logger() { :; }; ';
    const script = powerOrderNut(smb, powerOrder(smb)).replace(/^set -u$/m, `set -u\n${fakes}`);
    const said = execFileSync("sh", [], { input: script, encoding: "utf8" }).trim().split("\n");
    expect(said).toHaveLength(13);
    expect(said[3]).toBe(
      "ssh -p 22 -o BatchMode=yes -o ConnectTimeout=5 root@192.168.10.11 qm shutdown 9112 --timeout 180 --forceStop 1",
    );
    expect(said.at(-1)).toBe("ssh -p 22 -o BatchMode=yes -o ConnectTimeout=5 root@192.168.10.12 shutdown -h now");
  });
});
