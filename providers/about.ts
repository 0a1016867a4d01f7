import type { CallContext } from "./pve/errors";

/** Words for errors about a guest: what was being done to which one. */
export function about(doing: string, { guest, vmid }: { guest: string; vmid: number }): CallContext {
  return { doing: `${doing} guest ${vmid} '${guest}'`, guest };
}
