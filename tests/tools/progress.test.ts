import { loadTool } from "./load";

interface State {
  total: number;
  done: number;
  elapsed: number;
  tail?: number;
}
interface Progress {
  see(line: string): boolean;
  text(): string;
}
const { remainingSeconds, buildProgress } = loadTool<{
  remainingSeconds(state: State): number | undefined;
  buildProgress(weights: Map<string, number>, now: () => number): Progress;
}>("progress.mjs");
const { formatDuration, createLog } = loadTool<{
  formatDuration(seconds: number): string;
  createLog(options: object): ((text: string) => void) & { status(text: string): void };
}>("log.mjs");

describe("the time left", () => {
  test.each<[string, State, number | undefined]>([
    ["is not told in the first seconds", { total: 100, done: 50, elapsed: 3 }, undefined],
    ["is not told from a sliver of the work", { total: 100, done: 1, elapsed: 60 }, undefined],
    ["follows the speed so far, and the linking", { total: 100, done: 25, elapsed: 60, tail: 10 }, 190],
    ["is the linking when everything is compiled", { total: 100, done: 100, elapsed: 60, tail: 10 }, 10],
    ["is the linking when nothing has to be compiled", { total: 0, done: 0, elapsed: 0, tail: 10 }, 10],
  ])("%s", (_name, state, expected) => {
    expect(remainingSeconds(state)).toBe(expected);
  });

  test("a build counts each package once, and weighs it by its source", () => {
    let now = 0;
    const weights = new Map([
      ["small", 10],
      ["large", 90],
    ]);
    const progress = buildProgress(weights, () => now);
    expect(progress.text()).toBe("0 of 2 packages, 0 s so far, time left not known yet");
    now = 20_000;
    expect(progress.see("small")).toBe(true);
    expect(progress.see("small")).toBe(false);
    expect(progress.see("go: downloading example.com v1.0.0")).toBe(false);
    // 10 of 100 bytes in 20 s: 180 s for the rest, and 8 s to link.
    expect(progress.text()).toBe("1 of 2 packages, 20 s so far, about 3 min 08 s left");
    progress.see("large");
    expect(progress.text()).toBe("2 of 2 packages, linking, 20 s so far, about 8 s left");
  });

  test("a warm cache is said to be warm", () => {
    expect(buildProgress(new Map(), () => 0).text()).toMatch(/^everything is compiled already; linking/);
  });
});

test.each([
  [0, "0 s"],
  [59.4, "59 s"],
  [65, "1 min 05 s"],
  [725, "12 min"],
])("%p seconds read as %p", (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});

test("without a terminal a passing status does not flood the log", () => {
  const written: string[] = [];
  let now = 0;
  const log = createLog({ stream: { isTTY: false, write: (text: string) => written.push(text) }, now: () => now });
  for (now = 0; now < 40_000; now += 1000) log.status(`at ${now / 1000}`);
  log("done");
  expect(written).toEqual(["at 0\n", "at 15\n", "at 30\n", "done\n"]);
});
