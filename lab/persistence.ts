import * as fs from "node:fs";
import * as path from "node:path";
import type { LabState } from "./state";

/**
 * The state in `state.json`: written to a temporary file and renamed, so that a crash leaves the old state or the new
 * one, never half of it. Several changes within a short time are written together.
 */
export class StateFile {
  private readonly file: string;
  private handle: NodeJS.Timeout | undefined;

  constructor(
    folder: string,
    private readonly current: () => LabState,
  ) {
    this.file = path.join(folder, "state.json");
  }

  /** The state of an earlier run, if there is one. */
  static read(folder: string): LabState | undefined {
    const file = path.join(folder, "state.json");
    if (!fs.existsSync(file)) return undefined;
    const state = JSON.parse(fs.readFileSync(file, "utf8")) as LabState;
    if (state.version !== 1) throw new Error(`${file} was written by another version of the lab; remove the folder`);
    return state;
  }

  /** The state has changed. */
  touch(): void {
    if (this.handle) return;
    this.handle = setTimeout(() => this.flush(), 100);
  }

  /** Writes now. */
  flush(): void {
    if (this.handle) clearTimeout(this.handle);
    this.handle = undefined;
    const temporary = `${this.file}.new`;
    fs.writeFileSync(temporary, JSON.stringify(this.current()), { mode: 0o600 });
    fs.renameSync(temporary, this.file);
  }
}
