/** A site of two hypervisors for tests that need few guests, and what tests of the engine ask of it. */
import type { SiteSpecInput } from "../../planning";
import type { EngineRun } from "./engine";
import { type SiteLab, smbSite } from "./site-lab";

export type Guests = NonNullable<SiteSpecInput["guests"]>;

/** The SMB site's servers and storages without its devices, groups, drills and copies of folders, with these guests. */
export function smallSite(guests: Guests): SiteSpecInput {
  const { devices: _, images: __, groups: ___, drills: ____, backups, targets, ...site } = smbSite();
  // Of its copies those of guests: the others are of folders, and of what a guest writes that is not here.
  const pick = <T>(all: Record<string, T> | undefined, name: string) => {
    const found = all?.[name];
    if (found === undefined) throw new Error(`the layout has no ${name}`);
    return { [name]: found };
  };
  return { ...site, guests, backups: pick(backups, "nightly"), targets: pick(targets, "offline-disks") };
}

export interface GuestRow {
  vmid: number;
  type: "qemu" | "lxc";
  name: string;
  node: string;
  status: string;
  tags?: string;
}

/** Questions to the cluster, asked behind the engine's back. */
export class Cluster {
  constructor(private readonly site: SiteLab) {}

  guests(): Promise<GuestRow[]> {
    return this.site.pve.get<GuestRow[]>("/cluster/resources", { type: "vm" });
  }

  /** One line for each guest, for example `210 db qemu running on srv2`. */
  async where(): Promise<string[]> {
    const rows = await this.guests();
    // The list of the cluster lags behind; whether a guest runs is asked where it is known.
    const lines = rows.map(async ({ vmid, type, name, node }) => {
      const { status } = await this.site.pve.get<{ status: string }>(`/nodes/${node}/${type}/${vmid}/status/current`);
      return `${vmid} ${name} ${type} ${status} on ${node}`;
    });
    return (await Promise.all(lines)).sort();
  }

  config(node: string, vmid: number, type: "qemu" | "lxc" = "qemu"): Promise<Record<string, string | number>> {
    return this.site.pve.get(`/nodes/${node}/${type}/${vmid}/config`);
  }

  /** One line for each replication job, for example `210-0 srv2 to srv1`. */
  async jobs(): Promise<string[]> {
    const jobs = await this.site.pve.get<{ id: string; source: string; target: string }[]>("/cluster/replication");
    return jobs.map(({ id, source, target }) => `${id} ${source} to ${target}`).sort();
  }

  /** Volumes of a storage by server, for example `srv1 tank:vm-210-disk-0`. */
  async volumes(storage = "tank"): Promise<string[]> {
    const nodes = ["srv1", "srv2"].map(async (node) => {
      const content = await this.site.pve.get<{ volid: string }[]>(`/nodes/${node}/storage/${storage}/content`);
      return content.map(({ volid }) => `${node} ${volid}`);
    });
    return (await Promise.all(nodes)).flat().sort();
  }
}

/** @throws Error with everything that was printed when a run failed */
export function fine(run: EngineRun): EngineRun {
  if (run.code !== 0) throw new Error(run.log);
  return run;
}

/** What a run that must fail printed. @throws Error when it went well */
export function refusal(run: EngineRun): string {
  if (run.code === 0) throw new Error(`it should have failed:\n${run.steps.join("\n")}\n${run.log}`);
  return run.log;
}

/** What was done to which resource, without its type: a step must do this and nothing else. */
export const changed = (run: EngineRun): string[] => run.steps.map((step) => step.replace(/urn:.*::/, "")).sort();
