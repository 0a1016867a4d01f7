/** Starting, shutting down and looking at one guest on one server. */
import { PveError } from "../providers/pve/errors";
import type { GuestConfig } from "../providers/pve/types";
import { isOn } from "../providers/replication-health";
import { normalTags } from "../providers/standby-inspect";
import type { Operator } from "./context";
import { DIVERGED_TAG } from "./live-types";

/** A guest under one id on one server. */
export interface GuestAt {
  guest: string;
  kind: "qemu" | "lxc";
  server: string;
  vmid: number;
}

const pathOf = ({ server, kind, vmid }: GuestAt) => `/nodes/${server}/${kind}/${vmid}`;
const aboutIt = (doing: string, { guest, vmid }: GuestAt) => ({ guest, doing: `${doing} guest ${vmid} '${guest}'` });
const clientOf = (operator: Operator, { server }: GuestAt) => operator.pveAt(server) ?? operator.pve;

/** Whether it runs; `undefined` when it is not on that server. */
export async function runs(operator: Operator, at: GuestAt): Promise<boolean | undefined> {
  try {
    const { status } = await clientOf(operator, at).get<{ status: string }>(
      `${pathOf(at)}/status/current`,
      {},
      aboutIt("look at", at),
    );
    return status === "running";
  } catch (error) {
    if (error instanceof PveError && error.isMissing) return undefined;
    throw error;
  }
}

/** Its configuration; `undefined` when it is not on that server. */
export async function configOf(operator: Operator, at: GuestAt): Promise<GuestConfig | undefined> {
  try {
    return await clientOf(operator, at).get<GuestConfig>(`${pathOf(at)}/config`, {}, aboutIt("read", at));
  } catch (error) {
    if (error instanceof PveError && error.isMissing) return undefined;
    throw error;
  }
}

/** Starts it, and waits until it runs. The guard on its server asks the voters. Nothing happens when it runs already. */
export async function start(operator: Operator, at: GuestAt): Promise<void> {
  if ((await runs(operator, at)) === true) return;
  const about = aboutIt("start", at);
  await clientOf(operator, at).task(at.server, "POST", `${pathOf(at)}/status/start`, {}, about);
}

/** Seconds that a guest gets for its shut-down before the operation says that it does not end. */
export const SHUTDOWN_SECONDS = 300;

/** Asks it to shut down and waits until it is off. */
export async function shutDown(operator: Operator, at: GuestAt, seconds = SHUTDOWN_SECONDS): Promise<void> {
  if ((await runs(operator, at)) !== true) return;
  const client = clientOf(operator, at);
  await client.task(at.server, "POST", `${pathOf(at)}/status/shutdown`, { timeout: seconds }, aboutIt("shut down", at));
  if ((await runs(operator, at)) === true) throw notOff(at, seconds);
}

/** Pulls its plug. */
export async function stopHard(operator: Operator, at: GuestAt): Promise<void> {
  if ((await runs(operator, at)) !== true) return;
  await clientOf(operator, at).task(at.server, "POST", `${pathOf(at)}/status/stop`, {}, aboutIt("stop", at));
}

/**
 * Takes off a guest what the guard marked there while another side was the active one: its tag, the note on the server, and that
 * it must not start with the server.
 *
 * @param noteOn The server that was the old side. Default: the one where the guest is.
 */
export async function takeMarksOff(operator: Operator, at: GuestAt, noteOn = at.server): Promise<void> {
  const config = await configOf(operator, at);
  if (config !== undefined) {
    const tags = normalTags(config.tags);
    const kept = tags.filter((tag) => tag !== DIVERGED_TAG);
    const onboot = operator.manifest.guests[at.guest]!.boot.atHostBoot;
    const changes = {
      ...(kept.length < tags.length && { tags: kept.join(";") }),
      ...(isOn(config.onboot) !== onboot && { onboot }),
    };
    const about = { guest: at.guest, doing: `take the marks of the switch off guest ${at.vmid}` };
    if (Object.keys(changes).length > 0) await clientOf(operator, at).put(`${pathOf(at)}/config`, changes, about);
  }
  if (operator.manifest.servers[noteOn]?.ssh === undefined) return;
  await operator.ssh.run(noteOn, ["rm", "-f", `/var/lib/coldspare/diverged/${at.guest}`]);
}

/** Adds or takes away one tag. */
export async function setTag(operator: Operator, at: GuestAt, tag: string, present: boolean): Promise<void> {
  const config = await configOf(operator, at);
  if (config === undefined) return;
  const tags = normalTags(config.tags);
  if (tags.includes(tag) === present) return;
  const wanted = present ? [...tags, tag] : tags.filter((each) => each !== tag);
  const about = { guest: at.guest, doing: `set the tags of guest ${at.vmid}` };
  await clientOf(operator, at).put(`${pathOf(at)}/config`, { tags: wanted.sort().join(";") }, about);
}

function notOff(at: GuestAt, seconds: number): PveError {
  return new PveError({
    ...aboutIt("shut down", at),
    server: at.server,
    call: `POST ${pathOf(at)}/status/shutdown`,
    status: 409,
    reason: `it still runs after ${seconds} s`,
    fix: `shut it down from inside, or stop it hard (\`${at.kind === "qemu" ? "qm" : "pct"} stop ${at.vmid}\` on ${at.server}), then run the same command again`,
  });
}
