/** The README of a new project: what each file is, and the exact commands to go on with. */
import { backendUrl, type ProjectOptions, type StateChoice, stateFolder } from "./options";

/** The text of README.md. */
export function readmeText(options: ProjectOptions): string {
  const { name, readme } = options;
  return [
    `# ${name}`,
    `What runs where in ${name}, what stands by for it and where its copies lie: \`site.yaml\` says it, \`coldspare check\` proves that the plan survives the loss of any one server or says what is missing, and \`pulumi up\` builds it on Proxmox VE.`,
    ...readme.map((section) => section.trim()),
    filesSection(options),
    "## From here to a site that survives\n\nAll commands are typed in this folder.",
    ...steps(options).map(({ title, body }, index) => `### ${index + 1}. ${title}\n\n${body}`),
    moreSection,
  ]
    .join("\n\n")
    .concat("\n");
}

function filesSection({ stack, state, adopt }: ProjectOptions): string {
  const folder = stateFolder(state);
  const rows: [string, string][] = [
    ["site.yaml", "the site: servers, networks, guests, copies. **This is the file to edit**"],
    [
      `Pulumi.${stack}.yaml`,
      "how the site is reached, and secrets, encrypted. With its passphrase it opens them: keep both, apart",
    ],
    ["Pulumi.yaml", "the project: its name, and where its state lies"],
    ["index.ts", "the program: a few lines that read site.yaml"],
    ["package.json, tsconfig.json", "the packages that the program needs, and how it is read"],
    ...(adopt
      ? [["import.json", "what exists, for `pulumi import` in a program of your own"] as [string, string]]
      : []),
    ...(folder === undefined
      ? []
      : [[`${folder}/`, "the state: what was built. Keep a copy outside of the site"] as [string, string]]),
  ];
  const table = rows.map(([file, what]) => `| ${file.includes(",") ? file : `\`${file}\``} | ${what} |`);
  return ["## What is in this folder", "", "| file | what it is |", "|---|---|", ...table].join("\n");
}

interface Step {
  title: string;
  body: string;
}

const shell = (...lines: string[]): string => ["```sh", ...lines, "```"].join("\n");

function steps(options: ProjectOptions): Step[] {
  return [
    install,
    check,
    token(options),
    certificates(options),
    stateStep(options),
    secrets(options),
    ssh(options),
    ...(options.adopt ? [adopt] : []),
    build(options),
    prove(options),
  ];
}

const install: Step = {
  title: "Install",
  body: `Needs [Node.js](https://nodejs.org) 22.12 or newer and the command [pulumi](https://www.pulumi.com/docs/install/), on any machine that reaches the servers and is none of them.\n\n${shell("npm install")}`,
};

const check: Step = {
  title: "See what the plan says",
  body: `Touches nothing and opens no connection. Edit \`site.yaml\` until it says that the site survives; \`npx coldspare findings CODE\` explains a finding.\n\n${shell("npx coldspare check")}`,
};

function token({ endpoints }: ProjectOptions): Step {
  const server = Object.keys(endpoints)[0] ?? "a hypervisor";
  return {
    title: "Accounts that may do this and no more",
    body: `This prints the commands that make them: type those as root on ${server}. The secret of each token is shown once: that of \`coldspare-pulumi@pve\` is needed in step 6, that of \`coldspare-operate@pve\` in the last one.\n\n${shell("npx coldspare privileges")}`,
  };
}

function certificates({ endpoints, caFile }: ProjectOptions): Step {
  const file = caFile ?? "pve-root-ca.pem";
  const host = hostsOf(endpoints)[0]?.[1] ?? "<server>";
  return {
    title: "Whom to trust",
    body: `The certificate authority of the hypervisors (no secret). The Proxmox provider takes it from \`SSL_CERT_FILE\`, for each shell; the path of the first file is Debian's.${caFile === undefined ? ` Then name it in the stack's settings: \`pulumi config set coldspare:caFile ${file}\`.` : ""}\n\n${shell(
      `scp root@${host}:/etc/pve/pve-root-ca.pem ${file}`,
      `cat /etc/ssl/certs/ca-certificates.crt ${file} > ca-bundle.pem`,
      'export SSL_CERT_FILE="$PWD/ca-bundle.pem"',
    )}`,
  };
}

const passphrase = (name: string): string[] => [
  "mkdir -p ~/.config/coldspare",
  `(umask 077; openssl rand -base64 33 > ~/.config/coldspare/${name}.passphrase)     # once; then into your password manager`,
  `export PULUMI_CONFIG_PASSPHRASE_FILE=~/.config/coldspare/${name}.passphrase`,
];

const passphraseNote =
  "The passphrase opens every secret of the stack, and nothing opens them without it: keep a copy on paper, or in a password manager that is no guest of this site.";

function stateStep({ name, stack, state }: ProjectOptions): Step {
  return {
    title: `The stack '${stack}', and where its state lies`,
    body: [stateIntroduction(state), shell(...stateCommands(name, stack, state)), stateClosing(state)].join("\n\n"),
  };
}

function stateIntroduction(state: StateChoice): string {
  switch (state.kind) {
    case "local":
      return `The state is kept in files: \`${backendUrl(state)}\`.`;
    case "s3":
      return `The state is kept in the bucket \`${state.bucket}\`. Its keys come from the environment, never from a file of this folder.`;
    case "cloud":
      return "The state is kept by Pulumi Cloud, which also keeps the key to its secrets. `pulumi login` asks for an access token.";
  }
}

function stateCommands(name: string, stack: string, state: StateChoice): string[] {
  switch (state.kind) {
    case "local":
      return [
        ...(stateFolder(state) === undefined ? [`mkdir -p ${state.folder}`] : []),
        ...passphrase(name),
        `pulumi stack init ${stack}`,
      ];
    case "s3":
      return [
        "export AWS_ACCESS_KEY_ID=…",
        "read -rs AWS_SECRET_ACCESS_KEY && export AWS_SECRET_ACCESS_KEY",
        ...passphrase(name),
        `pulumi stack init ${stack}`,
      ];
    case "cloud":
      return [
        "pulumi login",
        `pulumi stack init ${state.organisation === undefined ? "" : `${state.organisation}/`}${stack}`,
      ];
  }
}

function stateClosing(state: StateChoice): string {
  const more =
    "`docs/state.md` of coldspare (`node_modules/coldspare/docs/state.md`) says what to copy, and what to do when the state is lost.";
  switch (state.kind) {
    case "local":
      return `${passphraseNote} Commit the state with every update, and push it to a place outside of the site. ${more}`;
    case "s3":
      return `${passphraseNote} Turn the bucket's versions on, if it can. ${more}`;
    case "cloud":
      return `The commands of a bad day need neither the state nor Pulumi Cloud. ${more}`;
  }
}

function secrets({ name }: ProjectOptions): Step {
  return {
    title: "Secrets",
    body: `\`pulumi\` asks for each value and stores it encrypted. The token is \`coldspare-pulumi@pve!${name}=<secret>\`. Secrets that \`site.yaml\` names are set alike, as \`coldspare:<name>\`.\n\n${shell("pulumi config set --secret coldspare:apiToken")}`,
  };
}

function ssh({ endpoints, hosts }: ProjectOptions): Step {
  const known = hosts === undefined ? hostsOf(endpoints) : Object.entries(hosts);
  const commands = (known.length > 0 ? known : [["<server>", "<address>"] as [string, string]]).map(
    ([server, host]) =>
      `pulumi config set --path 'coldspare:ssh.hostKeys.${server}[0]' "$(ssh-keyscan -t ed25519 ${host} | cut -d' ' -f2-)"`,
  );
  return {
    title: "The way to the servers",
    body: `Over SSH, as root, with your key. What keeps a guest from running twice is installed this way, on the hypervisors and on the third vote. Compare each key with \`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\` on the server itself.\n\n${shell(...commands)}`,
  };
}

const adopt: Step = {
  title: "Take over what exists",
  body: `Takes guests, storages and jobs into the state as they are. Reads the servers, and changes nothing on them.\n\n${shell("npx coldspare adopt --dry-run", "npx coldspare adopt")}`,
};

function build({ adopt: adopted }: ProjectOptions): Step {
  const look = adopted
    ? "After the take-over the preview shows no change; from here on it shows what a change of `site.yaml` would do."
    : "The preview shows every finding and every change before anything is touched.";
  return { title: "Build it", body: `${look}\n\n${shell("pulumi preview", "pulumi up")}` };
}

function prove({ name }: ProjectOptions): Step {
  return {
    title: "Prove it",
    body: `After the first line these need neither pulumi nor its state, and so work on the day when both are out of reach. The token is \`coldspare-operate@pve!${name}=<secret>\`, asked for without showing it.\n\n${shell(
      "pulumi stack output manifest --json > coldspare.manifest.json",
      "read -rs COLDSPARE_API_TOKEN && export COLDSPARE_API_TOKEN",
      "npx coldspare status",
      "npx coldspare drill --all --dry-run",
      "npx coldspare drill --all                                  # starts every replica in isolation, and throws it away",
      "npx coldspare runbook --html --out runbook.html            # print it, and hang it up",
    )}`,
  };
}

const moreSection = `## When a server dies

\`\`\`sh
npx coldspare failover <server> --dry-run
npx coldspare failover <server>
\`\`\`

What to keep in the safe for that day: \`node_modules/coldspare/docs/break-glass.md\`.`;

function hostsOf(endpoints: Record<string, string>): [string, string][] {
  return Object.entries(endpoints).flatMap(([server, url]) =>
    URL.canParse(url) ? [[server, new URL(url).hostname.replace(/^\[|\]$/g, "")] as [string, string]] : [],
  );
}
