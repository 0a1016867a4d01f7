/** What drills keep on the servers, and how they give commands there. */
import type { Operator } from "./context";

/** On each server: the last drill of each guest, and the jobs that a drill has paused. */
export const DRILL_FOLDER = "/var/lib/coldspare/drills";

/** @throws Error with what the command printed */
export async function must(operator: Operator, server: string, argv: string[], timeoutSeconds = 60): Promise<string> {
  const { code, stdout, stderr } = await operator.ssh.run(server, argv, { timeoutSeconds });
  if (code !== 0)
    throw new Error(
      `${server}: '${argv.slice(0, 3).join(" ")} …' ended with ${code}: ${stderr.trim() || stdout.trim()}`,
    );
  return stdout;
}
