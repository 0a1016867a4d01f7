/** docs/reference/library.md: what the package exports, from the comments in the code. */
import { join } from "node:path";
import * as ts from "typescript";

interface Entry {
  name: string;
  /** `class`, `function`, `arguments` … */
  kind: Kind;
  docs: string;
  members: { name: string; type: string; docs: string; optional: boolean }[];
}

type Kind = "class" | "function" | "shape";

const TITLES: Record<Kind, string> = {
  class: "Components and resources",
  function: "Functions",
  shape: "Arguments and shapes",
};

/** The whole page. @param checkout Folder with index.ts and tsconfig.json. */
export function renderLibrary(checkout: string): string {
  const entries = entriesOf(checkout);
  const chapters = (Object.keys(TITLES) as Kind[]).flatMap((kind) => [
    `## ${TITLES[kind]}`,
    "",
    ...entries.filter((entry) => entry.kind === kind).map(renderEntry),
  ]);
  return [
    "# The library",
    "",
    "<!-- Generated from the comments in the code by `npm run docs`. Changes here are overwritten. -->",
    "",
    'What `import { … } from "coldspare"` offers. Components take their part of a plan and make resources of it; arguments that',
    "the plan is computed from are plain, what only travels to a provider is `pulumi.Input<T>`.",
    "",
    ...chapters,
  ].join("\n");
}

function renderEntry({ name, docs, members }: Entry): string {
  const rows = members.map(
    (member) =>
      `| \`${member.name}${member.optional ? "?" : ""}\` | \`${cell(member.type)}\` | ${cell(oneLine(member.docs))} |`,
  );
  const table = rows.length === 0 ? [] : ["| member | type | meaning |", "|---|---|---|", ...rows, ""];
  return [`### ${name}`, "", docs, "", ...table].join("\n");
}

const oneLine = (text: string): string => text.replaceAll(/\s*\n\s*/g, " ");
const cell = (text: string): string => text.replaceAll("|", "\\|");

/** Exports that say in a comment what they are, by name. */
function entriesOf(checkout: string): Entry[] {
  const config = ts.readConfigFile(join(checkout, "tsconfig.json"), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, checkout);
  const index = join(checkout, "index.ts");
  const program = ts.createProgram([index], { ...options, noEmit: true });
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(index);
  const module = source && checker.getSymbolAtLocation(source);
  if (module === undefined) throw new Error(`${index} exports nothing`);
  return checker
    .getExportsOfModule(module)
    .map((symbol) => entryOf(symbol, checker))
    .filter((entry) => entry !== undefined)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function entryOf(exported: ts.Symbol, checker: ts.TypeChecker): Entry | undefined {
  const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
  const docs = docsOf(symbol, checker);
  const kind = kindOf(symbol);
  if (docs === "" || kind === undefined) return undefined;
  return { name: exported.name, kind, docs, members: kind === "function" ? [] : membersOf(symbol, checker) };
}

function kindOf({ flags }: ts.Symbol): Kind | undefined {
  if (flags & ts.SymbolFlags.Class) return "class";
  if (flags & ts.SymbolFlags.Function) return "function";
  return flags & ts.SymbolFlags.Interface ? "shape" : undefined;
}

/** The comment, and what it says of parameters, answers and errors. */
function docsOf(symbol: ts.Symbol, checker: ts.TypeChecker): string {
  const text = ts.displayPartsToString(symbol.getDocumentationComment(checker));
  const tags = symbol.getJsDocTags(checker).map(({ name, text: parts }) => {
    const said = ts.displayPartsToString(parts);
    return name === "example" ? fenced(said) : `- *${name}*: ${oneLine(said)}`;
  });
  return [text.trim(), tags.join("\n")].filter((part) => part !== "").join("\n\n");
}

const fenced = (example: string): string => (example.includes("```") ? example : `\`\`\`ts\n${example}\n\`\`\``);

/** Members that somebody described, or that are arguments; those of Pulumi's own classes are Pulumi's to describe. */
function membersOf(symbol: ts.Symbol, checker: ts.TypeChecker): Entry["members"] {
  return [...(symbol.members?.values() ?? [])].flatMap((member) => {
    const [declaration] = member.declarations ?? [];
    if (declaration === undefined || !isPublicProperty(declaration)) return [];
    const type = checker.getTypeOfSymbolAtLocation(member, declaration);
    return {
      name: member.name,
      type: shortened(checker.typeToString(type)),
      docs: docsOf(member, checker),
      optional: (member.flags & ts.SymbolFlags.Optional) !== 0,
    };
  });
}

function isPublicProperty(node: ts.Declaration): boolean {
  if (!ts.isPropertySignature(node) && !ts.isPropertyDeclaration(node)) return false;
  const hidden = ts.ModifierFlags.Private | ts.ModifierFlags.Protected | ts.ModifierFlags.Static;
  return (ts.getCombinedModifierFlags(node) & hidden) === 0 && !node.name.getText().startsWith("#");
}

const TYPE_WIDTH = 80;

function shortened(type: string): string {
  const text = type.replace(/ \| undefined$/, "");
  return text.length <= TYPE_WIDTH ? text : `${text.slice(0, TYPE_WIDTH - 2)} …`;
}
