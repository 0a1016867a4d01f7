/** systemd units that run a drill of the site on its schedule, on a machine that has coldspare (hypervisors have no Node.js). Pure. */
import type { ManifestDrill, SiteManifest } from "../planning/manifest";

/** Name and text of each unit file. */
export function drillUnits(site: SiteManifest, name: string, { schedule }: ManifestDrill): Record<string, string> {
  const unit = `coldspare-drill-${site.site}-${name}`;
  return {
    [`${unit}.service`]: `# Made by 'coldspare drill --timer'. Credentials: see EnvironmentFile, readable by root only.
[Unit]
Description=Recovery drill '${name}' of site ${site.site}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
# COLDSPARE_MANIFEST, COLDSPARE_API_TOKEN_FILE, COLDSPARE_SSH_KEY
EnvironmentFile=/etc/coldspare/operator.env
ExecStart=/usr/bin/env coldspare drill --name ${name} --yes --report /var/lib/coldspare/reports
# A copy of large disks takes its time; a drill that hangs ends, and the next one removes what it left.
TimeoutStartSec=24h
`,
    [`${unit}.timer`]: `# Made by 'coldspare drill --timer'.
[Unit]
Description=Recovery drill '${name}' of site ${site.site}

[Timer]
OnCalendar=${schedule ?? "monthly"}
# A machine that was off at that time makes up for it.
Persistent=true
RandomizedDelaySec=10min

[Install]
WantedBy=timers.target
`,
  };
}
