import type { LabHosts } from "../../lab/hosts";
import { bootedHosts, on, SITE, until, withHosts } from "./hosts-support";

const WATCHDOG_SECONDS = 2;

withHosts("units and the watchdog of a host", () => {
  let hosts: LabHosts;
  let end: () => Promise<void>;
  const events: string[] = [];

  beforeAll(async () => {
    ({ hosts, end } = await bootedHosts({
      hosts: SITE.slice(0, 1),
      watchdogSeconds: WATCHDOG_SECONDS,
      onDown: (_, why) => events.push(why),
      onUp: () => events.push("up"),
    }));
  });
  afterAll(() => end());

  const systemctl = (...words: string[]) => hosts.exec("srv1", ["systemctl", ...words]);
  const unit = async (name: string, ...lines: string[]) => {
    await hosts.exec("srv1", ["sh", "-c", 'cat > "/etc/systemd/system/$1"', "-", name], {
      input: `${lines.join("\n")}\n`,
    });
    await systemctl("daemon-reload");
  };
  const cat = (file: string) => on(hosts, "srv1", `cat ${file} 2>/dev/null || true`);

  test("the machine's own systemd is out of sight", async () => {
    expect((await systemctl("is-active", "ssh")).stdout).toBe("active\n");
    expect((await systemctl("is-active", "sshd.service", "cron")).stdout).toBe("active\ninactive\n");
    expect((await systemctl("start", "cron")).code).toBe(5);
    expect((await systemctl("mask", "ssh")).stderr).toBe("Unknown command verb mask.\n");
  });

  test("a service starts with its environment, comes back when it dies, and stops", async () => {
    await unit(
      "agent.service",
      "[Unit]",
      "Description=an agent",
      "[Service]",
      'Environment=ONE=1 "TWO=a b"',
      "EnvironmentFile=-/etc/coldspare/nothing",
      "ExecStartPre=/bin/sh -c 'echo pre >> /run/trace'",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: systemd's own notation
      'ExecStart=/bin/sh -c "echo $$ONE $$TWO ${ONE} %%H=%H >> /run/trace; exec sleep 1000"',
      "ExecReload=/bin/sh -c 'echo reloaded $MAINPID >> /run/trace'",
      "Restart=always",
      "RestartSec=100ms",
      "[Install]",
      "WantedBy=multi-user.target",
    );
    expect((await systemctl("is-enabled", "agent")).stdout).toBe("disabled\n");
    const enabled = await systemctl("enable", "--now", "agent");
    expect(enabled.code).toBe(0);
    expect(enabled.stderr).toContain("Created symlink /etc/systemd/system/multi-user.target.wants/agent.service");
    expect((await systemctl("is-enabled", "agent")).stdout).toBe("enabled\n");
    await until("it ran", async () => (await cat("/run/trace")) === "pre\n1 a b 1 %H=srv1");
    const first = (await systemctl("show", "-p", "MainPID", "--value", "agent")).stdout.trim();
    await systemctl("reload", "agent");
    expect(await cat("/run/trace")).toContain(`reloaded ${first}`);
    await on(hosts, "srv1", `kill -9 ${first}`);
    await until("it is back", async () => {
      const pid = (await systemctl("show", "--property=MainPID", "--value", "agent")).stdout.trim();
      return pid !== "0" && pid !== first;
    });
    expect((await systemctl("status", "agent")).stdout).toMatch(
      /agent\.service - an agent\n.*enabled\)\n\s+Active: active \(running\)/,
    );
    expect((await systemctl("stop", "agent")).code).toBe(0);
    expect((await systemctl("is-active", "agent")).code).toBe(3);
    expect(await on(hosts, "srv1", "ps -eo args | grep -c '[s]leep 1000' || true")).toBe("0");
  });

  test("enabled units start at boot in their order, disabled ones do not", async () => {
    const oneshot = (after: string, line: string) => [
      "[Unit]",
      after,
      "[Service]",
      "Type=oneshot",
      "RemainAfterExit=yes",
      `ExecStart=/bin/sh -c '${line}'`,
      "[Install]",
      "WantedBy=multi-user.target",
    ];
    await unit("first.service", ...oneshot("", "sleep 0.3; echo first >> /root/order"));
    await unit("a-second.service", ...oneshot("After=first.service", "echo second >> /root/order"));
    await unit("never.service", ...oneshot("", "echo never >> /root/order"));
    expect((await systemctl("enable", "first", "a-second", "never")).code).toBe(0);
    expect((await systemctl("disable", "never")).stderr).toContain("Removed");
    await hosts.cut("srv1");
    await hosts.boot("srv1");
    await until("both ran", async () => (await cat("/root/order")) === "first\nsecond");
    expect((await systemctl("is-active", "first", "never")).stdout).toBe("active\ninactive\n");
    expect((await systemctl("is-active", "agent")).stdout).toBe("active\n");
  });

  test("what fails says so, and what fails again and again is left alone", async () => {
    await unit("bad.service", "[Service]", "Type=oneshot", "ExecStart=/bin/sh -c 'echo why; exit 3'");
    const failed = await systemctl("start", "bad");
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain("Job for bad.service failed: exit-code");
    expect((await systemctl("status", "bad")).stdout).toContain("why");
    expect((await systemctl("is-failed", "bad")).code).toBe(0);
    await unit("flaps.service", "[Service]", "ExecStart=/bin/false", "Restart=always", "RestartSec=10ms");
    await systemctl("start", "flaps");
    await until(
      "it is left alone",
      async () => (await systemctl("show", "-p", "Result", "--value", "flaps")).stdout === "start-limit-hit\n",
    );
    expect((await systemctl("start", "nothing")).stderr).toBe(
      "Failed to start nothing.service: Unit nothing.service not found.\n",
    );
  });

  test("timers are kept and listed", async () => {
    await unit("drill.service", "[Service]", "Type=oneshot", "ExecStart=/bin/true");
    await unit("drill.timer", "[Timer]", "OnCalendar=Sun 03:00", "[Install]", "WantedBy=timers.target");
    expect((await systemctl("enable", "--now", "drill.timer")).code).toBe(0);
    expect((await systemctl("list-timers")).stdout).toMatch(/drill\.timer\s+drill\.service\s+Sun 03:00/);
  });

  const WATCH = `use IO::Socket::UNIX; my $w = IO::Socket::UNIX->new(Peer => "/run/watchdog-mux.sock") or die $!; $w->autoflush(1);`;

  test("a client that pings keeps the host up, one that disarms leaves it so", async () => {
    events.length = 0;
    const seconds = WATCHDOG_SECONDS * 2;
    await on(
      hosts,
      "srv1",
      `perl -e '${WATCH} for (1 .. ${seconds / 0.4}) { print $w "."; select undef, undef, undef, 0.4 } print $w "V"'`,
    );
    await new Promise((resolve) => setTimeout(resolve, WATCHDOG_SECONDS * 1000));
    expect(events).toEqual([]);
    expect((await systemctl("is-active", "watchdog-mux")).stdout).toBe("active\n");
  });

  test("a client that dies, one that is silent, and a host that hangs: each is a reset", async () => {
    const reset = async (what: string, cause: () => Promise<unknown> | unknown) => {
      events.length = 0;
      await cause();
      await until(what, () => events.join() === "watchdog,up");
      expect(await on(hosts, "srv1", "cut -d. -f1 /proc/uptime")).toMatch(/^[0-9]$/);
    };
    await reset("a client died", () => hosts.spawn("srv1", ["perl", "-e", `${WATCH} print $w "."`]));
    await reset("a client was silent", () => hosts.spawn("srv1", ["perl", "-e", `${WATCH} print $w "."; sleep 1000`]));
    await reset("the host hung", () => hosts.freeze("srv1"));
  });
});
