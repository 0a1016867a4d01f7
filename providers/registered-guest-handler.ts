/** The life of a registered guest: plain functions over the client. See {@link RegisteredGuest} for what it promises. */
import type { RegisteredPlan } from "../planning/registered";
import { about } from "./about";
import type { PveClient } from "./pve/client";
import { PveError } from "./pve/errors";
import type { GuestConfig, StorageVolume } from "./pve/types";
import { changesOf, detachedDisks, type Registration, registration, volumeOf } from "./registered-config";
import { type Difference, type Handler, type HandlerContext, type InputFailure, serve } from "./serve";
import { disksOf, normalTags } from "./standby-inspect";

/** Inputs, all known. */
export type RegisteredGuestInputs = RegisteredPlan;

/** What is recorded: the inputs, and what is amiss. */
export interface RegisteredGuestState extends RegisteredPlan {
  /** Disks whose volumes have not been received yet, by key; absent when all are attached. */
  waiting?: string[];
  /** What differs on the server from what was set up; absent when nothing does. */
  drift?: string;
}

interface Found {
  config: GuestConfig;
  running: boolean;
}

/** The handler. */
export const registeredGuestHandler: Handler<RegisteredGuestInputs, RegisteredGuestState> = {
  check,
  diff,
  async create(context, inputs) {
    return { id: `${inputs.vmid}-registered`, outs: await ensure(context, inputs) };
  },
  async read({ pve }, _id, props) {
    const found = await find(pve, props);
    if (found === undefined) return undefined;
    const { drift: _, waiting: __, ...kept } = props;
    if (props.active) return kept;
    const drift = driftOf(props, found);
    const waiting = Object.keys(detachedDisks(found.config)).sort();
    return { ...kept, ...(waiting.length > 0 ? { waiting } : {}), ...(drift === "" ? {} : { drift }) };
  },
  async update(context, _id, olds, news) {
    if (!news.active) return ensure(context, news, olds.tags);
    context.progress(`'${news.guest}': ${news.vmid} on ${news.node} is the active side and is left alone`);
    return news;
  },
  async delete({ pve, progress }, _id, props) {
    const found = await find(pve, props);
    if (found === undefined) return;
    const { vmid, node, guest } = props;
    const named = [...disksOf(found.config), ...Object.keys(found.config).filter((key) => /^unused\d+$/.test(key))];
    if (props.active || found.running || !isOurs(props, found) || named.length > 0) {
      const why =
        found.running || props.active ? "it is the active side" : "Proxmox VE removes volumes with their guest";
      progress(
        `'${guest}': ${vmid} stays registered on ${node}: ${why}; only its record goes. To take it out and keep its volumes: ` +
          `\`rm /etc/pve/qemu-server/${vmid}.conf\` on ${node}, once it is off`,
      );
      return;
    }
    await pve.task(node, "DELETE", pathOf(props), {}, about("take out the registered side of", props));
  },
};

/** What the engine loads. */
export const provider = serve(registeredGuestHandler);

function check({ vmid, source, node, tags }: Partial<RegisteredGuestInputs>): InputFailure[] {
  const failures: InputFailure[] = [];
  if (vmid !== undefined && !(Number.isInteger(vmid) && vmid >= 100 && vmid <= 999_999_999))
    failures.push({ property: "vmid", reason: `${vmid} is no guest id; write a number from 100 to 999999999` });
  if (source !== undefined && source === node)
    failures.push({ property: "node", reason: `is ${node}, where the guest itself is; write another server` });
  if (tags !== undefined && normalTags(tags).length === 0)
    failures.push({
      property: "tags",
      reason: "is empty; a registered guest is known by its tags, write at least one",
    });
  return failures;
}

const COMPARED = ["guest", "source", "settings", "notes", "bootOrder", "bootDelaySeconds"] as const;

function diff(olds: RegisteredGuestState, news: Partial<RegisteredGuestInputs>): Difference {
  const wanted = { ...olds, ...news };
  const replaces = (["vmid", "node"] as const).filter((key) => wanted[key] !== olds[key]);
  const changes =
    replaces.length > 0 ||
    olds.drift !== undefined ||
    olds.waiting !== undefined ||
    (olds.active ?? false) !== ("guest" in news ? (news.active ?? false) : (olds.active ?? false)) ||
    COMPARED.some((key) => wanted[key] !== olds[key]) ||
    normalTags(wanted.tags).join() !== normalTags(olds.tags).join();
  return { changes, replaces };
}

const pathOf = ({ node, vmid }: Pick<RegisteredPlan, "node" | "vmid">) => `/nodes/${node}/qemu/${vmid}`;

async function find(pve: PveClient, spec: RegisteredPlan): Promise<Found | undefined> {
  const asked = about("look at the registered side of", spec);
  try {
    const config = await pve.get<GuestConfig>(`${pathOf(spec)}/config`, {}, asked);
    const { status } = await pve.get<{ status: string }>(`${pathOf(spec)}/status/current`, {}, asked);
    return { config, running: status !== "stopped" };
  } catch (error) {
    if (error instanceof PveError && error.isMissing) return undefined;
    throw error;
  }
}

/** Registers the guest, or brings what is there to what is wanted; attaches the volumes that are there, and makes none. */
async function ensure(
  { pve, progress }: HandlerContext,
  spec: RegisteredPlan,
  formerTags?: readonly string[],
): Promise<RegisteredGuestState> {
  const wanted = await wantedOf(pve, spec);
  let found = await find(pve, spec);
  if (found === undefined) {
    progress(`'${spec.guest}': registering ${spec.vmid} on ${spec.node}, powered off`);
    const form = { vmid: spec.vmid, ...wanted.plain, start: false };
    await pve.task(spec.node, "POST", `/nodes/${spec.node}/qemu`, form, about("register", spec));
    found = await find(pve, spec);
  } else {
    refuseForeign(spec, found, formerTags);
    refuseRunning(spec, found);
    await settle(pve, spec, wanted, found);
  }
  const waiting = await attach(pve, spec, wanted, found?.config ?? {});
  if (waiting.length > 0)
    progress(
      `'${spec.guest}': ${waiting.join(", ")} of ${spec.vmid} on ${spec.node} wait${waiting.length === 1 ? "s" : ""} for the first run of zfs-sync; ` +
        "a failover attaches what has come, and so does the next `pulumi up --refresh`",
    );
  return { ...spec, ...(waiting.length > 0 ? { waiting } : {}) };
}

async function wantedOf(pve: PveClient, spec: RegisteredPlan): Promise<Registration> {
  const path = `/nodes/${spec.source}/qemu/${spec.vmid}/config`;
  return registration(await pve.get<GuestConfig>(path, {}, about("read the settings of", spec)), spec);
}

async function settle(pve: PveClient, spec: RegisteredPlan, wanted: Registration, { config }: Found): Promise<void> {
  const changes = changesOf(wanted, config);
  const gone = Object.keys(changes).filter((key) => changes[key] === undefined);
  if (Object.keys(changes).length === 0) return;
  const form = { ...changes, ...(gone.length > 0 ? { delete: gone.join(",") } : {}) };
  await pve.put(`${pathOf(spec)}/config`, form, about("change the registered side of", spec));
}

/** @returns the keys of disks whose volumes are not there yet. */
async function attach(
  pve: PveClient,
  spec: RegisteredPlan,
  { disks, boot }: Registration,
  config: GuestConfig,
): Promise<string[]> {
  const storages = [...new Set(Object.values(disks).map((disk) => disk.split(":")[0]!))];
  const lists = await Promise.all(
    storages.map((storage) =>
      pve.get<StorageVolume[]>(
        `/nodes/${spec.node}/storage/${storage}/content`,
        { vmid: spec.vmid },
        about(`look on '${storage}' for the volumes of`, spec),
      ),
    ),
  );
  const there = new Set(lists.flat().map(({ volid }) => volid));
  const come = Object.entries(disks).filter(
    ([key, disk]) => there.has(volumeOf(disk)) && volumeOf(String(config[key] ?? "")) !== volumeOf(disk),
  );
  const waiting = Object.keys(disks).filter((key) => !there.has(volumeOf(disks[key]!)));
  const form = {
    ...Object.fromEntries(come),
    ...(waiting.length === 0 && boot !== undefined && config.boot !== boot ? { boot } : {}),
  };
  if (Object.keys(form).length > 0)
    await pve.put(`${pathOf(spec)}/config`, form, about("attach the volumes of the registered side of", spec));
  return waiting.sort();
}

/** What it is called on the hypervisor. */
const nameOf = ({ guest, hostname }: RegisteredPlan) => hostname ?? guest;

function isOurs(spec: RegisteredPlan, { config }: Found, formerTags: readonly string[] = []): boolean {
  const tags = normalTags(config.tags);
  const marked = [spec.tags, formerTags].some((set) =>
    normalTags(set).some((tag) => /^coldspare/.test(tag) && tags.includes(tag)),
  );
  return config.name === nameOf(spec) && marked;
}

function refuseForeign(spec: RegisteredPlan, found: Found, formerTags?: readonly string[]): void {
  if (isOurs(spec, found, formerTags)) return;
  const { config } = found;
  throw refusal(
    spec,
    `guest id ${spec.vmid} is taken by '${config.name ?? "a guest without a name"}' on ${spec.node} (tags: ${normalTags(config.tags).join(", ") || "none"}), which is not known as a side of this guest`,
    `give '${spec.guest}' another id, or, if '${config.name}' is its side, name it '${nameOf(spec)}' and tag it ${spec.tags.join(", ")}`,
  );
}

function refuseRunning(spec: RegisteredPlan, { running }: Found): void {
  if (!running) return;
  throw refusal(
    spec,
    `guest ${spec.vmid} runs on ${spec.node}: it is the active side and is left alone`,
    `if '${spec.guest}' was failed over, say so: \`pulumi config set --path coldspare:active.${spec.guest} spare\`; if it was started by mistake, shut it down on ${spec.node} and run this again`,
  );
}

function refusal(spec: RegisteredPlan, reason: string, fix: string): PveError {
  return new PveError({
    ...about("register", spec),
    server: spec.node,
    call: `GET ${pathOf(spec)}/config`,
    status: 409,
    reason,
    fix,
  });
}

/** What others changed, in words. */
function driftOf(props: RegisteredGuestState, found: Found): string {
  const { config, running } = found;
  return [
    ...(running ? [`runs on ${props.node}`] : []),
    ...(config.name === nameOf(props) ? [] : [`is called '${config.name ?? ""}'`]),
    ...(normalTags(config.tags).join() === normalTags(props.tags).join()
      ? []
      : [`tags are ${normalTags(config.tags).join(", ") || "none"}`]),
    ...(Number(config.onboot ?? 0) === 1 ? ["onboot is on"] : []),
  ].join("; ");
}
