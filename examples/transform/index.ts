// What the arguments do not foresee: inputs and options of the resources behind a component, before they are made.
import { VirtualMachine } from "coldspare";
import type * as proxmoxve from "coldspare/proxmoxve";

const gateway = new VirtualMachine("gateway", {
  id: 540,
  os: "linux",
  on: "srv1",
  cores: 2,
  memoryGiB: 2,
  disks: [{ sizeGiB: 20, storage: "tank" }],
  coldReplica: { on: "srv2", method: "storage-replication", schedule: "*/15" },
  transform: {
    guest: (inputs, options) => {
      const machine = inputs as proxmoxve.VmLegacyArgs;
      machine.serialDevices = [{ device: "socket" }];
      options.customTimeouts = { create: "20m" };
    },
    replica: (inputs) => {
      inputs.rateMBps = 50;
    },
  },
});

// The provider's own resource, for outputs that the component does not repeat.
export const macAddresses = gateway.nodes.guest.macAddresses;
