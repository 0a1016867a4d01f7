import * as fs from "node:fs";
import { canRunHosts } from "../../lab/hosts";
import type { LabHosts } from "../../lab/hosts/types";
import { TrialLab, twoNodes } from "../lab/trial-lab";

const check = canRunHosts();
if (!check.ok) process.stderr.write(`tests/hosts: SKIPPED: ${check.why}\n`);
const here = check.ok ? describe : describe.skip;

/** Every process of the machine that is a guest, as anybody sees it. */
function guestProcesses(): string[] {
  return fs.readdirSync("/proc").flatMap((pid) => {
    try {
      const text = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
      return text.startsWith("coldspare-lab-guest ") ? [text] : [];
    } catch {
      return [];
    }
  });
}

here("guests on real hosts", () => {
  let lab: TrialLab;
  let hosts: LabHosts;

  beforeAll(async () => {
    lab = await TrialLab.start(twoNodes, 20, undefined, { hosts: true });
    hosts = lab.lab.hosts!;
    await lab.createVm("srv1", 100, { name: "sql-erp", net0: "virtio,bridge=vmbr0,tag=20", ipconfig0: "ip=192.168.20.21/24" });
    await lab.control("POST", "/guests/100/boot-time", { seconds: 0.2 });
  }, 60_000);
  afterAll(() => lab?.remove(), 30_000);

  const shell = async (node: string, text: string) => {
    const result = await hosts.exec(node, ["sh", "-c", text]);
    return { ...result, text: `${result.stdout}${result.stderr}`.trim() };
  };
  const answers = (vmid: number, path = "/", more = {}) =>
    lab.until(
      () => lab.control("POST", `/guests/${vmid}/request`, { method: "GET", path, ...more }).catch(() => undefined),
      (answer) => answer !== undefined,
    );

  it("start as a process that answers in its own network, and end with a stop", async () => {
    expect((await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/status/start")).exit).toBe("OK");
    expect(guestProcesses()).toContain("coldspare-lab-guest 100 sql-erp srv1");
    const { status, body } = await answers(100);
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({ name: "sql-erp", vmid: 100, node: "srv1" });
    await lab.control("POST", "/guests/100/request", { method: "POST", path: "/write", body: "order 1" });
    expect((await answers(100, "/data")).body).toMatch(/order 1\n$/);
    expect((await lab.control("GET", "/guests/100/data")).text).toMatch(/order 1\n$/);
    const pid = await shell("srv1", "cat /run/qemu-server/100.pid; cat /proc/$(cat /run/qemu-server/100.pid)/cmdline | tr '\\0' ' '");
    expect(pid.text).toMatch(/^\d+\ncoldspare-lab-guest 100 sql-erp srv1/);
    expect((await lab.task("srv1", "POST", "/nodes/srv1/qemu/100/status/stop")).exit).toBe("OK");
    expect(guestProcesses()).toEqual([]);
  });
});
