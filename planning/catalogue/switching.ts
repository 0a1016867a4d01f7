/** Findings about what failover, failback and drills rely on. */
import type { CatalogueEntry } from "./types";

export const switchingFindings = {
  "FENCING-POWER-MISSING": {
    severity: "error",
    title: "Fencing by power, and a server that nothing can switch off",
    explanation:
      "With `fencing: power` a spare starts only after the lost server was switched off and its state was read back. Without `power` that server could never be failed over.",
    example: "Nothing says how one is switched off, and with fencing 'power' the spares of mail start only after that.",
    fix: "Add `power` to the server (redfish, ipmi, or a command such as one for a switched socket), or use another fencing.",
  },
  "LEASE-NO-WITNESS": {
    severity: "error",
    title: "Leases without a third voter",
    explanation:
      "A lease is renewed by a majority of voters. With two voters that is both: the loss of one server would stop the guests on the other one, too.",
    example:
      "mail and wiki have two voters only: with fencing 'lease' the loss of either server stops the guests on both.",
    fix: "Give a third server the role witness, or use another fencing.",
  },
  "VOTERS-TWO": {
    severity: "warning",
    title: "Two voters only",
    explanation:
      "Who may run a guest is recorded on its two servers and a third one, and settled by a majority. With two voters both have to answer: while one server is away, a guest that stops does not start again by itself, not even where it ran.",
    example:
      "mail and wiki have two voters only: while one server is away, no guest with a spare starts on the other without a person's word.",
    fix: "Give a third server the role witness: any small machine that runs SSH will do.",
  },
  "LEASE-MARGIN-SHORT": {
    severity: "error",
    title: "Times of a lease that do not fit together",
    explanation:
      "A server whose agent hangs is reset by its watchdog: its time, then up to 12 s, as watchdog-mux counts whole seconds (2 s) and the hardware counts on for 10 s. The spare must not start before, with 3 s to spare. And a lease that ends after less than three renewals stops guests for a short disturbance.",
    example:
      "A margin of 60 s may be over before a server that hangs is reset: 60 s until the watchdog gives up, and up to 15 s for rounding and its hardware.",
    fix: "Raise marginSeconds to watchdogSeconds + 15, and termSeconds to three times renewSeconds.",
  },
  "GUARD-NO-SNIPPETS": {
    severity: "warning",
    title: "The guard cannot be installed",
    explanation:
      "The guard that refuses a second start is a hook script. Proxmox VE takes it from a storage with content `snippets` only: `local` on each server that is a side of a guest with a spare.",
    example:
      "two has a storage 'local' without content 'snippets': the guard cannot be installed there, and nothing stops a second start.",
    fix: "Give `local` the content snippets, on the server and in the specification.",
  },
  "LEASE-NO-GUARD": {
    severity: "error",
    title: "Leases without a guard",
    explanation:
      "With `fencing: lease` a guest may start only with a lease, which the guard asks for. It cannot be installed without a storage `local` with content `snippets`.",
    example:
      "two has a storage 'local' without content 'snippets': the guard cannot be installed there, and nothing asks for a lease.",
    fix: "Give `local` the content snippets, on the server and in the specification.",
  },
  "GUARD-NO-SSH": {
    severity: "warning",
    title: "Servers without a guard",
    explanation:
      "The guard is installed over SSH, on every server that keeps a record of who may run a guest. A server whose host key is not in `coldspare:ssh` is not reached, and gets none.",
    example: "No SSH host key leads to one and vault: no guard is installed there, and nothing refuses a second start.",
    fix: "Add the server's public host key to `coldspare:ssh.hostKeys`.",
  },
  "LEASE-NO-SSH": {
    severity: "error",
    title: "Leases that nobody keeps",
    explanation:
      "With `fencing: lease` each server that runs guests, and each voter, needs the guard and its agent, which are installed over SSH.",
    example: "No SSH host key leads to vault: no guard is installed there, and no lease is kept.",
    fix: "Add the server's public host key to `coldspare:ssh.hostKeys`, or use another fencing.",
  },
  "GROUP-GUEST-UNKNOWN": {
    severity: "error",
    title: "A group names a guest that does not exist",
    explanation: "A guest that is missing in its group would start at another time than it is meant to.",
    example: "Group office names guest 'wikki', which does not exist.",
    fix: "Correct the name, or remove it.",
  },
  "GROUP-GUEST-TWICE": {
    severity: "error",
    title: "A guest in two groups",
    explanation: "A guest starts once: it can be in one group only, and there in one place.",
    example: "mail is in the groups office and shop, and can start in one place only.",
    fix: "Leave it in one of them.",
  },
  "COMMAND-SERVER-UNKNOWN": {
    severity: "error",
    title: "A command that nobody can run",
    explanation:
      "Commands around a switch run on the operator's machine, on a server of the site, on the guest's primary or spare, or by the agent of the guest if it has one.",
    example: "Command 0 of mail is to run on 'vualt', which is neither a server nor operator, primary, spare or guest.",
    fix: "Correct `on`.",
  },
  "NETWORK-MAP-UNKNOWN": {
    severity: "error",
    title: "A mapped network that does not exist",
    explanation: "`coldReplica.networks` says which network a card of the guest is in on its spare.",
    example: "mail is to be in network 'bracnh' on its spare, which does not exist.",
    fix: "Correct the name on either side of the mapping.",
  },
  "RE-IP-OUTSIDE": {
    severity: "error",
    title: "An address that does not fit the network on the spare",
    explanation:
      "Rules of `coldReplica.reIp` keep the host part of an address and change its subnet. Afterwards it has to be one of the network that the card is in on the spare.",
    example: "mail cannot keep the host part of 10.0.2.10 on its spare: it is outside 10.7.0.0/24 of network branch.",
    fix: "Add a rule from the subnet on the primary to that on the spare, large enough for the host part.",
  },
  "RE-IP-NOT-APPLICABLE": {
    severity: "warning",
    title: "A machine that nothing tells its new address",
    explanation:
      "Cloud-init or the guest agent sets the address that a machine has on its spare; a container gets it from Proxmox VE. A machine without either keeps its old one.",
    example: "mail has neither cloud-init nor an agent: on its spare it starts with the addresses it has on one.",
    fix: "Give it cloud-init or an agent, use DHCP, or change the address by hand after a failover.",
  },
  "PROBE-MISSING": {
    severity: "info",
    title: "A guest with a spare and without a probe",
    explanation: "A drill without a probe proves that the replica starts, and not that its service answers.",
    example: "mail has no probe: a drill of its spare proves that it starts, and not that its service answers.",
    fix: "Add a probe: ping, tcp, http, agent or a command.",
  },
  "PROBE-IMPOSSIBLE": {
    severity: "error",
    title: "A probe that cannot succeed",
    explanation:
      "Drills run on an isolated network, where no DHCP server answers; and only a machine with a guest agent answers by it.",
    example: "Probe 0 of mail asks its agent, and mail has none.",
    fix: "Probe what the guest has: a fixed address, or its agent.",
  },
  "DRILL-GUEST-UNKNOWN": {
    severity: "error",
    title: "A drill of something that cannot be drilled",
    explanation: "A drill starts the spare of a guest, or those of an application group.",
    example: "Drill monthly names guest 'mial', which does not exist.",
    fix: "Correct the name, or remove it.",
  },
  "DRILL-SCHEDULE": {
    severity: "error",
    title: "A drill's schedule that systemd cannot parse",
    explanation:
      "Drills are started by a systemd timer: its calendar events are not quite those of Proxmox VE (systemd.time(7)).",
    example:
      "systemd cannot parse the schedule '*/15' of drill monthly: '*/15' is neither weekday, date (*-*-1), time (03:00) nor zone.",
    fix: "Write it like 'Sun *-*-1..7 03:00', 'Sat 02:00' or 'monthly'.",
  },
  "ACTIVE-MISMATCH": {
    severity: "error",
    title: "A guest is active on another side than recorded",
    explanation:
      "Commands move guests, and the stack's config records where they are. If the two disagree, an update would move a guest by itself or build on the wrong side, so nothing is registered.",
    example: "mail is active on its spare (two), and coldspare:active.mail says primary: guest 101 is on two.",
    fix: "Record where it is (`pulumi config set --path 'coldspare:active.<guest>' spare`) and run `pulumi up --refresh`, or bring it home (`coldspare failback <guest>`).",
  },
} as const satisfies Record<string, CatalogueEntry>;
