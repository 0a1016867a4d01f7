/**
 * The parts of a specification that say how guests change sides: fencing, application groups, commands around a switch,
 * probes, drills, and networks that are different on the spare. Times are seconds unless a key says otherwise.
 */
import { z } from "zod";
import { duration, name, secretName } from "./schema-basics";

const argv = z.array(z.string().min(1)).min(1);
const timeout = z.int().positive();

/** How long who may run a guest is settled for, with `fencing: lease`. */
export const lease = z.strictObject({
  termSeconds: z.int().min(10).default(60).describe("For how long one answer of a voter lets a guest run"),
  renewSeconds: z.int().positive().default(10).describe("How often a server asks its voters again"),
  marginSeconds: z
    .int()
    .nonnegative()
    .default(75)
    .describe("Wait after the last lease ended, before the spare starts: the watchdog's time and that of a hard stop"),
  watchdogSeconds: z
    .int()
    .min(10)
    .default(60)
    .describe("A server whose agent hangs is reset after this; 60 is what watchdog-mux of Proxmox VE is built with"),
});

const username = z.string().min(1);
const passwordSecret = secretName.describe("Name of the secret that holds the password: COLDSPARE_SECRET_<NAME>");

/** How a server is switched off, and its state read back. */
export const power = z
  .discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("redfish"),
      url: z.url({ protocol: /^https$/, error: "must be a URL like https://10.0.9.11" }).describe("The BMC's address"),
      username,
      passwordSecret,
      system: z.string().optional().describe("Path or id of the system. Default: the only one that the BMC names"),
      ca: z.string().optional().describe("PEM of the authority that signed the BMC's certificate"),
    }),
    z.strictObject({
      kind: z.literal("ipmi"),
      address: z.string().min(1).describe("Address of the BMC; asked with ipmitool, IPMI 2.0 (lanplus)"),
      username,
      passwordSecret,
    }),
    z.strictObject({
      kind: z.literal("command"),
      off: argv.describe("Program and arguments that switch the server off, run on the operator's machine"),
      on: argv.optional(),
      status: argv.describe("Prints `on` or `off`"),
    }),
  ])
  .describe("How `fencing: power` switches this server off");

/** A command around a switch. */
export const guestCommand = z.strictObject({
  when: z.enum(["before-stop", "after-stop", "before-start", "after-start"]),
  on: z
    .string()
    .min(1)
    .default("operator")
    .describe(
      "Where: operator (the machine of whoever types the command), a server's name, primary, spare, or guest (by its agent)",
    ),
  run: argv.describe(
    "Program and arguments. It finds COLDSPARE_GUEST or COLDSPARE_GROUP, COLDSPARE_FROM and COLDSPARE_TO in its environment",
  ),
  timeoutSeconds: timeout.default(60),
  required: z.boolean().default(false).describe("true: a failure stops the switch; false: it is told of and goes on"),
});

const probeTimeout = timeout.default(300).describe("From the guest's start until it must have answered");
const port = z.int().min(1).max(65_535);

/** How one sees that a guest's service answers. */
export const probe = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("ping"), timeoutSeconds: probeTimeout }),
  z.strictObject({ kind: z.literal("tcp"), port, timeoutSeconds: probeTimeout }),
  z.strictObject({
    kind: z.literal("http"),
    port: port.optional().describe("Default: 80, or 443 with tls"),
    path: z.string().startsWith("/", "must begin with /").default("/"),
    tls: z.boolean().default(false),
    status: z.int().min(100).max(599).optional().describe("Status that the answer must have. Default: any below 400"),
    expect: z.string().optional().describe("Text that the answer must contain"),
    timeoutSeconds: probeTimeout,
  }),
  z.strictObject({ kind: z.literal("agent"), timeoutSeconds: probeTimeout }).describe("The QEMU guest agent answers"),
  z.strictObject({
    kind: z.literal("command"),
    run: argv.describe("Program and arguments, run beside the guest on the drill's network; 0 is success"),
    timeoutSeconds: probeTimeout,
  }),
]);

/** Guests that belong together and start one after another. */
export const group = z.strictObject({
  guests: z.array(name).min(1).describe("In the order in which they start; they stop in the reverse one"),
  order: z
    .int()
    .min(1)
    .default(50)
    .describe("Smaller starts first, on one scale with the boot order of guests that are in no group"),
  delaySeconds: z.int().nonnegative().default(0).describe("Wait after the group's last guest answers"),
  commands: z.array(guestCommand).default([]),
});

/** Replicas that are started in isolation, probed and thrown away. */
export const drill = z.strictObject({
  guests: z
    .union([z.literal("all"), z.array(name)])
    .optional()
    .describe("Default: those of `group`, or else all guests with a spare"),
  group: name.optional().describe("An application group: started in its order"),
  schedule: z.string().optional().describe("systemd calendar event, for example Sun *-*-1..7 03:00. Default: by hand"),
  maximumAge: duration.optional().describe("A drill that is older is shown as overdue"),
});

/** Addresses of one subnet become those with the same host part in another one. */
export const reIpRule = z.strictObject({
  from: z.string().describe("Subnet on the primary, for example 192.168.20.0/24"),
  to: z.string().describe("Subnet on the spare, for example 192.168.120.0/24"),
  gateway: z.string().optional().describe("Default: that of the network on the spare, where it lies in `to`"),
  dnsServers: z.array(z.string()).optional().describe("Default: those of the network on the spare"),
});

export type LeaseSpec = z.output<typeof lease>;
export type PowerSpec = z.output<typeof power>;
export type GuestCommandSpec = z.output<typeof guestCommand>;
export type ProbeSpec = z.output<typeof probe>;
export type GroupSpec = z.output<typeof group>;
export type DrillSpec = z.output<typeof drill>;
export type ReIpRule = z.output<typeof reIpRule>;
