import { canRunHosts } from "../../lab/hosts";
import type { LabHosts } from "../../lab/hosts/types";
import { TrialLab, twoNodes } from "../lab/trial-lab";
import { guestProcesses } from "./guests-support";

const check = canRunHosts();
if (!check.ok) process.stderr.write(`tests/hosts: SKIPPED: ${check.why}\n`);
jest.setTimeout(60_000);
const here = check.ok ? describe : describe.skip;

const SLOW_HOOK =
  "cat > /var/lib/vz/snippets/slow <<'END'\n#!/bin/sh\n[ $2 != pre-start ] || { echo $1 >> /root/hook.log; sleep 1; while [ -e /root/wait ]; do sleep 0.1; done; }\nEND\nchmod 755 /var/lib/vz/snippets/slow";
const MAC = (vmid: number) => `BC:24:11:00:02:${(vmid % 100).toString(16).padStart(2, "0")}`;

here("two starts of one guest at once", () => {
  let lab: TrialLab;
  let hosts: LabHosts;

  const shell = async (node: string, text: string) => {
    const { code, stdout, stderr } = await hosts.exec(node, ["sh", "-c", text]);
    return { code, text: `${stdout}${stderr}`.trim() };
  };
  const running = () => guestProcesses(hosts, ["srv1", "srv2"]).sort();
  const hookBegins = (times: number) =>
    lab.until(
      () => shell("srv2", "wc -l < /root/hook.log"),
      ({ text }) => Number(text) >= times,
    );

  beforeAll(async () => {
    lab = await TrialLab.start(twoNodes, 20, undefined, { hosts: true });
    hosts = lab.lab.hosts!;
    await shell("srv2", SLOW_HOOK);
    for (const vmid of [100, 101]) {
      await lab.createVm("srv2", vmid, { name: `m-${vmid}`, net0: `virtio=${MAC(vmid)},bridge=vmbr0`, onboot: 1 });
      await shell("srv2", `qm set ${vmid} --hookscript local:snippets/slow`);
    }
  }, 60_000);
  afterAll(() => lab?.remove(), 30_000);

  it("give one process, by the API, by qm and by both", async () => {
    const ends = await Promise.all([
      lab.task("srv2", "POST", "/nodes/srv2/qemu/100/status/start").then(({ exit }) => exit),
      shell("srv2", "qm start 100").then(({ text }) => text),
      shell("srv2", "qm start 100").then(({ text }) => text),
      lab.task("srv2", "POST", "/nodes/srv2/qemu/100/status/start").then(({ exit }) => exit),
    ]);
    expect(running()).toEqual(["coldspare-lab-guest 100 m-100 srv2"]);
    expect(ends.filter((text) => text.includes("already running"))).toHaveLength(3);
    expect((await shell("srv2", "cat /root/hook.log")).text).toBe("100");
    await shell("srv2", "qm stop 100; rm /root/hook.log");
  });

  it("give one process when one of them is a reboot", async () => {
    await shell("srv2", "qm start 100");
    await lab.control("POST", "/guests/100/boot-time", { seconds: 0 });
    const reboot = lab.task("srv2", "POST", "/nodes/srv2/qemu/100/status/reboot");
    await hookBegins(2);
    const { text } = await shell("srv2", "qm start 100");
    expect(text).toContain("VM 100 already running");
    expect((await reboot).exit).toBe("OK");
    expect(running()).toEqual(["coldspare-lab-guest 100 m-100 srv2"]);
    await shell("srv2", "qm stop 100; rm /root/hook.log");
  });

  it("give one process even where the lab would start it twice: the second one ends by itself", async () => {
    await shell("srv2", "qm start 101");
    const argv = "guest qemu 101 m-101 srv2 0 /dev/null".split(" ");
    const again = await hosts.exec("srv2", ["/usr/bin/perl", `/run/lab/programs/${argv[0]}`, ...argv.slice(1)]);
    expect([again.code, again.stderr]).toEqual([1, "guest 101: it runs already\n"]);
    expect(running()).toEqual(["coldspare-lab-guest 101 m-101 srv2"]);
    await shell("srv2", "qm stop 101; rm /root/hook.log");
  });

  it("give one process when the node's own startall and a unit start it", async () => {
    const text = [
      ...["[Unit]", "[Service]", "Type=simple", "ExecStart=/bin/sh -c 'qm start 100; qm start 101'"],
      ...["[Install]", "WantedBy=multi-user.target", ""],
    ].join("\n");
    await hosts.exec("srv2", ["sh", "-c", "cat > /etc/systemd/system/also.service"], { input: text });
    await shell("srv2", "systemctl daemon-reload; systemctl enable also; rm -f /root/hook.log");
    await lab.control("POST", "/nodes/srv2/kill");
    await lab.control("POST", "/nodes/srv2/revive");
    await hookBegins(2);
    await lab.until(
      () => lab.ask("srv2", "GET", "/nodes/srv2/tasks", { source: "active" }),
      (tasks) => tasks.length === 0,
    );
    expect(running()).toEqual(["coldspare-lab-guest 100 m-100 srv2", "coldspare-lab-guest 101 m-101 srv2"]);
    await shell("srv2", "systemctl disable --now also; qm set 100 --onboot 0; qm set 101 --onboot 0");
    await shell("srv2", "qm stop 100; qm stop 101; rm /root/hook.log");
  });

  it("give one process when the first begins before the node meets the others, and the second after that", async () => {
    await lab.control("POST", "/nodes/srv2/kill");
    await lab.control("POST", "/nodes/srv1/kill");
    await lab.control("POST", "/nodes/srv2/revive");
    await shell("srv2", "touch /root/wait");
    const first = shell("srv2", "qm start 100");
    await hookBegins(1);
    await lab.control("POST", "/nodes/srv1/revive");
    const second = shell("srv2", "qm start 100");
    await lab.until(
      () => lab.ask("srv2", "GET", "/nodes/srv2/tasks", { source: "active", typefilter: "qmstart" }),
      (tasks) => tasks.length === 2,
    );
    await shell("srv2", "rm /root/wait");
    const ends = (await Promise.all([first, second])).map(({ code }) => code);
    expect(running()).toEqual(["coldspare-lab-guest 100 m-100 srv2"]);
    expect(ends[0]).toBe(0);
    expect(ends[1]).not.toBe(0);
  });
});
