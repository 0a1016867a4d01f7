/** One question before anything is changed. */
import { type Io, UsageError } from "./io";

/**
 * Whether the person agrees: `--yes`, or `yes` typed at the terminal.
 *
 * @param question Ends with a question mark.
 * @throws UsageError where nobody can be asked and `--yes` was not given
 */
export async function confirmed(question: string, { yes }: { yes?: boolean }, io: Io): Promise<boolean> {
  if (yes) return true;
  if (!io.ask) throw new UsageError("there is no terminal to ask at: look at --dry-run, then add --yes");
  const answer = (await io.ask(`${question} (yes/no) `)).trim().toLowerCase();
  const agreed = answer === "yes" || answer === "y";
  if (!agreed) io.stderr.write("nothing was changed\n");
  return agreed;
}
