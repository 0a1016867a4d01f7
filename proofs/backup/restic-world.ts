/** A backup server with folders, a restic repository, and the ledger of what was backed up. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Check } from "../check";
import type { Chance } from "../random";
import { digestOf, Ledger } from "./ledger";
import { Mailbox } from "./mailbox";
import { pause, plainLines, type Run, Server, word } from "./server";

export const POLICY = "nightly";
export const TARGET = "vault";
export const SUBJECT = "folder:backup-1:/srv/data";
const PASSWORD = "a password of the proof";

export interface Point {
  id: string;
  /** `failed` is not listed as good. */
  verified: string;
}

export class ResticWorld {
  readonly server: Server;
  readonly ledger = new Ledger();
  private restores = 0;

  private constructor(
    private readonly folder: string,
    readonly mailbox: Mailbox,
    private readonly chance: Chance,
    private readonly options: { repository: string; keep: string },
  ) {
    this.server = new Server("backup-1", join(folder, "server"));
  }

  /** Makes the server, its data and an empty repository in a folder of its own. */
  static async open(
    folder: string,
    chance: Chance,
    options: { repository?: string; keep?: string } = {},
  ): Promise<ResticWorld> {
    const repository = options.repository ?? join(folder, "repository");
    const world = new ResticWorld(folder, await Mailbox.open(), chance, { keep: "last:3", ...options, repository });
    mkdirSync(world.data, { recursive: true });
    world.server.write(`/etc/coldspare/secrets/${TARGET}-password`, PASSWORD, 0o600);
    world.configure();
    for (let files = 0; files < 8; files++) world.change();
    await world.must(["init", TARGET]);
    return world;
  }

  get repository(): string {
    return this.options.repository;
  }

  private get data(): string {
    return this.server.at("/srv/data");
  }

  private configure(): void {
    const mail = `server=127.0.0.1 port=${this.mailbox.port} tls=none from=coldspare@example.org to=anna@example.org`;
    const lines = [
      "format 1",
      "site proof",
      `self ${this.server.name}`,
      `mail ${mail.replaceAll("@", "%40")}`,
      "retry 1",
      `target ${TARGET} repository=${word(this.repository)} password=${TARGET}-password parts=2`,
      `policy ${POLICY} target=${TARGET} keep=${this.options.keep} notify=failure`,
      `folder ${POLICY} subject=${word(SUBJECT)} path=${word("/srv/data")}`,
    ];
    this.server.write("/etc/coldspare/backup.conf", `${lines.join("\n")}\n`);
  }

  /** A file comes, grows, changes or goes. */
  change(): void {
    const names = readdirSync(this.data);
    const name = `file-${this.chance.between(1, 12)}`;
    if (names.length > 6 && this.chance.next() < 0.2) rmSync(join(this.data, this.chance.pick(names)));
    else this.server.write(`/srv/data/${name}`, this.chance.bytes(this.chance.between(1, 400_000)));
  }

  run(args: readonly string[]): Promise<Run> {
    return this.server.run("coldspare-backup", args);
  }

  async must(args: readonly string[]): Promise<Run> {
    const run = await this.run(args);
    if (run.code !== 0) throw new Error(`coldspare-backup ${args.join(" ")}: ${run.code} ${run.out}${run.err}`);
    return run;
  }

  /** Runs a command and pulls its plug after so many milliseconds, or lets it end. */
  async killed(args: readonly string[], milliseconds: number): Promise<Run> {
    const running = this.server.start("coldspare-backup", args);
    const end = await Promise.race([running.ended, pause(milliseconds)]);
    if (end) return end;
    running.kill();
    return running.ended;
  }

  async points(): Promise<Point[]> {
    const { out } = await this.must(["points", "--plain", POLICY]);
    return plainLines(out).map((line) => ({ id: line.point!, verified: line.verified! }));
  }

  async good(): Promise<Point[]> {
    return (await this.points()).filter(({ verified }) => verified !== "failed");
  }

  /** Points that have come since the last look hold what the folder holds now. Returns how many. */
  async note(): Promise<number> {
    const points = await this.points();
    return this.ledger.note(
      SUBJECT,
      points.map(({ id }) => id),
      digestOf(this.data),
    );
  }

  /** Restores a point into an empty folder. Undefined: what is there is what was there. */
  async compare(id: string): Promise<string | undefined> {
    const to = join(this.folder, `restored-${++this.restores}`);
    try {
      const run = await this.run(["restore", POLICY, id, "--to", to]);
      if (run.code !== 0) return `the restore ended with ${run.code}: ${run.err.trim().slice(-300)}`;
      const same = digestOf(join(to, this.data)) === this.ledger.wanted(SUBJECT, id);
      return same ? undefined : "what was restored is not what was backed up";
    } finally {
      rmSync(to, { recursive: true, force: true });
    }
  }

  /** What restic keeps of the repository beside it would hide what is lost there. */
  forgetCache(): void {
    rmSync(this.server.at("/var/cache/coldspare/restic"), { recursive: true, force: true });
  }

  /** Every point that is listed as good, restored and compared. Answers how many there are. */
  async allGood(check: Check, when: string): Promise<number> {
    const points = await this.good();
    const wrong: string[] = [];
    for (const { id } of points) {
      const problem = await this.compare(id);
      if (problem !== undefined) wrong.push(`${id.slice(0, 8)}: ${problem}`);
    }
    check.that(
      `${when}: each of ${points.length} points listed as good restores byte for byte`,
      points.length > 0 && wrong.length === 0,
      wrong.join("; ") || "no point is left",
    );
    return points.length;
  }

  /** A mail that names target and point and says what to do. */
  mailed(check: Check, what: string, words: readonly string[]): void {
    const mails = this.mailbox.about(TARGET, ...words);
    const whole = mails.filter(({ text }) => /^Point: /m.test(text) && /^What to do:\n\S/m.test(text));
    check.that(
      `${what}: a mail names target, point and remedy`,
      whole.length > 0,
      `mails: ${this.mailbox.mails.map(({ subject }) => subject).join(" | ") || "none"}`,
    );
  }

  /** Packs of the repository, as files. */
  packs(): string[] {
    const folder = join(this.repository, "data");
    return readdirSync(folder, { recursive: true, encoding: "utf8" })
      .map((name) => join(folder, name))
      .filter((file) => statSync(file).isFile())
      .sort();
  }

  async end(): Promise<void> {
    await this.mailbox.close();
  }
}

/** Whether the real restic is here. */
export function whyNoRestic(): string | undefined {
  return spawnSync("restic", ["version"]).status === 0 ? undefined : "restic is not installed (apt-get install restic)";
}
