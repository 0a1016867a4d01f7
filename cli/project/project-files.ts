/** The files of a new project, as texts: a person who has never seen Pulumi should be able to read each of them. */
import { stringify } from "yaml";
import { backendUrl, type ProjectOptions, type ProjectVersions, type StateChoice, stateFolder } from "./options";
import { readmeText } from "./readme";
import { packageVersions } from "./versions";

/**
 * Every file of a project, by its path in the folder. Pure: writes nothing.
 *
 * @param versions what package.json asks for. Default: what this release was made with
 */
export function projectFiles(options: ProjectOptions, versions = packageVersions()): Record<string, string> {
  const folder = stateFolder(options.state);
  return {
    ".gitignore": gitignore,
    "Pulumi.yaml": pulumiYaml(options),
    [`Pulumi.${options.stack}.yaml`]: stackYaml(options),
    "README.md": readmeText(options),
    "index.ts": program,
    "package.json": packageJson(options, versions),
    "site.yaml": withSchemaLine(options.siteText),
    ...(folder === undefined ? {} : { [`${folder}/README.md`]: stateReadme(options) }),
    "tsconfig.json": tsconfig,
    ...options.extra,
  };
}

const program = `// The whole program: it reads site.yaml and the stack's settings, proves the plan, and builds what stands there.
import { runSite } from "coldspare/stacks";

export = runSite();
`;

/** Only what is secret in clear, or can be made again at any time. Everything else belongs into the repository. */
const gitignore = `# Can be made again at any time.
node_modules/
ca-bundle.pem
coldspare.manifest.json

# Copies of the state from before \`coldspare adopt\` changed it.
state-before-adopt*.json

# Secrets in clear: keep them where your passwords are. The secrets in Pulumi.*.yaml are encrypted, and stay in.
.env
.env.*
*.key
*.passphrase
*.token
id_ed25519*
id_rsa*
break-glass.yaml

# What the engine keeps beside its state for itself.
**/.pulumi/locks/
**/.pulumi/backups/
`;

const tsconfig = `${JSON.stringify(
  {
    compilerOptions: {
      target: "es2022",
      module: "node16",
      moduleResolution: "node16",
      strict: true,
      skipLibCheck: true,
      noEmit: true,
    },
    include: ["index.ts"],
  },
  null,
  2,
)}\n`;

/** An own name: npm refuses a package that depends on one of its own name. */
function packageJson({ name }: ProjectOptions, versions: ProjectVersions): string {
  const content = {
    name: `${name}-site`,
    description: `What runs where in ${name}, what stands by for it and where its copies lie`,
    private: true,
    engines: { node: versions.node },
    scripts: { check: "coldspare check", preview: "pulumi preview", up: "pulumi up" },
    dependencies: { "@pulumi/pulumi": versions.pulumi, coldspare: versions.coldspare },
    devDependencies: { typescript: versions.typescript },
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

function pulumiYaml({ name, state }: ProjectOptions): string {
  const project = {
    name,
    description: `The site ${name}, built from site.yaml by coldspare`,
    runtime: "nodejs",
    backend: { url: backendUrl(state) },
  };
  return `# The project, as the command pulumi finds it in this folder.
# backend.url says where the state lies: what pulumi has built, so that it knows what to change next time. ${stateHint(state)}
${stringify(project, { lineWidth: 0 })}`;
}

function stateHint(state: StateChoice): string {
  switch (state.kind) {
    case "local":
      return "Here: files in a folder.";
    case "s3":
      return "Here: a bucket.";
    case "cloud":
      return "Here: Pulumi Cloud.";
  }
}

function stackYaml({ stack, endpoints, caFile }: ProjectOptions): string {
  const parts = [
    `# Settings of the stack '${stack}': how the site of site.yaml is reached. Keep this file in the repository.
# Secrets are added encrypted, by: pulumi config set --secret coldspare:apiToken
config:
  # The specification, beside this file.
  coldspare:siteFile: site.yaml
`,
  ];
  if (Object.keys(endpoints).length > 0)
    parts.push(
      "  # The API of each hypervisor; the first that answers is used.\n",
      indented({ "coldspare:endpoints": endpoints }),
    );
  parts.push(
    "  # Who signed the servers' certificates: /etc/pve/pve-root-ca.pem of any of them, copied beside this file.\n",
    caFile === undefined ? "  # coldspare:caFile: pve-root-ca.pem\n" : indented({ "coldspare:caFile": caFile }),
  );
  return parts.join("");
}

const indented = (value: unknown): string => stringify(value, { lineWidth: 0 }).replace(/^(?=.)/gm, "  ");

const schemaLine = "# yaml-language-server: $schema=node_modules/coldspare/dist/site.schema.json";

/** Editors complete the file once the packages are installed. */
function withSchemaLine(siteText: string): string {
  return siteText.includes("yaml-language-server:") ? siteText : `${schemaLine}\n${siteText}`;
}

function stateReadme({ name }: ProjectOptions): string {
  return `# The state of ${name}

What \`pulumi up\` built, as \`pulumi\` remembers it. Nothing here is written by hand. Secrets in it are encrypted with the
passphrase of the stack; names and addresses are not: a repository with this folder in it must not be public.

Keep a copy of this folder outside of the site, with every \`pulumi up\`: a commit that is pushed elsewhere is one. If it is
lost all the same, \`coldspare import\` and \`coldspare adopt\` make it anew from what runs, without touching a guest.
`;
}
