/** systemd services and timers that run coldspare-backup on a server. */
import type { SiteManifest } from "../manifest";
import { policiesOn, rotationsOn } from "./backup-conf";
import { onCalendar } from "./on-calendar";

const PROGRAM = "/usr/local/sbin/coldspare-backup";
/** A job waits so long for another one on the same target. */
const WAIT_SECONDS = 6 * 3600;
/** Spread, so that servers do not all begin at the same second. */
const SPREAD_SECONDS = 300;

export interface Unit {
  name: string;
  text: string;
}

/** All units of a server: a service and a timer for each job. Timers are enabled and started; services are not. */
export function backupUnits(manifest: SiteManifest, server: string): Unit[] {
  const { backups } = manifest;
  if (backups === undefined) return [];
  const jobs = policiesOn(backups, server).flatMap(({ name, policy, backsUp, prunes }) => [
    ...(backsUp ? [job("backup", "run", name, `backup of ${name} to ${policy.target}`, policy.schedule)] : []),
    ...(prunes ? [job("prune", "prune", name, `retention of ${name} on ${policy.target}`, policy.schedule)] : []),
    ...(policy.reread === undefined
      ? []
      : [job("verify", "verify", name, `reading copies of ${name} on ${policy.target} again`, policy.reread)]),
  ]);
  const media = rotationsOn(backups, server).map(([name, { schedule }]) =>
    job("media", "media run", name, `copies to the medium of ${name} that is attached`, schedule),
  );
  return [...jobs, ...media].flatMap((each) => unitsOf(each, backups.timeZone));
}

interface Job {
  unit: string;
  command: string;
  description: string;
  schedule: string;
}

function job(kind: string, command: string, name: string, description: string, schedule: string): Job {
  return { unit: `coldspare-${kind}-${name}`, command: `${command} ${name}`, description, schedule };
}

function unitsOf({ unit, command, description, schedule }: Job, timeZone: string): Unit[] {
  const service = `[Unit]
Description=coldspare: ${description}
Wants=network-online.target
After=network-online.target
ConditionPathExists=/etc/coldspare/backup.conf

[Service]
Type=oneshot
ExecStart=${PROGRAM} --wait ${WAIT_SECONDS} ${command}
# The program ends what it runs, and runs the hooks that belong after it.
KillMode=mixed
TimeoutStopSec=120
Nice=10
IOSchedulingClass=best-effort
IOSchedulingPriority=7
UMask=0077
`;
  const timer = `[Unit]
Description=coldspare: ${description}

[Timer]
OnCalendar=${onCalendar(schedule, timeZone)}
# What was missed while the server was off is made up for.
Persistent=true
RandomizedDelaySec=${SPREAD_SECONDS}
AccuracySec=1min

[Install]
WantedBy=timers.target
`;
  return [
    { name: `${unit}.service`, text: service },
    { name: `${unit}.timer`, text: timer },
  ];
}
