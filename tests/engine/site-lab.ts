/** A lab that looks like the SMB site, a stack that builds it there, and hands to reach behind the engine's back. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { type Lab, type LabTopology, startLab } from "../../lab";
import { labTopology } from "../../lab/from-site";
import { planSite, type SiteSpecInput } from "../../planning";
import { PveClient } from "../../providers/pve/client";
import { createAccounts } from "../lab/accounts";
import { checkout, EngineStack, toolchainEnvironment } from "./engine";

/** Virtual seconds per real second: tasks and replication runs take no time to speak of. */
const SPEED = 120;

export function smbSite(): SiteSpecInput {
  return parse(readFileSync(join(checkout, "stacks/smb-site/site.yaml"), "utf8")) as SiteSpecInput;
}

/** The lab, the stack and a client, all for one test file. */
export class SiteLab {
  private constructor(
    readonly lab: Lab,
    readonly stack: EngineStack,
    readonly pve: PveClient,
    private readonly siteFile: string,
    /** What the stack works with; the client here is root's. */
    readonly token: string,
  ) {}

  /**
   * @param more What the lab has beside what the plan says.
   * @param account `planned`: the stack works with the account that `coldspare privileges` prints for the site.
   */
  static async start(
    site = smbSite(),
    more: Partial<LabTopology> = {},
    account: "root" | "planned" = "root",
  ): Promise<SiteLab> {
    const toolchain = toolchainEnvironment() as NodeJS.ProcessEnv & { schema?: string };
    const stack = new EngineStack({}, toolchain);
    const lab = await startLab({
      folder: join(stack.folder, "lab"),
      topology: { ...labTopology(planSite(site)), ...more },
      clock: { speed: SPEED },
      ...(process.env.COLDSPARE_PVE_SCHEMA ? { schemaFile: process.env.COLDSPARE_PVE_SCHEMA } : {}),
      ...(process.env.COLDSPARE_PBS_SCHEMA ? { pbsSchemaFile: process.env.COLDSPARE_PBS_SCHEMA } : {}),
    });
    stack.trust(lab.caFile);
    const siteFile = join(stack.folder, "site.yaml");
    const pve = new PveClient({
      endpoints: lab.endpoints,
      apiToken: lab.tokens.root,
      ca: readFileSync(lab.caFile, "utf8"),
      pollSeconds: 0.2,
    });
    const token = account === "root" ? lab.tokens.root : (await createAccounts(lab, planSite(site))).pulumi;
    const whole = new SiteLab(lab, stack, pve, siteFile, token);
    whole.writeSite(site);
    await stack.init(whole.config(), { "coldspare:apiToken": token });
    return whole;
  }

  /** The stack's plain config, with changes. */
  config(changes: Record<string, unknown> = {}): Record<string, unknown> {
    return {
      "coldspare:siteFile": this.siteFile,
      "coldspare:endpoints": this.lab.endpoints,
      "coldspare:caFile": this.lab.caFile,
      "coldspare:protect": false,
      ...changes,
    };
  }

  /** What the program is told to build from now on. */
  writeSite(site: SiteSpecInput): void {
    writeFileSync(this.siteFile, stringify(site));
  }

  /** A call to the lab's control interface. */
  async control<T>(method: "GET" | "POST", path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${this.lab.controlUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.lab.controlToken}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`control ${method} ${path}: ${response.status} ${text}`);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  async end(): Promise<void> {
    this.pve.close();
    await this.lab.stop();
    this.stack.remove();
  }
}
