import * as fs from "node:fs";

/** Marks everything that a lab's hosts start, with the lab's folder as value. */
export const MARK = "COLDSPARE_LAB_HOSTS";

/** Children of a process, all of its threads', as seen from outside. */
export function childrenOf(pid: number): number[] {
  try {
    return fs
      .readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
      .split(" ")
      .filter((word) => word !== "")
      .map(Number);
  } catch {
    return [];
  }
}

/** The child of `parent` that has this pid in its own, innermost namespace. */
export function childByInnerPid(parent: number, inner: number): number | undefined {
  return childrenOf(parent).find((pid) => innerPid(pid) === inner);
}

function innerPid(pid: number): number | undefined {
  try {
    const line = /^NSpid:\s+(.*)$/m.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return line ? Number(line.split(/\s+/).at(-1)) : undefined;
  } catch {
    return undefined;
  }
}

/** All processes of the PID namespace of which this is pid 1, whoever started them. */
export function processesOf(pid: number): number[] {
  const namespaceOf = (each: number) => {
    try {
      return fs.readlinkSync(`/proc/${each}/ns/pid`);
    } catch {
      return undefined;
    }
  };
  const own = namespaceOf(pid);
  if (own === undefined) return [];
  return fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((each) => namespaceOf(each) === own);
}

/** When a process started, in ticks; tells it apart from another one that has its number later. */
export function startTime(pid: number): string | undefined {
  try {
    // The name in parentheses may hold spaces and parentheses itself.
    const fields = fs.readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\)/s, "").trim().split(" ");
    // One that was killed and not yet waited for by its parent is a name without a process.
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself in the meantime.
  }
}

/** Processes whose environment carries the mark of this folder. */
export function markedProcesses(folder: string): number[] {
  const mark = Buffer.from(`${MARK}=${folder}\0`);
  return fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(Number)
    .filter((pid) => {
      try {
        return Buffer.concat([Buffer.from("\0"), fs.readFileSync(`/proc/${pid}/environ`)]).includes(
          Buffer.concat([Buffer.from("\0"), mark]),
        );
      } catch {
        return false;
      }
    });
}
