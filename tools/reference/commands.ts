/** docs/reference/commands.md: every command with its help, as the program prints it. */
import { run } from "../../cli/program";

/** The whole page. */
export async function renderCommands(): Promise<string> {
  const overview = await help([]);
  const chapters: string[] = [];
  for (const name of commandsIn(overview)) {
    const text = await help([name]);
    chapters.push(chapter(name, text));
    for (const below of commandsIn(text)) chapters.push(chapter(`${name} ${below}`, await help([name, below])));
  }
  return [
    "# The commands",
    "",
    "<!-- Generated from the commands' own help by `npm run docs`. Changes here are overwritten. -->",
    "",
    "```text",
    overview.trimEnd(),
    "```",
    "",
    ...chapters,
  ].join("\n");
}

function chapter(name: string, text: string): string {
  return `## coldspare ${name}\n\n\`\`\`text\n${text.trimEnd()}\n\`\`\`\n`;
}

/** Names below 'Commands:' in a help text. */
function commandsIn(text: string): string[] {
  const list = text.split(/^Commands:$/m)[1]?.split("\n\n")[0] ?? "";
  return [...list.matchAll(/^ {2}([a-z][a-z-]*)/gm)].flatMap(([, name]) =>
    name === undefined || name === "help" ? [] : [name],
  );
}

async function help(words: readonly string[]): Promise<string> {
  let text = "";
  const stream = {
    write: (chunk: string) => {
      text += chunk;
    },
  };
  const code = await run([...words, "--help"], { stdout: stream, stderr: stream, env: { NO_COLOR: "1" } });
  if (code !== 0) throw new Error(`coldspare ${words.join(" ")} --help ended with ${code}:\n${text}`);
  return text;
}
