import * as fs from "node:fs";
import * as path from "node:path";
import { moveConfig } from "../config-move";
import type { Domain } from "../domain";
import type { Guest } from "../state";
import type { World } from "../world";
import { clusterFiles, guestPath, parseGuestFile } from "./etc-pve-format";
import type { LabHosts } from "./types";

interface Written {
  text: string;
  stamp: string;
}

const FOLDERS = { qemu: "qemu-server", lxc: "lxc" } as const;

/**
 * `/etc/pve` of one host as real files. What the lab's state says is written into the files; a configuration that somebody
 * moved, wrote or changed there is taken into the state. Without quorum the host sees it read-only.
 */
export class EtcPve {
  private readonly written = new Map<string, Written>();
  private isWritable: boolean | undefined;

  constructor(
    private readonly world: World,
    private readonly hosts: LabHosts,
    readonly node: string,
    /** Folder that the host sees as `/etc/pve`. */
    readonly folder: string,
  ) {}

  private get domain(): Domain {
    return this.world.domainOf(this.node)!.at(this.node);
  }

  /** Made anew at every boot: the host's copy of the cluster's files, as it was when it went down. */
  open(): void {
    this.written.clear();
    this.isWritable = undefined;
    // The folder itself stays: the host has it mounted.
    for (const name of fs.readdirSync(this.folder))
      fs.rmSync(path.join(this.folder, name), { recursive: true, force: true });
    this.makeFolders();
    this.write();
  }

  makeFolders(): void {
    for (const name of this.domain.nodeNames())
      for (const kind of Object.values(FOLDERS))
        fs.mkdirSync(path.join(this.folder, "nodes", name, kind), { recursive: true });
    for (const [link, target] of [
      ["local", `nodes/${this.node}`],
      ["qemu-server", `nodes/${this.node}/qemu-server`],
      ["lxc", `nodes/${this.node}/lxc`],
    ] as const)
      if (!fs.lstatSync(path.join(this.folder, link), { throwIfNoEntry: false }))
        fs.symlinkSync(target, path.join(this.folder, link));
  }

  /** What was done to the files by hand becomes the lab's state. */
  read(): void {
    if (!this.domain.quorate(this.node)) return;
    const found = this.guestFiles();
    for (const [file, stamp] of found) {
      const known = this.written.get(file);
      if (known?.stamp === stamp) continue;
      const match = /^nodes\/([^/]+)\/(qemu-server|lxc)\/(\d+)\.conf$/.exec(file);
      if (!match) continue;
      const [, to, folder, id] = match as unknown as [string, string, string, string];
      this.take(file, to, folder === "lxc" ? "lxc" : "qemu", Number(id), found);
    }
  }

  private take(file: string, to: string, type: Guest["type"], vmid: number, found: Map<string, string>): void {
    const { domain } = this;
    const guest = domain.guest(vmid);
    const text = fs.readFileSync(path.join(this.folder, file), "utf8");
    if (!guest) {
      domain.state.guests[String(vmid)] = { vmid, type, node: to, config: parseGuestFile(text), snapshots: {} };
    } else if (guest.node !== to) {
      const old = guestPath(guest.node, guest);
      // An id has one configuration in the cluster: a second file is refused by pmxcfs, and taken away here.
      if (found.has(old) || guest.type !== type) return void fs.rmSync(path.join(this.folder, file), { force: true });
      this.written.delete(old);
      moveConfig(this.world, vmid, guest.node, to, this.node);
    } else if (this.written.get(file) !== undefined) guest.config = parseGuestFile(text);
    domain.save();
  }

  private guestFiles(): Map<string, string> {
    const found = new Map<string, string>();
    for (const node of this.domain.nodeNames())
      for (const kind of Object.values(FOLDERS)) {
        const place = `nodes/${node}/${kind}`;
        const folder = path.join(this.folder, place);
        // Somebody removed the folder itself, which pmxcfs would not allow.
        if (!fs.existsSync(folder)) this.makeFolders();
        for (const name of fs.readdirSync(folder)) {
          if (!/^\d+\.conf$/.test(name)) continue;
          const stamp = this.stamp(`${place}/${name}`);
          if (stamp !== undefined) found.set(`${place}/${name}`, stamp);
        }
      }
    return found;
  }

  private stamp(file: string): string | undefined {
    const stat = fs.statSync(path.join(this.folder, file), { throwIfNoEntry: false });
    return stat ? `${stat.ino} ${stat.mtimeMs} ${stat.size}` : undefined;
  }

  /** The state becomes the files; what has not changed is not touched. */
  write(): void {
    const wanted = clusterFiles(this.domain.state);
    for (const [file, text] of wanted) {
      const known = this.written.get(file);
      if (known?.text === text && this.stamp(file) === known.stamp) continue;
      const place = path.join(this.folder, file);
      const temporary = path.join(this.folder, path.dirname(file), `.${path.basename(file)}.lab`);
      fs.mkdirSync(path.dirname(place), { recursive: true });
      fs.writeFileSync(temporary, text, { mode: file.startsWith("priv/") ? 0o600 : 0o640 });
      fs.renameSync(temporary, place);
      this.written.set(file, { text, stamp: this.stamp(file) ?? "" });
    }
    for (const file of this.written.keys()) {
      if (wanted.has(file)) continue;
      fs.rmSync(path.join(this.folder, file), { force: true });
      this.written.delete(file);
    }
  }

  /** Read-only without quorum, so that a rename fails as it does on pmxcfs. */
  async protect(): Promise<void> {
    const isWritable = this.domain.quorate(this.node);
    if (isWritable === this.isWritable || this.hosts.pid(this.node) === undefined) return;
    this.isWritable = isWritable;
    const mode = isWritable ? "rw" : "ro";
    const { code, stderr } = await this.hosts.exec(this.node, ["mount", "-o", `remount,bind,${mode}`, "/etc/pve"]);
    if (code !== 0) {
      this.isWritable = undefined;
      throw new Error(`/etc/pve of ${this.node} could not be made ${mode}: ${stderr.trim()}`);
    }
  }
}
