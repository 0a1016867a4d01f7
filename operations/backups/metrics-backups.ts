/** Families of metrics about copies and media. Pure. Gauges; ages as of the moment of the look, in seconds. */
import { MEDIA_STATES, STANDING_STATES } from "./states";
import type { BackupStatus } from "./status-backups";

type Labels = Record<string, string>;

export interface Family {
  name: string;
  help: string;
  samples: { labels: Labels; value: number }[];
}

export function backupFamilies(site: string, status: BackupStatus): Family[] {
  return [...subjectFamilies(site, status), ...targetFamilies(site, status), ...mediaFamilies(site, status)];
}

function subjectFamilies(site: string, { subjects, failed, verified, tests, ok }: BackupStatus): Family[] {
  const standings = subjects.flatMap(({ subject, policies }) =>
    Object.entries(policies).map(([policy, standing]) => ({ labels: { site, policy, subject }, standing })),
  );
  return [
    {
      name: "coldspare_backup_ok",
      help: "1 when copies and media are as they should be.",
      samples: [{ labels: { site }, value: Number(ok) }],
    },
    {
      name: "coldspare_backup_age_seconds",
      help: "Age of the newest good copy of a subject by a policy.",
      samples: standings.flatMap(({ labels, standing }) => sample(labels, standing.ageSeconds)),
    },
    {
      name: "coldspare_backup_promised_seconds",
      help: "Age that was promised for it.",
      samples: standings.flatMap(({ labels, standing }) => sample(labels, standing.promisedSeconds)),
    },
    {
      name: "coldspare_backup_state",
      help: "Whether the promise is kept: 1 for the state that it is in.",
      samples: standings.flatMap(({ labels, standing }) =>
        STANDING_STATES.map((state) => ({ labels: { ...labels, state }, value: Number(standing.state === state) })),
      ),
    },
    {
      name: "coldspare_backup_copies",
      help: "Copies of a subject, over all targets.",
      samples: subjects.flatMap(({ subject, count }) => sample({ site, subject }, count)),
    },
    {
      name: "coldspare_backup_broken_copies",
      help: "Copies of a subject that were found to be broken.",
      samples: subjects.flatMap(({ subject, broken }) => sample({ site, subject }, broken)),
    },
    {
      name: "coldspare_backup_failed_runs",
      help: "Jobs whose last run failed; `coldspare status` names them.",
      samples: [{ labels: { site }, value: failed.length }],
    },
    {
      name: "coldspare_backup_verified_timestamp_seconds",
      help: "When a copy of the policy was last read again and found whole.",
      samples: Object.entries(verified).flatMap(([policy, at]) =>
        sample({ site, policy }, at === undefined ? undefined : Date.parse(at) / 1000),
      ),
    },
    {
      name: "coldspare_backup_test_timestamp_seconds",
      help: "When a copy of the guest was last started in isolation.",
      samples: Object.values(tests).flatMap(({ guest, at }) => sample({ site, guest }, Date.parse(at) / 1000)),
    },
    {
      name: "coldspare_backup_test_success",
      help: "1 when that copy started and answered.",
      samples: Object.values(tests).flatMap((test) => sample({ site, guest: test.guest }, Number(test.ok))),
    },
  ];
}

function targetFamilies(site: string, { targets }: BackupStatus): Family[] {
  const of = (value: (target: BackupStatus["targets"][number]) => number | undefined) =>
    targets.flatMap((each) => sample({ site, target: each.target, server: each.server }, value(each)));
  return [
    {
      name: "coldspare_backup_target_used_bytes",
      help: "What is used of a target, as a server sees it.",
      samples: of(({ usedGiB }) => Math.round(usedGiB * 1024 ** 3)),
    },
    {
      name: "coldspare_backup_target_limit_bytes",
      help: "What may be used of it.",
      samples: of(({ limitGiB }) => Math.round(limitGiB * 1024 ** 3)),
    },
    {
      name: "coldspare_backup_target_fills_after_seconds",
      help: "Time until the limit, as copies come and go now; absent when it is not foreseen within a year.",
      samples: of(({ fillsAfterDays }) => (fillsAfterDays === undefined ? undefined : fillsAfterDays * 86_400)),
    },
  ];
}

function mediaFamilies(site: string, { rotations, siteLoss }: BackupStatus): Family[] {
  const labelled = rotations.map((view) => ({ view, labels: { site, target: view.target } }));
  return [
    {
      name: "coldspare_media_state",
      help: "Whether the right medium is attached: 1 for the state that it is in.",
      samples: labelled.flatMap(({ view, labels }) =>
        MEDIA_STATES.map((state) => ({ labels: { ...labels, state }, value: Number(view.state === state) })),
      ),
    },
    {
      name: "coldspare_media_late_seconds",
      help: "How long the swap has been due.",
      samples: labelled.flatMap(({ view, labels }) => sample(labels, view.lateSeconds)),
    },
    {
      name: "coldspare_media_offline_age_seconds",
      help: "Age of the newest content of a medium that is not attached.",
      samples: labelled.flatMap(({ view, labels }) => sample(labels, view.offline?.ageSeconds)),
    },
    {
      name: "coldspare_media_offline_planned_seconds",
      help: "That age at worst, as planned.",
      samples: labelled.flatMap(({ view, labels }) => sample(labels, view.worstOfflineSeconds)),
    },
    {
      name: "coldspare_media_offsite_age_seconds",
      help: "Age of the newest content of a medium off site.",
      samples: labelled.flatMap(({ view, labels }) => sample(labels, view.offSite?.ageSeconds)),
    },
    {
      name: "coldspare_media_site_loss_seconds",
      help: "What the site would lose now with everything that is on line.",
      samples: sample({ site }, siteLoss?.ageSeconds),
    },
  ];
}

/** A state that has no end, as a calendar without swaps, has no sample. */
function sample(labels: Labels, value: number | undefined): Family["samples"] {
  return value === undefined || !Number.isFinite(value) ? [] : [{ labels, value }];
}
