/** A path template that matched, and what stood in its braces (decoded). */
export interface PathMatch {
  template: string;
  pathParams: Record<string, string>;
}

interface Segment {
  literals: Map<string, Segment>;
  parameter?: { name: string; next: Segment };
  template?: string;
}

// PVE declares these with an empty fragment delimiter: a volume id or a CIDR may hold slashes.
const TAKES_THE_REST = new Set(["volume", "cidr"]);

/** Finds the template of a path in time proportional to its length; a literal segment wins over a parameter. */
export class PathTree {
  private readonly root: Segment = { literals: new Map() };

  /** @param template - such as `/nodes/{node}/qemu/{vmid}` */
  add(template: string): void {
    let at = this.root;
    for (const part of split(template)) {
      const name = /^\{(.+)\}$/.exec(part)?.[1];
      if (name !== undefined) {
        at.parameter ??= { name, next: { literals: new Map() } };
        at = at.parameter.next;
      } else {
        let next = at.literals.get(part);
        if (!next) {
          next = { literals: new Map() };
          at.literals.set(part, next);
        }
        at = next;
      }
    }
    at.template = template;
  }

  /** @param path - without `/api2/json`; a trailing or doubled slash does not matter, as with PVE */
  find(path: string): PathMatch | undefined {
    return walk(this.root, split(path), 0, []);
  }
}

function walk(at: Segment, parts: string[], index: number, values: string[]): PathMatch | undefined {
  const part = parts[index];
  if (part === undefined) return at.template === undefined ? undefined : bind(at.template, values);
  const literal = at.literals.get(part);
  const found = literal && walk(literal, parts, index + 1, values);
  if (found) return found;
  if (!at.parameter) return undefined;
  const { name, next } = at.parameter;
  if (TAKES_THE_REST.has(name) && next.template !== undefined) {
    return bind(next.template, [...values, parts.slice(index).join("/")]);
  }
  return walk(next, parts, index + 1, [...values, part]);
}

// Templates that differ only in a parameter's name share a node of the tree, so names are read from the template.
function bind(template: string, values: string[]): PathMatch {
  const names = [...template.matchAll(/\{([^}]+)\}/g)].map((m) => m[1] as string);
  return { template, pathParams: Object.fromEntries(names.map((name, i) => [name, decode(values[i] ?? "")])) };
}

function split(path: string): string[] {
  return path.split("/").filter((part) => part !== "");
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
