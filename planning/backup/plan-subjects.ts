/** What a policy backs up, one by one, with the sizes of its copies. */
import type { Context, Placed } from "../context";
import { changeRate } from "../recovery";
import { usedGiB } from "../storage";
import { formatNumber } from "../units";
import { type ForecastSubject, firstFullGiB } from "./forecast-core";
import type { SubjectPlan } from "./plan";
import { ratioOf } from "./ratios";
import type { RetentionRule } from "./retention";
import type { BackupPolicySpec, DataKind } from "./schema";
import { policyGuests } from "./subjects";

/** A source before its copies are sized. */
interface Source extends Pick<SubjectPlan, "subject" | "kind" | "server" | "usedGiB" | "vmid" | "of"> {
  data: DataKind;
  /** Share of the used size that changes in a day, where the source itself says it. */
  dailyChange?: number;
}

/** A subject in the plan, and as the simulation of its target takes it. */
export interface SizedSubject {
  plan: SubjectPlan;
  forecast: ForecastSubject;
}

/** Subjects of a policy: guests by name, then folders, volumes and data sets in their order. */
export function planSubjects(
  context: Context,
  policy: BackupPolicySpec,
  rule: RetentionRule,
  ids: Readonly<Record<string, number>>,
): SizedSubject[] {
  const wanted = new Set(policyGuests(context.guests, policy));
  const guests = context.guests.filter(({ name }) => wanted.has(name)).map((guest) => guestSource(guest, policy, ids));
  return [...guests, ...otherSources(policy)].map((source) => sized(source, policy, rule));
}

function guestSource({ name, spec, primary }: Placed, policy: BackupPolicySpec, ids: Readonly<Record<string, number>>) {
  const used = usedGiB(spec);
  const vmid = ids[name];
  const source: Source = { subject: name, kind: "guest", server: primary, usedGiB: used, data: policy.data };
  if (vmid !== undefined) source.vmid = vmid;
  if (spec.changeGiBPerHour !== undefined && used > 0) source.dailyChange = Math.min(1, (changeRate(spec) * 24) / used);
  return source;
}

function otherSources({ folders, volumes, datasets, data }: BackupPolicySpec): Source[] {
  return [
    ...folders.map(
      ({ server, paths, usedGiB, ...own }): Source => ({
        subject: `folder:${server}:${paths[0] ?? "/"}`,
        kind: "folder",
        server,
        usedGiB,
        data: own.data ?? data,
        ...(own.of !== undefined && { of: own.of }),
      }),
    ),
    ...volumes.map(
      ({ server, volume, usedGiB, ...own }): Source => ({
        subject: `volume:${server}:${volume}`,
        kind: "volume",
        server,
        usedGiB,
        data: own.data ?? data,
      }),
    ),
    ...datasets.map(
      ({ server, dataset, usedGiB, ...own }): Source => ({
        subject: `dataset:${server}:${dataset}`,
        kind: "dataset",
        server,
        usedGiB,
        data: own.data ?? data,
      }),
    ),
  ];
}

function sized({ data, dailyChange, ...source }: Source, policy: BackupPolicySpec, rule: RetentionRule): SizedSubject {
  const ratio = ratioOf(data, {
    compression: policy.compressionRatio,
    dailyChange: policy.dailyChange ?? dailyChange,
  });
  const { schedule, keep } = policy;
  const forecast = { name: source.subject, usedGiB: source.usedGiB, ratio, schedule, keep };
  const firstGiB = firstFullGiB(forecast, rule);
  const basis = `${data}: ${formatNumber(ratio.compression)} of the used size, ${formatNumber(ratio.dailyChange * 100)} % changes in a day (${ratio.basis})`;
  return { plan: { ...source, firstGiB, dailyGiB: firstGiB * ratio.dailyChange, basis }, forecast };
}
