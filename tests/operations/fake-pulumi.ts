/** A `pulumi` in PATH that writes down how it was called and answers what it was told to. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface FakeAnswer {
  stdout?: string;
  stderr?: string;
  code?: number;
}

export class FakePulumi {
  readonly folder = mkdtempSync(join(tmpdir(), "coldspare-pulumi-"));
  readonly project = join(this.folder, "project");

  constructor() {
    mkdirSync(join(this.folder, "bin"));
    mkdirSync(join(this.project, "below"), { recursive: true });
    writeFileSync(join(this.project, "Pulumi.yaml"), "name: fake\nruntime: yaml\n");
    const program = `#!${process.execPath}
const fs = require("fs");
const args = process.argv.slice(2);
const folder = ${JSON.stringify(this.folder)};
fs.appendFileSync(folder + "/calls", JSON.stringify({ args, cwd: process.cwd() }) + "\\n");
const answers = JSON.parse(fs.readFileSync(folder + "/answers", "utf8"));
const key = Object.keys(answers).find((each) => args.join(" ").includes(each)) ?? "";
const { stdout = "", stderr = "", code = 0 } = answers[key] ?? {};
process.stdout.write(stdout);
process.stderr.write(stderr);
process.exitCode = code;
`;
    const file = join(this.folder, "bin/pulumi");
    writeFileSync(file, program);
    chmodSync(file, 0o755);
    this.answers({});
  }

  get env(): Record<string, string> {
    return { PATH: `${join(this.folder, "bin")}:${process.env.PATH ?? ""}` };
  }

  /** What to answer to calls whose arguments contain the key. */
  answers(answers: Record<string, FakeAnswer>): void {
    writeFileSync(join(this.folder, "answers"), JSON.stringify(answers));
  }

  /** The calls since the last time, without what every call has. */
  calls(): string[][] {
    const file = join(this.folder, "calls");
    if (!existsSync(file)) return [];
    const lines = readFileSync(file, "utf8").trim().split("\n");
    rmSync(file);
    return lines.map((line) => (JSON.parse(line) as { args: string[] }).args);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}
