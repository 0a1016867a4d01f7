import { anyOf, type Call, flag, list, perm, type Route, route } from "./call";
import { cloneGuest, makeTemplate } from "./clone";
import { destroyGuest } from "./destroy";
import { fail, missing } from "./errors";
import { currentStatus, listedStatus } from "./guest-status";
import { discard, readVmid, refuseTaken } from "./guest-values";
import { checkHookscript, refuseHookscript } from "./hooks";
import { checkMounts, detachMount, isMountKey, setContainerValues, setMount, showContainer } from "./lxc-config";
import { migrateGuest } from "./migrate";
import {
  CHANGE_CONTAINER,
  CLONE,
  checkContainerOptions,
  checkCreatePrivileges,
  checkSpacePrivileges,
} from "./option-privileges";
import { pendingChanges, takeHot } from "./pending";
import { hasBooted, rebootById, shutdownById, startById, startGuest, stopById } from "./power";
import { parseProperties } from "./property-string";
import { checkDigest } from "./qemu-config";

import { resizeDisk } from "./qemu-drives";
import { restoreGuest } from "./restore";
import type { Guest } from "./state";
import { startTask } from "./tasks";
import { findVolume } from "./volumes";
import { requireWritable } from "./writable";

const CT = "/nodes/{node}/lxc/{vmid}";
const AUDIT = perm("/vms/{vmid}", "VM.Audit");
const POWER = perm("/vms/{vmid}", "VM.PowerMgmt");

function guestOf(call: Call): Guest {
  return call.domain.guestOn(call.node, "lxc", call.path.vmid!);
}

/** Settings of a running container that wait for its next start; it takes the others at once. */
const COLD = /^(arch|cmode|console|entrypoint|features|ostype|tty|unprivileged|lxc\..*)$/;

const DEFAULTS = { arch: "amd64", memory: "512", swap: "512" };

/** `POST /nodes/{node}/lxc`: from a template, or from a backup with `restore`. */
function create(call: Call): string {
  const { domain, node, params, identity } = call;
  const vmid = readVmid(params.vmid);
  domain.requireQuorum(node);
  checkCreatePrivileges(call, vmid);
  const template = params.ostemplate;
  if (!template) throw missing("ostemplate");
  if (flag(params.restore)) return restoreGuest(call, "lxc", vmid);
  refuseTaken(domain, vmid, "create", "lxc");
  checkMounts(domain, node, params);
  checkSpacePrivileges(call, params);
  if (!findVolume(domain, node, template)) throw fail(`volume '${template}' does not exist`);
  if (params.pool && !domain.state.pools[params.pool]) throw fail(`pool '${params.pool}' does not exist`);
  if (params.hookscript) checkHookscript(domain, node, params.hookscript, identity.isRoot, "lxc");
  const guest: Guest = { vmid, type: "lxc", node, config: { lock: "create" }, snapshots: {} };
  domain.state.guests[String(vmid)] = guest;
  if (params.pool) domain.state.pools[params.pool]!.guests.push(vmid);
  return startTask(domain, {
    node,
    type: "vzcreate",
    id: String(vmid),
    user: identity.full,
    seconds: 1,
    cleanUp: () => discard(domain, guest),
    work: (handle) =>
      domain.withGuest(vmid, async () => {
        try {
          const mounts = { rootfs: `${params.storage ?? "local"}:4`, ...params };
          for (const [key, text] of Object.entries(mounts))
            if (isMountKey(key)) setMount(domain, guest, key, text, (line) => handle.log(line));
          handle.log(`extracting archive '${template}'`);
          await handle.takes(3);
          setContainerValues(guest, { ...DEFAULTS, ...params });
          const kind = /(debian|ubuntu|alpine|centos|fedora|archlinux)/.exec(template)?.[1];
          guest.config.ostype ??= kind ?? "unmanaged";
          handle.log(`Detected container architecture: ${guest.config.arch}`);
        } catch (error) {
          // A worker that died with its node cleans nothing up.
          if (handle.task.exitstatus === undefined) discard(domain, guest);
          throw new Error(`unable to create CT ${vmid} - ${error instanceof Error ? error.message : String(error)}`);
        }
        delete guest.config.lock;
        domain.save();
        if (flag(params.start)) startGuest(domain, guest, identity.full);
      }),
  });
}

async function update(call: Call): Promise<null> {
  const { domain, params } = call;
  const guest = guestOf(call);
  const keys = Object.keys(params).filter((key) => !["digest", "node", "vmid"].includes(key));
  if (keys.length === 0) throw fail("no options specified");
  checkContainerOptions(call, call.path.vmid!, params);
  if (params.lock !== undefined && !call.identity.isRoot) throw fail("only root can set 'lock' config");
  if (params.hookscript) checkHookscript(domain, guest.node, params.hookscript, call.identity.isRoot, "lxc");
  if (list(params.delete).includes("hookscript") && !call.identity.isRoot) refuseHookscript("lxc");
  checkMounts(domain, guest.node, params);
  requireWritable(call, guest);
  domain.checkLock(guest);
  checkDigest(guest, params.digest);
  await domain.withGuest(guest.vmid, () => {
    for (const key of list(params.delete)) {
      if (isMountKey(key) || /^unused\d+$/.test(key)) detachMount(domain, guest, key);
      else delete guest.config[key];
    }
    setContainerValues(guest, params);
    for (const [key, text] of Object.entries(params))
      if (isMountKey(key)) setMount(domain, guest, key, text, () => undefined);
    takeHot(guest, (key) => !COLD.test(key));
    domain.save();
  });
  return null;
}

function readConfig(call: Call): Record<string, unknown> {
  const guest = guestOf(call);
  return showContainer(guest, flag(call.params.current) ? guest.running?.config : undefined);
}

function resize(call: Call): string {
  const { domain, node, params } = call;
  const guest = guestOf(call);
  requireWritable(call, guest);
  domain.checkLock(guest);
  return startTask(domain, {
    node,
    type: "resize",
    id: call.path.vmid!,
    user: call.identity.full,
    work: (handle) =>
      domain.withGuest(guest.vmid, async () => {
        await handle.takes(0.5);
        resizeDisk(domain, guest, params.disk!, params.size ?? "", true);
        domain.save();
      }),
  });
}

function interfaces(call: Call): Record<string, unknown>[] {
  const guest = guestOf(call);
  if (!guest.running || !hasBooted(call.domain, guest)) return [];
  const cards = Object.keys(guest.config)
    .filter((key) => /^net\d+$/.test(key))
    .sort()
    .map((key) => {
      const values = parseProperties(guest.config[key]!, "name");
      const fixed =
        values.ip && !["dhcp", "manual"].includes(values.ip) ? values.ip : `192.0.2.${(guest.vmid % 200) + 20}/24`;
      const [address = "", prefix = "24"] = fixed.split("/");
      return {
        name: values.name,
        hwaddr: values.hwaddr?.toLowerCase(),
        "hardware-address": values.hwaddr?.toLowerCase(),
        inet: fixed,
        "ip-addresses": [{ "ip-address": address, "ip-address-type": "inet", prefix }],
      };
    });
  return [
    {
      name: "lo",
      hwaddr: "00:00:00:00:00:00",
      "hardware-address": "00:00:00:00:00:00",
      inet: "127.0.0.1/8",
      "ip-addresses": [{ "ip-address": "127.0.0.1", "ip-address-type": "inet", prefix: "8" }],
    },
    ...cards,
  ];
}

/** The calls on containers. */
export const lxcRoutes: Route[] = [
  route("GET", "/nodes/{node}/lxc", undefined, (call) =>
    call.domain.guests(call.node, "lxc").map((guest) => listedStatus(call.domain, guest)),
  ),
  route("POST", "/nodes/{node}/lxc", undefined, create),
  route("GET", CT, undefined, (call) => {
    guestOf(call);
    return ["config", "status", "snapshot", "firewall", "interfaces"].map((subdir) => ({ subdir }));
  }),
  route("DELETE", CT, perm("/vms/{vmid}", "VM.Allocate"), (call) => destroyGuest(call, "lxc")),
  route("GET", `${CT}/config`, AUDIT, readConfig),
  route("PUT", `${CT}/config`, CHANGE_CONTAINER, update),
  route("GET", `${CT}/pending`, AUDIT, (call) => {
    const guest = guestOf(call);
    const { lxc: _raw, ...now } = showContainer(guest, guest.running?.config);
    const { lxc: _line, ...wanted } = showContainer(guest);
    return pendingChanges(now, wanted);
  }),
  route("PUT", `${CT}/resize`, anyOf("/vms/{vmid}", "VM.Config.Disk"), resize),
  route("GET", `${CT}/interfaces`, AUDIT, interfaces),
  route("GET", `${CT}/status`, undefined, () =>
    ["current", "start", "stop", "shutdown", "reboot"].map((subdir) => ({ subdir })),
  ),
  route("GET", `${CT}/status/current`, AUDIT, (call) => currentStatus(call.domain, guestOf(call))),
  route("POST", `${CT}/status/start`, POWER, (call) => {
    call.domain.requireQuorum(call.node);
    return startById(call.domain, call.node, "lxc", Number(call.path.vmid), call.identity.full);
  }),
  route("POST", `${CT}/status/stop`, POWER, (call) =>
    stopById(call.domain, call.node, "lxc", Number(call.path.vmid), call.identity.full),
  ),
  route("POST", `${CT}/status/shutdown`, POWER, (call) =>
    shutdownById(call.domain, call.node, "lxc", Number(call.path.vmid), call.identity.full, {
      timeout: Number(call.params.timeout ?? 60),
      force: flag(call.params.forceStop),
    }),
  ),
  route("POST", `${CT}/status/reboot`, POWER, (call) =>
    rebootById(call.domain, call.node, "lxc", Number(call.path.vmid), call.identity.full, false),
  ),
  route("POST", `${CT}/clone`, CLONE, (call) => cloneGuest(call, "lxc")),
  route("POST", `${CT}/template`, perm("/vms/{vmid}", "VM.Allocate"), (call) => makeTemplate(call, "lxc")),
  route("POST", `${CT}/migrate`, perm("/vms/{vmid}", "VM.Migrate"), (call) => migrateGuest(call, "lxc")),
];
