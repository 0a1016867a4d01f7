/** A guest's configuration file as Proxmox VE writes it, and what a copy of the guest is made with. Pure. */

/** Keys and values of the current configuration: snapshots, pending changes and notes are left out. */
export function parseGuestConf(text: string): Record<string, string> {
  const values: Record<string, string> = {};
  for (const line of text.split("\n")) {
    // The first section is the oldest snapshot, or what waits for the next start.
    if (line.startsWith("[")) break;
    const match = /^([a-z]\w*): (.*)$/.exec(line);
    if (match) values[match[1]!] = match[2]!;
  }
  return values;
}

const DRIVE = /^(scsi|virtio|sata|ide)\d+$|^efidisk0$|^tpmstate0$/;

/** Drives of a machine that hold its data: keys and volume ids, without media and cloud-init. */
export function dataDrives(
  conf: Readonly<Record<string, string>>,
): { key: string; volume: string; options: string[] }[] {
  return Object.entries(conf).flatMap(([key, value]) => {
    if (!DRIVE.test(key)) return [];
    const [volume = "", ...options] = value.split(",");
    const isMedium = options.includes("media=cdrom") || volume === "none" || volume === "cdrom";
    return isMedium || !volume.includes(":") ? [] : [{ key, volume, options }];
  });
}

/** How a copy differs from the guest it is made of. */
export interface CopyOptions {
  name: string;
  tags: readonly string[];
  description: string;
  /** Absolute path on the server of each volume id. */
  paths: Readonly<Record<string, string>>;
  /** Bridge of each network card by its number; a card that is not named is left out. */
  bridges: Readonly<Record<number, string>>;
  /** `ipconfigN` by number, where the copy gets other addresses than the guest. */
  addresses?: Readonly<Record<number, string>>;
}

/** Of the guest alone: ties to a server's hardware, to its place in the cluster, to its own history. */
const NOT_COPIED =
  /^(name|tags|description|lock|parent|digest|hookscript|onboot|startup|protection|vmgenid|meta|template|snaptime|vmstate|args|unused\d+|hostpci\d+|usb\d+|parallel\d+)$/;

/**
 * Arguments for `qm create <id>` that make a full, powered-off copy of a machine from the files of its volumes, as on the
 * server that holds its replica: there the volumes are, but no guest. An absolute `import-from` is for root only, and does
 * not ask where the owner of the volume is (pve-storage would refuse: 'owner VM not on local node').
 *
 * @throws Error for a volume whose path is not given
 */
export function copyArguments(conf: Readonly<Record<string, string>>, options: CopyOptions): string[] {
  const values: Record<string, string> = {};
  const drives = new Map(dataDrives(conf).map((drive) => [drive.key, drive]));
  for (const [key, value] of Object.entries(conf)) {
    if (NOT_COPIED.test(key)) continue;
    const drive = drives.get(key);
    const card = /^net(\d+)$/.exec(key);
    const address = /^ipconfig(\d+)$/.exec(key);
    if (drive) values[key] = driveCopy(drive, options.paths);
    else if (DRIVE.test(key)) values[key] = mediumCopy(value);
    else if (card) {
      const bridge = options.bridges[Number(card[1])];
      if (bridge !== undefined) values[key] = cardCopy(value, bridge);
    } else values[key] = address ? (options.addresses?.[Number(address[1])] ?? value) : value;
  }
  const own = { name: options.name, tags: options.tags.join(";"), description: options.description, onboot: "0" };
  return Object.entries({ ...values, ...own }).flatMap(([key, value]) => [`--${key}`, value]);
}

function driveCopy(
  { key, volume, options }: { key: string; volume: string; options: string[] },
  paths: CopyOptions["paths"],
): string {
  const path = paths[volume];
  if (path === undefined) throw new Error(`where ${volume} (${key}) lies is not known`);
  const storage = volume.split(":")[0]!;
  return [`${storage}:0`, `import-from=${path}`, ...options.filter((each) => !/^(size|replicate)=/.test(each))].join(
    ",",
  );
}

/** A cloud-init drive is made anew; other media stay out: they may be on the other server only. */
function mediumCopy(value: string): string {
  const [volume = ""] = value.split(",");
  return /cloudinit/.test(volume) ? `${volume.split(":")[0]}:cloudinit` : "none,media=cdrom";
}

/** Same model and hardware address, in the other bridge, without VLAN and firewall. */
function cardCopy(value: string, bridge: string): string {
  const kept = value.split(",").filter((each) => !/^(bridge|tag|trunks|firewall|link_down|rate)=/.test(each));
  return [...kept, `bridge=${bridge}`].join(",");
}
