/**
 * The layers of docs/architecture.md as rules: an arrow points only downwards.
 *
 *   plugin → stacks, components, planning
 *   stacks → components → providers → planning
 *   cli    → operations → providers, planning; cli also stacks/layouts.ts
 *   lab    → planning; the product never imports the lab
 */
const product = "^(planning|providers|components|stacks|operations|cli|plugin|index\\.ts)";
const pulumi = "^(node_modules/)?@pulumi/|^node_modules/@muhlba91/";

/** Folder `from` may import the other folders only as listed in `to`. */
const layer = (name, from, forbidden, comment) => ({
  name,
  severity: "error",
  comment,
  from: { path: from },
  to: { path: forbidden },
});

module.exports = {
  forbidden: [
    layer(
      "planning-is-lowest",
      "^planning/",
      "^(providers|components|stacks|operations|cli|lab|index\\.ts)",
      "Planning knows nothing of what is built from it.",
    ),
    layer("planning-without-pulumi", "^planning/", pulumi, "coldspare check plans without the engine's libraries."),
    {
      name: "planning-is-pure",
      severity: "error",
      comment: "No input, no output, no process: a plan depends on the specification alone. Hashing is a computation.",
      from: { path: "^planning/" },
      to: { dependencyTypes: ["core"], pathNot: "^(node:)?crypto$" },
    },
    {
      name: "planning-without-network-clients",
      severity: "error",
      comment: "A library that opens connections is input and output, too.",
      from: { path: "^planning/" },
      to: { path: "^node_modules/(undici|selfsigned)/" },
    },
    layer(
      "providers-below-components",
      "^providers/",
      "^(components|stacks|operations|cli|lab|index\\.ts)",
      "Handlers and clients carry no policy and know no component.",
    ),
    layer(
      "components-below-stacks",
      "^components/",
      "^(stacks|operations|cli|lab|index\\.ts)",
      "Components take their part of the plan; reading config and naming layouts is for stacks.",
    ),
    layer(
      "stacks-are-highest",
      "^stacks/",
      "^(operations|cli|lab|plugin)",
      "A stack is the same against real hosts and the lab.",
    ),
    {
      name: "layouts-without-pulumi",
      severity: "error",
      comment: "coldspare check reads layouts through this file, and must stay quick.",
      from: { path: "^stacks/layouts\\.ts$" },
      to: { path: `^(providers|components|stacks)/|${pulumi}` },
    },
    {
      name: "cli-over-planning-and-clients",
      severity: "error",
      comment: "The operator's commands work without components and engine; of the stacks they read the layouts.",
      from: { path: "^cli/" },
      to: { path: "^(components|stacks|lab|index\\.ts)", pathNot: "^stacks/layouts\\.ts$" },
    },
    layer(
      "operations-over-planning-and-clients",
      "^operations/",
      "^(components|stacks|cli|lab|index\\.ts)",
      "What commands do works without components, engine and terminal.",
    ),
    {
      name: "cli-never-reaches-pulumi",
      severity: "error",
      comment: "Not even through another file: loading Pulumi costs more than a second.",
      from: { path: "^cli/" },
      to: { path: pulumi, reachable: true },
    },
    {
      name: "lab-knows-planning-only",
      severity: "error",
      comment: "The lab is judged by the real API: sharing code with its own client would hide the client's mistakes.",
      from: { path: "^lab/" },
      to: { path: "^(providers|components|stacks|operations|cli|index\\.ts)" },
    },
    {
      name: "product-without-lab-and-tests",
      severity: "error",
      comment: "What is published needs neither the simulator nor the tests.",
      from: { path: product },
      to: { path: "^(lab|tests|proofs|bench|tools|examples)/" },
    },
    {
      name: "lab-without-tests",
      severity: "error",
      from: { path: "^lab/" },
      to: { path: "^(tests|proofs|bench|tools|examples)/" },
    },
    layer(
      "plugin-is-an-entry",
      "^(planning|providers|components|operations|cli|lab)/",
      "^plugin/",
      "The plugin hands the components to other languages; nothing is made from it.",
    ),
    layer("plugin-without-commands", "^plugin/", "^(operations|cli|lab)/", "A plugin builds, commands operate."),
    {
      name: "no-circular-imports",
      severity: "error",
      comment: "Two files that need each other are one file, or have a third between them.",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "product-without-development-packages",
      severity: "error",
      comment: "A package that only development installs is missing at the user's. A peer is installed by the user.",
      from: { path: product },
      to: {
        dependencyTypes: ["npm-dev"],
        dependencyTypesNot: ["type-only", "npm-peer"],
        pathNot: "^node_modules/@types/",
      },
    },
    {
      name: "no-undeclared-packages",
      severity: "error",
      comment: "A package that another one happens to bring may be gone tomorrow.",
      from: { path: `${product}|^lab/` },
      to: { dependencyTypes: ["npm-no-pkg", "npm-unknown"] },
    },
    {
      name: "no-unresolved-imports",
      severity: "error",
      from: { path: `${product}|^lab/` },
      to: { couldNotResolve: true },
    },
    {
      name: "no-orphans",
      severity: "error",
      comment: "A file that nothing imports and that is no entry is left over.",
      from: {
        orphan: true,
        pathNot: "(^|/)index\\.ts$|^cli/main\\.ts$|^lab/main\\.ts$|^stacks/[^/]+/index\\.ts$|\\.d\\.ts$",
      },
      to: {},
    },
  ],
  options: {
    doNotFollow: { path: "^node_modules" },
    exclude: { path: "^(dist|coverage|\\.coldspare)/" },
    tsConfig: { fileName: "tsconfig.json" },
    // Imports of types alone count, too: a layer that needs a higher layer's types depends on it.
    tsPreCompilationDeps: true,
    moduleSystems: ["cjs", "es6"],
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["require", "node", "default", "types"] },
    skipAnalysisNotInRules: true,
  },
};
