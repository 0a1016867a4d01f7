import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { type LabHosts, startHosts } from "../../lab/hosts";
import { bootedHosts, on, SITE, testFolder, until, withHosts } from "./hosts-support";

/** Processes that carry the mark of a lab folder. */
function marked(folder: string): string[] {
  return fs.readdirSync("/proc").filter((pid) => {
    try {
      return (
        /^\d+$/.test(pid) &&
        fs.readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(`COLDSPARE_LAB_HOSTS=${folder}`)
      );
    } catch {
      return false;
    }
  });
}

withHosts("what hosts leave behind", () => {
  const ends: (() => Promise<void> | void)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  test("stop ends everything, and the next start finds the same disks, keys and ports", async () => {
    const folder = testFolder();
    ends.push(() => fs.rmSync(folder, { recursive: true, force: true }));
    const first = (await bootedHosts({ folder, hosts: SITE.slice(0, 1) })).hosts;
    await on(first, "srv1", "echo kept > /root/kept");
    const before = [first.sshPort("srv1"), await first.hostKey("srv1"), first.bmcUrl("srv1"), first.bmcPassword()];
    await expect(startHosts({ folder, hosts: SITE })).rejects.toThrow("run in this process already: stop them first");
    expect(first.isUp("srv1")).toBe(true);
    await first.stop();
    expect(marked(folder)).toEqual([]);
    const second = await startHosts({ folder, hosts: SITE.slice(0, 1) });
    ends.push(() => second.stop());
    await second.boot("srv1");
    expect(await on(second, "srv1", "cat /root/kept")).toBe("kept");
    expect([second.sshPort("srv1"), await second.hostKey("srv1"), second.bmcUrl("srv1"), second.bmcPassword()]).toEqual(
      before,
    );
  });

  test("two labs at once do not see each other", async () => {
    const labs = await Promise.all([
      bootedHosts({ hosts: SITE.slice(0, 2) }),
      bootedHosts({ hosts: SITE.slice(0, 2) }),
    ]);
    for (const lab of labs) ends.push(() => lab.end());
    const [one, two] = labs.map(({ hosts }) => hosts) as [LabHosts, LabHosts];
    await one.cut("srv2");
    expect(await on(two, "srv1", "ping -c 1 -w 4 192.168.10.12 > /dev/null; echo $?")).toBe("0");
    expect((await one.exec("srv1", ["ping", "-c", "1", "-w", "1", "192.168.10.12"])).code).not.toBe(0);
  });

  test("a lab that is killed takes its hosts with it, and its folder can be used again", async () => {
    const folder = testFolder();
    ends.push(() => fs.rmSync(folder, { recursive: true, force: true }));
    const lab = labProcess(folder);
    ends.push(() => void lab.kill("SIGKILL"));
    await new Promise<void>((resolve, reject) => {
      lab.stdout?.on("data", (text) => String(text).includes("up") && resolve());
      lab.once("exit", (code) => reject(new Error(`the lab ended with ${code}`)));
    });
    expect(marked(folder).length).toBeGreaterThan(3);
    await expect(startHosts({ folder, hosts: SITE })).rejects.toThrow(`belong to process ${lab.pid}, which still runs`);
    lab.kill("SIGKILL");
    await until("all of it is gone", () => marked(folder).length === 0);

    // What no signal of the kernel reached is found by its mark; a process of somebody else is not.
    const stray = spawn("sleep", ["1000"], { env: { COLDSPARE_LAB_HOSTS: fs.realpathSync(folder) }, stdio: "ignore" });
    const other = spawn("sleep", ["1000"], { env: { COLDSPARE_LAB_HOSTS: `${folder}2` }, stdio: "ignore" });
    ends.push(() => void other.kill("SIGKILL"));
    const sockets = (JSON.parse(fs.readFileSync(path.join(folder, "owner.json"), "utf8")) as { sockets: string })
      .sockets;
    const { hosts, end } = await bootedHosts({ folder, hosts: SITE.slice(0, 1) });
    ends.push(end);
    await until("the stray one is gone", () => stray.signalCode === "SIGKILL");
    expect(other.exitCode ?? other.signalCode).toBeNull();
    expect(fs.existsSync(sockets)).toBe(false);
    expect(await on(hosts, "srv1", "hostname")).toBe("srv1");
  });
});

/** A lab in a process of its own, compiled as the tests are. */
function labProcess(folder: string): ChildProcess {
  const program = path.join(folder, "lab.cjs");
  const root = path.join(__dirname, "..", "..");
  fs.writeFileSync(
    program,
    `const fs = require("node:fs");
     const swc = require(${JSON.stringify(require.resolve("@swc/core"))});
     const options = { jsc: { parser: { syntax: "typescript" }, target: "es2022" }, module: { type: "commonjs" } };
     require.extensions[".ts"] = (module, file) => module._compile(swc.transformSync(fs.readFileSync(file, "utf8"), { ...options, filename: file }).code, file);
     const { startHosts } = require(${JSON.stringify(path.join(root, "lab", "hosts", "index.ts"))});
     startHosts({ folder: ${JSON.stringify(folder)}, hosts: ${JSON.stringify(SITE.slice(0, 2))} })
       .then(async (hosts) => { await hosts.boot("srv1"); await hosts.spawn("srv1", ["sleep", "1000"]); console.log("up"); });`,
  );
  return spawn(process.execPath, [program], { stdio: ["ignore", "pipe", "inherit"], cwd: root });
}
