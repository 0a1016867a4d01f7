import type { Domain } from "./domain";
import { ApiError, badParameters, fail } from "./errors";
import type { Guest } from "./state";
import type { TaskHandle } from "./tasks";
import { splitVolid, volumePath } from "./volumes";

export type HookPhase = "pre-start" | "post-start" | "pre-stop" | "post-stop";

/** One call of a hook script. A lab without real hosts only notes that there would have been one. */
export interface HookCall {
  node: string;
  vmid: number;
  phase: HookPhase;
  /** Absent: it was not run. */
  code?: number;
}

const KEPT_CALLS = 500;

/** Path of a hook script on the node, or PVE's reason why there is none (PVE::GuestHelpers::check_hookscript). */
function scriptPath(domain: Domain, node: string, volid: string): { path: string } | { refused: string } {
  const { storage, name } = volid.includes(":") ? splitVolid(volid) : { storage: "", name: volid };
  const entry = domain.state.storages[storage];
  if (!entry) return { refused: `script '${volid}' does not exist` };
  if (!name.startsWith("snippets/")) return { refused: `'${volid}' is not in the snippets directory` };
  const path = volumePath(entry, name);
  const real = domain.world.runtime?.file(node, path);
  if (real) return real.executable ? { path } : { refused: `script '${volid}' is not executable` };
  const backing = domain.backing(entry, node);
  const known = domain.state.volumes.some((volume) => volume.backing === backing && volume.name === name);
  // With real hosts the bytes must be on the host, as nothing else could run them.
  if (!known || domain.world.runtime) return { refused: `script '${volid}' does not exist` };
  return { path };
}

/** The script must be there, and only root itself may name one: a token of root is not root. */
export function checkHookscript(
  domain: Domain,
  node: string,
  volid: string,
  isRoot: boolean,
  type: Guest["type"] = "qemu",
): void {
  const found = scriptPath(domain, node, volid);
  if ("refused" in found) throw badParameters({ hookscript: `${found.refused}\n` });
  if (!isRoot) refuseHookscript(type);
}

/** The answer to whoever is not root and sets or deletes a hook script. */
export function refuseHookscript(type: Guest["type"]): never {
  if (type === "qemu") throw fail("only root can set 'hookscript' config");
  throw new ApiError(403, "Permission check failed (changing the hookscript is only allowed for root@pam)");
}

/**
 * Runs the guest's hook script on its node. What it prints stands in the task's log.
 *
 * @throws Error when `pre-start` fails: the guest must not start then. Other phases only warn
 */
export async function runHook(
  domain: Domain,
  guest: Guest,
  phase: HookPhase,
  handle?: TaskHandle,
  options: { node?: string; env?: Record<string, string> } = {},
): Promise<void> {
  const volid = guest.config.hookscript;
  if (!volid) return;
  const node = options.node ?? guest.node;
  const { runtime, hookCalls } = domain.world;
  const { vmid } = guest;
  const call: HookCall = { node, vmid, phase };
  hookCalls.push(call);
  if (hookCalls.length > KEPT_CALLS) hookCalls.shift();
  if (!runtime) return;
  const failed = (reason: string) => {
    const text = `hookscript error for ${vmid} on ${phase}: ${reason}`;
    if (phase === "pre-start") throw new Error(text);
    handle?.log(text);
  };
  const found = scriptPath(domain, node, volid);
  if ("refused" in found) return failed(found.refused);
  // The script reads the guest's file.
  await domain.world.hosts?.reconcile();
  const { code, stdout, stderr } = await runtime.exec(node, [found.path, String(vmid), phase], options.env);
  call.code = code;
  for (const line of `${stdout}${stderr}`.split("\n")) if (line !== "") handle?.log(line);
  if (code !== 0) failed(`command '${found.path} ${vmid} ${phase}' failed: exit code ${code}`);
}
