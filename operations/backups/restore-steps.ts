/** The steps of a restore. Until the copy is back and checked, what was there before is kept under another id or in a backup. */
import { PveError } from "../../providers/pve/errors";
import type { GuestConfig } from "../../providers/pve/types";
import { disksOf, normalTags } from "../../providers/standby-inspect";
import type { Operator } from "../context";
import { must } from "../drill-server";
import { configOf, type GuestAt, runs, shutDown, start, stopHard } from "../guest-power";
import type { OperationHistory } from "../journal";
import { begin, openOperations, runOperation } from "../run-operation";
import type { Step } from "../steps";
import { type Existing, KEPT_TAGS, type RestorePlan } from "./plan-restore";

/** The steps, in order. */
export function restoreSteps(operator: Operator, plan: RestorePlan): Step[] {
  const at: GuestAt = { guest: plan.guest, kind: plan.guestKind, server: plan.server, vmid: plan.vmid };
  return [
    ...(plan.existing === undefined ? [] : keepSteps(operator, plan, plan.existing, at)),
    plan.live === undefined ? restoreStep(operator, plan, at) : cloneLiveStep(operator, plan, at, plan.live.vmid),
    settleStep(operator, plan, at),
    ...(plan.network === undefined ? [] : [networkStep(operator, plan)]),
    ...(plan.start ? [startStep(operator, plan, at)] : []),
  ];
}

function keepSteps(operator: Operator, plan: RestorePlan, existing: Existing, at: GuestAt): Step[] {
  const { guest, server, vmid, stopSeconds, forceStop } = plan;
  const stop: Step = {
    id: `stop-${guest}`,
    guest,
    title: `shut ${guest} (${vmid}) down on ${server}`,
    seconds: 60,
    isDone: async () => (await runs(operator, at)) !== true,
    async run() {
      try {
        await shutDown(operator, at, stopSeconds);
      } catch (error) {
        if (!forceStop) throw error;
        await stopHard(operator, at);
      }
    },
  };
  return [
    ...(existing.running ? [stop] : []),
    existing.keep === "keep" ? cloneStep(operator, plan, existing, at) : backupStep(operator, plan, existing),
  ];
}

function cloneStep(operator: Operator, plan: RestorePlan, { keptId, keptName }: Existing, at: GuestAt): Step {
  const { guest, server, vmid, guestKind } = plan;
  const kept: GuestAt = { ...at, vmid: keptId };
  return {
    id: `keep-${guest}`,
    guest,
    title: `keep what is there as ${keptName} (${keptId})`,
    seconds: plan.estimateSeconds,
    async run(note) {
      const made = await configOf(operator, kept);
      // A clone that an earlier run began may be half of one.
      if (made !== undefined && isKept(made)) {
        if (made.lock === undefined && normalTags(made.tags).includes(KEPT_TAGS[1]!)) return;
        await remove(operator, kept, "remove the half copy of");
      } else if (made !== undefined) throw new Error(`id ${keptId} on ${server} was taken meanwhile: begin anew`);
      const named = guestKind === "qemu" ? { name: keptName } : { hostname: keptName };
      const form = { newid: keptId, full: true, ...named, description: keptNotes(guest) };
      const path = `/nodes/${server}/${guestKind}`;
      await operator.pve.task(server, "POST", `${path}/${vmid}/clone`, form, aboutIt("keep a copy of", at), {
        onProgress: note,
      });
      await operator.pve.put(
        `${path}/${keptId}/config`,
        { onboot: false, tags: KEPT_TAGS.join(";") },
        aboutIt("label the copy of", at),
      );
      note(
        `it is powered off, and stays until somebody removes it (${guestKind === "qemu" ? "qm" : "pct"} destroy ${keptId})`,
      );
    },
  };
}

const KEPT = "What was there before a restore of";
const keptNotes = (guest: string) => `${KEPT} ${guest}. Managed by coldspare: nobody removes it but you.`;
const isKept = ({ description }: GuestConfig) => (description ?? "").startsWith(KEPT);

function backupStep(operator: Operator, { guest, server, vmid }: RestorePlan, { backupStorage }: Existing): Step {
  return {
    id: `keep-${guest}`,
    guest,
    title: `back up what is there to ${backupStorage}, protected`,
    seconds: 600,
    async run(note) {
      const form = {
        vmid,
        storage: backupStorage,
        mode: "stop",
        compress: "zstd",
        remove: false,
        protected: true,
        "notes-template": `${guest}, before a restore`,
      };
      const about = { guest, doing: `back up guest ${vmid} '${guest}' before its restore` };
      await operator.pve.task(server, "POST", `/nodes/${server}/vzdump`, form, about, { onProgress: note });
    },
  };
}

const MARK = "Restored from";
const unchecked = ({ point }: RestorePlan) => `${MARK} ${point.id}, not checked yet.`;

function restoreStep(operator: Operator, plan: RestorePlan, at: GuestAt): Step {
  const { guest, name, server, vmid, point } = plan;
  return {
    id: `restore-${guest}`,
    guest,
    title: `restore ${point.id} (data of ${point.at}) to ${vmid} '${name}' on ${server}`,
    seconds: plan.estimateSeconds,
    async run(note) {
      const there = await configOf(operator, at);
      const ours = there !== undefined && (there.description ?? "").startsWith(unchecked(plan));
      // An earlier run may have begun it: a task on the server goes on by itself.
      if (ours && (await isWhole(operator, at, there))) return note("an earlier run has restored it");
      const force = ours || (there !== undefined && plan.existing !== undefined);
      if (there !== undefined && !force) throw new Error(`id ${vmid} on ${server} was taken meanwhile: begin anew`);
      if ((await runs(operator, at)) === true)
        throw new Error(`${name} (${vmid}) runs on ${server}: it is not written over`);
      await operator.pve.task(
        server,
        "POST",
        `/nodes/${server}/${plan.guestKind}`,
        restoreForm(plan, force),
        aboutIt(`restore ${point.id} into`, at),
        { onProgress: note },
      );
      const made = await configOf(operator, at);
      if (made === undefined || !(await isWhole(operator, at, made)))
        throw new Error(
          `what was restored to ${vmid} on ${server} is not whole${made?.lock === undefined ? "" : `: it is locked (${made.lock})`}. Look at the task's log there, then run this again${plan.existing === undefined ? "" : `; what was there is kept as ${plan.existing.keep === "keep" ? plan.existing.keptName : `a backup on ${plan.existing.backupStorage}`}`}`,
        );
    },
  };
}

function restoreForm(plan: RestorePlan, force: boolean): Record<string, string | number | boolean> {
  const { guestKind, vmid, name, point, storage, beside } = plan;
  const isMachine = guestKind === "qemu";
  return {
    vmid,
    ...(isMachine ? { archive: point.id, name } : { ostemplate: point.id, restore: true, hostname: name }),
    ...(storage !== undefined && { storage }),
    description: unchecked(plan),
    onboot: false,
    start: false,
    // In a network of its own a guest keeps its hardware addresses, or its system would not know its cards.
    unique: beside && plan.network === undefined,
    force,
    ...(beside && { tags: plan.tags.join(";"), protection: false }),
  };
}

/** Proxmox VE copies the disks of a machine while it runs, as of the end of the copy. */
function cloneLiveStep(operator: Operator, plan: RestorePlan, at: GuestAt, source: number): Step {
  const { guest, name, server, vmid, guestKind, storage } = plan;
  return {
    id: `restore-${guest}`,
    guest,
    title: `clone ${guest} (${source}) as it is now to ${vmid} '${name}' on ${server}`,
    seconds: plan.estimateSeconds,
    async run(note) {
      const there = await configOf(operator, at);
      if (there !== undefined && !(there.description ?? "").startsWith(unchecked(plan)))
        throw new Error(`id ${vmid} on ${server} was taken meanwhile: begin anew`);
      if (there !== undefined && (await isWhole(operator, at, there))) return note("an earlier run has cloned it");
      if (there !== undefined) await remove(operator, at, "remove the half clone");
      const named = guestKind === "qemu" ? { name } : { hostname: name };
      const form = {
        newid: vmid,
        full: true,
        ...named,
        description: unchecked(plan),
        ...(storage !== undefined && { storage }),
      };
      const path = `/nodes/${server}/${guestKind}/${source}/clone`;
      await operator.pve.task(server, "POST", path, form, aboutIt("clone", { ...at, vmid: source }), {
        onProgress: note,
      });
    },
  };
}

async function isWhole(operator: Operator, at: GuestAt, config: GuestConfig): Promise<boolean> {
  if (config.lock !== undefined || disksOf(config).length === 0) return false;
  const pve = operator.pveAt(at.server) ?? operator.pve;
  const storages = [...new Set(disksOf(config).map((disk) => disk.split(":")[0]!))];
  for (const storage of storages) {
    const path = `/nodes/${at.server}/storage/${storage}/content`;
    const volumes = await pve.get<{ volid: string }[]>(path, { vmid: at.vmid }, aboutIt("look at the disks of", at));
    const present = new Set(volumes.map(({ volid }) => volid));
    const wanted = disksOf(config).filter((disk) => disk.startsWith(`${storage}:`));
    if (wanted.some((disk) => !present.has(disk))) return false;
  }
  return true;
}

/** A copy brings along what the guest was called and how it was tagged then; the same guest keeps what it had until now. */
function settleStep(operator: Operator, plan: RestorePlan, at: GuestAt): Step {
  const { guest, name, server, vmid, guestKind, existing, beside } = plan;
  return {
    id: `settle-${guest}`,
    guest,
    title: beside ? `label ${vmid} as ${name}` : `give ${vmid} the settings of ${guest} again`,
    seconds: 2,
    async run() {
      const key = guestKind === "qemu" ? "name" : "hostname";
      const settings = existing?.settings;
      const own = beside
        ? { [key]: name, tags: plan.tags.join(";"), description: plan.notes, onboot: false }
        : {
            [key]: settings?.name ?? name,
            description: settings?.description ?? `${MARK} ${plan.point.id}, data of ${plan.point.at}.`,
            tags: settings?.tags,
            startup: settings?.startup,
            onboot: settings?.onboot ?? operator.manifest.guests[guest]?.boot.atHostBoot ?? false,
          };
      const cards = plan.bridges === undefined ? {} : await cardsOn(operator, plan, at, plan.bridges);
      await operator.pve.put(
        `/nodes/${server}/${guestKind}/${vmid}/config`,
        { ...own, ...cards },
        aboutIt("settle", at),
      );
    },
  };
}

/** Network cards on other bridges, without the VLANs and firewalls of the original. */
async function cardsOn(
  operator: Operator,
  { live, network }: RestorePlan,
  at: GuestAt,
  bridges: Record<number, string>,
): Promise<Record<string, string>> {
  // A clone has new hardware addresses; in a network of its own it keeps the ones of its source.
  const from = live !== undefined && network !== undefined ? { ...at, vmid: live.vmid } : at;
  const config = (await configOf(operator, from)) ?? {};
  return Object.fromEntries(
    Object.entries(config).flatMap(([key, value]) => {
      const index = /^net(\d+)$/.exec(key)?.[1];
      if (index === undefined) return [];
      // A card that the manifest does not know goes where the first one does: never into the original's network.
      const bridge = bridges[Number(index)] ?? bridges[0];
      const kept = String(value)
        .split(",")
        .filter((each) => !/^(bridge|tag|trunks|firewall|rate)=/.test(each));
      return bridge === undefined
        ? [[key, [...kept, "link_down=1"].join(",")]]
        : [[key, [...kept, `bridge=${bridge}`].join(",")]];
    }),
  );
}

const DRILL_PROGRAM = "/usr/local/sbin/coldspare-drill";

/** Bridges without ports, as drills use them. */
function networkStep(operator: Operator, { guest, server, network }: RestorePlan): Step {
  const bridges = network!.bridges.map(({ bridge, addresses }) => `${bridge}=${addresses.join(",")}`);
  return {
    id: `network-${guest}`,
    guest,
    title: `make its network on ${server}: bridges without ports`,
    seconds: 2,
    // Making it anew would take the bridges from under a guest that runs.
    isDone: async () => (await must(operator, server, [DRILL_PROGRAM, "list"])).split("\n").includes(network!.name),
    run: async () => void (await must(operator, server, [DRILL_PROGRAM, "net-up", network!.name, ...bridges])),
  };
}

function startStep(operator: Operator, { guest, name, server, vmid }: RestorePlan, at: GuestAt): Step {
  return {
    id: `start-${guest}`,
    guest,
    title: `start ${name} (${vmid}) on ${server}`,
    seconds: operator.manifest.guests[guest]?.boot.seconds ?? 60,
    isDone: async () => (await runs(operator, at)) === true,
    run: () => start(operator, at),
  };
}

/** Powered off, and ours: nothing else is removed here. */
async function remove(operator: Operator, at: GuestAt, doing: string): Promise<void> {
  const path = `/nodes/${at.server}/${at.kind}/${at.vmid}`;
  try {
    await operator.pve.task(
      at.server,
      "DELETE",
      path,
      { purge: true, "destroy-unreferenced-disks": false },
      aboutIt(doing, at),
    );
  } catch (error) {
    if (!(error instanceof PveError && error.isMissing)) throw error;
  }
}

const aboutIt = (doing: string, { guest, vmid }: GuestAt) => ({ guest, doing: `${doing} guest ${vmid} '${guest}'` });

/** An operation of this kind on the guest that was left open; its plan goes on as it was. */
export async function openRestore(
  operator: Operator,
  kind: RestorePlan["kind"],
  subject: string,
): Promise<(OperationHistory & { plan: RestorePlan }) | undefined> {
  const { own } = await openOperations(operator, kind, subject, true);
  return own as (OperationHistory & { plan: RestorePlan }) | undefined;
}

/** @throws Interrupted, StepFailed: the same command again goes on from there */
export async function runRestore(
  operator: Operator,
  plan: RestorePlan,
  subject: string,
  open?: OperationHistory,
): Promise<void> {
  const begun = await begin(operator, plan.kind, subject, plan, open);
  await runOperation(operator, begun, restoreSteps(operator, plan));
}
