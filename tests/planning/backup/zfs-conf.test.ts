import { spawnSync } from "node:child_process";
import * as path from "node:path";
import * as fc from "fast-check";
import { kept } from "../../../planning/backup/retention";
import {
  allowOf,
  renderZfsConf,
  type ZfsJob,
  type ZfsReplica,
  zfsServer,
  zfsUnits,
} from "../../../planning/backup/zfs-conf";
import { systemdCalendarProblem } from "../../../planning/systemd-calendar";

const job: ZfsJob = {
  name: "data-srv2",
  policy: "data",
  target: "nas",
  datasets: ["tank/data", "tank/home"],
  from: { name: "srv2", host: "192.168.10.12" },
  to: { name: "backup-1", host: "192.168.10.13", port: 2222, user: "backup", dataset: "tank/backup/srv2" },
  direction: "push",
  raw: true,
  rateMBps: 2.5,
  keepSource: { last: 3 },
  keepTarget: { daily: 14, monthly: 12 },
  recursive: true,
  schedule: "22:30",
  reread: "sun 04:00",
};
const replica: ZfsReplica = {
  guest: "sql-erp",
  sides: ["srv2", "srv1"],
  volumes: ["tank/vm-113-disk-0", "tank/vm-113-disk-1"],
  keep: 12,
  schedule: "*/15",
};
const ENDS = { srv1: { name: "srv1", host: "192.168.10.11" }, srv2: { name: "srv2", host: "192.168.10.12" } };
const MAIL = {
  server: "mail.example.org",
  port: 587,
  tls: "starttls" as const,
  from: "coldspare@example.org",
  to: ["a@example.org", "b@example.org"],
};

/** What a program of ours makes of a text: the real parser, in Perl. */
function parsed(program: string, input = ""): string {
  const lib = (folder: string) => path.resolve(__dirname, "../../..", folder);
  const argv = [
    "-I",
    lib("backup/lib"),
    "-I",
    lib("guard/lib"),
    "-MColdspare::Zfs::Conf",
    "-MColdspare::Zfs::Keep",
    "-e",
    program,
  ];
  const { stdout, stderr, status } = spawnSync("perl", argv, { input, encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

describe("zfs.conf", () => {
  it("gives the server that runs a job the job and its peer, and the other end what it allows", () => {
    const source = zfsServer("srv2", [job], [replica], ENDS, MAIL);
    expect(renderZfsConf(source)).toBe(
      [
        "format 1",
        "self srv2",
        "mail server=mail.example.org port=587 tls=starttls from=coldspare@example.org to=a@example.org,b@example.org",
        "peer backup-1 address=192.168.10.13 port=2222 user=backup",
        "peer srv1 address=192.168.10.11 port=22 user=root",
        "allow srv1 below=tank%2Fvm-113-disk-0,tank%2Fvm-113-disk-1 do=list,snapshot,send,receive,hold,destroy,rename,rollback,read",
        "job data-srv2 policy=data target=nas direction=push peer=backup-1 datasets=tank%2Fdata,tank%2Fhome into=tank%2Fbackup%2Fsrv2 recursive=1 raw=1 keepsource=last:3 keeptarget=daily:14,monthly:12 rate=2500000 onfailure=1",
        "replica sql-erp sides=srv2,srv1 volumes=tank%2Fvm-113-disk-0,tank%2Fvm-113-disk-1 keep=12",
        "",
      ].join("\n"),
    );
    const receiver = zfsServer("backup-1", [job], [replica], ENDS);
    expect(renderZfsConf(receiver)).toBe(
      "format 1\nself backup-1\nallow srv2 below=tank%2Fbackup%2Fsrv2 do=list,receive,send,hold,destroy,rename,read\n",
    );
  });

  it("turns the ends of a job that the receiver fetches", () => {
    const pull: ZfsJob = { ...job, direction: "pull" };
    expect(zfsServer("srv2", [pull]).jobs).toEqual([]);
    expect(zfsServer("backup-1", [pull]).peers).toEqual([pull.from]);
    expect(allowOf(pull)).toMatchObject({ peer: "backup-1", below: ["tank/data", "tank/home"] });
    expect(allowOf(pull).verbs).not.toContain("receive");
  });

  it("is read by the program's own parser, word for word", () => {
    const program = `local $/; my $conf = Coldspare::Zfs::Conf::read_conf(<STDIN>); my $job = $conf->{jobs}{'data-srv2'};
      print join "|", @{ $job->{datasets} }, $job->{into}, $job->{rate}, $job->{keeptarget}{monthly}, $job->{keepsource}{last}, $conf->{mail}{to},
      $conf->{replicas}{'sql-erp'}{volumes}[1], $conf->{peers}{'backup-1'}{user}, sort keys %{ $conf->{allow}[0]{do} }`;
    expect(parsed(program, renderZfsConf(zfsServer("srv2", [job], [replica], ENDS, MAIL)))).toBe(
      "tank/data|tank/home|tank/backup/srv2|2500000|12|3|a@example.org,b@example.org|tank/vm-113-disk-1|backup|destroy|hold|list|read|receive|rename|rollback|send|snapshot",
    );
  });

  it("refuses a replica whose other side nobody can reach", () => {
    expect(() => zfsServer("srv2", [], [replica], {})).toThrow("The replica of sql-erp has a side 'srv1'");
  });

  it("has timers that systemd takes and that make up for what was missed", () => {
    const units = zfsUnits(zfsServer("srv2", [job], [replica], ENDS), "Europe/Paris");
    expect(units.map(({ name }) => name)).toEqual(
      ["run-data-srv2", "verify-data-srv2", "replica-sql-erp"].flatMap((name) => [
        `coldspare-zfs-${name}.service`,
        `coldspare-zfs-${name}.timer`,
      ]),
    );
    for (const { text } of units.filter(({ name }) => name.endsWith(".timer"))) {
      expect(text).toContain("Persistent=true");
      expect(systemdCalendarProblem(/^OnCalendar=(.*)$/m.exec(text)![1]!)).toBeUndefined();
    }
    const of = (name: string) => units.find((unit) => unit.name === name)!.text;
    expect(of("coldspare-zfs-run-data-srv2.service")).toContain(
      "ExecStart=/usr/local/sbin/coldspare-zfs run data-srv2\n",
    );
    // A job that is refused has failed; a replica that is not active here has not.
    expect(of("coldspare-zfs-run-data-srv2.service")).not.toContain("SuccessExitStatus");
    expect(of("coldspare-zfs-replica-sql-erp.service")).toContain("SuccessExitStatus=3");
    expect(of("coldspare-zfs-replica-sql-erp.timer")).toContain("RandomizedDelaySec=0\n");
  });
});

describe("retention on the server", () => {
  it("is that of the plan", () => {
    const count = fc.integer({ min: 0, max: 6 });
    const keep = fc
      .record({ last: count, hourly: count, daily: count, weekly: count, monthly: count, yearly: count })
      .filter((each) => Object.values(each).some((value) => value > 0));
    const times = fc.uniqueArray(fc.integer({ min: 1_600_000_000, max: 1_700_000_000 }), {
      minLength: 1,
      maxLength: 60,
    });
    const cases = fc.sample(fc.tuple(keep, times), { numRuns: 200, seed: 5 });
    const lines = cases.map(
      ([rules, all]) => `${Object.entries(rules).map(([rule, value]) => `${rule}:${value}`)} ${all.join(" ")}`,
    );
    const answers = parsed(
      `while (<STDIN>) { chomp; my ($text, @times) = split / /; my %kept = kept_times(read_keep($text, 'keep'), @times); print join(' ', sort { $b <=> $a } keys %kept), "\\n" }`,
      lines.join("\n"),
    ).split("\n");
    for (const [at, [rules, all]] of cases.entries()) {
      const planned = kept(all, rules, "zfs")
        .filter((each) => each.kept)
        .map(({ time }) => time);
      expect(answers[at]).toBe([...new Set(planned)].sort((one, other) => other - one).join(" "));
    }
  });
});
