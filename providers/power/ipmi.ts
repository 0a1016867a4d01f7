/** Power by IPMI 2.0, with the system's ipmitool. For BMCs without Redfish. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ManifestPower } from "../../planning/manifest";
import { run } from "./run";
import { type PowerSwitch, SwitchFailure } from "./types";

type Ipmi = Extract<ManifestPower, { kind: "ipmi" }>;

/** Four tries of two seconds, and what ipmitool takes besides. */
const SECONDS = 25;
/** IPMI 2.0 has no longer ones: ipmitool would cut it off without a word. */
const LONGEST_PASSWORD = 20;

export function ipmiSwitch(power: Ipmi, password: string): PowerSwitch {
  const ask = (order: "status" | "on" | "off") => chassisPower(power, password, order);
  return {
    async state() {
      const said = await ask("status");
      const [, state] = said.match(/power is (on|off)/i) ?? [];
      return state?.toLowerCase() === "on" ? "on" : state?.toLowerCase() === "off" ? "off" : "unknown";
    },
    async set(wanted) {
      await ask(wanted);
    },
  };
}

async function chassisPower(power: Ipmi, password: string, order: string): Promise<string> {
  if (Buffer.byteLength(password) > LONGEST_PASSWORD) {
    throw new SwitchFailure(
      `the password '${power.passwordSecret}' has more than ${LONGEST_PASSWORD} bytes, which IPMI cannot have`,
      "look whether it is the right one",
    );
  }
  // By a file: everybody on this machine can read the arguments of a process.
  const folder = mkdtempSync(join(tmpdir(), "csp-ipmi-"));
  try {
    const file = join(folder, "password");
    writeFileSync(file, `${password}\n`, { mode: 0o600 });
    const argv = ["ipmitool", "-I", "lanplus", "-H", power.address, "-U", power.username, "-f", file];
    const { code, stdout, stderr } = await run([...argv, "-N", "2", "-R", "4", "chassis", "power", order], SECONDS);
    if (code === 0) return stdout;
    const why = (stderr.trim() || stdout.trim() || `exit code ${code}`).split("\n").at(-1)?.slice(0, 300) ?? "";
    throw new SwitchFailure(
      `its BMC ${power.address} does not do 'chassis power ${order}' (${why.replaceAll(password, "***").replace(/\.$/, "")})`,
      `look at its network, at user and password ('${power.passwordSecret}'), and whether IPMI over LAN is switched on`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
