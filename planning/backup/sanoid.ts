/**
 * sanoid.conf for servers on which people run sanoid and syncoid themselves. Sanoid takes and removes snapshots of its own (`autosnap_…`);
 * syncoid sends them. Source of the format: sanoid 2.1, sanoid.defaults.conf.
 */
import { KEEP_RULES, type Keep } from "./retention";

export interface SanoidDataset {
  /** `tank/data` */
  dataset: string;
  keep: Keep;
  /** Data sets below are treated likewise. */
  recursive: boolean;
  /**
   * `source` takes snapshots and removes old ones; `receiver` only removes: a snapshot taken there would stand in the way of the next
   * receive.
   */
  role: "source" | "receiver";
}

const COUNTED = KEEP_RULES.filter((rule) => rule !== "last");

/**
 * sanoid.conf with a template for each different retention.
 *
 * `last` is no rule of sanoid's and counts as that many hourly ones. Kinds that are not kept are 0, as sanoid's defaults would keep
 * some of each.
 * @throws RangeError for a retention that keeps nothing, and for a data set that is named twice
 */
export function renderSanoidConf(datasets: readonly SanoidDataset[]): string {
  const seen = new Set<string>();
  const templates = new Map<string, string>();
  const sections = datasets.map((each) => {
    if (seen.has(each.dataset)) throw new RangeError(`Data set ${each.dataset} is named twice.`);
    seen.add(each.dataset);
    const name = templateName(each);
    templates.set(name, template(name, each));
    const lines = [`[${each.dataset}]`, `use_template = ${name}`];
    if (each.recursive) lines.push("recursive = yes");
    return lines.join("\n");
  });
  return `${[...sections, ...templates.values()].join("\n\n")}\n`;
}

function counts({ dataset, keep }: SanoidDataset): [string, number][] {
  const { last = 0, hourly = 0 } = keep;
  const found = COUNTED.map((rule): [string, number] => [
    rule,
    rule === "hourly" ? Math.max(last, hourly) : (keep[rule] ?? 0),
  ]);
  if (found.every(([, count]) => count === 0)) throw new RangeError(`The retention of ${dataset} keeps nothing.`);
  return found;
}

function templateName(each: SanoidDataset): string {
  const kept = counts(each).filter(([, count]) => count > 0);
  return [each.role, ...kept.map(([rule, count]) => `${rule}${count}`)].join("_");
}

function template(name: string, each: SanoidDataset): string {
  return [
    `[template_${name}]`,
    "frequently = 0",
    ...counts(each).map(([rule, count]) => `${rule} = ${count}`),
    `autosnap = ${each.role === "source" ? "yes" : "no"}`,
    "autoprune = yes",
    // A receiver is as old as its last transfer, which other checks look at.
    ...(each.role === "receiver" ? ["hourly_warn = 0", "hourly_crit = 0", "daily_warn = 0", "daily_crit = 0"] : []),
  ].join("\n");
}
