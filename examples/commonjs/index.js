// One machine, in JavaScript with require.
const { VirtualMachine } = require("coldspare");

const sql = new VirtualMachine("sql", {
  id: 550,
  os: "linux",
  on: "srv1",
  cores: 2,
  memoryGiB: 4,
  disks: [{ sizeGiB: 40, storage: "tank" }],
  coldReplica: { on: "srv2", method: "storage-replication", schedule: "*/15" },
});

exports.guestId = sql.guestId;
