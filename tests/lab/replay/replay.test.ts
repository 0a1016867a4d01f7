import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Difference } from "./compare";
import { type DeliberateDifference, deliberateDifferences, reasonFor } from "./deliberate-differences";
import { LabUnderTest } from "./lab-under-test";
import { recordingNames } from "./recording";
import { type StartingState, startingStates } from "./starting-states";

/** The published schema is fetched by the setup. */
function publishedSchema(): string | undefined {
  if (process.env.COLDSPARE_PVE_SCHEMA) return process.env.COLDSPARE_PVE_SCHEMA;
  const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "coldspare", "pve-schema");
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".json")) : [];
  const newest = files.sort().at(-1);
  return newest && join(folder, newest);
}

const schemaFile = publishedSchema();
const total = { calls: 0, unequal: new Set<number>(), deliberate: new Set<number>() };
const used = new Set<DeliberateDifference>();

const asText = (one: Difference) => `${one.seq} ${one.call}: ${one.what}: expected ${one.expected}, got ${one.actual}`;

let current: LabUnderTest | undefined;

/** The lab of the recording before, if nothing more than this one needs was done to it; else a new one. */
async function labFor(state: StartingState): Promise<LabUnderTest> {
  if (current?.leadsTo(state)) return current;
  await current?.stop();
  current = await LabUnderTest.start(state, schemaFile);
  return current;
}

// The calls of 36 are refused by their parameters; without the schema the lab takes some of them, and changes a guest.
const WRONG_INPUT = "36-wrong-input";
const needsSchema = (file: string) =>
  file === WRONG_INPUT || startingStates[file]?.after.includes(WRONG_INPUT) === true;
const names = recordingNames().filter((file) => schemaFile !== undefined || !needsSchema(file));
if (!schemaFile)
  process.stdout.write(
    `SKIPPED: ${recordingNames().length - names.length} recordings that need the published PVE API schema; run the setup to fetch it\n`,
  );

describe("the lab answers as the real API did", () => {
  test.each(names)(
    "%s",
    async (file) => {
      const state = startingStates[file];
      if (!state) throw new Error(`${file} has no starting state`);
      const { calls, differences } = await (await labFor(state)).replay(file, state);
      total.calls += calls;
      const unexplained: string[] = [];
      for (const one of differences) {
        const reason = reasonFor(one);
        if (reason) used.add(reason);
        (reason ? total.deliberate : total.unequal).add(one.seq);
        if (!reason) unexplained.push(asText(one));
      }
      expect(unexplained).toEqual([]);
    },
    30_000,
  );

  (schemaFile ? test : test.skip)("the lab answers nothing that the published API does not have", async () => {
    const text = await (await labFor({ after: [], next: [] })).coverage();
    process.stdout.write(`${text.split("\n")[0]?.replace(/, \d+ called.*/, "")}\n`);
    expect(text).toMatch(/^PVE API .*: \d+ of \d+ endpoints answered/);
    expect(text).not.toContain("not in the schema:");
  });

  test("every difference on the list of deliberate ones was seen", () => {
    const replayed = deliberateDifferences.filter((entry) => entry.file === "*" || names.includes(entry.file));
    expect(replayed.filter((entry) => !used.has(entry))).toEqual([]);
  });

  afterAll(async () => {
    await current?.stop();
    const deliberate = [...total.deliberate].filter((seq) => !total.unequal.has(seq)).length;
    const equal = total.calls - total.unequal.size - deliberate;
    process.stdout.write(
      `replayed ${total.calls} calls of the real API: ${equal} equal, ${deliberate} deliberately different, ` +
        `${total.unequal.size} different without a reason${schemaFile ? "" : " (without the published schema)"}\n`,
    );
  });
});
