/** A small table for terminals: columns as wide as their content, text columns wrapped when the line is too short. */
import { styleText } from "node:util";

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";
/** How a severity is coloured everywhere. */
export const severityStyle = { error: "red", warning: "yellow", info: "cyan" } as const;

export type Paint = (style: Style, text: string) => string;

/** Colours, or none at all. Whether there are any is decided once, by the caller, who knows the stream. */
export function painter(color: boolean): Paint {
  return color ? (style, text) => styleText(style, text, { validateStream: false }) : (_style, text) => text;
}

export interface Column {
  title: string;
  align?: "left" | "right";
  /** May become narrower than its content, down to its title or 8 characters. */
  wrap?: boolean;
}

export type Cell = string | { text: string; style: Style };

const gap = "  ";
const minimumWidth = 8;

const textOf = (cell: Cell): string => (typeof cell === "string" ? cell : cell.text);

/** Splits at spaces so that no line is longer than `width`, unless a single word is. */
export function wrapText(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(" ")) {
      if (line !== "" && line.length + 1 + word.length > width) {
        lines.push(line);
        line = word;
      } else {
        line = line === "" ? word : `${line} ${word}`;
      }
    }
    lines.push(line);
  }
  return lines;
}

function columnWidths(columns: readonly Column[], rows: readonly Cell[][], width: number): number[] {
  const longest = (index: number) => Math.max(0, ...rows.map((row) => textOf(row[index] ?? "").length));
  const widths = columns.map((column, index) => Math.max(column.title.length, longest(index)));
  const total = () => widths.reduce((sum, value) => sum + value, gap.length * (widths.length - 1));
  while (total() > width) {
    let widest = -1;
    columns.forEach((column, index) => {
      const least = Math.max(column.title.length, minimumWidth);
      if (column.wrap && widths[index]! > least && widths[index]! > (widths[widest] ?? 0)) widest = index;
    });
    if (widest < 0) break;
    widths[widest]! -= 1;
  }
  return widths;
}

/** Lines of the table: titles, a rule, rows. Numbers belong into columns with `align: "right"`. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly Cell[][],
  width: number,
  paint: Paint,
): string[] {
  const widths = columnWidths(columns, rows, width);
  const pad = (text: string, index: number) =>
    columns[index]?.align === "right" ? text.padStart(widths[index]!) : text.padEnd(widths[index]!);
  const lines = [
    paint(
      "bold",
      columns
        .map((column, index) => pad(column.title, index))
        .join(gap)
        .trimEnd(),
    ),
    paint("dim", widths.map((size) => "-".repeat(size)).join(gap)),
  ];
  for (const row of rows) {
    const parts = columns.map((column, index) => {
      const text = textOf(row[index] ?? "");
      return column.wrap ? wrapText(text, widths[index]!) : [text];
    });
    const height = Math.max(...parts.map((part) => part.length));
    for (let line = 0; line < height; line++) {
      const cells = columns.map((_column, index) => {
        const cell = row[index] ?? "";
        const padded = pad(parts[index]?.[line] ?? "", index);
        return typeof cell === "string" ? padded : paint(cell.style, padded);
      });
      lines.push(cells.join(gap).trimEnd());
    }
  }
  return lines;
}
