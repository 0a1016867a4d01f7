/** Power by commands of one's own, run on the operator's machine: a switched socket, a PDU, a hosting company's interface. */
import type { ManifestPower } from "../../planning/manifest";
import { run } from "./run";
import { type PowerState, type PowerSwitch, SwitchFailure } from "./types";

type Command = Extract<ManifestPower, { kind: "command" }>;

const SECONDS = 30;

export function commandSwitch(server: string, power: Command): PowerSwitch {
  const call = async (argv: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(argv, SECONDS, { COLDSPARE_SERVER: server });
    if (code === 0) return stdout;
    const why = (stderr.trim() || stdout.trim()).split("\n").at(-1)?.slice(0, 300) || "it says nothing";
    throw new SwitchFailure(
      `\`${argv.join(" ")}\` ended with ${code} (${why.replace(/\.$/, "")})`,
      "try it by hand on this machine",
    );
  };
  return {
    state: async () => stateOf(await call(power.status)),
    async set(wanted) {
      const argv = wanted === "off" ? power.off : power.on;
      if (argv === undefined) {
        throw new SwitchFailure(
          "there is no command that switches it on",
          "press its button, or write servers.*.power.on",
        );
      }
      await call(argv);
    },
  };
}

/** Exactly one of the two words: a text that holds both, or neither, says nothing. */
function stateOf(text: string): PowerState {
  const said = text.trim().toLowerCase();
  return said === "on" || said === "off" ? said : "unknown";
}
