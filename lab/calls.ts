/** Counts of the calls that clients made, by method and path template. */
export class Calls {
  private counts = new Map<string, number>();
  private changing = 0;

  /** @param template the path with its variables, e.g. `/nodes/{node}/qemu/{vmid}/config` */
  count(method: string, template: string): void {
    const key = `${method} ${template}`;
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
    // A ticket is asked for with POST, but changes nothing.
    if (method !== "GET" && template !== "/access/ticket") this.changing++;
  }

  /** All counts since the start or the last reset. `changing` counts all but GET. */
  report(): { total: number; changing: number; calls: Record<string, number> } {
    const calls = Object.fromEntries([...this.counts].sort(([a], [b]) => a.localeCompare(b)));
    return { total: Object.values(calls).reduce((sum, count) => sum + count, 0), changing: this.changing, calls };
  }

  reset(): void {
    this.counts.clear();
    this.changing = 0;
  }
}
