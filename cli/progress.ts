/** Lines of progress: what begins, what is done, what failed, with the guest in front. */
import type { Progress } from "../operations/context";
import type { Output } from "./io";
import type { Paint, Style } from "./table";

const MARKS: Record<Progress["state"], { word: string; style?: Style }> = {
  begin: { word: "..." },
  done: { word: "done", style: "green" },
  skip: { word: "was done", style: "dim" },
  fail: { word: "FAILED", style: "red" },
  note: { word: "" },
};

/** Prints each event as one line, with the time of day and the seconds that the step took. */
export function progressPrinter(output: Output, paint: Paint): (event: Progress) => void {
  const begun = new Map<string, number>();
  return ({ at, guest, step, text, state }) => {
    const key = `${guest ?? ""}/${step}/${text}`;
    const now = Date.parse(at);
    if (state === "begin") begun.set(key, now);
    const took = state === "done" && begun.has(key) ? ` in ${((now - begun.get(key)!) / 1000).toFixed(1)} s` : "";
    const { word, style } = MARKS[state];
    const mark = style ? paint(style, word) : word;
    output.write(`${at.slice(11, 19)}  ${(guest ?? "").padEnd(14)} ${text} ${mark}${took}\n`);
  };
}
