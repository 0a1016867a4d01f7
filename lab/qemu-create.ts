import type { Call } from "./call";
import { flag } from "./call";
import type { Domain } from "./domain";
import { badParameters, fail } from "./errors";
import { discard, readVmid, refuseTaken, setPlainValues } from "./guest-values";
import { checkHookscript } from "./hooks";
import { checkCreatePrivileges, checkSpacePrivileges } from "./option-privileges";
import { startGuest } from "./power";
import { parseQemuNet } from "./property-string";
import { checkSshKeys, defaultBoot, isDriveKey, newIdentity } from "./qemu-config";
import { checkDrives, setDrive } from "./qemu-drives";
import { restoreGuest } from "./restore";
import type { Guest } from "./state";
import { startTask } from "./tasks";

/** What PVE checks of configuration values before it does anything. */
export function checkConfigValues(domain: Domain, node: string, params: Record<string, string>, isRoot: boolean): void {
  for (const [key, value] of Object.entries(params)) if (/^net\d+$/.test(key)) parseQemuNet(key, value);
  if (params.memory !== undefined && !/^(current=)?\d+$/.test(params.memory))
    throw badParameters({
      memory: `invalid format - format error\nmemory.current: type check ('integer') failed - got '${params.memory}'\n`,
    });
  if (params.lock !== undefined && !isRoot) throw fail("only root can set 'lock' config");
  if (params.sshkeys) checkSshKeys(params.sshkeys);
  if (params.hookscript) checkHookscript(domain, node, params.hookscript, isRoot);
  checkDrives(domain, node, params, isRoot);
}

/** `POST /nodes/{node}/qemu`: a new guest, or one from a backup. */
export function createQemu(call: Call): string {
  const { domain, node, params, identity } = call;
  const vmid = readVmid(params.vmid);
  domain.requireQuorum(node);
  checkCreatePrivileges(call, vmid);
  if (params.archive) return restoreGuest(call, "qemu", vmid);
  refuseTaken(domain, vmid, "create");
  if (params.pool && !domain.state.pools[params.pool]) throw fail(`pool '${params.pool}' does not exist`);
  checkConfigValues(domain, node, params, identity.isRoot);
  checkSpacePrivileges(call, params);
  const guest: Guest = { vmid, type: "qemu", node, config: { lock: "create" }, snapshots: {} };
  domain.state.guests[String(vmid)] = guest;
  if (params.pool) domain.state.pools[params.pool]!.guests.push(vmid);
  return startTask(domain, {
    node,
    type: "qmcreate",
    id: String(vmid),
    user: identity.full,
    seconds: 1,
    cleanUp: () => discard(domain, guest),
    work: (handle) =>
      domain.withGuest(vmid, async () => {
        try {
          setPlainValues(guest, params);
          for (const [key, text] of Object.entries(params))
            if (isDriveKey(key)) setDrive(domain, guest, key, text, (line) => handle.log(line));
        } catch (error) {
          // A worker that died with its node cleans nothing up.
          if (handle.task.exitstatus === undefined) discard(domain, guest);
          const text = error instanceof Error ? error.message : String(error);
          throw new Error(`unable to create VM ${vmid} - ${text}`);
        }
        Object.assign(guest.config, newIdentity(domain.world.clock.seconds()));
        const boot = guest.config.boot ?? defaultBoot(guest.config);
        if (boot) guest.config.boot = boot;
        delete guest.config.lock;
        domain.journal(node, identity.full, "pvedaemon", `create VM ${vmid}`);
        if (flag(params.start)) {
          handle.log("Execute autostart");
          startGuest(domain, guest, identity.full);
        }
      }),
  });
}
