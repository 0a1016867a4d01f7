import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { loadTool } from "./load";
import { inFolder } from "./serve";

interface Owner {
  pid: number;
  host: string;
  since: string;
  start?: string;
}
const { isStale, withLock } = loadTool<{
  isStale(owner: Owner | undefined, options?: object): boolean;
  withLock<T>(path: string, work: () => Promise<T>, options?: { onWait?: (owner: Owner) => void }): Promise<T>;
}>("lock.mjs");

const now = Date.parse("2026-01-02T12:00:00Z");
const here = { here: "srv1", now, alive: (pid: number) => pid === 10, start: () => "500" };
const owner = (more: Partial<Owner>): Owner => ({ pid: 10, host: "srv1", since: "2026-01-02T11:59:00Z", ...more });

test.each<[string, Owner | undefined, boolean]>([
  ["a living owner", owner({ start: "500" }), false],
  ["a dead owner", owner({ pid: 11 }), true],
  ["another process that got the same number later", owner({ start: "400" }), true],
  ["an owner whose start is not known", owner({}), false],
  ["another machine, a minute ago", owner({ pid: 11, host: "srv2" }), false],
  ["another machine, hours ago", owner({ pid: 11, host: "srv2", since: "2026-01-02T08:00:00Z" }), true],
  ["a damaged lock", undefined, true],
])("is it stale? %s", (_name, subject, expected) => {
  expect(isStale(subject, here)).toBe(expected);
});

test("only one works at a time, and the other is told whom it waits for", () =>
  inFolder(async (folder) => {
    const path = join(folder, "lock");
    const order: string[] = [];
    const waited: number[] = [];
    const slow = withLock(path, async () => {
      order.push("first in");
      await new Promise((resolve) => setTimeout(resolve, 50));
      order.push("first out");
    });
    const second = withLock(path, async () => order.push("second in"), { onWait: ({ pid }) => waited.push(pid) });
    await Promise.all([slow, second]);
    expect(order).toEqual(["first in", "first out", "second in"]);
    expect(waited).toEqual([process.pid]);
    expect(existsSync(path)).toBe(false);
  }));

test("the lock of a dead process is taken over", () =>
  inFolder(async (folder) => {
    const path = join(folder, "lock");
    const { pid } = spawnSync(process.execPath, ["-e", ""]);
    writeFileSync(path, JSON.stringify({ pid, host: hostname(), since: new Date().toISOString() }));
    await expect(withLock(path, async () => "worked")).resolves.toBe("worked");
  }));

test("a failing work releases the lock", () =>
  inFolder(async (folder) => {
    const path = join(folder, "lock");
    await expect(withLock(path, () => Promise.reject(new Error("disk full")))).rejects.toThrow("disk full");
    expect(existsSync(path)).toBe(false);
  }));
