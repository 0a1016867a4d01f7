/** A project folder as `import` and `init` write it, with the packed package installed and a stack of its own. */
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { installedModules } from "../../tests/engine/consumer";
import { toolchainEnvironment } from "../../tests/engine/engine";
import type { LiveCluster } from "../../tests/live/clusters";
import { type CommandRun, command } from "./scenario";

const PASSPHRASE = "proof-passphrase";

/** The engine, driven as the README of such a folder says. */
export class Project {
  private constructor(
    readonly folder: string,
    readonly env: NodeJS.ProcessEnv,
  ) {}

  /**
   * Installs the package and makes the stack `prod`.
   *
   * @param token What goes into coldspare:apiToken.
   */
  static async open(folder: string, cluster: LiveCluster, token: string): Promise<Project> {
    symlinkSync(installedModules(), join(folder, "node_modules"));
    const state = `${folder}-state`;
    mkdirSync(state, { recursive: true });
    const env = {
      ...toolchainEnvironment(),
      PULUMI_BACKEND_URL: `file://${state}`,
      PULUMI_CONFIG_PASSPHRASE: PASSPHRASE,
      SSL_CERT_FILE: cluster.caFile,
      COLDSPARE_API_TOKEN: token,
      COLDSPARE_CA_FILE: cluster.caFile,
    };
    const project = new Project(folder, env);
    await project.fine(project.pulumi(["stack", "init", "prod"]));
    await project.fine(project.pulumi(["config", "set", "coldspare:caFile", cluster.caFile]));
    await project.fine(project.pulumi(["config", "set", "--secret", "coldspare:apiToken"], token));
    return project;
  }

  pulumi(args: readonly string[], input?: string): Promise<CommandRun> {
    const options = { cwd: this.folder, env: this.env, ...(input === undefined ? {} : { input }) };
    return command("pulumi", [...args, "--non-interactive"], options);
  }

  /** The installed package's own command. */
  coldspare(args: readonly string[]): Promise<CommandRun> {
    return command(join(this.folder, "node_modules/.bin/coldspare"), args, { cwd: this.folder, env: this.env });
  }

  /** `pulumi up`, with what it did as the engine counts it: `{ same: 12 }`. */
  async up(): Promise<CommandRun & { changes: Record<string, number> }> {
    const run = await this.pulumi(["up", "--yes", "--skip-preview", "--json"]);
    const summary = run.stdout.split("\n").findLast((line) => line.includes('"summaryEvent"'));
    const event = summary === undefined ? {} : (JSON.parse(summary) as { summaryEvent?: { resourceChanges?: object } });
    return { ...run, changes: { ...(event.summaryEvent?.resourceChanges as Record<string, number> | undefined) } };
  }

  /** @throws Error with everything that was printed */
  async fine(run: Promise<CommandRun>): Promise<CommandRun> {
    const done = await run;
    if (done.code !== 0) throw new Error(`${done.stdout}\n${done.stderr}`);
    return done;
  }
}
