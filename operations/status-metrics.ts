/** The status in the text format of Prometheus: for the textfile collector of node_exporter. Pure. */
import { backupFamilies } from "./backups/metrics-backups";
import { GUEST_STATES, type GuestStatus, SERVER_STATES, type SiteStatus } from "./status";

type Labels = Record<string, string>;
interface Sample {
  labels: Labels;
  value: number;
}

/**
 * Gauges with the labels `site` and `guest` or `server`; times in seconds, ages as of the moment of the look. Of a state there is
 * one sample for each value that it can have, 1 for the one that it has, as Prometheus recommends for enumerations
 * (https://prometheus.io/docs/specs/om/open_metrics_spec/, StateSet).
 */
export function statusMetrics(status: SiteStatus): string {
  const site = { site: status.site };
  const guests = Object.values(status.guests).map((guest) => ({ guest, labels: { ...site, guest: guest.name } }));
  const servers = Object.values(status.servers).map((server) => ({ server, labels: { ...site, server: server.name } }));
  const ofGuests = (value: (guest: GuestStatus) => number | boolean | undefined) =>
    guests.flatMap(({ guest, labels }) => sample(labels, value(guest)));
  const paired = guests.filter(({ guest }) => guest.spare !== undefined);
  return [
    gauge("coldspare_status_timestamp_seconds", "When the site was asked, by its servers' clock.", [
      { labels: site, value: Date.parse(status.at) / 1000 },
    ]),
    gauge("coldspare_ok", "1 when every guest and server is as it should be.", [
      { labels: site, value: Number(status.ok) },
    ]),
    gauge(
      "coldspare_guest_state",
      "State of a guest and its spare: 1 for the state that it is in.",
      guests.flatMap(({ guest, labels }) => states(labels, GUEST_STATES, guest.state)),
    ),
    gauge(
      "coldspare_guest_active",
      "1 for the side of a guest that may run, by its voters.",
      paired.flatMap(({ guest, labels }) =>
        (["primary", "spare"] as const).map((side) => ({
          labels: { ...labels, side, server: (side === "primary" ? guest.primary : guest.spare) ?? "" },
          value: Number(guest.activeSide === side),
        })),
      ),
    ),
    gauge(
      "coldspare_guest_sides_running",
      "Servers on which the guest runs; more than one is an emergency.",
      ofGuests(({ runsOn }) => runsOn.length),
    ),
    gauge(
      "coldspare_guest_recovery_point_age_seconds",
      "Age of the data that the other side has.",
      ofGuests(({ recoveryPoint }) => recoveryPoint?.ageSeconds),
    ),
    gauge(
      "coldspare_guest_recovery_point_promised_seconds",
      "Age that was promised for it.",
      ofGuests(({ recoveryPoint }) => recoveryPoint?.promisedSeconds),
    ),
    gauge(
      "coldspare_guest_problems",
      "Things to be looked at; `coldspare status` names them.",
      ofGuests(({ problems }) => problems.length),
    ),
    gauge(
      "coldspare_guest_drill_timestamp_seconds",
      "When the last drill was.",
      ofGuests(({ lastDrill }) => lastDrill && Date.parse(lastDrill.at) / 1000),
    ),
    gauge(
      "coldspare_guest_drill_success",
      "1 when the last drill passed.",
      ofGuests(({ lastDrill }) => lastDrill?.ok),
    ),
    gauge(
      "coldspare_guest_drill_overdue",
      "1 when the last drill is older than its schedule allows.",
      ofGuests(({ lastDrill }) => lastDrill?.overdue),
    ),
    gauge(
      "coldspare_guest_drill_recovery_time_seconds",
      "Recovery time with the boot that the last drill measured.",
      ofGuests(({ lastDrill }) => lastDrill?.recoveryTimeSeconds),
    ),
    gauge(
      "coldspare_server_state",
      "Whether a server answers: 1 for the state that it is in.",
      servers.flatMap(({ server, labels }) => states(labels, SERVER_STATES, server.state)),
    ),
    gauge(
      "coldspare_server_quorate",
      "1 when the server's part of the cluster has a quorum.",
      servers.flatMap(({ server, labels }) => sample(labels, server.quorate)),
    ),
    ...(status.backups === undefined ? [] : backupFamilies(status.site, status.backups)).map(
      ({ name, help, samples }) => gauge(name, help, samples),
    ),
  ].join("");
}

function sample(labels: Labels, value: number | boolean | undefined): Sample[] {
  return value === undefined ? [] : [{ labels, value: Number(value) }];
}

function states<T extends string>(labels: Labels, all: readonly T[], current: T): Sample[] {
  return all.map((state) => ({ labels: { ...labels, state }, value: Number(state === current) }));
}

/** A family without samples is left out. */
function gauge(name: string, help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) return "";
  const lines = samples.map(({ labels, value }) => {
    const words = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`);
    return `${name}{${words.join(",")}} ${value}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${lines.join("")}`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
