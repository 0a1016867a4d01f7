/** docs/findings.md, from the catalogue. */
import { type CatalogueEntry, findingChapters } from "./catalogue";

/**
 * The page that explains every finding: what it means, how it reads, what to do.
 * @param more chapters of findings that commands have beyond the plan's, by title
 */
export function renderFindings(more: Record<string, Record<string, CatalogueEntry>> = {}): string {
  const chapters: Record<string, Record<string, CatalogueEntry>> = { ...findingChapters, ...more };
  const lines = [
    "# Findings",
    "",
    "<!-- Generated from planning/catalogue and operations/refusals by `npm run docs`. Changes here are overwritten. -->",
    "",
    "What `coldspare check` and `pulumi preview` report about a site specification, and the commands that move guests about",
    "what they were asked. All checks run, and all findings are shown together, before anything is touched. Codes do not",
    "change between releases.",
    "",
    "- **error**: the preview stops before the first resource is registered; `coldspare check` and the command end with 1.",
    "- **warning**: the site can be built; something that it probably needs is missing.",
    "- **info**: worth knowing.",
    "",
  ];
  for (const [chapter, entries] of Object.entries(chapters)) {
    lines.push(
      `- ${chapter}: ${Object.keys(entries)
        .map((code) => `[${code}](#${code.toLowerCase()})`)
        .join(", ")}`,
    );
  }
  for (const [chapter, entries] of Object.entries(chapters)) {
    lines.push("", `## ${chapter}`);
    for (const [code, entry] of Object.entries(entries)) lines.push(...section(code, entry));
  }
  return `${lines.join("\n")}\n`;
}

function section(code: string, { severity, title, explanation, example, fix }: CatalogueEntry): string[] {
  return [
    "",
    `### ${code}`,
    "",
    `**${title}** (${severity}). ${explanation}`,
    "",
    `> ${example}`,
    "",
    `What to do: ${fix}`,
  ];
}
