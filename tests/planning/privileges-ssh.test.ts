import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parse } from "yaml";
import { planSite, type SiteSpecInput } from "../../planning";
import { planSshAccess, renderPrivileges, SSH_GATE } from "../../planning/privileges";
import { programFiles } from "../../providers/guard/programs";
import { coldspare } from "../cli/run";

const layout = () =>
  parse(readFileSync(resolve(__dirname, "../../stacks/smb-site/site.yaml"), "utf8")) as SiteSpecInput;

describe("SSH keys of a site", () => {
  const plan = planSite(layout());

  it("belong on every server that the commands reach over SSH", () => {
    const [operate, monitor, ...more] = planSshAccess(plan, ["operate", "monitor"]);
    const wanted = Object.entries(layout().servers)
      .filter(([, { roles }]) => roles?.some((role) => ["hypervisor", "backup-server", "witness"].includes(role)))
      .map(([name]) => name);
    expect([...(operate?.servers ?? [])].sort()).toEqual(wanted.sort());
    expect(monitor?.servers).toEqual(operate?.servers);
    expect(more).toEqual([]);
  });

  it("are bound to a program that is installed everywhere, and that knows the duty", () => {
    for (const { line, duty } of planSshAccess(plan, ["operate", "monitor"])) {
      expect(line).toBe(
        `command="${SSH_GATE} ${duty}",restrict ssh-ed25519 AAAA… coldspare-${duty === "operate" ? "operator" : "monitoring"}`,
      );
      const env = { PATH: process.env.PATH, SSH_ORIGINAL_COMMAND: "cat /etc/coldspare/site.json" };
      const gate = resolve(__dirname, "../../guard/coldspare-ssh");
      expect(spawnSync("perl", [gate, duty, "--dry-run"], { env }).status).toBe(0);
      expect(renderPrivileges()).toContain(line);
    }
    for (const hypervisor of [true, false])
      expect(programFiles(hypervisor).find(({ path }) => path === SSH_GATE)).toMatchObject({ mode: "755" });
  });

  it("are printed for the duties that are wanted; there is none for the installation", async () => {
    const both = await coldspare(["privileges", "smb-site", "--ssh"]);
    expect([both.code, both.err]).toEqual([0, ""]);
    expect(both.out.match(/^command=/gm)).toHaveLength(2);
    expect(both.out).toContain("`pulumi up` writes programs, units and configuration over SSH and needs root in full");
    const one = await coldspare(["privileges", "smb-site", "--ssh", "--for", "monitor"]);
    expect(one.out.match(/^command=.*$/gm)).toEqual([expect.stringContaining("coldspare-ssh monitor")]);
    const install = await coldspare(["privileges", "smb-site", "--ssh", "--for", "pulumi"]);
    expect(install.out).toMatch(/^# `pulumi up` writes/);
    const { out } = await coldspare(["privileges", "smb-site", "--ssh", "--json"]);
    expect(JSON.parse(out).ssh.map(({ duty }: { duty: string }) => duty)).toEqual(["operate", "monitor"]);
  });
});
