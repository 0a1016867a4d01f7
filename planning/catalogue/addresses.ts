/** Findings about networks and addresses. */
import type { CatalogueEntry } from "./types";

export const addressFindings = {
  "NETWORK-UNKNOWN": {
    severity: "error",
    title: "A network does not exist",
    explanation: "A guest, server or device is put into a network that the specification does not have.",
    example: "",
    fix: "Name a network of the section `networks`, or add it there.",
  },
  "SUBNET-INVALID": {
    severity: "error",
    title: "A subnet cannot be read",
    explanation: "A subnet is the network's first address and a prefix length.",
    example: "",
    fix: "Write it like 192.168.20.0/24 or fd00:20::/64.",
  },
  "SUBNET-OVERLAP": {
    severity: "error",
    title: "Two networks share addresses",
    explanation: "Between overlapping subnets no router can decide where an address is.",
    example: "",
    fix: "Give one of the networks another subnet.",
  },
  "VLAN-DUPLICATE": {
    severity: "error",
    title: "Two networks use one VLAN",
    explanation: "Networks with the same VLAN on the same bridge are one network: their guests see one another.",
    example: "",
    fix: "Give one of the networks another VLAN.",
  },
  "GATEWAY-INVALID": {
    severity: "error",
    title: "A gateway cannot be reached",
    explanation: "A gateway is a host address inside the subnet of its network.",
    example: "",
    fix: "Write an address of the subnet, usually its first one.",
  },
  "RANGE-INVALID": {
    severity: "error",
    title: "A range of addresses makes no sense",
    explanation: "A reserved or DHCP range goes from a lower to a higher address, both inside a subnet of its network.",
    example: "",
    fix: "Correct `from` and `to`.",
  },
  "ADDRESS-INVALID": {
    severity: "error",
    title: "An address cannot be read",
    explanation: "Addresses are written without prefix length (the network knows it), except on bridges.",
    example: "",
    fix: "Write it like 192.168.20.10 or fd00:20::10.",
  },
  "ADDRESS-NO-SUBNET": {
    severity: "error",
    title: "An address in a network without a subnet",
    explanation: "Without the network's subnet neither prefix length nor neighbours of the address are known.",
    example: "",
    fix: "Add `subnet` (or `subnet6`) to the network, or leave the address out.",
  },
  "ADDRESS-OUTSIDE-SUBNET": {
    severity: "error",
    title: "An address is outside its network",
    explanation: "The guest would start and reach nobody.",
    example: "",
    fix: "Take a free address of the network's subnet, or another network.",
  },
  "ADDRESS-UNUSABLE": {
    severity: "error",
    title: "An address that no host may have",
    explanation:
      "The first and the last address of an IPv4 subnet, and the first of an IPv6 subnet, have a meaning of their own.",
    example: "",
    fix: "Take a free address of the subnet.",
  },
  "ADDRESS-IS-GATEWAY": {
    severity: "error",
    title: "An address is the gateway's",
    explanation: "Only a router may have the gateway's address.",
    example: "",
    fix: "Take a free address of the subnet.",
  },
  "ADDRESS-RESERVED": {
    severity: "error",
    title: "An address is reserved",
    explanation: "The network keeps this range for something else.",
    example: "",
    fix: "Take an address outside the reserved ranges.",
  },
  "ADDRESS-IN-DHCP": {
    severity: "error",
    title: "A fixed address in a DHCP range",
    explanation: "Sooner or later the DHCP server hands the same address to somebody else.",
    example: "",
    fix: "Take an address outside the DHCP range, or leave it out and make a reservation by MAC address.",
  },
  "ADDRESS-DUPLICATE": {
    severity: "error",
    title: "An address is used twice",
    explanation:
      "Guests, servers and devices share one address plan. The two sides of one guest share its address on purpose.",
    example: "",
    fix: "Give each its own address.",
  },
  "MAC-INVALID": {
    severity: "error",
    title: "A MAC address cannot be used",
    explanation: "A MAC address has six bytes, and the first one is even: odd ones are multicast.",
    example: "",
    fix: "Write it like BC:24:11:00:00:01, or leave it out: it is then derived from the names.",
  },
  "MAC-DUPLICATE": {
    severity: "error",
    title: "A MAC address is used twice",
    explanation: "Switches and DHCP servers take both for the same machine.",
    example: "",
    fix: "Give each interface its own, or leave it out: it is then derived from the names.",
  },
} as const satisfies Record<string, CatalogueEntry>;
