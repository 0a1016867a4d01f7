/** The servers' programs keep the same copies as the plan's simulation: planning/backup/retention.ts and two Perl modules. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import fc from "fast-check";
import { KEEP_RULES, type Keep, kept } from "../../planning/backup/retention";
import { histories, keeps } from "../planning/backup/histories";

const library = join(__dirname, "../../backup/lib");

// One line in: last:3,daily:7 and epoch seconds; one line out: those that stay, newest first.
const zfs = `
use Coldspare::Zfs::Keep;
while (my $line = <STDIN>) {
  my ($keep, @times) = split /[ \\n]/, $line;
  my %kept = kept_times(read_keep($keep, 'keep'), @times);
  print join(' ', sort { $b <=> $a } keys %kept), "\\n";
}`;
const points = `
use Coldspare::Backup::Keep;
while (my $line = <STDIN>) {
  my ($keep, @times) = split /[ \\n]/, $line;
  my %keep = map { split /:/ } split /,/, $keep;
  my $kept = kept_of(\\%keep, map { { id => $_, epoch => $_, periods => local_periods($_) } } @times);
  print join(' ', sort { $b <=> $a } keys %$kept), "\\n";
}`;

const cases = fc.sample(fc.tuple(histories, keeps), { numRuns: 300, seed: 20_260 });

function asText(keep: Keep): string {
  return KEEP_RULES.filter((rule) => keep[rule] !== undefined)
    .map((rule) => `${rule}:${keep[rule]}`)
    .join(",");
}

function perl(program: string, timeZone: string): string[] {
  const input = cases.map(([times, keep]) => `${asText(keep)} ${times.join(" ")}\n`).join("");
  const env = { PATH: process.env.PATH, TZ: timeZone };
  const said = execFileSync("perl", ["-w", `-I${library}`, "-e", program], { input, env, encoding: "utf8" });
  return said.trimEnd().split("\n");
}

function planned(timeZone: string): string[] {
  return cases.map(([times, keep]) =>
    kept(times, keep, "zfs", timeZone)
      .filter((copy) => copy.kept)
      .map(({ time }) => time)
      .join(" "),
  );
}

test("snapshots of coldspare-zfs, in UTC", () => {
  expect(perl(zfs, "Europe/Paris")).toEqual(planned("UTC"));
});

test.each(["UTC", "Europe/Paris", "America/New_York"])("points of coldspare-backup, on a server in %s", (timeZone) => {
  expect(perl(points, timeZone)).toEqual(planned(timeZone));
});
