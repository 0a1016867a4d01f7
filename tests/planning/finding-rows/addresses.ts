/** Findings about networks and addresses, and which change of a clean site brings them, word for word. */
import type { Row } from "./row";

export const addressesRows: Row[] = [
  {
    code: "NETWORK-UNKNOWN",
    set: ["guests.mail.networks[0].network=app"],
    subject: "guests.mail.networks[0].network",
    message: "Guest mail is in network 'app', which does not exist.",
  },
  {
    code: "SUBNET-INVALID",
    set: ["networks.apps.subnet=10.0.2.0"],
    subject: "networks.apps.subnet",
    message: "'10.0.2.0' is no IPv4 prefix.",
  },
  {
    code: "SUBNET-OVERLAP",
    set: ["networks.lan.subnet=10.0.0.0/22"],
    subject: "networks.lan.subnet",
    message: "10.0.0.0/22 of network lan overlaps 10.0.2.0/24 of network apps.",
  },
  {
    code: "VLAN-DUPLICATE",
    set: ["networks.lan.vlan=2"],
    subject: "networks.lan.vlan",
    message: "VLAN 2 on vmbr0 is used by network apps and network lan.",
  },
  {
    code: "GATEWAY-INVALID",
    set: ["networks.apps.gateway=10.0.3.1"],
    subject: "networks.apps.gateway",
    message: "Gateway 10.0.3.1 of network apps is outside 10.0.2.0/24.",
  },
  {
    code: "GATEWAY-INVALID",
    set: ["networks.apps.gateway=10.0.2.255"],
    subject: "networks.apps.gateway",
    message: "Gateway 10.0.2.255 of network apps is the broadcast address of 10.0.2.0/24.",
  },
  {
    code: "GATEWAY-INVALID",
    set: ["networks.apps.gateway6=fd00:9::1"],
    subject: "networks.apps.gateway6",
    message: "Gateway fd00:9::1 of network apps is outside fd00:2::/64.",
  },
  {
    code: "RANGE-INVALID",
    set: ["networks.apps.dhcp.to=10.0.2.50"],
    subject: "networks.apps.dhcp",
    message: "Range 10.0.2.100 to 10.0.2.50 of network apps ends before it begins.",
  },
  {
    code: "RANGE-INVALID",
    set: ["networks.apps.reserved[0].to=10.0.4.9"],
    subject: "networks.apps.reserved[0]",
    message: "Range 10.0.2.2 to 10.0.4.9 of network apps is not inside 10.0.2.0/24.",
  },
  {
    code: "ADDRESS-INVALID",
    set: ["guests.mail.networks[0].address=10.0.2.10/24"],
    subject: "guests.mail.networks[0].address",
    message: "'10.0.2.10/24' is no IPv4 address.",
  },
  {
    code: "ADDRESS-INVALID",
    set: ["guests.mail.networks[0].address6=fd00::g"],
    subject: "guests.mail.networks[0].address6",
    message: "'fd00::g' is no IPv6 address.",
  },
  {
    code: "ADDRESS-INVALID",
    set: ["servers.one.bridges.vmbr0.address=10.0.1.1"],
    subject: "servers.one.bridges.vmbr0.address",
    message: "'10.0.1.1' is no IPv4 address with prefix length.",
  },
  {
    code: "ADDRESS-NO-SUBNET",
    set: ["networks.apps.subnet6=null", "networks.apps.gateway6=null"],
    subject: "guests.mail.networks[0].address6",
    message: "fd00:2::10 of guest mail is in network apps, which has no subnet6.",
  },
  {
    code: "ADDRESS-OUTSIDE-SUBNET",
    set: ["guests.mail.networks[0].address=10.0.1.10"],
    subject: "guests.mail.networks[0].address",
    message: "10.0.1.10 of guest mail is outside 10.0.2.0/24 of network apps. It is in network lan.",
  },
  {
    code: "ADDRESS-OUTSIDE-SUBNET",
    set: ["guests.mail.networks[0].address6=fd00:3::10"],
    subject: "guests.mail.networks[0].address6",
    message: "fd00:3::10 of guest mail is outside fd00:2::/64 of network apps.",
  },
  {
    code: "ADDRESS-UNUSABLE",
    set: ["guests.mail.networks[0].address=10.0.2.0"],
    subject: "guests.mail.networks[0].address",
    message: "10.0.2.0 of guest mail is the network address of 10.0.2.0/24.",
  },
  {
    code: "ADDRESS-UNUSABLE",
    set: ["guests.mail.networks[0].address=10.0.2.255"],
    subject: "guests.mail.networks[0].address",
    message: "10.0.2.255 of guest mail is the broadcast address of 10.0.2.0/24.",
  },
  {
    code: "ADDRESS-UNUSABLE",
    set: ["guests.mail.networks[0].address6=fd00:2::"],
    subject: "guests.mail.networks[0].address6",
    message: "fd00:2:: of guest mail is the subnet-router anycast address of fd00:2::/64.",
  },
  {
    code: "ADDRESS-IS-GATEWAY",
    set: ["guests.mail.networks[0].address=10.0.2.1"],
    subject: "guests.mail.networks[0].address",
    message: "10.0.2.1 of guest mail is the gateway of network apps.",
  },
  {
    code: "ADDRESS-RESERVED",
    set: ["guests.mail.networks[0].address=10.0.2.5"],
    subject: "guests.mail.networks[0].address",
    message: "10.0.2.5 of guest mail is in 10.0.2.2 to 10.0.2.9 of network apps, reserved for switches.",
  },
  {
    code: "ADDRESS-IN-DHCP",
    set: ["guests.mail.networks[0].address=10.0.2.150"],
    subject: "guests.mail.networks[0].address",
    message:
      "10.0.2.150 of guest mail is in 10.0.2.100 to 10.0.2.200, which the DHCP server of network apps hands out.",
  },
  {
    code: "ADDRESS-DUPLICATE",
    set: ["guests.mail.networks[0].address=10.0.2.11"],
    subject: "guests.mail.networks[0].address",
    message: "10.0.2.11 is used by guest mail and guest wiki.",
  },
  {
    code: "ADDRESS-DUPLICATE",
    set: ["guests.wiki.networks[0].address6=fd00:0002::0010"],
    subject: "guests.mail.networks[0].address6",
    message: "fd00:2::10 is used by guest mail and guest wiki.",
  },
  {
    code: "ADDRESS-DUPLICATE",
    set: ["servers.one.address=10.0.1.2"],
    subject: "servers.two.address",
    message: "10.0.1.2 is used by server one and server two.",
  },
  {
    code: "MAC-INVALID",
    set: ["guests.mail.networks[0].mac=01:00:00:00:00:01"],
    subject: "guests.mail.networks[0].mac",
    message: "'01:00:00:00:00:01' is no MAC address that a guest can have.",
  },
  {
    code: "MAC-DUPLICATE",
    set: ["guests.mail.networks[0].mac=BC:24:11:00:00:01", "guests.wiki.networks[0].mac=bc:24:11:00:00:01"],
    subject: "guests.wiki.networks[0].mac",
    message: "MAC address BC:24:11:00:00:01 is used by mail.networks[0] and wiki.networks[0].",
  },
];
