/** What the programs on the servers say of copies, over SSH. A server that is down costs a line that says so. */
import { SshError } from "../../providers/ssh";
import type { Operator } from "../context";
import type { JobState, MediumState, Point, Unasked } from "./copies";
import { jobState, mediumState, type PlainLine, plainLines, pointOf } from "./plain-lines";
import type { Keeper } from "./subjects";

/** Where `pulumi up` places the programs. */
export const PROGRAM_FOLDER = "/usr/local/sbin";

export interface KeeperAnswer {
  points: Omit<Point, "policies">[];
  jobs: JobState[];
  media: MediumState[];
  unasked: Unasked[];
}

/** A repository at the end of a slow line is listed over that line. */
const POINTS_SECONDS = 120;
const STATUS_SECONDS = 15;
const NOT_FOUND = 127;
const PARTLY = 1;

/**
 * @param quick Only what lies on the servers themselves: how jobs ended, what repositories last said, and what is on which medium.
 */
export async function askKeeper(operator: Operator, keeper: Keeper, quick: boolean): Promise<KeeperAnswer> {
  const { server, program, targets, rotations } = keeper;
  const answer: KeeperAnswer = { points: [], jobs: [], media: [], unasked: [] };
  const ask = async (words: readonly string[], about: readonly string[], seconds: number): Promise<PlainLine[]> => {
    try {
      const { lines, problem } = await linesOf(operator, server, [`${PROGRAM_FOLDER}/${program}`, ...words], seconds);
      if (problem !== undefined) answer.unasked.push({ server, targets: [...about], reason: problem });
      return lines;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      answer.unasked.push({ server, targets: [...about], reason: error.message });
      return [];
    }
  };
  if (operator.manifest.servers[server]?.ssh === undefined) {
    const reason = `${server} is not reached over SSH: its copies are not seen from here`;
    return { ...answer, unasked: [{ server, targets, reason }] };
  }
  const jobs = await ask(["status", "--plain"], targets, STATUS_SECONDS);
  answer.jobs.push(...jobs.flatMap((line) => jobState(line, server) ?? []));
  // One that does not answer is not asked again.
  if (answer.unasked.length > 0) return answer;
  const others = targets.filter((target) => !rotations.includes(target));
  const kind = program === "coldspare-zfs" ? "zfs" : "restic";
  // What restic's repositories last said is kept on the server; ZFS asks the other side.
  const words = quick ? ["points", "--plain", "--cached"] : ["points", "--plain"];
  if (others.length > 0 && !(quick && kind === "zfs")) {
    const lines = await ask(words, others, POINTS_SECONDS);
    answer.points.push(...lines.flatMap((line) => pointOf(line, server, kind) ?? []));
  }
  if (rotations.length === 0) return answer;
  const media = await ask(["media", "status", "--plain"], rotations, STATUS_SECONDS);
  answer.media.push(...media.flatMap((line) => mediumState(line, server) ?? []));
  for (const rotation of rotations) {
    const lines = await ask(["media", "points", rotation, "--plain"], [rotation], STATUS_SECONDS);
    answer.points.push(...lines.flatMap((line) => pointOf(line, server, "medium") ?? []));
  }
  return answer;
}

/**
 * A program that could not ask one of its repositories lists what that last said, and says so: these lines count, and `problem`
 * tells that there may be more.
 *
 * @throws Error in words that name the server, what is wrong, and the way out
 */
async function linesOf(
  operator: Operator,
  server: string,
  argv: readonly string[],
  seconds: number,
): Promise<{ lines: PlainLine[]; problem?: string }> {
  const command = argv.map((word) => word.replace(`${PROGRAM_FOLDER}/`, "")).join(" ");
  try {
    const { code, stdout, stderr } = await operator.ssh.run(server, argv, { timeoutSeconds: seconds });
    if (code === NOT_FOUND)
      throw new Error(
        `${argv[0]} is not installed on ${server}: \`pulumi up\` installs it, once its host key is known`,
      );
    if (code === 0) return { lines: plainLines(stdout) };
    const problem = `${server}: '${command}' ended with ${code}: ${stderr.trim() || "it says nothing"}`;
    if (code !== PARTLY || stdout.trim() === "") throw new Error(problem);
    return { lines: plainLines(`${stdout}end\n`), problem };
  } catch (error) {
    if (error instanceof SshError) throw new Error(`${server} does not answer over SSH: ${error.reason}`);
    if (error instanceof Error && error.message === "its answer was cut off")
      throw new Error(`${server}: '${command}': its answer was cut off`);
    throw error;
  }
}
