/** Findings about networks and addresses. */
import type { CatalogueEntry } from "./types";

export const addressFindings = {
  "NETWORK-UNKNOWN": {
    severity: "error",
    title: "A network does not exist",
    explanation: "A guest, server or device is put into a network that the specification does not have.",
    example: "Guest mail is in network 'app', which does not exist.",
    fix: "Name a network of the section `networks`, or add it there.",
  },
  "SUBNET-INVALID": {
    severity: "error",
    title: "A subnet cannot be read",
    explanation: "A subnet is the network's first address and a prefix length.",
    example: "'10.0.2.0' is no IPv4 prefix.",
    fix: "Write it like 192.168.20.0/24 or fd00:20::/64.",
  },
  "SUBNET-OVERLAP": {
    severity: "error",
    title: "Two networks share addresses",
    explanation: "Between overlapping subnets no router can decide where an address is.",
    example: "10.0.0.0/22 of network lan overlaps 10.0.2.0/24 of network apps.",
    fix: "Give one of the networks another subnet.",
  },
  "VLAN-DUPLICATE": {
    severity: "error",
    title: "Two networks use one VLAN",
    explanation: "Networks with the same VLAN on the same bridge are one network: their guests see one another.",
    example: "VLAN 2 on vmbr0 is used by network apps and network lan.",
    fix: "Give one of the networks another VLAN.",
  },
  "GATEWAY-INVALID": {
    severity: "error",
    title: "A gateway cannot be reached",
    explanation: "A gateway is a host address inside the subnet of its network.",
    example: "Gateway 10.0.3.1 of network apps is outside 10.0.2.0/24.",
    fix: "Write an address of the subnet, usually its first one.",
  },
  "RANGE-INVALID": {
    severity: "error",
    title: "A range of addresses makes no sense",
    explanation: "A reserved or DHCP range goes from a lower to a higher address, both inside a subnet of its network.",
    example: "Range 10.0.2.100 to 10.0.2.50 of network apps ends before it begins.",
    fix: "Correct `from` and `to`.",
  },
  "ADDRESS-INVALID": {
    severity: "error",
    title: "An address cannot be read",
    explanation: "Addresses are written without prefix length (the network knows it), except on bridges.",
    example: "'10.0.2.10/24' is no IPv4 address.",
    fix: "Write it like 192.168.20.10 or fd00:20::10.",
  },
  "ADDRESS-NO-SUBNET": {
    severity: "error",
    title: "An address in a network without a subnet",
    explanation: "Without the network's subnet neither prefix length nor neighbours of the address are known.",
    example: "fd00:2::10 of guest mail is in network apps, which has no subnet6.",
    fix: "Add `subnet` (or `subnet6`) to the network, or leave the address out.",
  },
  "ADDRESS-OUTSIDE-SUBNET": {
    severity: "error",
    title: "An address is outside its network",
    explanation: "The guest would start and reach nobody.",
    example: "10.0.1.10 of guest mail is outside 10.0.2.0/24 of network apps. It is in network lan.",
    fix: "Take a free address of the network's subnet, or another network.",
  },
  "ADDRESS-UNUSABLE": {
    severity: "error",
    title: "An address that no host may have",
    explanation:
      "The first and the last address of an IPv4 subnet, and the first of an IPv6 subnet, have a meaning of their own.",
    example: "10.0.2.0 of guest mail is the network address of 10.0.2.0/24.",
    fix: "Take a free address of the subnet.",
  },
  "ADDRESS-IS-GATEWAY": {
    severity: "error",
    title: "An address is the gateway's",
    explanation: "Only a router may have the gateway's address.",
    example: "10.0.2.1 of guest mail is the gateway of network apps.",
    fix: "Take a free address of the subnet.",
  },
  "ADDRESS-RESERVED": {
    severity: "error",
    title: "An address is reserved",
    explanation: "The network keeps this range for something else.",
    example: "10.0.2.5 of guest mail is in 10.0.2.2 to 10.0.2.9 of network apps, reserved for switches.",
    fix: "Take an address outside the reserved ranges.",
  },
  "ADDRESS-IN-DHCP": {
    severity: "error",
    title: "A fixed address in a DHCP range",
    explanation: "Sooner or later the DHCP server hands the same address to somebody else.",
    example:
      "10.0.2.150 of guest mail is in 10.0.2.100 to 10.0.2.200, which the DHCP server of network apps hands out.",
    fix: "Take an address outside the DHCP range, or leave it out and make a reservation by MAC address.",
  },
  "ADDRESS-DUPLICATE": {
    severity: "error",
    title: "An address is used twice",
    explanation:
      "Guests, servers and devices share one address plan. The two sides of one guest share its address on purpose.",
    example: "10.0.2.11 is used by guest mail and guest wiki.",
    fix: "Give each its own address.",
  },
  "MAC-INVALID": {
    severity: "error",
    title: "A MAC address cannot be used",
    explanation: "A MAC address has six bytes, and the first one is even: odd ones are multicast.",
    example: "'01:00:00:00:00:01' is no MAC address that a guest can have.",
    fix: "Write it like BC:24:11:00:00:01, or leave it out: it is then derived from the names.",
  },
  "MAC-DUPLICATE": {
    severity: "error",
    title: "A MAC address is used twice",
    explanation: "Switches and DHCP servers take both for the same machine.",
    example: "MAC address BC:24:11:00:00:01 is used by mail.networks[0] and wiki.networks[0].",
    fix: "Give each interface its own, or leave it out: it is then derived from the names.",
  },
} as const satisfies Record<string, CatalogueEntry>;
