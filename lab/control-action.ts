/** One call of the control interface. */
export interface ControlAction {
  method: "GET" | "POST";
  pattern: RegExp;
  usage: string;
  run: (variables: string[], body: Record<string, unknown>) => unknown;
}

/** @param usage - path with variables in braces, then what the body holds */
export function action(method: ControlAction["method"], usage: string, run: ControlAction["run"]): ControlAction {
  const path = usage.split(" ")[0]!;
  return { method, usage, pattern: new RegExp(`^${path.replace(/\{\w+\}/g, "([^/]+)")}$`), run };
}

/** @throws Error when the value is no number */
export function number(value: unknown, name: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new Error(`'${name}' must be a number`);
  return value;
}

/** @throws Error when the value is no text, or empty */
export function text(value: unknown, name: string): string {
  if (typeof value !== "string" || value === "") throw new Error(`'${name}' must be text`);
  return value;
}
