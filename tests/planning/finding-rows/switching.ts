/** Findings about changes of sides, and which change of a clean site brings them, word for word. */
import type { Row } from "./row";

const branch = (subnet: string) =>
  `networks.branch={"vlan":7,"subnet":"${subnet}","subnet6":"fd00:7::/64","gateway":"${subnet.replace("0/", "1/").split("/")[0]}","bridge":"vmbr0"}`;
const mapped = [branch("10.7.0.0/24"), 'guests.mail.coldReplica.networks={"apps":"branch"}'];
const rules = (...all: object[]) => `guests.mail.coldReplica.reIp=${JSON.stringify(all)}`;
const six = { from: "fd00:2::/64", to: "fd00:7::/64" };
const four = { from: "10.0.2.0/24", to: "10.7.0.0/24" };
const noWitness = 'servers.vault.roles=["backup-server"]';
const command = (on: string) => `[{"when":"after-start","on":"${on}","run":["true"]}]`;

export const switchingRows: Row[] = [
  {
    code: "FENCING-POWER-MISSING",
    set: [
      "site.fencing=power",
      'servers.two.power={"kind":"ipmi","address":"10.0.9.2","username":"a","passwordSecret":"bmc"}',
    ],
    subject: "servers.one.power",
    message: "Nothing says how one is switched off, and with fencing 'power' the spares of mail start only after that.",
  },
  {
    code: "LEASE-NO-WITNESS",
    set: ["site.fencing=lease", noWitness],
    subject: "site.fencing",
    message:
      "mail and wiki have two voters only: with fencing 'lease' the loss of either server stops the guests on both.",
  },
  {
    code: "VOTERS-TWO",
    set: [noWitness],
    subject: "servers",
    message:
      "mail and wiki have two voters only: while one server is away, no guest with a spare starts on the other without a person's word.",
  },
  {
    code: "LEASE-MARGIN-SHORT",
    set: ["site.fencing=lease", "site.lease.marginSeconds=60"],
    subject: "site.lease.marginSeconds",
    message:
      "A margin of 60 s may be over before a server that hangs is reset: 60 s until the watchdog gives up, and up to 15 s for rounding and its hardware.",
  },
  {
    code: "LEASE-MARGIN-SHORT",
    set: ["site.fencing=lease", "site.lease.renewSeconds=25"],
    subject: "site.lease.termSeconds",
    message:
      "A lease of 60 s that is renewed every 25 s ends after two renewals that are lost: guests would stop for a short disturbance.",
  },
  {
    code: "GUARD-NO-SNIPPETS",
    set: ['servers.two.storages.local.content=["import"]'],
    subject: "servers.two.storages.local",
    message:
      "two has a storage 'local' without content 'snippets': the guard cannot be installed there, and nothing stops a second start.",
  },
  {
    code: "GUARD-NO-SNIPPETS",
    set: ["servers.two.storages.local.path=/srv/local"],
    subject: "servers.two.storages.local",
    message:
      "two has its storage 'local' at /srv/local instead of /var/lib/vz: the guard cannot be installed there, and nothing stops a second start.",
  },
  {
    code: "LEASE-NO-GUARD",
    set: ["site.fencing=lease", 'servers.two.storages.local.content=["import"]'],
    subject: "servers.two.storages.local",
    message:
      "two has a storage 'local' without content 'snippets': the guard cannot be installed there, and nothing asks for a lease.",
  },
  {
    code: "GROUP-GUEST-UNKNOWN",
    set: ['groups.office={"guests":["mail","wikki"]}'],
    subject: "groups.office.guests[1]",
    message: "Group office names guest 'wikki', which does not exist.",
  },
  {
    code: "GROUP-GUEST-TWICE",
    set: ['groups.office={"guests":["mail"]}', 'groups.shop={"guests":["wiki","mail"]}'],
    subject: "groups.shop.guests[1]",
    message: "mail is in the groups office and shop, and can start in one place only.",
  },
  {
    code: "GROUP-GUEST-TWICE",
    set: ['groups.office={"guests":["mail","mail"]}'],
    subject: "groups.office.guests[1]",
    message: "mail is in group office twice, and can start in one place only.",
  },
  {
    code: "COMMAND-SERVER-UNKNOWN",
    set: [`guests.mail.commands=${command("vualt")}`],
    subject: "guests.mail.commands[0].on",
    message: "Command 0 of mail is to run on 'vualt', which is neither a server nor operator, primary, spare or guest.",
  },
  {
    code: "COMMAND-SERVER-UNKNOWN",
    set: [`guests.mail.commands=${command("guest")}`],
    subject: "guests.mail.commands[0].on",
    message: "Command 0 of mail is to run by the agent of mail, which has none.",
  },
  {
    code: "COMMAND-SERVER-UNKNOWN",
    set: [`groups.office={"guests":["mail"],"commands":${command("guest")}}`],
    subject: "groups.office.commands[0].on",
    message:
      "Command 0 of group office is to run on 'guest', which is neither a server nor operator, primary or spare.",
  },
  {
    code: "NETWORK-MAP-UNKNOWN",
    set: [branch("10.7.0.0/24"), 'guests.mail.coldReplica.networks={"apps":"bracnh"}'],
    subject: "guests.mail.coldReplica.networks.apps",
    message: "mail is to be in network 'bracnh' on its spare, which does not exist.",
  },
  {
    code: "NETWORK-MAP-UNKNOWN",
    set: ['guests.mail.coldReplica.networks={"lan":"apps"}'],
    subject: "guests.mail.coldReplica.networks.lan",
    message: "mail has no card in network 'lan', which is mapped to 'apps' on its spare.",
  },
  {
    code: "RE-IP-OUTSIDE",
    set: [...mapped, rules(six)],
    subject: "guests.mail.coldReplica.reIp",
    message: "mail cannot keep the host part of 10.0.2.10 on its spare: it is outside 10.7.0.0/24 of network branch.",
  },
  {
    code: "RE-IP-OUTSIDE",
    set: [...mapped, rules(six, { from: "10.0.2.0/24", to: "10.8.0.0/24" })],
    subject: "guests.mail.coldReplica.reIp",
    message:
      "mail cannot keep the host part of 10.0.2.10 on its spare: 10.8.0.10 is outside 10.7.0.0/24 of network branch.",
  },
  {
    code: "RE-IP-OUTSIDE",
    set: [...mapped, rules(six, { from: "10.0.2.0/24", to: "10.7.0.0/29" })],
    subject: "guests.mail.coldReplica.reIp",
    message: "mail cannot keep the host part of 10.0.2.10 on its spare: 10.7.0.0/29 has no room for its host part.",
  },
  {
    code: "RE-IP-OUTSIDE",
    set: [...mapped, rules(six, four, { from: "10.3.0.0/24", to: "10.7.0.0/24" })],
    subject: "guests.mail.coldReplica.reIp[2]",
    message: "No address of mail is in 10.3.0.0/24, or an earlier rule has it: the rule changes nothing.",
  },
  {
    code: "SUBNET-INVALID",
    set: [...mapped, rules(six, { from: "10.0.2.0/24", to: "fd00:7::/64" })],
    subject: "guests.mail.coldReplica.reIp[1].to",
    message: "'fd00:7::/64' is no IPv4 prefix.",
  },
  {
    code: "GATEWAY-INVALID",
    set: [...mapped, rules(six, { ...four, gateway: "router" })],
    subject: "guests.mail.coldReplica.reIp[1].gateway",
    message: "Gateway router of mail on its spare is no IPv4 address.",
  },
  {
    code: "ADDRESS-INVALID",
    set: [...mapped, rules(six, { ...four, dnsServers: ["10.7.0.2", "dns"] })],
    subject: "guests.mail.coldReplica.reIp[1].dnsServers[1]",
    message: "'dns' is no address of a DNS server.",
  },
  {
    code: "RE-IP-NOT-APPLICABLE",
    set: [...mapped, rules(six, four)],
    subject: "guests.mail.coldReplica.reIp",
    message: "mail has neither cloud-init nor an agent: on its spare it starts with the addresses it has on one.",
  },
  {
    code: "BRIDGE-MISSING-ON-SPARE",
    set: [...mapped, rules(six, four), "networks.branch.bridge=vmbr7"],
    subject: "guests.mail.networks[0]",
    message: "The spare of mail needs bridge vmbr7 (network branch) on two, which has vmbr0.",
  },
  {
    code: "ADDRESS-DUPLICATE",
    set: [...mapped, rules(six, four), 'devices.printer={"kind":"printer","network":"branch","address":"10.7.0.10"}'],
    subject: "guests.mail.coldReplica.reIp",
    message: "10.7.0.10 is used by guest mail and device printer.",
  },
  {
    code: "PROBE-MISSING",
    set: ["guests.mail.probes=null"],
    subject: "guests.mail.probes",
    message: "mail has no probe: a drill of its spare proves that it starts, and not that its service answers.",
  },
  {
    code: "PROBE-IMPOSSIBLE",
    set: ['guests.mail.probes=[{"kind":"agent"}]'],
    subject: "guests.mail.probes[0]",
    message: "Probe 0 of mail asks its agent, and mail has none.",
  },
  {
    code: "PROBE-IMPOSSIBLE",
    set: ['guests.wiki.networks=[{"network":"apps"}]'],
    subject: "guests.wiki.probes[0]",
    message: "Probe 0 of wiki (http) needs an address, and wiki gets its own by DHCP: in a drill nobody hands one out.",
  },
  {
    code: "DRILL-GUEST-UNKNOWN",
    set: ['drills.monthly={"guests":["mial"]}'],
    subject: "drills.monthly.guests[0]",
    message: "Drill monthly names guest 'mial', which does not exist.",
  },
  {
    code: "DRILL-GUEST-UNKNOWN",
    set: ['drills.monthly={"guests":["wiki"]}', "guests.wiki.coldReplica=null"],
    subject: "drills.monthly.guests[0]",
    message: "Drill monthly names guest 'wiki', which has no spare to start.",
  },
  {
    code: "DRILL-GUEST-UNKNOWN",
    set: ['drills.monthly={"group":"offices"}', 'groups.office={"guests":["mail"]}'],
    subject: "drills.monthly.group",
    message: "Drill monthly names group 'offices', which does not exist.",
  },
  {
    code: "DRILL-SCHEDULE",
    set: ['drills.monthly={"schedule":"*/15"}'],
    subject: "drills.monthly.schedule",
    message:
      "systemd cannot parse the schedule '*/15' of drill monthly: '*/15' is neither weekday, date (*-*-1), time (03:00) nor zone.",
  },
];
