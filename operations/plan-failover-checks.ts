/** Why a failover is refused: everything that can be known before anything is changed. Pure. */
import type { Finding } from "../planning";
import type { ManifestGuest, SiteManifest } from "../planning/manifest";
import { list } from "../planning/units";
import type { LiveServer, LiveSite } from "./live-types";
import type { ChosenGuests, FailoverFacts, FailoverPlan, FailoverRequest, GuestMove } from "./plan-failover";
import { caution, refusal } from "./refusals";
import { goOnWith } from "./run-operation";
import { blockingOf, majorityOf, NOBODY, operationOf, recordsOf } from "./voters";

/** What concerns the whole operation. */
export function siteChecks(
  manifest: SiteManifest,
  live: LiveSite,
  facts: FailoverFacts,
  request: FailoverRequest,
  plan: FailoverPlan,
  chosen: ChosenGuests,
): Finding[] {
  return [
    ...facts.manifest,
    ...openOperations(facts),
    ...(facts.open.length > 0 ? [] : guestsChosen(manifest, live, request, plan, chosen)),
    ...serverAlive(live, manifest, request),
    ...fencingReady(manifest, facts, request, plan),
    ...targetsReady(live, plan),
  ];
}

function openOperations({ open }: FailoverFacts): Finding[] {
  return open.map((operation) => {
    const { id, kind, subject, by, openedAt } = operation;
    return refusal(
      "OPERATION-OPEN",
      id,
      `${kind} ${subject}, begun by ${by} at ${openedAt}, has not ended`,
      `let ${by} finish it, or go on with it yourself: \`${goOnWith(operation)}\`. ` +
        `If it was given up: \`coldspare journal ${id}\` says how far it came, \`coldspare journal --close ${id}\` ends it`,
    );
  });
}

function guestsChosen(
  manifest: SiteManifest,
  live: LiveSite,
  { server, guests: named }: FailoverRequest,
  plan: FailoverPlan,
  chosen: ChosenGuests,
): Finding[] {
  const found = [
    ...chosen.elsewhere.map(({ guest, server: where }) =>
      refusal(
        "OPERATION-NOT-THERE",
        guest,
        where === undefined
          ? `${guest} is in the middle of another switch`
          : `${guest} is not active on ${server}, but on ${where}`,
        `name the server that it is to leave: \`coldspare failover ${where ?? "<server>"} --guest ${guest}\``,
      ),
    ),
    ...chosen.unclear.map((guest) => unclear(manifest.guests[guest]!, live, server)),
    ...(named.length > 0 ? chosen.lost : []).map((guest) =>
      refusal(
        "OPERATION-NO-SPARE",
        guest,
        `${guest} has no spare`,
        `bring back ${server}, or restore its newest backup by hand; a coldReplica in the specification is what is missing`,
      ),
    ),
  ];
  const nothing = plan.moves.length === 0 && plan.left.length === 0 && found.length === 0;
  if (!nothing) return found;
  const others =
    chosen.lost.length > 0
      ? ` with a spare (${list(chosen.lost)} ${chosen.lost.length === 1 ? "has" : "have"} none)`
      : "";
  return [
    refusal(
      "OPERATION-NOTHING-THERE",
      server,
      `${server} holds no active guest${others}: there is nothing to switch`,
      "`coldspare status` shows which guest is active where",
    ),
  ];
}

function unclear(guest: ManifestGuest, live: LiveSite, server: string): Finding {
  const records = recordsOf(guest, live.readings);
  const pending = records.find(({ record }) => record.server === NOBODY)?.record;
  if (pending !== undefined) {
    const id = operationOf(pending.by);
    return refusal(
      "OPERATION-OPEN",
      guest.name,
      `${guest.name} is in the middle of ${id ?? `a switch by ${pending.by}`}`,
      `go on with that: the same command with --resume${id === undefined ? "" : ` (\`coldspare journal ${id}\` tells of it)`}, or give it up: \`coldspare undo ${guest.name}\``,
    );
  }
  const said = records.map(
    ({ voter, record }) => `${voter}: ${record.fresh ? "nothing yet" : `epoch ${record.epoch}, ${record.server}`}`,
  );
  const silent = guest.voters.filter((voter) => !live.readings[voter]?.reachable);
  return refusal(
    "OPERATION-NO-MAJORITY",
    guest.name,
    `no majority of the voters of ${guest.name} says where it is active (${[...said, ...silent.map((voter) => `${voter}: no answer`)].join("; ")})`,
    `bring back ${list(silent.filter((voter) => voter !== server)) || "a voter"}; if that cannot be, and only when you are sure that it runs nowhere: ` +
      `\`coldspare-node allow ${guest.name} --because "<why>"\` on the server where it is to run, then start it there by hand (the runbook has the steps)`,
  );
}

/** In which ways a server shows that it lives. */
export function signsOfLife({ api, ssh, online, node }: LiveServer, vote: boolean): string[] {
  return [
    ...(api === "up" || api === "refused" ? ["its API answers"] : []),
    ...(ssh === "up" || ssh === "refused" || node !== undefined ? ["it answers over SSH"] : []),
    ...(vote && ssh !== "up" ? ["it votes"] : []),
    ...(online === true ? ["the rest of the cluster sees it"] : []),
  ];
}

function serverAlive(live: LiveSite, manifest: SiteManifest, request: FailoverRequest): Finding[] {
  const { server, planned, forceFence, confirmOff } = request;
  const seen = live.servers[server];
  if (seen === undefined) return [];
  const signs = signsOfLife(seen, live.readings[server]?.reachable === true);
  if (planned) {
    if (seen.api === "up" && seen.ssh === "up") return [];
    const problem = seen.api === "up" ? seen.sshProblem : seen.apiProblem;
    return [
      refusal(
        "OPERATION-SERVER-DOWN",
        server,
        `a planned switch needs ${server} alive: ${problem ?? "it does not answer"}`,
        `mend that, or without --planned (its guests then start with the data of their spares): \`coldspare failover ${server}\``,
      ),
    ];
  }
  if (signs.length === 0) return [];
  const fenced = manifest.fencing !== "confirm" && confirmOff !== server;
  if (fenced && forceFence) return [];
  return [
    refusal(
      "OPERATION-ALIVE",
      server,
      `${server} is alive (${list(signs)}): its guests may run, and must not run twice`,
      `switch in order, without loss: \`coldspare failover ${server} --planned\`. If it is to be given up: ` +
        (fenced ? "add --force-fence" : "switch it off, make sure, then run this again"),
    ),
  ];
}

function fencingReady(
  manifest: SiteManifest,
  facts: FailoverFacts,
  request: FailoverRequest,
  { fencing, server }: FailoverPlan,
): Finding[] {
  if (request.confirmOff !== undefined && request.confirmOff !== server)
    return [
      refusal(
        "OPERATION-NOT-CONFIRMED",
        server,
        `--confirm-off ${request.confirmOff} names another server than the one that is failed over`,
        `write --confirm-off ${server}, when you are sure that it is off`,
      ),
    ];
  if (fencing.method === "confirm" && request.confirmOff === undefined && request.willAsk !== true)
    return [
      refusal(
        "OPERATION-NOT-CONFIRMED",
        server,
        `nobody has confirmed that ${server} is off: a server that is cut off from the network may still run its guests`,
        `go and see (power switch, console, plug), then add --confirm-off ${server}`,
      ),
    ];
  if (fencing.method !== "power") return [];
  const power = manifest.servers[server]?.power;
  if (power === undefined)
    return [
      refusal(
        "OPERATION-NO-POWER",
        server,
        `the site is fenced by power, but how ${server} is switched off is not in its manifest`,
        `switch it off by hand, then add --confirm-off ${server}; for the next time: servers.${server}.power`,
      ),
    ];
  if (power.kind === "command" || facts.hasSecret(power.passwordSecret)) return [];
  return [
    refusal(
      "OPERATION-NO-SECRET",
      server,
      `the password '${power.passwordSecret}' of the power control of ${server} is not known here`,
      `set ${`COLDSPARE_SECRET_${power.passwordSecret.toUpperCase().replace(/[^A-Z0-9]/g, "_")}`}, or switch it off by hand and add --confirm-off ${server}`,
    ),
  ];
}

function targetsReady(live: LiveSite, { moves }: FailoverPlan): Finding[] {
  return [...new Set(moves.map(({ to }) => to))].flatMap((server) => {
    const seen = live.servers[server]!;
    const found: Finding[] = [];
    if (seen.api !== "up")
      found.push(
        refusal(
          "OPERATION-SERVER-DOWN",
          server,
          `the API of ${server}, which is to take over, does not answer as it should: ${seen.apiProblem ?? "no address is known"}`,
          `mend that first; by hand it goes over its console (the runbook has the steps)`,
        ),
      );
    if (seen.ssh !== "up")
      found.push(
        refusal(
          "OPERATION-NO-SSH",
          server,
          `${server} is not reached over SSH: ${seen.sshProblem ?? "no host key of it is in the manifest"}`,
          "its record of who may run a guest, and the guest's configuration, are changed over SSH: mend that first",
        ),
      );
    else if (seen.node === undefined)
      found.push(
        refusal(
          "OPERATION-NO-GUARD",
          server,
          `the guard on ${server} does not answer: ${seen.sshProblem ?? "coldspare-node is not installed"}`,
          `\`pulumi up\` installs it; without it nothing keeps a guest from running twice`,
        ),
      );
    return found;
  });
}

/** What concerns one guest. */
export function guestChecks(
  manifest: SiteManifest,
  live: LiveSite,
  facts: FailoverFacts,
  request: FailoverRequest,
  move: GuestMove,
): { refusals: Finding[]; warnings: Finding[] } {
  const guest = manifest.guests[move.guest]!;
  return {
    refusals: [
      ...wayHome(guest, move),
      ...votersReady(guest, live, request),
      ...replicaReady(facts, request, move),
      ...registered(live, move),
      ...jobKnown(live, request, move),
      ...privileges(guest, facts, request, move),
      ...(request.freshGeneration ? [] : goesBackInTime(manifest, guest, request)),
    ],
    warnings: [...lockWarning(move), ...offWarning(move), ...addressWarning(guest, move)],
  };
}

/** A job that goes on after the move would be turned round, and overwrite what only the lost server has. */
function jobKnown({ jobsKnown }: LiveSite, { planned }: FailoverRequest, { guest, method, job }: GuestMove): Finding[] {
  if (planned || method !== "storage-replication" || job !== undefined || jobsKnown) return [];
  return [
    refusal(
      "OPERATION-JOBS-UNKNOWN",
      guest,
      `nobody says whether ${guest} has a replication job: it must be disabled first, or its next run overwrites what only the lost server has`,
      "see that the token may read /cluster/replication (`pvesr list` on a hypervisor shows it), then run the same command again",
    ),
  ];
}

function offWarning({ guest, startAfter }: GuestMove): Finding[] {
  if (startAfter !== false) return [];
  return [
    caution(
      "OPERATION-NOT-RUNNING",
      guest,
      `${guest} does not run now: it is moved, and stays off`,
      "start it afterwards, where `coldspare status` says that it is",
    ),
  ];
}

/** The old side of a restored guest has older data: going back to it is another thing than a failover. */
function wayHome(guest: ManifestGuest, { method, from, to }: GuestMove): Finding[] {
  if (method === "storage-replication" || to !== guest.primary) return [];
  return [
    refusal(
      "OPERATION-WAY-HOME",
      guest.name,
      `${guest.name} is active on its spare ${from}; on ${to} is what it was before`,
      `take its data home: \`coldspare failback ${guest.name}\`; or give up what was written since: \`coldspare undo ${guest.name}\``,
    ),
  ];
}

function votersReady(guest: ManifestGuest, live: LiveSite, { server, planned }: FailoverRequest): Finding[] {
  const { name, voters } = guest;
  const records = recordsOf(guest, live.readings).map(({ voter }) => voter);
  const answering = records.filter((voter) => planned || voter !== server);
  // Of two voters one is the dead server: a person's word stands for its vote, once the other one has blocked it.
  const needed = voters.length === 2 && !planned ? blockingOf(voters) : majorityOf(voters);
  if (answering.length >= needed) return [];
  const silent = voters.filter((voter) => !answering.includes(voter) && voter !== server);
  const why = silent.map((voter) => {
    const reading = live.readings[voter];
    if (reading === undefined) return `${voter}: no answer`;
    return `${voter}: ${reading.reachable ? (reading.voiceless?.[name] ?? "no record") : reading.reason}`;
  });
  return [
    refusal(
      "OPERATION-NO-MAJORITY",
      name,
      `${answering.length} of the ${voters.length} voters of ${name} answer, ${needed} are needed to keep ${server} from running it (${why.join("; ")})`,
      `bring back ${list(silent) || "a voter"} and run this again. If that cannot be: make sure that ${server} is off, then on the spare ` +
        `\`coldspare-node allow ${name} --because "<why>"\` and start it by hand (the runbook has the steps)`,
    ),
  ];
}

function replicaReady(facts: FailoverFacts, { planned }: FailoverRequest, move: GuestMove): Finding[] {
  if (planned || move.method !== "storage-replication") return [];
  const volumes = facts.volumes[move.guest];
  if (volumes === undefined || volumes.length > 0) return [];
  return [
    refusal(
      "OPERATION-NO-REPLICA",
      move.guest,
      `${move.to} has no volume of ${move.guest} (${move.toId})`,
      `its replication never ran there: restore its newest backup by hand, or bring back ${move.from}`,
    ),
  ];
}

/** With `zfs-sync` the spare starts a guest of its own, which `pulumi up` has registered there. */
function registered(live: LiveSite, { guest, method, to, toId }: GuestMove): Finding[] {
  if (method !== "zfs-sync") return [];
  const seat = live.guests[guest]?.seats.find(({ server, vmid }) => server === to && vmid === toId);
  if (seat?.config !== false) return [];
  return [
    refusal(
      "OPERATION-NOT-REGISTERED",
      guest,
      `${to} knows no guest ${toId}: ${guest} is not registered there, so that there is nothing to start`,
      `\`pulumi up\` registers it. By hand, with the settings of ${guest}: \`qm create ${toId} …\` on ${to}, each disk as \`--scsi0 <storage>:vm-${toId}-disk-0\``,
    ),
  ];
}

function privileges(
  guest: ManifestGuest,
  facts: FailoverFacts,
  { planned }: FailoverRequest,
  move: GuestMove,
): Finding[] {
  const needed: [path: string, privilege: string, why: string][] = [
    [`/vms/${move.toId}`, "VM.PowerMgmt", "start it"],
    [`/vms/${move.toId}`, "VM.Audit", "look at it"],
  ];
  const isCopied = move.method === "storage-replication";
  if (move.method === "zfs-sync" && planned) needed.push([`/vms/${move.fromId}`, "VM.PowerMgmt", "shut it down"]);
  if (isCopied && planned) needed.push([`/vms/${move.toId}`, "VM.Migrate", "move it"]);
  if (isCopied && !planned && move.job !== undefined)
    needed.push([`/vms/${move.toId}`, "VM.Replicate", "disable its replication"]);
  if (move.freshGeneration) needed.push([`/vms/${move.toId}`, "VM.Config.HWType", "give it a generation id"]);
  if (move.networks) needed.push([`/vms/${move.toId}`, "VM.Config.Network", "change its network"]);
  if (move.method === "restore" && planned) {
    needed.push([`/vms/${move.fromId}`, "VM.PowerMgmt", "shut it down"]);
    needed.push([`/vms/${move.fromId}`, "VM.Backup", "back it up a last time"]);
  }
  if (move.method === "restore" && (planned || move.point.kind === "backup")) {
    needed.push([`/vms/${move.toId}`, "VM.Allocate", "restore it"]);
    if (guest.standbyStorage !== undefined)
      needed.push([`/storage/${guest.standbyStorage}`, "Datastore.AllocateSpace", "restore it"]);
  }
  return needed.flatMap(([path, privilege, why]) => {
    const held = facts.privileges(path);
    if (held === undefined || held.has(privilege)) return [];
    return [
      refusal(
        "OPERATION-PRIVILEGE",
        guest.name,
        `the token lacks ${privilege} on ${path}, which is needed to ${why}`,
        `\`pveum acl modify ${path} --tokens '<user>!<token>' --roles PVEAdmin\` on a hypervisor, or another token in COLDSPARE_API_TOKEN`,
      ),
    ];
  });
}

/** Directory controllers number their changes: one that goes back in time, unknown to the others, breaks them. */
export function goesBackInTime(
  manifest: SiteManifest,
  guest: ManifestGuest,
  { planned }: Pick<FailoverRequest, "planned">,
): Finding[] {
  if (guest.role !== "domain-controller" || planned) return [];
  const others = Object.values(manifest.guests).filter(({ name, role }) => role === guest.role && name !== guest.name);
  if (others.length === 0) return [];
  return [
    refusal(
      "OPERATION-CONTROLLER-GENERATION",
      guest.name,
      `${guest.name} is one of several domain controllers and comes back with older data: without a fresh VM generation id the others do not take over what it changes`,
      `leave it off while ${list(others.map(({ name }) => name))} answers (name the other guests with --guest), or let it have a new id before its start: --fresh-generation`,
    ),
  ];
}

const SAFE_LOCKS = ["backup", "snapshot", "snapshot-delete", "migrate"];

function lockWarning({ guest, unlock, from, planned }: GuestMove & { planned?: boolean }): Finding[] {
  if (unlock === undefined || planned) return [];
  const safe = SAFE_LOCKS.includes(unlock);
  return [
    caution(
      "OPERATION-LOCKED",
      guest,
      `${guest} is locked (${unlock}): ${from} was at it when it died`,
      safe
        ? "the lock is taken off before the start"
        : `if its start fails: \`qm unlock\`, once you know what '${unlock}' left behind`,
    ),
  ];
}

function addressWarning(guest: ManifestGuest, { networks, to, point }: GuestMove): Finding[] {
  const target = to === guest.spare ? guest.spareNetworks : guest.networks;
  const readdressed = networks && target?.some((card, index) => card.address !== guest.networks[index]?.address);
  if (!readdressed || guest.kind === "lxc" || guest.cloudInit || point.kind === "now") return [];
  const wanted = target!.flatMap(({ address, gateway }) =>
    address ? [`${address}${gateway ? ` via ${gateway}` : ""}`] : [],
  );
  return [
    caution(
      "OPERATION-ADDRESS-BY-HAND",
      guest.name,
      `${guest.name} has another address on ${to} (${list(wanted)}), and no cloud-init that could set it`,
      "set it inside the guest after its start (console), and in the DNS",
    ),
  ];
}
