/** A printed document: its parts, and the two forms that they are written in. */

export type Block =
  | { kind: "title"; text: string }
  /** A chapter begins on a page of its own. */
  | { kind: "chapter"; text: string }
  | { kind: "heading"; text: string }
  | { kind: "text"; text: string }
  /** What must not be overlooked. */
  | { kind: "warning"; text: string }
  | { kind: "list"; items: string[]; ordered?: boolean }
  /** Steps that are ticked off. */
  | { kind: "checks"; items: string[] }
  | { kind: "table"; head: string[]; rows: string[][]; right?: number[] }
  | { kind: "code"; lines: string[] }
  /** Lines to fill in by hand. */
  | { kind: "blanks"; labels: string[] };

/** Markdown (CommonMark with GitHub's tables). Text may hold `code` and **bold**, nothing else. */
export function toMarkdown(blocks: readonly Block[]): string {
  return `${blocks.map(markdownBlock).join("\n\n")}\n`;
}

function markdownBlock(block: Block): string {
  switch (block.kind) {
    case "title":
      return `# ${block.text}`;
    case "chapter":
      return `---\n\n## ${block.text}`;
    case "heading":
      return `### ${block.text}`;
    case "text":
      return block.text;
    case "warning":
      return `> **${block.text}**`;
    case "list":
      return block.items.map((item, index) => `${block.ordered ? `${index + 1}.` : "-"} ${item}`).join("\n");
    case "checks":
      return block.items.map((item) => `- [ ] ${item}`).join("\n");
    case "table":
      return markdownTable(block);
    case "code":
      return ["```sh", ...block.lines, "```"].join("\n");
    case "blanks":
      return block.labels.map((label) => `${label}: ${"_".repeat(Math.max(8, 60 - label.length))}  `).join("\n");
  }
}

function markdownTable({ head, rows, right = [] }: Extract<Block, { kind: "table" }>): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  const rule = head.map((_, index) => (right.includes(index) ? "---:" : "---"));
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

/** One HTML page, complete in itself: no script, no address of anything else. Chapters begin on a new sheet when printed. */
export function toHtml(blocks: readonly Block[]): string {
  const title = blocks.find((block) => block.kind === "title")?.text ?? "";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>
${STYLE}</style>
</head>
<body>
${blocks.map(htmlBlock).join("\n")}
</body>
</html>
`;
}

function htmlBlock(block: Block): string {
  switch (block.kind) {
    case "title":
      return `<h1>${inline(block.text)}</h1>`;
    case "chapter":
      return `<h2>${inline(block.text)}</h2>`;
    case "heading":
      return `<h3>${inline(block.text)}</h3>`;
    case "text":
      return `<p>${inline(block.text)}</p>`;
    case "warning":
      return `<p class="warning">${inline(block.text)}</p>`;
    case "list": {
      const tag = block.ordered ? "ol" : "ul";
      return `<${tag}>\n${items(block.items)}\n</${tag}>`;
    }
    case "checks":
      return `<ul class="checks">\n${items(block.items)}\n</ul>`;
    case "table":
      return htmlTable(block);
    case "code":
      return `<pre><code>${block.lines.map(htmlCodeLine).join("\n")}</code></pre>`;
    case "blanks":
      return `<dl class="blanks">\n${block.labels.map((label) => `<div><dt>${inline(label)}</dt><dd></dd></div>`).join("\n")}\n</dl>`;
  }
}

const items = (texts: readonly string[]) => texts.map((text) => `<li>${inline(text)}</li>`).join("\n");

/** What is read by a person stands back behind what is typed. */
function htmlCodeLine(line: string): string {
  const at = /(^|\s)# /.exec(line);
  if (at === null) return escapeHtml(line);
  return `${escapeHtml(line.slice(0, at.index))}<i>${escapeHtml(line.slice(at.index))}</i>`;
}

function htmlTable({ head, rows, right = [] }: Extract<Block, { kind: "table" }>): string {
  const cells = (tag: string, texts: readonly string[]) =>
    texts
      .map((text, index) => `<${tag}${right.includes(index) ? ' class="number"' : ""}>${inline(text)}</${tag}>`)
      .join("");
  const body = rows.map((row) => `<tr>${cells("td", row)}</tr>`).join("\n");
  return `<table>\n<thead><tr>${cells("th", head)}</tr></thead>\n<tbody>\n${body}\n</tbody>\n</table>`;
}

function inline(text: string): string {
  return text
    .split(/(`[^`]+`)/)
    .map((part) =>
      part.length > 2 && part.startsWith("`") && part.endsWith("`")
        ? `<code>${escapeHtml(part.slice(1, -1))}</code>`
        : escapeHtml(part).replace(/\*\*([^*]+)\*\*/g, "<strong>$1</strong>"),
    )
    .join("");
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** Dark on white with lines instead of surfaces: it is read off paper, in a server room. */
const STYLE = `@page { size: A4; margin: 18mm 16mm 18mm 20mm; @bottom-right { content: counter(page); font: 9pt sans-serif; } }
* { box-sizing: border-box; }
body { font: 11pt/1.45 "Source Sans 3", "Segoe UI", Helvetica, Arial, sans-serif; color: #111; background: #fff;
  max-width: 178mm; margin: 12mm auto; padding: 0 6mm; }
h1 { font-size: 24pt; line-height: 1.15; margin: 0 0 4mm; }
h2 { font-size: 17pt; line-height: 1.2; margin: 14mm 0 3mm; padding-top: 3mm; border-top: 1.2mm solid #111; }
h3 { font-size: 12.5pt; margin: 7mm 0 1.5mm; }
h2, h3 { break-after: avoid; }
p { margin: 0 0 2.5mm; }
code, pre { font-family: "Source Code Pro", "DejaVu Sans Mono", Consolas, monospace; font-size: 9.5pt; }
pre { margin: 2mm 0 4mm; padding: 2.5mm 3.5mm; border: .3mm solid #777; border-left-width: 1mm; white-space: pre-wrap;
  overflow-wrap: anywhere; break-inside: avoid; }
pre i { color: #555; }
table { border-collapse: collapse; width: 100%; margin: 2mm 0 4mm; font-size: 10pt; }
thead { display: table-header-group; }
tr { break-inside: avoid; }
th { text-align: left; border-bottom: .5mm solid #111; padding: 1mm 2.5mm 1mm 0; vertical-align: bottom; }
td { border-bottom: .2mm solid #aaa; padding: 1.2mm 2.5mm 1.2mm 0; vertical-align: top; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
ul, ol { margin: 1mm 0 3mm; padding-left: 6mm; }
li { margin: 1mm 0; }
.checks { list-style: none; padding-left: 0; }
.checks li { padding-left: 7mm; text-indent: -7mm; break-inside: avoid; }
.checks li::before { content: ""; display: inline-block; width: 3.6mm; height: 3.6mm; border: .35mm solid #111;
  margin-right: 3.4mm; vertical-align: -0.5mm; }
.warning { border: .7mm solid #111; padding: 2.5mm 3.5mm; font-weight: 600; break-inside: avoid; }
.blanks { margin: 2mm 0 4mm; }
.blanks div { display: flex; align-items: flex-end; min-height: 9mm; break-inside: avoid; }
.blanks dt { padding-right: 3mm; }
.blanks dd { flex: 1; margin: 0; border-bottom: .3mm solid #555; }
@media print {
  body { margin: 0; padding: 0; max-width: none; }
  h2 { break-before: page; margin-top: 0; }
}
`;
