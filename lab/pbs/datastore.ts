import * as fs from "node:fs";
import * as path from "node:path";
import type { BackupServer } from "./backup-server";
import { ChunkStore } from "./chunk-store";
import { PbsError, refused } from "./errors";
import { SnapshotTree } from "./snapshots";
import type { Section } from "./types";

/** What somebody wants of a datastore: `lookup` asks for its configuration only. */
export type Operation = "read" | "write" | "lookup";

/** `offline,message="text"` of `maintenance-mode`. */
export function parseMaintenance(text: string): { type: string; message: string } {
  const [first = "", ...rest] = text.split(",");
  const message = /message="?((?:[^"\\]|\\.)*)"?/.exec(rest.join(","))?.[1] ?? "";
  return { type: first.replace(/^type=/, ""), message };
}

/** One datastore: its section of the configuration, and its folder with chunks, indexes and manifests. */
export class Datastore {
  /** Set while a garbage collection runs: there is one at a time. */
  collecting = false;
  /** Virtual times at which the writers of now began. */
  readonly writers = new Set<number>();
  private stores: { folder: string; tree: SnapshotTree; chunks: ChunkStore } | undefined;

  constructor(
    readonly server: BackupServer,
    readonly name: string,
  ) {}

  get section(): Section {
    return this.server.state.datastores[this.name] ?? {};
  }

  get folder(): string {
    const { path: place = "", "backing-device": uuid } = this.section;
    return uuid ? path.join(this.server.medium(uuid), place) : this.server.place(place);
  }

  private get files(): { folder: string; tree: SnapshotTree; chunks: ChunkStore } {
    const { folder } = this;
    if (this.stores?.folder !== folder)
      this.stores = { folder, tree: new SnapshotTree(folder), chunks: new ChunkStore(folder) };
    return this.stores;
  }

  get tree(): SnapshotTree {
    this.requireMedium();
    return this.files.tree;
  }

  get chunks(): ChunkStore {
    this.requireMedium();
    return this.files.chunks;
  }

  /** Makes the folder with its chunk store, as creating the datastore does. */
  initialise(): void {
    fs.mkdirSync(path.join(this.folder, ".chunks"), { recursive: true });
  }

  /** Whether the folder holds a datastore already. */
  exists(): boolean {
    return fs.existsSync(path.join(this.folder, ".chunks"));
  }

  removeFiles(): void {
    fs.rmSync(this.folder, { recursive: true, force: true });
    this.stores = undefined;
  }

  /** Forgets what was read: another server may have written on the medium meanwhile. */
  reopen(): void {
    this.stores = undefined;
  }

  // ---- whether it can be used

  get removable(): boolean {
    return this.section["backing-device"] !== undefined;
  }

  /** `mounted`, `notmounted`, or `nonremovable`, as the lists say it. */
  get mountStatus(): "mounted" | "notmounted" | "nonremovable" {
    if (!this.removable) return "nonremovable";
    return this.server.state.mounted.includes(this.name) ? "mounted" : "notmounted";
  }

  /** A medium that was pulled while something ran answers nothing any more. */
  private requireMedium(): void {
    const uuid = this.section["backing-device"];
    if (uuid && !this.server.hasMedium(uuid)) throw new Error("Input/output error (os error 5)");
    if (!this.server.state.datastores[this.name]) throw new Error(`datastore '${this.name}' does not exist`);
  }

  /** @throws PbsError when its maintenance mode or a missing medium forbids the operation */
  open(operation: Operation): this {
    const mode = this.section["maintenance-mode"];
    if (mode && operation !== "lookup") this.checkMaintenance(parseMaintenance(mode), operation);
    if (operation !== "lookup" && this.mountStatus === "notmounted")
      throw refused(`datastore '${this.name}' is not mounted`);
    return this;
  }

  private checkMaintenance({ type, message }: { type: string; message: string }, operation: Operation): void {
    const unavailable = (reason: string) => {
      throw new PbsError(400, `datastore '${this.name}' is unavailable: ${reason}`);
    };
    if (type === "delete") unavailable("datastore is being deleted");
    if (type === "unmount") unavailable("datastore is being unmounted");
    if (type === "offline") unavailable(`offline maintenance mode: ${message}`);
    if (type === "read-only" && operation === "write") unavailable(`read-only maintenance mode: ${message}`);
  }

  // ---- space

  usage(): { total: number; used: number; avail: number } {
    const { id, bytes: total } = this.server.disk(this.section);
    const sameDisk = this.server
      .datastores()
      .filter((other) => other.server.disk(other.section).id === id && other.mountStatus !== "notmounted");
    const used = sameDisk.reduce(
      (sum, store) => sum + store.chunks.usedBytes() + (this.server.state.filler[store.name] ?? 0),
      0,
    );
    return { total, used: Math.min(total, used), avail: Math.max(0, total - used) };
  }

  requireSpace(bytes: number): void {
    if (bytes > this.usage().avail) throw new Error("No space left on device (os error 28)");
  }
}
