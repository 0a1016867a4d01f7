/**
 * The outside watcher: a process of its own that looks at the machine's real processes, and knows nothing of the lab, the
 * hypervisors or the commands under test. Prints one JSON line for each guest process that begins or ends.
 *
 * A guest of the lab is a process that calls itself `coldspare-lab-guest <vmid> <name> <node>`. Several labs may run on one
 * machine: only processes below the one that started the watcher count.
 */
import { readdirSync, readFileSync } from "node:fs";

/** One life of a guest process; times are milliseconds since the machine's boot. */
export interface Life {
  pid: number;
  vmid: number;
  name: string;
  node: string;
  from: number;
  /** When it was last seen; a life that goes on is seen at every look. */
  to: number;
  ended: boolean;
}

const PATTERN = /^coldspare-lab-guest (\d+) (\S+) (\S+)/;
const TICKS_PER_SECOND = 100;
const LOOK_EVERY = 20;
/** A guest names itself within its first moments: what has not done so by then is something else. */
const MAY_STILL_NAME_ITSELF = 30_000;

function uptime(): number {
  return Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1000;
}

/** A process's parent; undefined when it has ended meanwhile. */
function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined;
  }
}

/** Whether a process descends from another one; undefined when one in between has just ended, so that it gets a new parent. */
export function isBelow(pid: number, ancestor: number, parent = parentOf): boolean | undefined {
  for (let at: number | undefined = pid; at === undefined || at > 1; at = parent(at)) {
    if (at === undefined) return undefined;
    if (at === ancestor) return true;
  }
  return false;
}

/** Command line and start time of a process; undefined when it has ended meanwhile. */
function look(pid: number): { command: string; startedAt: number; parent: number } | undefined {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold anything: fields are counted from its end.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") return undefined;
    return { command, startedAt: (Number(fields[19]) * 1000) / TICKS_PER_SECOND, parent: Number(fields[1]) };
  } catch {
    return undefined;
  }
}

/** Looks at the machine's processes again and again; calls `report` for each life that begins, goes on or ends. */
export class Watch {
  /** When processes that are no guests were started. */
  private readonly others = new Map<number, number>();
  readonly lives: Life[] = [];
  private readonly alive = new Map<number, Life>();

  /** @param below Only processes that descend from this one count. */
  constructor(private readonly below: number) {}

  /** One look at every process. */
  lookAround(report: (life: Life) => void = () => {}): void {
    const now = uptime();
    const seen = new Set<number>();
    for (const entry of readdirSync("/proc")) {
      const pid = Number(entry);
      if (!Number.isInteger(pid) || pid <= 2) continue;
      seen.add(pid);
      this.lookAt(pid, now, report);
    }
    for (const [pid, life] of this.alive) if (!seen.has(pid)) this.end(pid, life, report);
    for (const pid of this.others.keys()) if (!seen.has(pid)) this.others.delete(pid);
  }

  private lookAt(pid: number, now: number, report: (life: Life) => void): void {
    const known = this.alive.get(pid);
    const startedAt = this.others.get(pid);
    if (startedAt !== undefined && now - startedAt > MAY_STILL_NAME_ITSELF) return;
    const found = look(pid);
    const match = found ? PATTERN.exec(found.command) : null;
    if (!found || !match) {
      if (known) this.end(pid, known, report);
      if (found) this.others.set(pid, found.startedAt);
      return;
    }
    if (known && Math.abs(known.from - found.startedAt) < 1) {
      known.to = now;
      return;
    }
    if (known) this.end(pid, known, report);
    const isOurs = isBelow(pid, this.below);
    if (isOurs === undefined) return;
    if (!isOurs) {
      // Of another lab: never to be looked at again.
      this.others.set(pid, 0);
      return;
    }
    if (this.alive.get(found.parent)?.vmid === Number(match[1])) {
      // A guest that has just forked: until the child is something else, it goes by its parent's name.
      this.others.set(pid, found.startedAt);
      return;
    }
    this.others.delete(pid);
    const [, vmid, name, node] = match;
    const life = { pid, vmid: Number(vmid), name: name!, node: node!, from: found.startedAt, to: now, ended: false };
    this.alive.set(pid, life);
    this.lives.push(life);
    report(life);
  }

  private end(pid: number, life: Life, report: (life: Life) => void): void {
    life.ended = true;
    this.alive.delete(pid);
    report(life);
  }

  /** Lives that go on now. */
  now(): Life[] {
    return [...this.alive.values()];
  }
}

function main(): void {
  const watch = new Watch(process.ppid);
  const print = (life: Life) => void process.stdout.write(`${JSON.stringify(life)}\n`);
  const timer = setInterval(() => watch.lookAround(print), LOOK_EVERY);
  process.stdout.write(`${JSON.stringify({ watching: true, pid: process.pid })}\n`);
  // The one that started it is gone: nobody reads any more.
  process.stdin.on("end", () => finish());
  process.stdin.resume();
  process.on("SIGTERM", finish);
  function finish(): void {
    clearInterval(timer);
    watch.lookAround(print);
    for (const life of watch.now()) print(life);
    process.exit(0);
  }
}

if (require.main === module) main();
