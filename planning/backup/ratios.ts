/**
 * How far data shrinks in a backup and how much of it changes, per kind. Defaults are cautious: measured numbers of a
 * site replace them, and a plan shows on what its forecast rests.
 */
import type { DataKind } from "./schema";

export interface DataRatio {
  /** Size of a full backup over the used size, compressed, before deduplication. */
  compression: number;
  /** Share of the used size that a day changes. */
  dailyChange: number;
  /** Share of a first full backup that no other subject of the same target has; only chunk stores gain by it. */
  deduplication: number;
  /** Where the numbers come from: a source, `measured`, or `assumption: …` */
  basis: string;
}

/** Defaults per kind of data. */
export const DATA_RATIOS: Readonly<Record<DataKind, DataRatio>> = {
  database: {
    compression: 0.15,
    dailyChange: 0.05,
    deduplication: 1,
    basis: "10 GB of MySQL make about 1.5 GB of backup in production; assumption: 5 % change in a day",
  },
  files: {
    compression: 0.7,
    dailyChange: 0.01,
    deduplication: 0.9,
    basis: "assumption: office documents are mostly compressed already (OOXML, PDF); 1 % change in a day",
  },
  mail: {
    compression: 0.6,
    dailyChange: 0.01,
    deduplication: 0.95,
    basis: "assumption: text shrinks, attachments do not; mail is added and seldom changed",
  },
  media: {
    compression: 1,
    dailyChange: 0.002,
    deduplication: 1,
    basis: "pictures, sound and video are compressed by their formats; assumption: 0.2 % are added in a day",
  },
  system: {
    compression: 0.5,
    dailyChange: 0.01,
    deduplication: 0.6,
    basis:
      "assumption: programs shrink to half, and systems of one site share much; updates and logs change 1 % in a day",
  },
  mixed: {
    compression: 0.6,
    dailyChange: 0.02,
    deduplication: 0.9,
    basis: "assumption: a machine with system and data on its disks; 2 % change in a day",
  },
};

/** The default of a kind, with what was measured in its place. */
export function ratioOf(
  kind: DataKind,
  measured: { compression?: number | undefined; dailyChange?: number | undefined } = {},
): DataRatio {
  const usual = DATA_RATIOS[kind];
  const found = [
    measured.compression !== undefined && "compression",
    measured.dailyChange !== undefined && "daily change",
  ].filter((name) => name !== false);
  if (found.length === 0) return usual;
  return {
    ...usual,
    compression: measured.compression ?? usual.compression,
    dailyChange: measured.dailyChange ?? usual.dailyChange,
    // A measured size is that of the stored backup: what other subjects share is no longer guessed.
    deduplication: measured.compression === undefined ? usual.deduplication : 1,
    basis: found.length === 2 ? "measured" : `${found[0]} measured; ${usual.basis}`,
  };
}
