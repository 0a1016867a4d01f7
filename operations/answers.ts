/** Whether a guest that was started answers: asked by its agent, or at its address from the server that it runs on. */
import type { ManifestGuest, ManifestProbe } from "../planning/manifest";
import type { Operator } from "./context";
import type { GuestAt } from "./guest-power";
import { cardsOn } from "./network-change";

/** Seconds between two looks. */
const PAUSE = 1;
/** A guest without any way to be asked is given its planned boot, and no more. */
export const PATIENCE_FACTOR = 2;
export const LEAST_PATIENCE = 30;

/**
 * Waits until the guest answers, at most twice its planned boot. Never fails: a guest that does not show whether it answers
 * must not keep the others from their start.
 *
 * @returns what is known, in words
 */
export async function waitForAnswer(operator: Operator, guest: ManifestGuest, at: GuestAt): Promise<string> {
  const { clock } = operator;
  const began = clock.now().getTime();
  const passed = () => Math.round((clock.now().getTime() - began) / 100) / 10;
  const ways = waysToAsk(operator, guest, at);
  if (ways.length === 0) {
    await clock.sleep(guest.boot.seconds);
    return `${guest.name} has neither agent nor probe that could be asked: waited its ${guest.boot.seconds} s of boot`;
  }
  const patience = Math.max(LEAST_PATIENCE, guest.boot.seconds * PATIENCE_FACTOR);
  do {
    for (const { name, ask } of ways) {
      if (await ask().catch(() => false)) return `${guest.name} answers (${name}) after ${passed()} s`;
    }
    await clock.sleep(PAUSE);
  } while (passed() < patience);
  return `${guest.name} was not seen to answer within ${Math.round(passed())} s: going on`;
}

interface Way {
  name: string;
  ask(): Promise<boolean>;
}

function waysToAsk(operator: Operator, guest: ManifestGuest, at: GuestAt): Way[] {
  const address = cardsOn(guest, at.server)
    .flatMap(({ address: v4, address6 }) => v4 ?? address6 ?? [])[0]
    ?.replace(/\/\d+$/, "");
  const probes = guest.probes.flatMap((probe) => wayOf(operator, at, address, probe) ?? []);
  const hasAgent = guest.agent && guest.kind === "qemu" && !guest.probes.some(({ kind }) => kind === "agent");
  return [...probes, ...(hasAgent ? [agentWay(operator, at)] : [])];
}

function wayOf(operator: Operator, at: GuestAt, address: string | undefined, probe: ManifestProbe): Way | undefined {
  if (probe.kind === "agent") return at.kind === "qemu" ? agentWay(operator, at) : undefined;
  if (address === undefined || probe.kind === "command") return undefined;
  const run = async (argv: string[]) => (await operator.ssh.run(at.server, argv, { timeoutSeconds: 6 })).code === 0;
  if (probe.kind === "ping") return { name: "ping", ask: () => run(["ping", "-c", "1", "-W", "2", address]) };
  // Every hypervisor has bash and its own /dev/tcp; curl is not certain.
  const connect = 'exec 3<>"/dev/tcp/$1/$2"';
  return {
    name: `${probe.kind} ${probe.port}`,
    ask: () => run(["timeout", "3", "bash", "-c", connect, "bash", address, String(probe.port)]),
  };
}

function agentWay(operator: Operator, { server, vmid }: GuestAt): Way {
  const pve = operator.pveAt(server) ?? operator.pve;
  return {
    name: "agent",
    async ask() {
      await pve.post(`/nodes/${server}/qemu/${vmid}/agent/ping`);
      return true;
    },
  };
}
