import type { Route } from "./call";

interface Compiled<R> {
  route: R;
  pattern: RegExp;
  names: string[];
  variables: number;
}

/** Finds the handler of a path: fixed parts win over variables. */
export class Router<R extends Pick<Route, "method" | "template"> = Route> {
  private readonly compiled: Compiled<R>[];

  constructor(readonly routes: R[]) {
    this.compiled = routes
      .map((route) => {
        const names: string[] = [];
        const source = route.template.replace(/\{([\w-]+)\}/g, (_, name: string) => {
          names.push(name);
          // The only variables that may hold a slash: a volume id, and the name inside a storage.
          return name === "volume" ? "(.+)" : "([^/]+)";
        });
        return { route, pattern: new RegExp(`^${source}$`), names, variables: names.length };
      })
      .sort((a, b) => a.variables - b.variables);
  }

  find(method: string, path: string): { route: R; path: Record<string, string> } | undefined {
    for (const candidate of this.compiled) {
      if (candidate.route.method !== method) continue;
      const match = candidate.pattern.exec(path);
      if (!match) continue;
      const values = Object.fromEntries(
        candidate.names.map((name, index) => [name, decodeURIComponent(match[index + 1]!)]),
      );
      return { route: candidate.route, path: values };
    }
    return undefined;
  }

  /** `GET /nodes/{node}/qemu` for each route, for the coverage list. */
  handled(): string[] {
    return this.routes.map((route) => `${route.method} ${route.template}`).sort();
  }
}
