import { readLive } from "../../operations/live";
import { siteStatus } from "../../operations/status";
import { statusMetrics } from "../../operations/status-metrics";
import { FakeSite, SYNCED } from "./fake-site";

let site: FakeSite;
beforeEach(() => {
  site = new FakeSite();
});
afterEach(() => site.remove());

const metrics = async () => statusMetrics(siteStatus(await readLive(site.operator()), site.manifest));
const lines = (text: string, name: string) => text.split("\n").filter((line) => line.startsWith(`${name}{`));

test("one line for each state of a guest, 1 for the one that it is in", async () => {
  const all = lines(await metrics(), "coldspare_guest_state").filter((line) => line.includes('guest="sql-erp"'));
  expect(all).toHaveLength(9);
  expect(all.filter((line) => line.endsWith(" 1"))).toEqual([
    'coldspare_guest_state{site="smb",guest="sql-erp",state="ready"} 1',
  ]);
});

test("age of the copy, promise, sides, and a dead server", async () => {
  site.kill("srv2");
  const text = await metrics();
  expect(text).toContain('coldspare_guest_recovery_point_age_seconds{site="smb",guest="sql-erp"} 300\n');
  expect(text).toContain('coldspare_guest_active{site="smb",guest="sql-erp",side="primary",server="srv2"} 1\n');
  expect(text).toContain('coldspare_guest_active{site="smb",guest="sql-erp",side="spare",server="srv1"} 0\n');
  expect(text).toContain('coldspare_guest_sides_running{site="smb",guest="sql-erp"} 0\n');
  expect(text).toContain('coldspare_server_state{site="smb",server="srv2",state="down"} 1\n');
  expect(text).toContain('coldspare_ok{site="smb"} 0\n');
});

test("a drill: when, whether it passed, how long it took; nothing of a guest that was never drilled", async () => {
  const status = siteStatus(await readLive(site.operator()), site.manifest);
  const at = new Date(SYNCED * 1000).toISOString();
  status.guests["sql-erp"]!.lastDrill = { at, ageSeconds: 300, ok: false, recoveryTimeSeconds: 12.5, overdue: true };
  const text = statusMetrics(status);
  expect(lines(text, "coldspare_guest_drill_timestamp_seconds")).toEqual([
    `coldspare_guest_drill_timestamp_seconds{site="smb",guest="sql-erp"} ${SYNCED}`,
  ]);
  expect(lines(text, "coldspare_guest_drill_success")[0]).toMatch(/ 0$/);
  expect(lines(text, "coldspare_guest_drill_overdue")[0]).toMatch(/ 1$/);
  expect(lines(text, "coldspare_guest_drill_recovery_time_seconds")[0]).toMatch(/ 12\.5$/);
});

test("every family is declared once, with its samples behind it, and labels are escaped", async () => {
  const status = siteStatus(await readLive(site.operator()), site.manifest);
  const text = statusMetrics({ ...status, site: 'a"b\\c\nd' });
  expect(text).toContain('site="a\\"b\\\\c\\nd"');
  const families = [...text.matchAll(/^# TYPE (\w+) gauge$/gm)].map(([, name]) => name);
  expect(new Set(families).size).toBe(families.length);
  for (const line of text.trimEnd().split("\n"))
    expect(line).toMatch(/^(# (HELP|TYPE) coldspare_\w+ .+|coldspare_\w+\{(\w+="([^"\\]|\\.)*",?)+\} -?\d+(\.\d+)?)$/);
});
