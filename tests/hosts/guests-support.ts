import * as fs from "node:fs";
import type { LabHosts } from "../../lab/hosts/types";

/** What the guests of these hosts call themselves, read from the machine's own list of processes. Other labs may run too. */
export function guestProcesses(hosts: LabHosts, names: readonly string[]): string[] {
  const namespaceOf = (pid: number | string | undefined) => {
    try {
      return fs.readlinkSync(`/proc/${pid}/ns/pid`);
    } catch {
      return undefined;
    }
  };
  const own = new Set(names.map((name) => namespaceOf(hosts.pid(name))));
  own.delete(undefined);
  return fs
    .readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((pid) => {
      try {
        const text = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
        return text.startsWith("coldspare-lab-guest ") && own.has(namespaceOf(pid)) ? [text] : [];
      } catch {
        return [];
      }
    });
}
