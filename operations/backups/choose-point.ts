/** Which copy a person means: the newest good one, the newest as of a time, or a certain one. Pure. */
import type { Finding } from "../../planning";
import { caution, refusal } from "../refusals";
import { isGood, newestFirst, type Point } from "./copies";

export interface ChosenPoint {
  point?: Point;
  refusals: Finding[];
  warnings: Finding[];
}

/**
 * @param wish `latest`, an ISO time (the newest good copy not after it), or an id (or the end of one, if it is of one copy only).
 *   A broken copy, and one on a medium, is only taken by its id.
 */
export function choosePoint(points: readonly Point[], subject: string, wish: string): ChosenPoint {
  const own = points.filter((point) => point.subject === subject).sort(newestFirst);
  const named = own.filter(({ id }) => id === wish);
  const ending = named.length > 0 ? named : own.filter(({ id }) => wish.length >= 4 && id.endsWith(wish));
  if (ending.length > 0) return byId(ending, subject, wish);
  const before = wish === "latest" ? Number.POSITIVE_INFINITY : Date.parse(wish);
  if (Number.isNaN(before) || (wish !== "latest" && !/^\d{4}-\d{2}-\d{2}/.test(wish)))
    return refused(
      subject,
      `no copy of ${subject} is called '${wish}', and it is no time`,
      "latest, a time such as 2026-11-21T18:00:00Z, or an id that `coldspare backups` lists",
    );
  const good = own.filter((point) => isGood(point) && Date.parse(point.at) <= before);
  const online = good.find(({ kind }) => kind !== "medium");
  if (online !== undefined) return { point: online, refusals: [], warnings: [] };
  const shelf = good[0];
  if (shelf !== undefined) return byId([shelf], subject, wish);
  const asOf = wish === "latest" ? "" : ` as of ${wish} or earlier`;
  return refused(subject, `there is no good copy of ${subject}${asOf}`, `see \`coldspare backups ${subject}\``);
}

function byId(found: readonly Point[], subject: string, wish: string): ChosenPoint {
  const [point, other] = found;
  if (other !== undefined && found.some(({ id }) => id !== point!.id))
    return refused(subject, `'${wish}' is the end of ${found.length} copies of ${subject}`, "give more of the id");
  if (point!.kind === "medium")
    return {
      refusals: [
        refusal(
          "OPERATION-POINT-ON-MEDIUM",
          subject,
          `${point!.id} lies on medium ${point!.medium ?? "without a label"} of ${point!.target}`,
          `attach medium ${point!.medium ?? ""} to ${point!.servers[0] ?? "its server"}, copy the archive from there into the folder of the storage, and choose it there`,
        ),
      ],
      warnings: [],
    };
  const warnings = isGood(point!)
    ? []
    : [
        caution(
          "OPERATION-POINT-BROKEN",
          subject,
          `${point!.id} was found to be broken: what comes back may be anything`,
          `take another one, if there is any: \`coldspare backups ${subject}\``,
        ),
      ];
  return { point: point!, refusals: [], warnings };
}

function refused(subject: string, message: string, fix: string): ChosenPoint {
  return { refusals: [refusal("OPERATION-NO-POINT", subject, message, fix)], warnings: [] };
}
