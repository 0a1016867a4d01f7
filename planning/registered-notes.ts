/** The disks of a registered guest as its notes name them: they are attached once their volumes have been received. Pure. */

const DISK_LINE = /^- Disk ([a-z]+\d+): `([^`\s]+)`$/;

/** Notes with one line for each disk: `- Disk scsi0: \`tank:vm-113-disk-0,discard=on\``. */
export function notesWithDisks(notes: string, disks: Readonly<Record<string, string>>): string {
  const lines = Object.entries(disks)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `- Disk ${key}: \`${value}\``);
  return [notes.trimEnd(), "", ...lines].join("\n").trimEnd();
}

/** Disks by their key, as {@link notesWithDisks} wrote them. */
export function disksInNotes(description: string | undefined): Record<string, string> {
  const found = (description ?? "").split("\n").flatMap((line) => {
    const match = DISK_LINE.exec(line.trim());
    return match ? [[match[1]!, match[2]!] as const] : [];
  });
  return Object.fromEntries(found);
}
