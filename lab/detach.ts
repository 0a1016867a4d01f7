import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as wait } from "node:timers/promises";

/** What the folder of a running lab says about it; the tokens stay in their own files. */
export interface RunningLab {
  pid: number;
  endpoints: Record<string, string>;
  caFile: string;
  /** File with the whole root token. */
  tokenFile: string;
  controlUrl: string;
  /** Backup servers by name; root's token and password lie in `pbs-<name>-access.json` beside this file. */
  backupServers?: Record<string, { url: string; fingerprint: string; address: string }>;
}

const FILE = "running.json";
const START_MS = 20_000;

export function writeRunning(folder: string, lab: RunningLab): void {
  fs.writeFileSync(path.join(folder, `${FILE}.new`), JSON.stringify(lab, null, 2), { mode: 0o600 });
  fs.renameSync(path.join(folder, `${FILE}.new`), path.join(folder, FILE));
}

export function removeRunning(folder: string): void {
  fs.rmSync(path.join(folder, FILE), { force: true });
}

/** The lab of a folder, if its process is alive and answers. */
export async function findRunning(folder: string): Promise<RunningLab | undefined> {
  const file = path.join(folder, FILE);
  if (!fs.existsSync(file)) return undefined;
  const lab = JSON.parse(fs.readFileSync(file, "utf8")) as RunningLab;
  try {
    process.kill(lab.pid, 0);
    await callControl(folder, lab, "GET", "/");
    return lab;
  } catch {
    return undefined;
  }
}

/** Calls the control interface of a running lab. */
export async function callControl(
  folder: string,
  lab: RunningLab,
  method: string,
  call: string,
  body?: unknown,
): Promise<unknown> {
  const token = fs.readFileSync(path.join(folder, "control-token"), "utf8").trim();
  const response = await fetch(`${lab.controlUrl}${call}`, {
    method,
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = (await response.json()) as { error?: string };
  if (!response.ok) throw new Error(answer?.error ?? `the lab answered ${response.status}`);
  return answer;
}

/** Starts the lab as a process of its own that outlives this one, and waits until it answers. */
export async function startDetached(folder: string, args: string[]): Promise<RunningLab> {
  const log = path.join(folder, "lab.log");
  const out = fs.openSync(log, "a", 0o600);
  const child = spawn(process.execPath, [process.argv[1]!, ...args], { detached: true, stdio: ["ignore", out, out] });
  fs.closeSync(out);
  let ended: number | null | undefined;
  child.on("exit", (code) => {
    ended = code;
  });
  child.unref();
  const deadline = Date.now() + START_MS;
  while (Date.now() < deadline) {
    if (ended !== undefined) break;
    const lab = await findRunning(folder);
    if (lab && lab.pid === child.pid) return lab;
    await wait(50);
  }
  const last = fs.readFileSync(log, "utf8").trim().split("\n").slice(-8).join("\n");
  throw new Error(`the lab did not start; its log (${log}) ends with:\n${last}`);
}

/** Ends a running lab and waits until it is gone. */
export async function stopRunning(folder: string): Promise<boolean> {
  const lab = await findRunning(folder);
  if (!lab) return false;
  process.kill(lab.pid, "SIGTERM");
  for (let attempt = 0; attempt < 200; attempt++) {
    try {
      process.kill(lab.pid, 0);
    } catch {
      return true;
    }
    await wait(50);
  }
  throw new Error(`the lab (process ${lab.pid}) did not end within 10 seconds`);
}
