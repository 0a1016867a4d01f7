// One machine, in JavaScript with import: its package.json says "type": "module".
import { VirtualMachine } from "coldspare";

const sql = new VirtualMachine("sql", {
  id: 560,
  os: "linux",
  on: "srv1",
  cores: 2,
  memoryGiB: 4,
  disks: [{ sizeGiB: 40, storage: "tank" }],
  coldReplica: { on: "srv2", method: "storage-replication", schedule: "*/15" },
});

export const guestId = sql.guestId;
