/** Two hypervisors without a cluster: one guest of the small firm is kept by `zfs-sync`, and its bytes are a text. */
import type { SiteManifest } from "../../planning/manifest";
import type { SshResult } from "../../providers/ssh";
import { FakeSite, type FakeZfs } from "./fake-site";

export const GUEST = "sql-erp";
export const VMID = 113;

interface Point {
  id: string;
  at: string;
  data: string;
}

interface Side {
  data: string;
  points: Point[];
  readonly: boolean;
  kept: { name: string; data: string }[];
  sync?: { state: string; at: string; error?: string };
}

/** Volumes, points and refusals as docs/zfs.md has them. */
export class Volumes implements FakeZfs {
  readonly sides: Record<string, Side> = {};
  /** The next command of this name fails once. */
  failOnce: string | undefined;

  constructor(
    private readonly site: FakeSite,
    private readonly servers: readonly [string, string],
  ) {
    for (const server of servers) this.sides[server] = { data: "", points: [], readonly: false, kept: [] };
  }

  /** What the running guest writes. */
  write(server: string, data: string): void {
    if (this.sides[server]!.readonly) throw new Error(`the volumes on ${server} are read-only`);
    this.sides[server]!.data = data;
  }

  run(server: string, [command, guest, ...rest]: readonly string[], active: string | undefined): SshResult {
    const refused = (stderr: string): SshResult => ({ code: 3, stdout: "", stderr });
    if (command === "get") return { code: 0, stdout: this.sides[server]!.readonly ? "on\n" : "off\n", stderr: "" };
    if (this.failOnce === command) {
      this.failOnce = undefined;
      return { code: 1, stdout: "", stderr: "the link broke" };
    }
    if ((command === "sync" || command === "reverse") && active !== server)
      return refused(`the guard's record names ${active}`);
    const own = this.sides[server]!;
    const answer = this.answer(server, own, command!, rest);
    if (command === "sync") own.sync = { state: answer.code === 0 ? "ok" : "failed", at: this.now() };
    if (answer.code !== 0) return answer;
    return { ...answer, stdout: `working\ndone guest=${guest} ${answer.stdout}\n` };
  }

  private answer(server: string, own: Side, command: string, rest: readonly string[]): SshResult {
    const ok = (stdout = ""): SshResult => ({ code: 0, stdout, stderr: "" });
    const peer = this.servers.find((each) => each !== server)!;
    const other = this.sides[peer]!;
    const discard = rest.includes("--discard");
    if (command === "passive") own.readonly = true;
    if (command === "sync" || command === "reverse") {
      if (!this.site.up.get(peer)) return { code: 1, stdout: "", stderr: `${peer} does not answer` };
      const common = own.points.findLast(({ id }) => other.points.some((each) => each.id === id));
      const changed = other.data !== (common?.data ?? "") || other.points.at(-1)?.id !== common?.id;
      if (command === "sync" && changed)
        return { code: 3, stdout: "", stderr: `${peer} has changed since ${common?.id}: reverse` };
      const kept = changed && !discard ? this.keep(other) : "-";
      this.site.time += 1000;
      const point: Point = { id: `coldspare-replica-${this.stamp()}`, at: this.now(), data: own.data };
      own.points.push(point);
      other.points = structuredClone(own.points);
      other.data = own.data;
      return ok(`point=${point.id} kept=${kept} bytes=1`);
    }
    if (command === "activate") {
      const wanted = rest[0] === "--point" ? rest[1] : own.points.at(-1)?.id;
      const point = own.points.find(({ id }) => id === wanted);
      if (point === undefined) return { code: 3, stdout: "", stderr: "there is no complete point" };
      const kept = own.data !== point.data && !discard ? this.keep(own) : "-";
      own.points = own.points.slice(0, own.points.indexOf(point) + 1);
      Object.assign(own, { data: point.data, readonly: false });
      return ok(`point=${point.id} kept=${kept}`);
    }
    return ok();
  }

  private keep(side: Side): string {
    const name = `tank/coldspare-kept-${this.stamp()}-vm-${VMID}-disk-0`;
    side.kept.push({ name, data: side.data });
    return name;
  }

  factsOf(server: string): string[] {
    const side = this.sides[server];
    if (side === undefined) return [];
    const { state, at, error } = { state: "never", at: "-", error: "", ...side.sync };
    const points = [...side.points].reverse();
    return [
      `guest=${GUEST} server=${server} peer=x state=${state} at=${at} error=${encodeURIComponent(error)}`,
      "end",
      ...points.map(
        ({ id, at: time }) => `point=${id} guest=${GUEST} at=${time} server=${server} complete=yes common=yes`,
      ),
      "end",
    ];
  }

  private stamp(): string {
    return this.now().replace(/[-:]/g, "");
  }

  private now(): string {
    return new Date(this.site.time).toISOString().replace(/\.\d+Z$/, "Z");
  }
}

export interface ZfsSyncSite {
  site: FakeSite;
  zfs: Volumes;
  /** What its timer does on a server, a minute later. */
  timer(server?: string): Promise<number>;
}

export function zfsSyncSite(change: (manifest: SiteManifest) => void = () => undefined): ZfsSyncSite {
  const site = new FakeSite((manifest) => {
    delete manifest.cluster;
    manifest.drills = {};
    const guest = manifest.guests[GUEST]!;
    // Its primary is srv2 in this firm.
    guest.method = "zfs-sync";
    guest.zfs = { datasets: [`tank/vm-${VMID}-disk-0`], points: 24, schedule: "*/5" };
    change(manifest);
    return manifest;
  });
  const { primary, spare } = site.manifest.guests[GUEST]!;
  const zfs = new Volumes(site, [primary, spare!]);
  site.zfs = zfs;
  const disk = { scsi0: `tank:vm-${VMID}-disk-0,size=40G` };
  const home = site.guests.get(VMID)!;
  Object.assign(home.config, disk);
  site.registered.set(`${spare}/${VMID}`, {
    server: spare!,
    kind: "qemu",
    running: false,
    config: { ...home.config, onboot: "0", tags: "coldspare;coldspare-spare" },
  });
  const timer = async (server = primary) => {
    site.time += 60_000;
    return (await site.operator().ssh.run(server, ["/usr/local/sbin/coldspare-zfs", "replica", "sync", GUEST])).code;
  };
  return { site, zfs, timer };
}
