/** Rotated media for people: what hangs there, what should, what is where, and the next swaps. */
import type { MediumView, RotationView } from "../operations/backups/media";
import { siteLossNow } from "../operations/backups/media";
import { formatDuration } from "../planning/units";
import { type Cell, type Column, type Paint, renderTable, type Style, wrapText } from "./table";
import { ageOf, formatBytes } from "./text-copies";

const stateStyle: Record<RotationView["state"], Style> = {
  right: "green",
  due: "yellow",
  overdue: "red",
  wrong: "red",
  foreign: "red",
  unknown: "yellow",
};

/** Swaps that are shown. */
const NEXT = 4;

export function mediaText(views: readonly RotationView[], now: string, width: number, paint: Paint): string {
  const loss = siteLossNow(views);
  const last =
    loss === undefined
      ? paint(
          "red",
          "no medium that is not attached is known to hold a copy: with everything on line all would be lost",
        )
      : `with everything on line the last ${formatDuration(loss.ageSeconds)} would be lost: medium ${loss.medium} of ${loss.target} is the newest off line`;
  return `${[...views.map((view) => rotationLines(view, now, width, paint).join("\n")), last].join("\n\n")}\n`;
}

function rotationLines(view: RotationView, now: string, width: number, paint: Paint): string[] {
  const { target, server, copies, state, text, error, media, next, worstOfflineSeconds, worstOffSiteSeconds } = view;
  const room =
    view.freeBytes === undefined ? "" : `, ${formatBytes(view.freeBytes)} of ${formatBytes(view.sizeBytes)} free`;
  const planned = [
    `planned at worst: off line ${formatDuration(worstOfflineSeconds)}`,
    ...(worstOffSiteSeconds === undefined ? [] : [`off site ${formatDuration(worstOffSiteSeconds)}`]),
  ].join(", ");
  return [
    paint("bold", `${target} on ${server}, copies of ${copies}${room}`),
    ...wrapText(text, width).map((line) => paint(stateStyle[state], line)),
    ...(error ? wrapText(error, width).map((line) => paint("red", line)) : []),
    "",
    ...mediaTable(media, now, width, paint),
    "",
    ...next
      .slice(0, NEXT)
      .map(
        ({ at, attach, detach, takeTo }) =>
          `${timeOf(at)}  attach ${attach}, take ${detach} ${takeTo === "shelf" ? "to the shelf" : "off site"}`,
      ),
    paint("dim", planned),
  ];
}

function timeOf(epochSeconds: number): string {
  return `${new Date(epochSeconds * 1000).toISOString().slice(0, 16)}Z`;
}

function mediaTable(media: readonly MediumView[], now: string, width: number, paint: Paint): string[] {
  const columns: Column[] = [
    { title: "medium" },
    { title: "set" },
    { title: "where" },
    { title: "since", align: "right" },
    { title: "newest copy", align: "right" },
  ];
  const rows = media.map(({ medium, set, where, since, newest }): Cell[] => [
    medium,
    set,
    where === "never recorded" ? { text: where, style: "yellow" } : where,
    since === undefined ? "-" : timeOf(since),
    ageOf(newest, now),
  ]);
  return renderTable(columns, rows, width, paint);
}
