/** Every command that a page names exists, with every option it is given; every link leads somewhere. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { renderCommands } from "../../tools/reference/commands";

const checkout = resolve(__dirname, "../..");
const { scripts } = require("../../package.json") as { scripts: Record<string, string> };

/** README, docs/ and the READMEs of folders; the changelog tells of releases, whose commands may be gone. */
function pages(): string[] {
  const docs = (readdirSync(join(checkout, "docs"), { recursive: true }) as string[])
    .filter((file) => file.endsWith(".md"))
    .map((file) => join("docs", file));
  return ["README.md", "examples/README.md", "lab/README.md", ...docs].filter((file) =>
    existsSync(join(checkout, file)),
  );
}

const text = (page: string): string => readFileSync(join(checkout, page), "utf8");

/** Lines of shell blocks; a line that ends in a backslash goes on. */
function shellLines(page: string): string[] {
  const blocks = [...text(page).matchAll(/```(?:sh|bash|console)[^\n]*\n([\s\S]*?)```/g)];
  return blocks.flatMap(([, block = ""]) => block.replaceAll(/\\\n\s*/g, " ").split("\n"));
}

/** Calls of a program in a line, without what a comment says. */
function callsOf(program: RegExp, page: string): string[] {
  return shellLines(page).flatMap((line) => {
    const code = line.replace(/(^|\s)#\s.*$/, "");
    return code.split(/&&|\|\||[|;]|\$\(/).flatMap((part) => {
      const found = program.exec(part.replace(/^\s*[$>]\s/, "").trim());
      return found ? [found[1]!.trim()] : [];
    });
  });
}

let helps: Map<string, string>;
beforeAll(async () => {
  const chapters = (await renderCommands()).split(/^## coldspare /m).slice(1);
  helps = new Map(chapters.map((chapter) => [chapter.slice(0, chapter.indexOf("\n")), chapter]));
});

/** The command that a line calls, with the longest name that is one. */
function commandOf(words: readonly string[]): string | undefined {
  return [words.slice(0, 2).join(" "), words[0] ?? ""].find((name) => helps.has(name));
}

it.each(pages())("%s names commands of coldspare that exist, with options that they have", (page) => {
  const wrong = callsOf(/^(?:(?:[A-Z_]+=\S+|sudo|npx) )*coldspare (.*)$/, page).flatMap((call) => {
    const words = call.split(/\s+/);
    if (words[0]?.startsWith("-")) return [];
    const command = commandOf(words);
    if (command === undefined) return [`coldspare ${call}: no such command`];
    const options = words.filter((word) => /^--?[a-z]/.test(word)).map((word) => word.split("=")[0]!);
    const unknown = options.filter((option) => !new RegExp(`(^|[\\s,])${option}\\b`, "m").test(helps.get(command)!));
    return unknown.map((option) => `coldspare ${call}: ${command} has no ${option}`);
  });
  expect(wrong).toEqual([]);
});

it.each(pages())("%s names scripts of npm that exist", (page) => {
  const named = callsOf(/^(?:sudo )?npm run (?:--silent )?(\S+)/, page);
  expect(named.filter((script) => scripts[script] === undefined)).toEqual([]);
});

/** A heading as GitHub makes an anchor of it. */
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(/\s/g, "-");

it.each(pages())("%s links to what is there", (page) => {
  const links = [
    ...text(page)
      .replaceAll(/```[\s\S]*?```/g, "")
      .matchAll(/\]\(([^)\s]+)\)/g),
  ].map(([, to]) => to!);
  const dead = links.filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const [path = "", fragment] = link.split("#");
    const file = path === "" ? join(checkout, page) : join(checkout, dirname(page), path);
    if (!existsSync(file)) return true;
    if (fragment === undefined || statSync(file).isDirectory() || !file.endsWith(".md")) return false;
    const headings = [...readFileSync(file, "utf8").matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchor(heading!));
    return !headings.includes(fragment);
  });
  expect(dead.map((link) => `${relative(checkout, join(checkout, page))} -> ${link}`)).toEqual([]);
});
