/** Small generator of repeatable pseudo-random numbers (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
  };
}

/** Faults that the control interface switches on. None of them is on at the start. */
export class Faults {
  /** Factor on the duration of every task. */
  slowdown = 1;
  /** Real milliseconds that every answer is held back. */
  latencyMs = 0;
  /** Share of requests (0 to 1) answered with a 5xx. */
  errorRate = 0;
  /** Share of changing requests on guests answered as if another task held the guest's lock. */
  lockRate = 0;
  /** Bytes per second of slow links, by the two machines. */
  private links = new Map<string, number>();
  private random = seeded(1);
  private tasks: { type: string; message: string }[] = [];

  /** Restarts the random sequence: the same seed and the same requests give the same faults. */
  seed(value: number): void {
    this.random = seeded(value);
  }

  /** The next task of this type (or of any, `*`) fails with the message. */
  failNext(type: string, message: string): void {
    this.tasks.push({ type, message });
  }

  takeTaskFault(type: string): string | undefined {
    const index = this.tasks.findIndex((fault) => fault.type === type || fault.type === "*");
    if (index < 0) return undefined;
    return this.tasks.splice(index, 1)[0]?.message;
  }

  /** The way between two machines carries so many bytes per second from now on. */
  slowLink(a: string, b: string, bytesPerSecond: number): void {
    this.links.set([a, b].sort().join(" "), bytesPerSecond);
  }

  /** Bytes per second between two machines; without a limit unless somebody slowed the link down. */
  linkRate(a: string, b: string): number {
    return this.links.get([a, b].sort().join(" ")) ?? Number.POSITIVE_INFINITY;
  }

  /** A fault for this request, if it is to have one. */
  forRequest(method: string, path: string): { status: number; reason: string } | undefined {
    if (this.errorRate > 0 && this.random() < this.errorRate) {
      const choice = Math.floor(this.random() * 3);
      const options = [
        { status: 500, reason: "got timeout" },
        { status: 596, reason: "Connection timed out" },
        { status: 503, reason: "Service Unavailable" },
      ];
      return options[choice]!;
    }
    const guest = /\/(qemu|lxc)\/(\d+)/.exec(path);
    if (this.lockRate > 0 && method !== "GET" && guest && this.random() < this.lockRate) {
      const folder = guest[1] === "qemu" ? "qemu-server" : "lxc";
      return { status: 500, reason: `can't lock file '/var/lock/${folder}/lock-${guest[2]}.conf' - got timeout` };
    }
    return undefined;
  }

  /** Everything off again. */
  clear(): void {
    this.slowdown = 1;
    this.latencyMs = 0;
    this.errorRate = 0;
    this.lockRate = 0;
    this.tasks = [];
    this.links.clear();
  }
}
