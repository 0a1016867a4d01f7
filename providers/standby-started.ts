/**
 * Whether a standby was started since it was restored. A standby that was activated by hand and is off for a moment (a power
 * cut, a reboot of its server) looks like any cold one, yet may hold the only copy of what was written since. Only the list of
 * tasks of Proxmox VE tells: every start there is a task, by whatever way it was asked for (GUI, `qm`, API, `onboot`, HA).
 */
import { about } from "./about";
import type { PveClient } from "./pve/client";
import { PveError } from "./pve/errors";
import type { TaskRow } from "./pve/types";
import { timeText } from "./server-time";
import type { FoundStandby, StandbyIdentity } from "./standby-inspect";

const STARTS = ["qmstart", "vzstart"];
const RESTORES = ["qmrestore", "vzrestore"];
/** Newest first: were the restore further back than this, each start in the list would count, which only refuses more. */
const LOOKED_AT = 1000;

/** @throws PveError when the standby was started after its restore, or when that cannot be known: it is not ours to destroy */
export async function refuseStarted(
  pve: PveClient,
  standby: FoundStandby,
  spec: StandbyIdentity,
  doing: string,
): Promise<void> {
  const { vmid, node, name, recovery } = standby;
  const asked = about(doing, spec);
  const path = `/nodes/${node}/tasks`;
  await requireAudit(pve, node, spec, doing);
  const since = recovery === undefined ? Number.NaN : Date.parse(recovery.time) / 1000;
  const tasks = await pve.get<TaskRow[]>(
    path,
    { vmid, source: "all", limit: LOOKED_AT, since: Number.isNaN(since) ? undefined : Math.floor(since) },
    asked,
  );
  const times = (types: string[]) => tasks.filter(({ type }) => types.includes(type)).map(({ starttime }) => starttime);
  // Starts before the restore were of another guest under this id.
  const restored = Math.max(0, ...times(RESTORES));
  const started = Math.max(0, ...times(STARTS).filter((time) => time >= restored));
  if (started === 0) return;
  const command = standby.kind === "qemu" ? "qm" : "pct";
  throw new PveError({
    ...asked,
    server: node,
    call: `GET ${path}?vmid=${vmid}`,
    status: 409,
    reason: `${vmid} '${name}' was started after its restore (${timeText(started)}): it may hold newer data than any backup, and is left alone`,
    fix:
      `if '${spec.guest}' was failed over to it, say so: \`pulumi config set --path coldspare:active.${spec.guest} spare\`, and ` +
      `\`coldspare refresh --active ${spec.guest}=spare\`; if what was written there may go, remove it on ${node}: \`${command} destroy ${vmid}\``,
  });
}

/** Without this privilege the list shows one's own tasks only, so that an empty answer would prove nothing. */
async function requireAudit(pve: PveClient, node: string, spec: StandbyIdentity, doing: string): Promise<void> {
  const path = `/nodes/${node}`;
  const granted = await pve.get<Record<string, Record<string, unknown>>>(
    "/access/permissions",
    { path },
    about(doing, spec),
  );
  if ([path, "/nodes", "/"].some((each) => granted[each]?.["Sys.Audit"] !== undefined)) return;
  throw new PveError({
    ...about(doing, spec),
    server: node,
    call: `GET ${path}/tasks`,
    status: 403,
    reason: `the token may not see the tasks of others on ${node}, so it cannot be known whether the standby was started since its restore`,
    fix: `give the token Sys.Audit on /nodes/${node}: \`pveum acl modify ${path} --tokens '<user>!<token>' --roles PVEAuditor\``,
  });
}
