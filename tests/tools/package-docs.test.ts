/** The examples in the comments of what the package exports: strict TypeScript that compiles, not only text that looks like it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

const root = join(__dirname, "../..");
const sources = [
  "components/backup-policy.ts",
  "components/backup-target.ts",
  "components/container.ts",
  "components/physical-server.ts",
  "components/site.ts",
  "components/virtual-machine.ts",
  "stacks/run-site.ts",
];

/** What the short examples take as given. */
const GIVEN = `
import * as pulumi from "@pulumi/pulumi";
import { BackupPolicy, BackupTarget, Container, defineSite, PhysicalServer, Site, VirtualMachine } from "coldspare";
import type { SitePlan, SiteSpecInput } from "coldspare/planning";
import type * as proxmoxve from "coldspare/proxmoxve";
declare const plan: SitePlan;
declare const specification: SiteSpecInput;
declare const secrets: Record<string, pulumi.Output<string>>;
declare const provider: proxmoxve.Provider;
`;

interface Example {
  file: string;
  of: string;
  text: string;
}

/** The \`\`\`ts blocks of the comments of exported classes and functions. */
function examplesOf(file: string): Example[] {
  const source = ts.createSourceFile(file, readFileSync(join(root, file), "utf8"), ts.ScriptTarget.ES2022, true);
  return source.statements.flatMap((statement) => {
    if (!ts.isClassDeclaration(statement) && !ts.isFunctionDeclaration(statement)) return [];
    if (!statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) return [];
    const comment = ts
      .getJSDocCommentsAndTags(statement)
      .map((part) => part.getText())
      .join("\n");
    const text = comment.replace(/^ *\* ?/gm, "").replaceAll("*\\/", "*/");
    return [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, block = ""]) => ({
      file,
      of: statement.name?.text ?? "",
      text: block,
    }));
  });
}

const examples = sources.flatMap(examplesOf);
const textOf = ({ text }: Example): string => (/^import /m.test(text) ? text : `${GIVEN}${text}`);
let diagnostics: Map<string, string[]>;

beforeAll(() => {
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile).config,
    ts.sys,
    root,
  );
  const files = new Map(examples.map((example, index) => [join(root, `docs-example-${index}.ts`), textOf(example)]));
  const host = ts.createCompilerHost({ ...options, noEmit: true });
  const read = host.getSourceFile.bind(host);
  const exists = host.fileExists.bind(host);
  host.fileExists = (path) => files.has(path) || exists(path);
  host.getSourceFile = (path, target, ...more) => {
    const text = files.get(path);
    return text === undefined ? read(path, target, ...more) : ts.createSourceFile(path, text, target, true);
  };
  // The sources themselves stand for the package, so that the comments are checked against the code beside them.
  const paths = {
    coldspare: ["./index.ts"],
    "coldspare/planning": ["./planning/index.ts"],
    "coldspare/stacks": ["./stacks/index.ts"],
    "coldspare/proxmoxve": ["./providers/proxmoxve.ts"],
  };
  const program = ts.createProgram({
    rootNames: [...files.keys()],
    options: { ...options, noEmit: true, noUnusedLocals: false, incremental: false, paths },
    host,
  });
  diagnostics = new Map(
    [...files.keys()].map((path) => {
      const file = program.getSourceFile(path);
      const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
      return [path, found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"))];
    }),
  );
});

it("stands in the comment of every component", () => {
  expect(examples.map(({ of }) => of).sort()).toEqual([
    "BackupPolicy",
    "BackupTarget",
    "Container",
    "PhysicalServer",
    "Site",
    "VirtualMachine",
    "runSite",
  ]);
});

it.each(examples.map(({ of }, index) => [of, index] as const))("compiles: %s", (_, index) => {
  expect(diagnostics.get(join(root, `docs-example-${index}.ts`))).toEqual([]);
});
