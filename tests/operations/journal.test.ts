import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Journal } from "../../operations/journal";

describe("the mark of who carries an operation out on this machine", () => {
  const folder = mkdtempSync(join(tmpdir(), "coldspare-journal-"));
  const ssh = { run: async () => ({ code: 0, stdout: "", stderr: "" }), close: async () => {} };
  const clock = { now: () => new Date(0), sleep: async () => {} };
  const journal = new Journal({ folder, ssh, servers: [], clock, durable: false });
  const file = join(folder, "x.pid");
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("is there while it lasts, with the process's birth", () => {
    const letGo = journal.hold({ id: "x" });
    expect(readFileSync(file, "utf8")).toMatch(new RegExp(`^${process.pid} \\S*/\\d+\\n$`));
    letGo();
    expect(() => readFileSync(file)).toThrow();
  });

  test("another living process is waited for, and the way out is named", () => {
    writeFileSync(file, `${process.ppid}\n`);
    expect(() => journal.hold({ id: "x" })).toThrow(`process ${process.ppid}): let it end first. If`);
  });

  test("an id that another process has by now, after a restart of the machine, keeps nobody from going on", () => {
    writeFileSync(file, `${process.ppid} another-boot/4711\n`);
    journal.hold({ id: "x" })();
  });
});
