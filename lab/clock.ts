/** Timer of the virtual clock. */
interface Timer {
  due: number;
  run: () => void;
}

/**
 * Virtual time in seconds since the epoch. It runs `speed` times as fast as real time, never backwards,
 * and can be advanced by hand. Everything in the lab that takes time waits on this clock.
 */
export class VirtualClock {
  private base: number;
  private baseReal: number;
  private timers: Timer[] = [];
  private handle: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(
    start: number,
    /** Virtual seconds per real second. */
    readonly speed: number,
  ) {
    this.base = start;
    this.baseReal = performance.now();
  }

  /** Virtual time now, in seconds with fractions. */
  now(): number {
    return this.base + ((performance.now() - this.baseReal) / 1000) * this.speed;
  }

  /** Virtual time now, in whole seconds, as PVE stores it. */
  seconds(): number {
    return Math.floor(this.now());
  }

  /** Lets so many virtual seconds pass at once; what falls due in between runs in its order. */
  advance(seconds: number): void {
    if (!(seconds >= 0)) throw new Error("the clock runs forwards only");
    this.base += seconds;
    this.fire();
  }

  /** Calls back at a virtual time. Returns a function that cancels. */
  at(due: number, run: () => void): () => void {
    const timer = { due, run };
    this.timers.push(timer);
    this.arm();
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  }

  /** Resolves after so many virtual seconds. */
  sleep(seconds: number): Promise<void> {
    return new Promise((resolve) => this.at(this.now() + seconds, resolve));
  }

  /** No timer fires any more. */
  stop(): void {
    this.stopped = true;
    if (this.handle) clearTimeout(this.handle);
    this.timers = [];
  }

  private arm(): void {
    if (this.handle) clearTimeout(this.handle);
    this.handle = undefined;
    if (this.stopped || this.timers.length === 0) return;
    const next = Math.min(...this.timers.map((timer) => timer.due));
    const wait = Math.max(0, ((next - this.now()) / this.speed) * 1000);
    this.handle = setTimeout(() => this.fire(), Math.min(Math.ceil(wait), 60_000));
  }

  private fire(): void {
    const now = this.now();
    const due = this.timers.filter((timer) => timer.due <= now).sort((a, b) => a.due - b.due);
    this.timers = this.timers.filter((timer) => timer.due > now);
    for (const timer of due) timer.run();
    this.arm();
  }
}
