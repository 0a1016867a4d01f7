import * as fs from "node:fs";
import type { LabHosts } from "../../lab/hosts";
import { bootedHosts, on, ssh, until, withHosts } from "./hosts-support";

withHosts("real hosts", () => {
  let hosts: LabHosts;
  let end: () => Promise<void>;
  const events: string[] = [];
  const machineBefore = machine();

  beforeAll(async () => {
    ({ hosts, end } = await bootedHosts({
      environment: { LAB_SAYS: "it's here" },
      onDown: (host, why) => events.push(`${host} ${why}`),
      onUp: (host) => events.push(`${host} up`),
    }));
  });
  afterAll(() => end());

  test("each has its name, its address, its processes and a clock that began with its boot", async () => {
    const said = await on(
      hosts,
      "srv1",
      "hostname; cut -d' ' -f1 /proc/uptime; cat /proc/1/comm; ip -4 -o addr show vmbr0; ls /proc | grep -c '^[0-9]'",
    );
    const [name, uptime, first, address, processes] = said.split("\n");
    expect(name).toBe("srv1");
    expect(Number(uptime)).toBeLessThan(60);
    expect(first).toBe("init");
    expect(address).toContain("192.168.10.11/24");
    expect(Number(processes)).toBeLessThan(12);
    expect(events).toEqual(expect.arrayContaining(["srv1 up", "srv2 up", "backup-1 up"]));
  });

  test("an operator comes in by ssh, many at once and with much to carry", async () => {
    const names = await Promise.all(Array.from({ length: 8 }, () => ssh(hosts, "srv2", "hostname; echo $LAB_SAYS")));
    expect(new Set(names)).toEqual(new Set(["srv2\nit's here\n"]));
    const much = await ssh(hosts, "srv1", "head -c 5000000 /dev/zero | tr '\\0' x");
    expect(much).toHaveLength(5_000_000);
  });

  test("nobody comes in with another key, and every host has a key of its own", async () => {
    const keys = await Promise.all(["srv1", "srv2", "backup-1"].map((host) => hosts.hostKey(host)));
    expect(new Set(keys).size).toBe(3);
    await on(hosts, "srv1", "ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519");
    const options = "-o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=3";
    const key = keys[1] ?? "";
    await on(hosts, "srv1", `printf '%s %s\n' 192.168.10.12 '${key}' > /root/.ssh/known_hosts`);
    const refused = await hosts.exec("srv1", ["sh", "-c", `ssh ${options} 192.168.10.12 hostname`]);
    expect(refused.stderr).toContain("Permission denied");
    const own = await on(hosts, "srv1", "cat /root/.ssh/id_ed25519.pub");
    await on(hosts, "srv2", `echo 'command="echo forced",restrict ${own}' >> /root/.ssh/authorized_keys`);
    expect(await on(hosts, "srv1", `ssh ${options} 192.168.10.12 hostname`)).toBe("forced");
  });

  test("commands: input, environment, code, signal and time-out", async () => {
    const { stdout } = await hosts.exec("srv1", ["sh", "-c", "cat; echo $A; echo $HOME"], {
      input: "in ",
      env: { A: "a b" },
    });
    expect(stdout).toBe("in a b\n/root\n");
    expect((await hosts.exec("srv1", ["false"])).code).toBe(1);
    expect((await hosts.exec("srv1", ["sh", "-c", "kill -9 $$"])).code).toBe(137);
    const late = await hosts.exec("srv1", ["sh", "-c", "sleep 300 & wait"], { timeoutSeconds: 0.3 });
    expect(late.code).toBe(124);
    expect(await on(hosts, "srv1", "ps -eo args | grep -c '[s]leep 300' || true")).toBe("0");
    await expect(hosts.exec("nobody", ["true"])).rejects.toThrow(
      "no host nobody in the lab: there are srv1, srv2, backup-1",
    );
  });

  test("a power cut ends everything at once; disks stay, /run and /tmp do not, and the boot has another id", async () => {
    const write =
      "mkdir -p /etc/coldspare /var/lib/coldspare; for f in /etc/coldspare/a /var/lib/coldspare/a /usr/local/sbin/a /opt/a /run/a /tmp/a; do echo kept > $f; done";
    await on(hosts, "srv2", write);
    const boot = "cat /proc/sys/kernel/random/boot_id";
    const before = await on(hosts, "srv2", boot);
    const key = await hosts.hostKey("srv2");
    const pid = await hosts.spawn("srv2", ["sh", "-c", "echo $WHO; exec sleep 1000"], {
      log: "/var/log/spawned",
      env: { WHO: "me" },
    });
    expect(fs.readFileSync(`/proc/${pid}/cmdline`, "utf8")).toMatch(/sleep|sh/);
    const parent = /^PPid:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    expect(Number(parent)).toBe(hosts.pid("srv2"));
    const running = hosts.exec("srv2", ["sleep", "100"]);
    await until("it runs", async () => (await on(hosts, "srv2", "ps -eo args | grep -cx 'sleep 100' || true")) === "1");

    const started = performance.now();
    await hosts.cut("srv2");
    const cut = performance.now() - started;
    expect(fs.existsSync(`/proc/${pid}`)).toBe(false);
    expect(await running).toEqual({ code: 137, stdout: "", stderr: "" });
    expect(hosts.isUp("srv2")).toBe(false);
    expect(hosts.pid("srv2")).toBeUndefined();
    await expect(hosts.exec("srv2", ["true"])).rejects.toThrow("srv2 is down");
    await expect(ssh(hosts, "srv2", "true")).rejects.toThrow(/Connection closed|Connection reset/);
    expect(events.at(-1)).toBe("srv2 power");

    const again = performance.now();
    await hosts.boot("srv2");
    const booted = performance.now() - again;
    process.stderr.write(`lab hosts: power cut ${cut.toFixed(0)} ms, boot ${booted.toFixed(0)} ms\n`);
    expect(cut).toBeLessThan(2000);
    expect(booted).toBeLessThan(8000);
    expect(await on(hosts, "srv2", "ls /etc/coldspare/a /var/lib/coldspare/a /usr/local/sbin/a /opt/a")).toMatch(
      /^(\S+\n?){4}$/,
    );
    expect(await on(hosts, "srv2", "ls /run/a /tmp/a 2>/dev/null || true")).toBe("");
    expect(await on(hosts, "srv2", "cat /var/log/spawned")).toBe("me");
    expect(await on(hosts, "srv2", boot)).not.toBe(before);
    expect(await hosts.hostKey("srv2")).toBe(key);
    expect(await ssh(hosts, "srv2", "hostname")).toBe("srv2\n");
    expect(await on(hosts, "srv1", "ping -c 1 -W 2 192.168.10.12 >/dev/null; echo $?")).toBe("0");
  });

  test("a shutdown and a reboot from inside", async () => {
    await hosts.exec("backup-1", ["poweroff"]);
    await until("it is down", () => events.at(-1) === "backup-1 self");
    expect(hosts.isUp("backup-1")).toBe(false);
    await hosts.boot("backup-1");
    const first = await on(hosts, "backup-1", "cat /proc/sys/kernel/random/boot_id");
    events.length = 0;
    await hosts.exec("backup-1", ["systemctl", "reboot"]).catch(() => undefined);
    await until("it comes back by itself", () => events.join() === "backup-1 self,backup-1 up");
    expect(await on(hosts, "backup-1", "cat /proc/sys/kernel/random/boot_id")).not.toBe(first);
  });

  test("the machine itself is as it was: no interface, no mount, no named namespace more", () => {
    expect(machine()).toEqual(machineBefore);
  });
});

function machine(): unknown {
  const interfaces = fs.readdirSync("/sys/class/net").sort();
  const named = fs.existsSync("/run/netns") ? fs.readdirSync("/run/netns") : [];
  return { interfaces, named, mounts: fs.readFileSync("/proc/self/mountinfo", "utf8") };
}
