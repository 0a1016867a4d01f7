/** The plugin's process: the engine starts it, and speaks with it until it is done. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { ColdspareProvider } from "./provider";

// From dist/plugin; the package's own file, wherever it is installed.
const { version } = JSON.parse(readFileSync(join(__dirname, "../../package.json"), "utf8")) as { version: string };

void pulumi.provider.main(new ColdspareProvider(version), process.argv.slice(2));
