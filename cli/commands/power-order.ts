/** `coldspare power-order`: in which order the site goes down and comes up, for people and for the program at the UPS. */
import { powerOrder as orderOf, powerOrderNut, powerOrderText } from "../../operations/power-order";
import { exitCode, type Io, UsageError } from "../io";
import { didYouMean } from "../suggest";
import { manifestFor, type RunbookCommandOptions, write } from "./runbook";

export interface PowerOrderOptions extends Pick<RunbookCommandOptions, "manifest" | "out" | "color"> {
  format: string;
  self?: string;
}

/** Writes the order and answers the exit code. */
export async function powerOrder(site: string | undefined, options: PowerOrderOptions, io: Io): Promise<number> {
  const manifest = await manifestFor(site, options, io, "no order is written");
  if (manifest === undefined) return exitCode.errors;
  const { self, format } = options;
  const servers = Object.keys(manifest.servers);
  if (self !== undefined && !servers.includes(self)) {
    throw new UsageError(`--self ${self}: ${manifest.site} has no such server${didYouMean(self, servers)}`);
  }
  const order = orderOf(manifest);
  if (format === "json")
    write(`${JSON.stringify({ formatVersion: 1, site: manifest.site, ...order }, null, 2)}\n`, options.out, io);
  else if (format === "nut") write(powerOrderNut(manifest, order, self), options.out, io);
  else write(powerOrderText(manifest, order), options.out, io);
  return exitCode.fine;
}
