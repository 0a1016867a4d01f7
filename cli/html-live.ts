/** The report of a running cluster as one page: no script, nothing from elsewhere; for light, dark and paper. */
import type { LiveFinding, LiveReport, ServerLoss } from "../planning/adoption/live-types";
import {
  factsLine,
  fateTone,
  fateWords,
  lossNotes,
  lossVerdict,
  MOST_URGENT,
  memoryText,
  type Tone,
} from "./live-words";

/** A whole HTML document. */
export function liveHtml(report: LiveReport): string {
  const name = report.cluster ?? report.servers[0]?.server ?? "";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(`${name}: what if a server dies tonight?`)}</title>
<style>
${STYLE}</style>
</head>
<body>
<header class="${report.survives ? "good" : "bad"}">
<h1>${escapeHtml(report.headline)}</h1>
<p>${escapeHtml(factsLine(report))}</p>
</header>
<section>
<h2>What stops with each server, and how it comes back</h2>
${summary(report)}
</section>
<section>
<h2>What to do first</h2>
${findings(report.findings.slice(0, MOST_URGENT))}
</section>
${report.servers.map(lossSection).join("\n")}
${rest(report.findings.slice(MOST_URGENT))}<section>
<h2>What coldspare would add</h2>
<ul>
${report.next.map((step) => `<li>${inline(step)}</li>`).join("\n")}
</ul>
</section>
</body>
</html>
`;
}

function summary({ servers }: LiveReport): string {
  const head = [
    "If it dies",
    "stop",
    "by itself",
    "by a person",
    "no room",
    "restore",
    "gone",
    "unknown",
    "no backup",
    "quorum",
  ];
  const cell = (count: number, tone?: Tone) =>
    `<td class="number${count > 0 && tone ? ` ${tone}` : ""}">${count === 0 ? "–" : count}</td>`;
  const rows = servers.map(({ server, online, guests, counts, withoutBackup, quorum }) => {
    const votes = quorum === undefined ? "<td>–</td>" : quorum.quorate ? "<td>kept</td>" : '<td class="bad">lost</td>';
    return `<tr><th scope="row"${online ? "" : ' class="bad"'}>${escapeHtml(server)}${online ? "" : " (off)"}</th>${cell(guests.length)}${cell(counts.itself, "good")}${cell(counts.person)}${cell(counts.noRoom, "bad")}${cell(counts.backup, "care")}${cell(counts.nothing, "bad")}${cell(counts.unknown, "bad")}${cell(withoutBackup, "bad")}${votes}</tr>`;
  });
  return table(head, rows);
}

function lossSection(loss: ServerLoss): string {
  const verdict = lossVerdict(loss);
  const rows = loss.guests.map((guest) => {
    const how = guest.server === loss.server ? guest.how : `runs on ${guest.server}: ${guest.how}`;
    return `<tr><td>${escapeHtml(guest.title)}</td><td class="number">${guest.id}</td><td class="number">${memoryText(guest)}</td><td class="${fateTone(guest)}">${fateWords(guest)}</td><td>${escapeHtml(guest.on ?? "–")}</td><td>${escapeHtml(how)}</td></tr>`;
  });
  const notes = lossNotes(loss).map((note) => `<li>${escapeHtml(note)}</li>`);
  return `<section>
<h2>${escapeHtml(loss.online ? `If ${loss.server} dies` : loss.server)}: <span class="${verdict.tone}">${escapeHtml(verdict.text)}</span></h2>
${rows.length === 0 ? "" : table(["Guest", "Id", "Memory", "Comes back", "On", "How"], rows)}
<ul>
${notes.join("\n")}
</ul>
</section>`;
}

function table(head: readonly string[], rows: readonly string[]): string {
  return `<table>
<thead><tr>${head.map((text) => `<th scope="col">${text}</th>`).join("")}</tr></thead>
<tbody>
${rows.join("\n")}
</tbody>
</table>`;
}

function findings(shown: readonly LiveFinding[]): string {
  if (shown.length === 0) return "<p>Nothing.</p>";
  const items = shown.map(
    ({ code, severity, message, fix }) =>
      `<li><strong class="${TONES[severity]}">${code}</strong> ${inline(message)}<br><span class="fix">${inline(fix)}</span></li>`,
  );
  return `<ol>\n${items.join("\n")}\n</ol>`;
}

function rest(more: readonly LiveFinding[]): string {
  return more.length === 0 ? "" : `<section>\n<h2>And ${more.length} more</h2>\n${findings(more)}\n</section>\n`;
}

const TONES = { error: "bad", warning: "care", info: "good" } as const;

/** Text with `code` in it. */
function inline(text: string): string {
  return escapeHtml(text).replace(/`([^`]+)`/g, "<code>$1</code>");
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

const STYLE = `:root { color-scheme: light dark; --ink: #1c2024; --paper: #fff; --line: #d5d9de; --dim: #5b636c; --good: #1a7f37; --care: #8a5a00; --bad: #c0262d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --paper: #15181b; --line: #3a4047; --dim: #9aa3ad; --good: #56c271; --care: #e0a83c; --bad: #ff7b78; } }
@media print { :root { --ink: #000; --paper: #fff; --line: #999; --dim: #444; --good: #1a7f37; --care: #8a5a00; --bad: #c0262d; } section { break-inside: avoid-page; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 68rem; margin: 0 auto; padding: 1.5rem; }
header { border-left: 6px solid var(--line); padding-left: 1rem; margin-bottom: 2rem; }
header.bad { border-color: var(--bad); }
header.good { border-color: var(--good); }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .3rem; }
header p, .fix { color: var(--dim); margin: 0; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
thead th { color: var(--dim); font-weight: 600; white-space: nowrap; }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.good { color: var(--good); } .care { color: var(--care); } .bad { color: var(--bad); font-weight: 600; }
header.good, header.bad { color: inherit; font-weight: inherit; }
li { margin: .3rem 0; }
code { font: .88em ui-monospace, monospace; overflow-wrap: anywhere; }
`;
