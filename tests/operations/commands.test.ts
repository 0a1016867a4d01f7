import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CommandPlace, runCommands } from "../../operations/commands";
import type { Operator } from "../../operations/context";
import type { ManifestCommand } from "../../planning/manifest";
import type { SshResult } from "../../providers/ssh";
import { FakeSite } from "./fake-site";

type When = ManifestCommand["when"];

const command = (change: Partial<ManifestCommand>): ManifestCommand => ({
  when: "after-start",
  on: "operator",
  run: ["true"],
  timeoutSeconds: 5,
  required: false,
  ...change,
});

/** Each answers the next call; the last one all that follow. */
let answers: Partial<SshResult>[];
let calls: string[][];
let site: FakeSite;
let folder: string;

beforeEach(() => {
  site = new FakeSite();
  folder = mkdtempSync(join(tmpdir(), "coldspare-commands-"));
  answers = [{}];
  calls = [];
});
afterEach(() => {
  site.remove();
  rmSync(folder, { recursive: true, force: true });
});

async function run(commands: ManifestCommand[], when: When = "after-start", change: Partial<CommandPlace> = {}) {
  const base = site.operator();
  const operator: Operator = {
    ...base,
    env: { ...base.env, PATH: process.env.PATH },
    ssh: {
      run: async (server, argv) => {
        calls.push([server, ...argv]);
        const answer = (answers.length > 1 ? answers.shift() : answers[0])!;
        return { code: 0, stdout: "", stderr: "", ...answer };
      },
      close: async () => {},
    },
  };
  const place = { guest: site.manifest.guests["sql-erp"]!, from: "srv2", to: "srv1", vmid: 113, server: "srv1" };
  const notes: string[] = [];
  await runCommands(operator, commands, when, { ...place, ...change }, (text) => notes.push(text));
  return notes;
}

describe("on the operator's machine", () => {
  test("it finds guest and servers in its environment, its words reach it as they are, others wait for their moment", async () => {
    const file = join(folder, "seen");
    const script = 'printf "%s\\n" "$COLDSPARE_GUEST" "$COLDSPARE_FROM" "$COLDSPARE_TO" "$2" > "$1"';
    const notes = await run([
      command({ run: ["sh", "-c", script, "sh", file, "a 'b' $c"] }),
      command({ when: "before-start", run: ["sh", "-c", `echo too early >> ${file}`] }),
    ]);
    expect(readFileSync(file, "utf8")).toBe("sql-erp\nsrv2\nsrv1\na 'b' $c\n");
    expect(notes).toHaveLength(1);
  });

  test("a group's command is told of the group", async () => {
    const file = join(folder, "seen");
    const script = `echo "$COLDSPARE_GROUP/$COLDSPARE_GUEST" > ${file}`;
    await run([command({ run: ["sh", "-c", script] })], "after-start", { group: "office" });
    expect(readFileSync(file, "utf8")).toBe("office/\n");
  });

  test("a failure is told and the next one runs; a required one stops, with what it said last", async () => {
    const failing = ["sh", "-c", "echo first >&2; echo no DNS server >&2; exit 3"];
    expect(await run([command({ run: failing }), command({})])).toEqual([
      expect.stringMatching(/on operator failed, and is not required: exit code 3: no DNS server$/),
      "`true` on operator done",
    ]);
    await expect(run([command({ run: failing, required: true })])).rejects.toThrow(
      /which must succeed after the start: exit code 3: no DNS server/,
    );
    const programs = await run([command({ run: ["/nowhere/dns"] }), command({ run: [folder] })]);
    expect(programs).toEqual([
      expect.stringMatching(/there is no program '\/nowhere\/dns' on this machine/),
      expect.stringMatching(/EACCES/),
    ]);
  });

  test("it reads nothing, and what is left running behind it is not waited for", async () => {
    const pid = join(folder, "pid");
    const began = Date.now();
    const notes = await run([command({ run: ["sh", "-c", `cat; sleep 60 & echo $! > ${pid}`] })]);
    expect(notes).toEqual([expect.stringMatching(/ done$/)]);
    expect(Date.now() - began).toBeLessThan(4000);
    process.kill(Number(readFileSync(pid, "utf8")));
  });

  test("when its time is up it ends with all that it started, even if it would not", async () => {
    const pid = join(folder, "pid");
    writeFileSync(pid, "");
    const stubborn = ["sh", "-c", `trap '' TERM; sleep 60 & echo $! > ${pid}; wait`];
    const began = Date.now();
    const notes = await run([command({ run: stubborn, timeoutSeconds: 1 })]);
    expect(notes).toEqual([expect.stringMatching(/it did not end within 1 s$/)]);
    expect(Date.now() - began).toBeLessThan(10_000);
    const child = Number(readFileSync(pid, "utf8"));
    const state = () => {
      try {
        return /^State:\s+(\S)/m.exec(readFileSync(`/proc/${child}/status`, "utf8"))?.[1];
      } catch {
        return "gone";
      }
    };
    while (!["gone", "Z"].includes(state() ?? "gone")) {
      if (Date.now() - began > 10_000) throw new Error(`${child} goes on`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });
});

describe("on a server", () => {
  test("by its role or its name, over SSH, with the same variables", async () => {
    await run([command({ on: "spare", run: ["dns-move", "a b"] }), command({ on: "backup-1" })]);
    const variables = ["COLDSPARE_GUEST=sql-erp", "COLDSPARE_FROM=srv2", "COLDSPARE_TO=srv1"];
    expect(calls).toEqual([
      ["srv1", "env", ...variables, "dns-move", "a b"],
      ["backup-1", "env", ...variables, "true"],
    ]);
    answers = [{ code: 4, stderr: "zone is locked\n" }];
    await expect(run([command({ on: "primary", required: true })])).rejects.toThrow(
      /`true` on srv2, which must succeed after the start: exit code 4: zone is locked/,
    );
  });

  test("what should run on the lost server is left out, and does not keep the others from their start", async () => {
    const notes = await run([command({ on: "primary", required: true }), command({})], "after-start", { lost: "srv2" });
    expect(notes).toEqual(["`true` on srv2 was left out: srv2 is the server that is gone", "`true` on operator done"]);
    expect(calls).toEqual([]);
  });
});

describe("inside the guest", () => {
  const inside = command({ on: "guest", run: ["/usr/bin/check"], required: true });
  const ok = { stdout: '{"exitcode":0,"exited":1}' };

  test("its agent is waited for: a guest that was started a moment ago has none yet", async () => {
    answers = [{ code: 2, stderr: "QEMU guest agent is not running" }, { code: 2 }, {}, ok];
    expect(await run([inside])).toEqual(["`/usr/bin/check` on guest sql-erp done"]);
    expect(site.slept).toBe(4);
    expect(calls.at(-1)!.slice(0, 8)).toEqual(["srv1", "qm", "guest", "exec", "113", "--timeout", "5", "--"]);
    expect(calls.at(-1)).toEqual(expect.arrayContaining(["COLDSPARE_GUEST=sql-erp", "/usr/bin/check"]));
  });

  test("an agent that never answers, a program that fails or does not end", async () => {
    answers = [{ code: 2, stderr: "QEMU guest agent is not running" }];
    await expect(run([inside])).rejects.toThrow(
      /its agent does not answer within \d+ s: QEMU guest agent is not running/,
    );
    answers = [{}, { stdout: '{"exitcode":7,"exited":1,"err-data":"disk is read-only\\n"}' }];
    await expect(run([inside])).rejects.toThrow(/exit code 7: disk is read-only/);
    answers = [{}, { stdout: '{"pid":812,"exited":0}' }];
    await expect(run([inside])).rejects.toThrow(/did not end within 5 s/);
    answers = [{}, { stdout: "what?" }];
    await expect(run([inside])).rejects.toThrow(/does not say how it ended: what\?/);
  });

  test("a container by pct, a Windows program without env", async () => {
    await run([inside], "after-start", { guest: { ...site.manifest.guests["sql-erp"]!, kind: "lxc" } });
    expect(calls).toEqual([["srv1", "pct", "exec", "113", "--", "env", ...calls[0]!.slice(6, 9), "/usr/bin/check"]]);
    answers = [{}, ok];
    await run([{ ...inside, run: ["C:\\check.exe"] }]);
    expect(calls.at(-1)!.slice(-2)).toEqual(["--", "C:\\check.exe"]);
  });

  test.each(["after-stop", "before-start"] as const)("%s: it is off then, which is said", async (when) => {
    await expect(run([{ ...inside, when }], when)).rejects.toThrow(/the guest is off at that moment/);
    expect(calls).toEqual([]);
  });
});
