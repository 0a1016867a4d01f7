// One machine with a powered-off spare on another server, in a program of one's own.
import { VirtualMachine } from "coldspare";

const sql = new VirtualMachine("sql", {
  id: 500,
  os: "linux",
  on: "srv1",
  cores: 2,
  memoryGiB: 4,
  disks: [{ sizeGiB: 40, storage: "tank" }],
  networks: [{ network: "servers", address: "192.168.20.50" }],
  siteNetworks: { servers: { vlan: 20, subnet: "192.168.20.0/24", gateway: "192.168.20.1" } },
  coldReplica: { on: "srv2", method: "storage-replication", schedule: "*/15" },
  // A machine that exists already is taken over as it is: `node/id`, for the first `pulumi up` only.
  transform: {
    guest: (_inputs, options) => {
      if (process.env.COLDSPARE_EXAMPLE_IMPORT) options.import = process.env.COLDSPARE_EXAMPLE_IMPORT;
    },
  },
});

export const guestId = sql.guestId;
export const primary = sql.primary;
export const spare = sql.spare;
export const findings = sql.findings;
