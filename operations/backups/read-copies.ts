/** Reads what copies a site has, of everybody who knows of some, at once. */
import { PveError } from "../../providers/pve/errors";
import { hypervisors, type Operator } from "../context";
import { askKeeper } from "./ask-servers";
import { askStorages } from "./ask-storages";
import { type Copies, newestFirst, type Point } from "./copies";
import { keepersOf, policiesFor } from "./subjects";

/** What to read. */
export interface ReadOptions {
  /**
   * Leave out what repositories would have to be asked for: then points of restic and ZFS are missing, and `jobs` tells the newest
   * of each. For a look every minute. Default: false.
   */
  quick?: boolean;
}

/** Never throws for something that does not answer: that is told in `unasked`. */
export async function readCopies(operator: Operator, { quick = false }: ReadOptions = {}): Promise<Copies> {
  const { manifest } = operator;
  const keepers = manifest.backups === undefined ? [] : keepersOf(manifest.backups);
  const [storages, at, ...kept] = await Promise.all([
    askStorages(operator),
    serverTime(operator),
    ...keepers.map((keeper) => askKeeper(operator, keeper, quick)),
  ]);
  const points = [...storages.points, ...kept.flatMap((each) => each.points)];
  const jobs = [...storages.jobs, ...kept.flatMap((each) => each.jobs)];
  const policyOf = (point: Omit<Point, "policies">): string[] => {
    const job = jobs.find(({ name, policy }) => policy !== undefined && name === point.job);
    if (job?.policy !== undefined) return [job.policy];
    const possible = policiesFor(manifest, point.subject, point.target);
    // The notes of our jobs say which one it was, where several write a guest to the same place.
    const noted = /policy (\S+)/.exec(point.notes ?? "")?.[1];
    return noted !== undefined && possible.includes(noted) ? [noted] : possible;
  };
  return {
    at,
    points: points.map((point): Point => ({ ...point, policies: policyOf(point) })).sort(newestFirst),
    jobs,
    media: kept.flatMap((each) => each.media),
    fills: storages.fills,
    unasked: [...storages.unasked, ...kept.flatMap((each) => each.unasked)],
    foreign: storages.foreign,
  };
}

/** Ages are told by the servers' clock where one answers: this machine's may be wrong. */
async function serverTime(operator: Operator): Promise<string> {
  for (const server of hypervisors(operator.manifest)) {
    try {
      const answer = await operator.pveAt(server)?.get<{ time: number }>(`/nodes/${server}/time`);
      if (answer !== undefined) return new Date(answer.time * 1000).toISOString();
    } catch (error) {
      if (!(error instanceof PveError)) throw error;
    }
  }
  return operator.clock.now().toISOString();
}
