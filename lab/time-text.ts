import type { Domain } from "./domain";

/** `2026-11-22 12:16:44`, in the lab's virtual time. */
export function clockText(domain: Domain): string {
  return new Date(domain.world.clock.now() * 1000).toISOString().slice(0, 19).replace("T", " ");
}

/** `00:01:09`. */
export function duration(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, "0");
  return `${two(Math.floor(whole / 3600))}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}
