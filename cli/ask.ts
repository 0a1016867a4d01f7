/** Asking at a terminal, one line for each question. */
import { createInterface } from "node:readline";
import { UsageError } from "./io";

/**
 * A function that asks a question and answers the line that was typed. Lines that were pasted ahead answer the questions
 * after it. Between questions the terminal is as it was, so that Ctrl-C ends the program.
 *
 * @throws UsageError when the input ends before the answer (Ctrl-D, Ctrl-C)
 */
export function askingAt(
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
): (question: string) => Promise<string> {
  const ahead: string[] = [];
  return async (question) => {
    const typed = ahead.shift();
    if (typed === undefined) return readLine(question, input, output, ahead);
    output.write(`${question}${typed}\n`);
    return typed;
  };
}

function readLine(
  question: string,
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
  ahead: string[],
): Promise<string> {
  return new Promise((resolve, reject) => {
    const terminal = createInterface({ input, output });
    let answer: string | undefined;
    terminal.on("line", (line) => {
      if (answer !== undefined) {
        ahead.push(line);
        return;
      }
      answer = line;
      // Not at once: the other lines of a paste arrive in the same turn.
      setImmediate(() => terminal.close());
    });
    terminal.on("close", () => {
      if (answer !== undefined) resolve(answer);
      else {
        output.write("\n");
        reject(new UsageError("the input ended before the question was answered; nothing was changed"));
      }
    });
    terminal.setPrompt(question);
    terminal.prompt();
  });
}
