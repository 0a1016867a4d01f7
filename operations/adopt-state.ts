/**
 * The state after an import: what exists in the state alone is written into it, so that the next update finds nothing to change and sends
 * no call. Pure.
 */
import { unreadDefaults } from "../planning/adoption/provider-flags";
import type { Completion } from "./adopt-preview";
import { at, keysOf } from "./adopt-preview";

/** What `pulumi stack export` gives, as far as it is needed; the rest is kept as it is. */
export interface StateDocument {
  deployment?: { resources?: StateEntry[]; [key: string]: unknown };
  [key: string]: unknown;
}

interface StateEntry {
  urn: string;
  inputs?: Record<string, unknown>;
  outputs?: Record<string, unknown>;
  [key: string]: unknown;
}

/** The bridge's own note of how outputs differ from the provider's state: made anew by the next update, and wrong once they are changed. */
const BRIDGE_NOTE = "__pulumi_raw_state_delta";
const DEFAULTS = "__defaults";

/** A copy of the state with the completions in it. */
export function completeState(state: StateDocument, completions: readonly Completion[]): StateDocument {
  const byUrn = new Map(completions.map((each) => [each.urn, each]));
  const resources = (state.deployment?.resources ?? []).map((entry) => {
    const completion = byUrn.get(entry.urn);
    return completion === undefined ? entry : completed(entry, completion);
  });
  return { ...state, deployment: { ...state.deployment, resources } };
}

function completed(entry: StateEntry, { type, paths, inputs: wanted }: Completion): StateEntry {
  const inputs = structuredClone(entry.inputs ?? {});
  const { [BRIDGE_NOTE]: _, ...outputs } = structuredClone(entry.outputs ?? {});
  for (const path of paths) {
    const value = at(wanted, path);
    put(inputs, path, value);
    put(outputs, path, withoutDefaults(value));
  }
  for (const [key, value] of Object.entries(unreadDefaults(type))) {
    if (outputs[key]) continue;
    inputs[key] = value;
    outputs[key] = value;
  }
  return { ...entry, inputs, outputs };
}

/** Sets the value at a path; a block or entry on the way there that does not exist is left out. */
function put(target: Record<string, unknown>, path: string, value: unknown): void {
  const keys = keysOf(path);
  const last = keys.pop();
  const parent = keys.length === 0 ? target : at(target, keys.join("."));
  if (last === undefined || typeof parent !== "object" || parent === null) return;
  if (value === undefined) delete (parent as Record<string, unknown>)[last];
  else (parent as Record<string, unknown>)[last] = structuredClone(value);
}

/** Outputs do not say which of their values are defaults. */
function withoutDefaults(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDefaults);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, each]) => (key === DEFAULTS ? [] : [[key, withoutDefaults(each)]])),
  );
}
