/** The last test restore of each guest, as the servers keep it. */

import { longestGapSeconds, parseCalendarEvent } from "../../planning/calendar";
import type { SiteManifest } from "../../planning/manifest";
import { formatDuration } from "../../planning/units";
import { SshError } from "../../providers/ssh";
import { hypervisors, type Operator } from "../context";
import { TEST_FOLDER, type TestResult } from "./restore-test";

/** What the status says of a guest's last test restore. */
export interface LastTest extends Pick<TestResult, "guest" | "policy" | "point" | "server" | "at" | "ok" | "reason"> {
  ageSeconds: number;
}

const READ = `for f in ${TEST_FOLDER}/*.json; do test -f "$f" && { tr -d '\\n' <"$f"; echo; }; done; true`;

/** Newest of each guest, by guest. A server that does not answer is missing; what it knows may be older anyway. */
export async function readTests(operator: Operator, now: number): Promise<Record<string, LastTest>> {
  const servers = hypervisors(operator.manifest).filter((name) => operator.manifest.servers[name]?.ssh !== undefined);
  const texts = await Promise.all(servers.map((server) => textOn(operator, server)));
  const newest: Record<string, LastTest> = {};
  for (const line of texts.join("\n").split("\n")) {
    const test = testIn(line, now);
    if (test !== undefined && (newest[test.guest]?.at ?? "") < test.at) newest[test.guest] = test;
  }
  return newest;
}

async function textOn(operator: Operator, server: string): Promise<string> {
  try {
    return (await operator.ssh.run(server, ["sh", "-c", READ], { timeoutSeconds: 15 })).stdout;
  } catch (error) {
    if (error instanceof SshError) return "";
    throw error;
  }
}

function testIn(line: string, now: number): LastTest | undefined {
  try {
    const { guest, policy, point, server, at, ok, reason } = JSON.parse(line) as TestResult;
    if (typeof guest !== "string" || typeof at !== "string" || Number.isNaN(Date.parse(at))) return undefined;
    const ageSeconds = Math.max(0, Math.round((now - Date.parse(at)) / 1000));
    return { guest, policy, point, server, at, ok: ok === true, ageSeconds, ...(reason !== undefined && { reason }) };
  } catch {
    // A result that was cut off is none.
    return undefined;
  }
}

/** A test may be a day late without anything being wrong. */
const GRACE_SECONDS = 86_400;

/** Policies that promise test restores: which failed, which are overdue, which were never made. */
export function testProblems({ backups }: SiteManifest, tests: Readonly<Record<string, LastTest>>): string[] {
  return Object.entries(backups?.policies ?? {}).flatMap(([policy, { testRestore, guests }]) => {
    const event = testRestore && parseCalendarEvent(testRestore.schedule).event;
    if (testRestore === undefined || event === undefined) return [];
    const wanted = testRestore.guests.length > 0 ? testRestore.guests : guests;
    const limit = longestGapSeconds(event) + GRACE_SECONDS;
    return wanted.flatMap((guest) => problemOf(guest, policy, tests[guest], limit) ?? []);
  });
}

function problemOf(guest: string, policy: string, test: LastTest | undefined, limit: number): string | undefined {
  const make = `\`coldspare backups test ${policy} --guest ${guest}\``;
  if (test === undefined) return `${guest}: no copy of it was ever started to see whether it does: ${make}`;
  if (!test.ok) return `${guest}: the test restore of ${test.point} failed: ${test.reason ?? "no reason is given"}`;
  if (test.ageSeconds <= limit) return undefined;
  return `${guest}: its last test restore is ${formatDuration(test.ageSeconds)} ago, allowed are ${formatDuration(limit)}: ${make}`;
}
