/** One order and its consequences, whatever switches the server: send it, then believe what is read back. */
import type { ManifestPower } from "../../planning/manifest";
import { commandSwitch } from "./command";
import { ipmiSwitch } from "./ipmi";
import { redfishSwitch } from "./redfish";
import { PowerError, type PowerState, type PowerSwitch, type ServerPower, SwitchFailure } from "./types";

/** Patience of {@link powerOf}. */
export interface PowerOptions {
  /** Seconds until the state that was asked for must be read back. Default 60. */
  timeoutSeconds?: number;
  /** Seconds between two readings. Default 1. */
  pollSeconds?: number;
}

/** Readings in a row that must say so: some BMCs show the state that was asked for before it is reached. */
const READINGS = 2;

/**
 * ```ts
 * const power = powerOf("srv2", manifest.servers.srv2.power, (name) => process.env[`COLDSPARE_SECRET_${name}`]);
 * await power.off();
 * ```
 *
 * What a BMC says is all that is known here; that the server answers nobody any more is for the caller to see.
 *
 * @param secret The password by the name that the specification gives it
 * @throws PowerError when the password is not known
 */
export function powerOf(
  server: string,
  power: ManifestPower,
  secret: (name: string) => string | undefined,
  options: PowerOptions = {},
): ServerPower {
  let way: PowerSwitch;
  try {
    way = switchOf(server, power, secret);
  } catch (error) {
    throw asPowerError(server, "unknown", error);
  }
  const state = async (): Promise<PowerState> => {
    try {
      return await way.state();
    } catch (error) {
      throw asPowerError(server, "unknown", error);
    }
  };
  return {
    state,
    off: () => bring(server, way, "off", options),
    on: () => bring(server, way, "on", options),
  };
}

function switchOf(server: string, power: ManifestPower, secret: (name: string) => string | undefined): PowerSwitch {
  if (power.kind === "command") return commandSwitch(server, power);
  const password = secret(power.passwordSecret);
  if (password === undefined || password === "") {
    const variable = `COLDSPARE_SECRET_${power.passwordSecret.toUpperCase().replace(/[^A-Z0-9]/g, "_")}`;
    throw new PowerError(
      server,
      "unknown",
      `the password '${power.passwordSecret}' of its power control is not known here`,
      `set ${variable}, or put it under 'secrets' of the break-glass file (COLDSPARE_BREAK_GLASS)`,
    );
  }
  return power.kind === "redfish" ? redfishSwitch(power, password) : ipmiSwitch(power, password);
}

/**
 * A server that is said to be off already is switched off all the same: the order does no harm there, and what was said may be wrong.
 */
async function bring(server: string, way: PowerSwitch, wanted: "on" | "off", options: PowerOptions): Promise<void> {
  const { timeoutSeconds = 60, pollSeconds = 1 } = options;
  const deadline = Date.now() + timeoutSeconds * 1000;
  // Written by `look`, which the compiler does not see.
  let known = "unknown" as PowerState;
  let refusal: unknown;
  let failure: unknown;
  const look = async () => {
    try {
      known = await way.state();
      failure = undefined;
    } catch (error) {
      failure = error;
    }
  };
  await look();
  if (wanted === "off" || known !== "on") {
    try {
      await way.set(wanted);
    } catch (error) {
      refusal = error;
    }
  }
  for (let agreeing = 0; ; ) {
    await look();
    agreeing = failure === undefined && known === wanted ? agreeing + 1 : 0;
    if (agreeing >= READINGS) return;
    // A refused order changes nothing, however long one waits.
    const isRefused = refusal instanceof SwitchFailure ? refusal.isRefusal : refusal !== undefined;
    if (agreeing === 0 && (isRefused || Date.now() >= deadline)) break;
    await new Promise((resolve) => setTimeout(resolve, pollSeconds * 1000));
  }
  const why = refusal ?? failure;
  if (why !== undefined) throw asPowerError(server, known, why);
  throw new PowerError(
    server,
    known,
    `it was told to go ${wanted}, which was accepted, and ${timeoutSeconds} s later it is not said to be ${wanted}`,
    `go and see: the switch on its front, its plug, its console${wanted === "off" ? ". Until it is off for certain, nothing of it may run elsewhere" : ""}`,
  );
}

function asPowerError(server: string, known: PowerState, error: unknown): PowerError {
  if (error instanceof SwitchFailure) return new PowerError(server, known, error.reason, error.fix);
  throw error;
}
