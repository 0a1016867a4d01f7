/** The steps of a site's way down: each guest and each server fails by itself, and the others go on. */
import { PveError } from "../providers/pve/errors";
import { SshError } from "../providers/ssh";
import type { Operator } from "./context";
import { runs, shutDown } from "./guest-power";
import type { GuestAction, ServerAction, SitePowerPlan } from "./plan-site-power";
import type { Step } from "./steps";

/** Steps in the order of the plan. */
export function downSteps(operator: Operator, plan: SitePowerPlan): Step[] {
  return plan.actions.map((action) => {
    if (action.kind === "server") return serverOff(operator, action);
    return action.over === "ssh" ? guestOffOverSsh(operator, plan, action) : guestOff(operator, plan, action);
  });
}

// One guest that does not end must not keep the others from a clean end: its server stops it when it goes down.
const partsOf = ({ guest }: GuestAction) => [`guest ${guest}`];

function guestOff(operator: Operator, { stopSeconds }: SitePowerPlan, action: GuestAction): Step {
  const { guest, vmid, server, guestKind } = action;
  const at = { guest, kind: guestKind, server, vmid };
  return {
    id: `stop-${guest}`,
    guest,
    title: `shut ${guest} (${vmid}) down on ${server}`,
    seconds: 60,
    parts: partsOf(action),
    isDone: async () => (await runs(operator, at)) !== true,
    run: () => shutDown(operator, at, stopSeconds),
  };
}

const LOOK_SECONDS = 20;

function guestOffOverSsh(operator: Operator, { stopSeconds }: SitePowerPlan, action: GuestAction): Step {
  const { guest, vmid, server, guestKind } = action;
  const program = guestKind === "qemu" ? "qm" : "pct";
  return {
    id: `stop-${guest}-${vmid}`,
    guest,
    title: `shut ${guest} (${vmid}) down over SSH, if it runs on ${server}`,
    seconds: 60,
    // Another id of the same guest is tried whatever became of this one.
    parts: [`guest ${guest} ${vmid}`],
    async isDone() {
      const { code, stdout, stderr } = await operator.ssh.run(server, [program, "status", String(vmid)], {
        timeoutSeconds: LOOK_SECONDS,
      });
      return code === 0 ? /status: stopped/.test(stdout) : /does not exist/.test(stderr);
    },
    async run() {
      const argv = [program, "shutdown", String(vmid), "--timeout", String(stopSeconds)];
      const answer = await operator.ssh.run(server, argv, { timeoutSeconds: stopSeconds + LOOK_SECONDS });
      if (answer.code !== 0)
        throw new Error(
          `${server} could not: ${(answer.stderr || answer.stdout).trim() || `exit code ${answer.code}`}`,
        );
    },
  };
}

function serverOff(operator: Operator, { server, over, why }: ServerAction): Step {
  const hypervisor = operator.manifest.servers[server]?.roles.includes("hypervisor") === true;
  const because = hypervisor && over === "ssh" ? ` over SSH (${why})` : "";
  return {
    id: `off-${server}`,
    title: `switch ${server} off${because}`,
    seconds: 120,
    parts: [`server ${server}`],
    async run(note) {
      if (!hypervisor || over === "ssh") return offOverSsh(operator, server);
      try {
        await offOverApi(operator, server);
      } catch (error) {
        if (!(error instanceof PveError) || operator.manifest.servers[server]?.ssh === undefined) throw error;
        if (error.isServerDown && (await isGone(operator, server))) return;
        note(`its API does not do it (${error.reason}): over SSH`);
        await offOverSsh(operator, server).catch((second: unknown) => {
          throw new Error(
            `${error.message}; and over SSH: ${second instanceof Error ? second.message : String(second)}`,
          );
        });
      }
    },
  };
}

async function offOverApi(operator: Operator, server: string): Promise<void> {
  const pve = operator.pveAt(server) ?? operator.pve;
  await pve.post(`/nodes/${server}/status`, { command: "shutdown" }, { server, doing: "switch off" });
}

/** It may be gone before it has answered. */
async function isGone({ ssh }: Operator, server: string): Promise<boolean> {
  return ssh.run(server, ["true"], { timeoutSeconds: LOOK_SECONDS }).then(
    () => false,
    (error: unknown) => isOutOfReach(error),
  );
}

const isOutOfReach = (error: unknown) => error instanceof SshError && error.kind === "unreachable";

async function offOverSsh({ ssh }: Operator, server: string): Promise<void> {
  // Whoever did not answer before was not switched off by what comes next.
  await ssh.run(server, ["true"], { timeoutSeconds: LOOK_SECONDS });
  const answer = await ssh.run(server, ["shutdown", "-h", "now"], { timeoutSeconds: LOOK_SECONDS }).catch((error) => {
    // The connection went with the server.
    if (isOutOfReach(error)) return { code: 255, stdout: "", stderr: "" };
    throw error;
  });
  // 255 and signals: the same.
  if (answer.code !== 0 && answer.code < 128)
    throw new Error(`${server} does not go down: ${(answer.stderr || answer.stdout).trim()}`);
}
