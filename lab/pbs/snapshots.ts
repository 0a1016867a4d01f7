import * as fs from "node:fs";
import * as path from "node:path";
import { decodeIndex, encodeIndex, type Index } from "./index-file";

/** A group: all snapshots of one guest (`vm/100`) in a namespace. */
export interface GroupId {
  ns: string;
  type: string;
  id: string;
}

export interface SnapshotId extends GroupId {
  /** Seconds since the epoch. */
  time: number;
}

/** A file of a snapshot as its manifest lists it. */
export interface ManifestFile {
  filename: string;
  "crypt-mode": "none" | "encrypt";
  /** Bytes of the disk. */
  size: number;
}

/** `index.json` of a snapshot. `unprotected` holds what may change later. */
export interface Manifest {
  files: ManifestFile[];
  /** Fingerprint of the key, if the backup is encrypted. */
  fingerprint?: string;
  unprotected: {
    notes?: string;
    verify_state?: { state: "ok" | "failed"; upid: string };
  };
  /** What the lab needs to make the guest again and PBS does not know. */
  lab: Record<string, unknown>;
}

/** A snapshot on disk; without a manifest its backup has not ended, or broke off. */
export interface Snapshot extends SnapshotId {
  manifest?: Manifest;
  protected: boolean;
  /** Index files and blobs that are there. */
  files: string[];
}

const TYPES = ["vm", "ct", "host"];

/** `2026-11-22T20:00:00Z` */
export function timeText(time: number): string {
  return `${new Date(time * 1000).toISOString().slice(0, 19)}Z`;
}

export function groupText({ type, id }: GroupId): string {
  return `${type}/${id}`;
}

export function snapshotText(snapshot: SnapshotId): string {
  return `${groupText(snapshot)}/${timeText(snapshot.time)}`;
}

/** Groups and snapshots in the folder of a datastore, in PBS's own layout. */
export class SnapshotTree {
  constructor(readonly folder: string) {}

  nsFolder(ns: string): string {
    return path.join(this.folder, ...ns.split("/").flatMap((part) => (part === "" ? [] : ["ns", part])));
  }

  groupFolder(group: GroupId): string {
    return path.join(this.nsFolder(group.ns), group.type, group.id);
  }

  snapshotFolder(snapshot: SnapshotId): string {
    return path.join(this.groupFolder(snapshot), timeText(snapshot.time));
  }

  // ---- namespaces

  hasNamespace(ns: string): boolean {
    return ns === "" || fs.existsSync(this.nsFolder(ns));
  }

  createNamespace(ns: string): void {
    fs.mkdirSync(this.nsFolder(ns), { recursive: true });
  }

  /** The namespace itself and all below it, down to a depth. */
  namespaces(ns = "", depth = 7): string[] {
    const folder = path.join(this.nsFolder(ns), "ns");
    if (depth === 0 || !fs.existsSync(folder)) return [ns];
    const below = fs.readdirSync(folder).sort();
    return [ns, ...below.flatMap((name) => this.namespaces(ns === "" ? name : `${ns}/${name}`, depth - 1))];
  }

  removeNamespace(ns: string): void {
    fs.rmSync(this.nsFolder(ns), { recursive: true, force: true });
  }

  // ---- groups

  groups(ns: string): GroupId[] {
    return TYPES.flatMap((type) => {
      const folder = path.join(this.nsFolder(ns), type);
      if (!fs.existsSync(folder)) return [];
      const names = fs.readdirSync(folder).sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
      return names.map((id) => ({ ns, type, id }));
    });
  }

  hasGroup(group: GroupId): boolean {
    return fs.existsSync(this.groupFolder(group));
  }

  owner(group: GroupId): string {
    const file = path.join(this.groupFolder(group), "owner");
    return fs.existsSync(file) ? fs.readFileSync(file, "utf8").trim() : "";
  }

  setOwner(group: GroupId, owner: string): void {
    fs.mkdirSync(this.groupFolder(group), { recursive: true });
    fs.writeFileSync(path.join(this.groupFolder(group), "owner"), `${owner}\n`);
  }

  groupNotes(group: GroupId): string | undefined {
    const file = path.join(this.groupFolder(group), "notes");
    return fs.existsSync(file) ? fs.readFileSync(file, "utf8") : undefined;
  }

  setGroupNotes(group: GroupId, notes: string): void {
    fs.writeFileSync(path.join(this.groupFolder(group), "notes"), notes);
  }

  removeGroup(group: GroupId): void {
    fs.rmSync(this.groupFolder(group), { recursive: true, force: true });
  }

  // ---- snapshots

  /** Oldest first. */
  snapshots(group: GroupId): Snapshot[] {
    const folder = this.groupFolder(group);
    if (!fs.existsSync(folder)) return [];
    return fs
      .readdirSync(folder)
      .filter((name) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(name))
      .sort()
      .map((name) => this.snapshot({ ...group, time: Date.parse(name) / 1000 })!);
  }

  snapshot(id: SnapshotId): Snapshot | undefined {
    const folder = this.snapshotFolder(id);
    if (!fs.existsSync(folder)) return undefined;
    const names = fs.readdirSync(folder).sort();
    const { ns, type, id: name, time } = id;
    return {
      ns,
      type,
      id: name,
      time,
      protected: names.includes(".protected"),
      files: names.filter((file) => /\.(fidx|didx|blob)$/.test(file)),
      ...(names.includes("index.json") ? { manifest: this.manifest(id) } : {}),
    };
  }

  /** Every snapshot below a namespace. */
  all(ns = "", depth = 7): Snapshot[] {
    return this.namespaces(ns, depth).flatMap((each) => this.groups(each).flatMap((group) => this.snapshots(group)));
  }

  private manifest(id: SnapshotId): Manifest {
    return JSON.parse(fs.readFileSync(path.join(this.snapshotFolder(id), "index.json"), "utf8")) as Manifest;
  }

  writeManifest(id: SnapshotId, manifest: Manifest): void {
    const file = path.join(this.snapshotFolder(id), "index.json");
    fs.writeFileSync(`${file}.tmp`, JSON.stringify(manifest, null, 2));
    fs.renameSync(`${file}.tmp`, file);
  }

  /** Changes what may change after the backup: notes and the state of verification. */
  changeUnprotected(id: SnapshotId, change: Partial<Manifest["unprotected"]>): void {
    const manifest = this.manifest(id);
    Object.assign(manifest.unprotected, change);
    this.writeManifest(id, manifest);
  }

  setProtected(id: SnapshotId, value: boolean): void {
    const file = path.join(this.snapshotFolder(id), ".protected");
    if (value) fs.writeFileSync(file, "");
    else fs.rmSync(file, { force: true });
  }

  createSnapshot(id: SnapshotId): void {
    fs.mkdirSync(this.snapshotFolder(id), { recursive: true });
  }

  /** Removes the snapshot; the group goes with its last one. */
  removeSnapshot(id: SnapshotId): void {
    fs.rmSync(this.snapshotFolder(id), { recursive: true, force: true });
    if (this.snapshots(id).length === 0) this.removeGroup(id);
  }

  // ---- files

  writeIndex(id: SnapshotId, filename: string, index: Index): void {
    fs.writeFileSync(path.join(this.snapshotFolder(id), filename), encodeIndex(index));
  }

  index(id: SnapshotId, filename: string): Index {
    return decodeIndex(fs.readFileSync(path.join(this.snapshotFolder(id), filename)));
  }

  /** The indexes of a snapshot; a blob has none. */
  indexes(snapshot: Snapshot): { filename: string; index: Index }[] {
    return snapshot.files
      .filter((filename) => /\.[fd]idx$/.test(filename))
      .map((filename) => ({ filename, index: this.index(snapshot, filename) }));
  }

  fileBytes(id: SnapshotId, filename: string): Buffer {
    return fs.readFileSync(path.join(this.snapshotFolder(id), filename));
  }

  writeFile(id: SnapshotId, filename: string, bytes: Buffer): void {
    fs.writeFileSync(path.join(this.snapshotFolder(id), filename), bytes);
  }
}
