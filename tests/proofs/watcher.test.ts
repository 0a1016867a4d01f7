import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { latest, overlaps } from "../../proofs/judge";
import { isBelow, type Life, Watch } from "../../proofs/watcher";

const life = (name: string, node: string, from: number, to: number, pid = from): Life => ({
  pid,
  vmid: 113,
  name,
  node,
  from,
  to,
  ended: true,
});

test("two sides alive at one moment are an overlap, also where the spare is a guest of its own", () => {
  const found = overlaps([
    life("sql", "a", 0, 100),
    life("sql", "b", 90, 200),
    life("app", "a", 0, 50),
    life("app-spare", "b", 49, 60),
  ]);
  expect(found.map(({ guest, milliseconds }) => `${guest} ${milliseconds}`)).toEqual(["sql 10", "app 1"]);
});

test("one after the other, other guests, and a drill's copy are none", () => {
  expect(
    overlaps([
      life("sql", "a", 0, 100),
      life("sql", "b", 100, 200),
      life("web", "a", 0, 200),
      life("sql-drill", "b", 0, 200),
    ]),
  ).toEqual([]);
});

test("what was before the confirmation is left out, what reaches beyond it is not", () => {
  const lives = [life("sql", "a", 0, 100), life("sql", "b", 50, 200)];
  expect(overlaps(lives, 100)).toEqual([]);
  expect(overlaps(lives, 80)[0]?.milliseconds).toBe(20);
});

test("the last word about a process counts", () => {
  const first = { ...life("sql", "a", 0, 10), ended: false };
  expect(latest([first, life("sql", "a", 0, 500)])).toEqual([life("sql", "a", 0, 500)]);
});

test("whose parent has just ended is looked at again, not taken for another lab's", () => {
  const parents = new Map([
    [9, 5],
    [5, 3],
    [3, 1],
    [8, 7],
  ]);
  const below = (pid: number, ancestor: number) => isBelow(pid, ancestor, (of) => parents.get(of));
  expect([below(9, 3), below(9, 4), below(8, 3)]).toEqual([true, false, undefined]);
});

const onLinux = existsSync("/proc/self/stat") ? test : test.skip;

onLinux("a process that calls itself a guest is seen to begin and to end", async () => {
  const child = spawn("perl", ["-e", '$0 = "coldspare-lab-guest 4711 watched here"; $| = 1; print "up\\n"; sleep 60']);
  await new Promise((up) => child.stdout.once("data", up));
  const watch = new Watch(process.pid);
  const events: string[] = [];
  const look = () => watch.lookAround(({ name, node, ended }) => name === "watched" && events.push(`${node} ${ended}`));
  look();
  look();
  const gone = new Promise((done) => child.once("close", done));
  child.kill("SIGKILL");
  await gone;
  look();
  expect(events).toEqual(["here false", "here true"]);
});
