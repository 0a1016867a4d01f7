/**
 * What is usable of a set of disks, step by step. Disks are sold in TB (10^12 bytes), file systems count in TiB (2^40
 * bytes), parity takes whole disks, and the file system needs room of its own.
 */
import { formatNumber } from "../units";

export type RaidLayout = "single" | "stripe" | "mirror" | "raidz1" | "raidz2" | "raidz3" | "raid5" | "raid6" | "raid10";

export interface DiskSet {
  layout: RaidLayout;
  /** Disks, spares not counted. */
  count: number;
  /** One disk as it is sold: 10^12 bytes. */
  sizeTB: number;
}

export interface RaidOptions {
  /** Default: zfs for stripe, mirror and raidz, ext4 for the others. */
  fileSystem?: "zfs" | "ext4";
  /** Size of a record, or of a block of a zvol (`volblocksize`), in KiB. Default: 128, ZFS's recordsize. */
  blockKiB?: number;
  /** Size of a sector as a power of two. Default: 12 (4 KiB) */
  ashift?: number;
  /** Share that may be filled in practice: ZFS slows down beyond 80 to 85 %. Default: 0.8 */
  fillLimit?: number;
}

export type RaidStepKind = "raw" | "parity" | "padding" | "slop" | "metadata" | "fill-limit";

/** What is left after a step. */
export interface RaidStep {
  step: RaidStepKind;
  /** Why, in words. */
  why: string;
  bytes: number;
  tb: number;
  tib: number;
}

export interface RaidSpace {
  steps: RaidStep[];
  /** After parity, before the file system, in GiB. */
  netGiB: number;
  /** What the file system offers, in GiB. */
  usableGiB: number;
  /** What may be filled of it, in GiB. */
  practicalGiB: number;
}

const TB = 1e12;
const GIB = 2 ** 30;
const TIB = 2 ** 40;

const PARITY = { raidz1: 1, raidz2: 2, raidz3: 3, raid5: 1, raid6: 2 } as const;
const MINIMUM: Record<RaidLayout, number> = {
  single: 1,
  stripe: 1,
  mirror: 2,
  raidz1: 2,
  raidz2: 3,
  raidz3: 4,
  raid5: 3,
  raid6: 4,
  raid10: 4,
};

/** What is wrong with a set of disks, in words; undefined when it can be built. */
export function raidProblem({ layout, count }: DiskSet): string | undefined {
  if (layout === "single" && count !== 1)
    return `single is one disk, not ${count}: write stripe, mirror or a RAID level`;
  if (count < MINIMUM[layout]) return `${layout} needs at least ${MINIMUM[layout]} disks, and has ${count}`;
  if (layout === "raid10" && count % 2 === 1) return `raid10 is made of pairs, and has ${count} disks`;
  return undefined;
}

/** Disks whose space is left after parity or mirroring. */
function dataDisks({ layout, count }: DiskSet): number {
  if (layout === "mirror") return 1;
  if (layout === "raid10") return count / 2;
  return count - (layout in PARITY ? PARITY[layout as keyof typeof PARITY] : 0);
}

/**
 * Share of the space after parity that holds data, when all blocks have one size. RAIDZ writes each block with parity of
 * its own and in multiples of parity + 1 sectors, so that small blocks cost more than the disks' share of parity.
 * Source: vdev_raidz_asize in OpenZFS, module/zfs/vdev_raidz.c; https://github.com/openzfs/zfs/pull/5931
 */
export function raidzEfficiency(disks: number, parity: number, blockKiB: number, ashift: number): number {
  const sector = 2 ** ashift;
  const data = Math.ceil((blockKiB * 1024) / sector);
  const withParity = data + parity * Math.ceil(data / (disks - parity));
  const allocated = Math.ceil(withParity / (parity + 1)) * (parity + 1);
  return (blockKiB * 1024) / (allocated * sector) / ((disks - parity) / disks);
}

/**
 * Every step from the disks' labels to what may be filled.
 * @throws Error for a set that cannot be built (see raidProblem)
 */
export function raidSpace(disks: DiskSet, options: RaidOptions = {}): RaidSpace {
  const problem = raidProblem(disks);
  if (problem !== undefined) throw new Error(problem);
  const { layout, count, sizeTB } = disks;
  const fillLimit = options.fillLimit ?? 0.8;
  const steps: RaidStep[] = [];
  let left = count * sizeTB * TB;
  const take = (step: RaidStepKind, bytes: number, why: string) => {
    left = bytes;
    steps.push({ step, why, bytes, tb: bytes / TB, tib: bytes / TIB });
  };
  take("raw", left, `${count} ${count === 1 ? "disk" : "disks"} of ${formatNumber(sizeTB)} TB`);
  take("parity", dataDisks(disks) * sizeTB * TB, whyParity(disks));
  const netGiB = left / GIB;
  if ((options.fileSystem ?? defaultFileSystem(layout)) === "zfs") takeZfs(disks, options, left, take);
  else takeExt4(left, take);
  const usableGiB = left / GIB;
  take("fill-limit", left * fillLimit, `not filled beyond ${formatNumber(fillLimit * 100)} %`);
  return { steps, netGiB, usableGiB, practicalGiB: left / GIB };
}

function defaultFileSystem(layout: RaidLayout): "zfs" | "ext4" {
  return layout === "single" || /^raid\d/.test(layout) ? "ext4" : "zfs";
}

type Take = (step: RaidStepKind, bytes: number, why: string) => void;

/**
 * Slop space: 1/32 of the pool, at least 128 MiB, at most 128 GiB, which only ZFS itself may use (spa_slop_shift in
 * zfs(4); spa_get_slop_space in module/zfs/spa_misc.c). Metadata: 1 % is an assumption that covers labels, the rest of
 * the last metaslab, checksums and indirect blocks of large records.
 */
function takeZfs(disks: DiskSet, options: RaidOptions, net: number, take: Take): void {
  const { layout, count } = disks;
  let left = net;
  if (layout === "raidz1" || layout === "raidz2" || layout === "raidz3") {
    const { blockKiB = 128, ashift = 12 } = options;
    // Above 1: blocks that need less than a full row of parity. The pool is counted with records of 128 KiB anyway.
    const share = Math.min(1, raidzEfficiency(count, PARITY[layout], blockKiB, ashift));
    left = net * share;
    const lost = formatNumber((1 - share) * 100);
    take(
      "padding",
      left,
      `blocks of ${blockKiB} KiB in sectors of ${formatNumber(2 ** ashift / 1024)} KiB lose ${lost} %`,
    );
  }
  const slop = Math.min(Math.max(left / 32, 128 * 2 ** 20), 128 * GIB, left / 2);
  take("slop", left - slop, `ZFS keeps ${formatNumber(slop / GIB)} GiB for itself (1/32, at most 128 GiB)`);
  take("metadata", (left - slop) * 0.99, "1 % for ZFS's metadata (assumption)");
}

/**
 * ext4: an inode of 256 bytes for every 16 KiB, and 5 % reserved for root (mke2fs(8), mke2fs.conf(5)); the journal's
 * gigabyte is left out.
 */
function takeExt4(net: number, take: Take): void {
  const left = net * (1 - 256 / 16_384);
  take("metadata", left, "1.56 % for ext4's inodes");
  take("slop", left * 0.95, "5 % are reserved for root in ext4");
}

function whyParity({ layout, count }: DiskSet): string {
  if (layout === "single" || layout === "stripe") return "no parity: one failed disk loses everything";
  if (layout === "mirror") return `every disk holds the same: ${count - 1} may fail`;
  if (layout === "raid10") return "pairs hold the same: one of each pair may fail";
  const parity = PARITY[layout];
  return `parity takes ${parity} ${parity === 1 ? "disk" : "disks"}: as many may fail`;
}

/** Usable space in GiB before any fill limit, which a target applies itself. */
export function usableGiB(disks: DiskSet, options: RaidOptions = {}): number {
  return raidSpace(disks, options).usableGiB;
}

/** The steps as lines of text, each with its number. */
export function explainRaid(disks: DiskSet, options: RaidOptions = {}): string[] {
  return raidSpace(disks, options).steps.map(({ step, why, tb, tib }) => {
    const size = `${tb.toFixed(2)} TB = ${tib.toFixed(2)} TiB`;
    return `${step.padEnd(10)}  ${size.padStart(22)}  ${why}`;
  });
}
