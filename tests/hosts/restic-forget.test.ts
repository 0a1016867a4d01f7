/** planning/backup/retention.ts against the real `restic forget --dry-run`, on random histories. */
import { execFile, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { KEEP_RULES, type Keep, keptByRestic } from "../../planning/backup/retention";

const program = process.env.COLDSPARE_RESTIC ?? "restic";
const version = spawnSync(program, ["version"], { encoding: "utf8" });
const hasRestic = version.status === 0;
const release = Number(/^restic 0\.(\d+)/.exec(version.stdout)?.[1]) < 16 ? "0.14" : "0.16";
const withRestic = hasRestic ? describe : describe.skip;
if (!hasRestic)
  process.stderr.write("tests/hosts: SKIPPED: restic-forget: restic is not installed (apt install restic)\n");
// Each call of restic derives a key, which takes half a second by design.
jest.setTimeout(300_000);

const ZONE = "Europe/Paris";
const SNAPSHOTS = 56;
const HISTORIES = 8;
const RETENTIONS = 4;

interface Snapshot {
  id: string;
  time: string;
}
interface Group {
  host: string;
  keep: Snapshot[];
  remove: Snapshot[] | null;
  reasons: { snapshot: Snapshot; matches: string[] }[];
}

/** Repeatable; another seed by COLDSPARE_SEED. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Local times from minutes to years apart, some around the change of the clock and the turn of the year. */
function randomTimes(random: (below: number) => number): string[] {
  const times = new Set(["2025-03-30 03:00:05", "2025-10-26 02:30:00", "2025-10-26 03:30:00", "2024-12-30 23:59:59"]);
  let time = Date.UTC(2026, 0, 2, 0, 10);
  while (times.size < SNAPSHOTS) {
    const step = [20 * 60, 3600, 6 * 3600, 86_400, 9 * 86_400, 200 * 86_400][random(times.size < 46 ? 5 : 6)]!;
    time -= (1 + random(step)) * 1000;
    times.add(new Date(time).toISOString().slice(0, 19).replace("T", " "));
  }
  return [...times];
}

function randomKeep(random: (below: number) => number): Keep {
  const keep: Keep = {};
  for (const rule of KEEP_RULES) if (random(2) === 0) keep[rule] = random(9);
  return Object.values(keep).some((count) => (count ?? 0) > 0) ? keep : { daily: 1 + random(5) };
}

withRestic("restic forget keeps what the plan says", () => {
  const seed = Number(process.env.COLDSPARE_SEED ?? 20_260);
  const random = generator(seed);
  let folder: string;

  const restic = async (...args: string[]): Promise<string> => {
    const env = {
      PATH: process.env.PATH,
      TZ: ZONE,
      RESTIC_REPOSITORY: join(folder, "repository"),
      RESTIC_PASSWORD: "a test's",
      RESTIC_CACHE_DIR: join(folder, "cache"),
    };
    return (await promisify(execFile)(program, args, { env, cwd: folder, maxBuffer: 1 << 26 })).stdout;
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "coldspare-restic-"));
    mkdirSync(join(folder, "data"));
    writeFileSync(join(folder, "data/file"), "the same bytes each time");
    await restic("init");
    // A snapshot is of one host and has the tags of several histories, so that few snapshots make many histories.
    const snapshots = randomTimes(random).map((time) => {
      const tags = Array.from({ length: HISTORIES }, (_, n) => `h${n}`).filter(() => random(3) > 0);
      return ["--host", ["srv1", "srv2"][random(2)]!, "--time", time, "--tag", ["all", ...tags].join(",")];
    });
    const worker = async () => {
      for (let next = snapshots.pop(); next !== undefined; next = snapshots.pop())
        await restic("backup", "--quiet", ...next, "data");
    };
    await Promise.all([worker(), worker()]);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const forget = async (tag: string, keep: Keep): Promise<Group[]> => {
    const options = KEEP_RULES.filter((rule) => (keep[rule] ?? 0) > 0).map((rule) => `--keep-${rule}=${keep[rule]}`);
    const said = await restic("forget", "--dry-run", "--json", "--group-by", "host", "--tag", tag, ...options);
    return JSON.parse(said);
  };

  function compare({ keep: stays, remove, reasons }: Group, keep: Keep): number {
    const all = [...stays, ...(remove ?? [])].map(({ id, time }) => ({ id, time: Date.parse(time) / 1000 }));
    expect(new Set(all.map(({ time }) => time)).size).toBe(all.length);
    const idAt = new Map(all.map(({ id, time }) => [time, id]));
    const ours = keptByRestic([...idAt.keys()], keep, ZONE, release).filter(({ kept }) => kept);
    expect(ours.map(({ time }) => idAt.get(time))).toEqual(stays.map(({ id }) => id));
    // Since 0.18 the reason says that it is the oldest.
    const bare = (reason: string) => reason.replace(/^oldest /, "").replace(/ snapshot$/, "");
    expect(ours.map(({ rules }) => rules.map(bare))).toEqual(reasons.map(({ matches }) => matches.map(bare)));
    return all.length;
  }

  test(`random histories and retentions (restic ${release}, seed ${seed})`, async () => {
    let compared = 0;
    for (let history = 0; history < HISTORIES; history++)
      for (let n = 0; n < RETENTIONS; n++) {
        const keep = randomKeep(random);
        for (const group of await forget(`h${history}`, keep)) compared += compare(group, keep);
      }
    expect(compared).toBeGreaterThan(HISTORIES * RETENTIONS * 20);
  });

  test("a rule with copies to spare keeps the oldest, or not, as the release does", async () => {
    for (const keep of [{ yearly: 50 }, { monthly: 100, last: 1 }])
      for (const group of await forget("all", keep)) compare(group, keep);
  });
});
